package main

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

var _ pdk.CredentialsRefresher = connector{}

// RefreshCredentials gets the first pair of tokens, or the one that follows, for a connection
// or for the app.
func (connector) RefreshCredentials(h pdk.Host, in *contract.RefreshCredentialsInput) (*contract.CommandOutput, error) {
	body := `{"account":"` + string(in.Connection.ID) + `"`
	if in.Reason != contract.RefreshMissing {
		body += `,"refresh_token":"` + pdk.Credential(contract.CredentialRefreshToken) + `"`
	}
	asked := time.Now()
	answer, err := h.HTTPSend(contract.HTTPRequest{
		Method: "POST", URL: ledgerOf(&in.Connection) + "/token", Body: body + `}`, TimeoutMillis: 10_000,
		Headers: []contract.Header{{Name: "Content-Type", Value: "application/json"}},
	})
	switch {
	case err != nil && certain(err):
		return failed(contract.FailureRetry, contract.HostErrorCode(err)), nil
	case err != nil:
		return failed(contract.FailureUncertain, contract.HostErrorCode(err)), nil
	case answer.Status != 200:
		return failed(contract.FailureReauthorise, "refused"), nil
	}
	doc, err := payload.Parse([]byte(answer.Body), payload.Limits{})
	if err != nil {
		return failed(contract.FailureUncertain, "malformed"), nil
	}
	seconds := doc.Int("expires_in")
	return &contract.CommandOutput{}, h.CredentialsPut(contract.CredentialsPut{
		AccessToken: doc.String("access_token"), RefreshToken: doc.String("refresh_token"),
		ExpiresAt: asked.Add(time.Duration(seconds) * time.Second),
	})
}

func failed(class contract.FailureClass, code string) *contract.CommandOutput {
	return &contract.CommandOutput{Failure: &contract.Failure{Class: class, Code: code}}
}
