package contract

import "errors"

// Error says what the host would not do, and why.
func (e *HostError) Error() string {
	text := "host: " + e.Code
	if e.Message != "" {
		text += ": " + e.Message
	}
	if !e.Certain {
		text += " (it may have taken effect)"
	}
	return text
}

// HostErrorCode returns the code of the [*HostError] in err's chain, or "".
func HostErrorCode(err error) string {
	if refused := (*HostError)(nil); errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}
