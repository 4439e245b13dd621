package domain

import "github.com/seed75a60ee1/patchbay/pdk/contract"

// Failed is a plugin's own word that something did not work, as an error.
type Failed struct {
	Failure contract.Failure
	// Renewing tells that the host renews a token set because of it: the same may work then.
	Renewing bool
}

func (e *Failed) Error() string {
	if e.Failure.Message == "" {
		return e.Failure.Code
	}
	return e.Failure.Code + ": " + e.Failure.Message
}
