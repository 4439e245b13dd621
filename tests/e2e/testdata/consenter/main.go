// Command consenter is a connector for the tests of consent and of health: it sends a browser
// to its platform, exchanges the code that comes back, and asks the platform how it is.
package main

import (
	"net/url"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

type connector struct{}

var (
	_ pdk.Authorizer       = connector{}
	_ pdk.CodeExchanger    = connector{}
	_ pdk.HealthChecker    = connector{}
	_ pdk.ConnectionSetter = connector{}
)

func init() { pdk.Register(connector{}) }

func main() {}

func (connector) Receive(pdk.Host, *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	return &contract.ReceiveOutput{Response: contract.Response{Status: 200}}, nil
}

func (connector) SetupConnection(pdk.Host, *contract.SetupConnectionInput) (*contract.CommandOutput, error) {
	return &contract.CommandOutput{Events: []contract.Event{state(contract.StateConnecting)}}, nil
}

func state(s contract.ConnectionState) contract.Event {
	return contract.Event{Kind: contract.EventConnectionState, State: &contract.StateChange{State: s}}
}

func (connector) AuthorizeURL(_ pdk.Host, in *contract.AuthorizeURLInput) (*contract.CommandOutput, error) {
	q := url.Values{"redirect_uri": {in.RedirectURL}, "state": {in.State}, "code_challenge": {in.CodeChallenge}}
	return &contract.CommandOutput{URL: in.Connection.Settings["site"] + "/authorize?" + q.Encode()}, nil
}

func (connector) ExchangeCode(h pdk.Host, in *contract.ExchangeCodeInput) (*contract.CommandOutput, error) {
	body := `{"code":"` + in.Code + `","code_verifier":"` + in.CodeVerifier + `","redirect_uri":"` + in.RedirectURL + `","secret":"` + pdk.Secret("client_secret") + `"}`
	answer, err := h.HTTPSend(contract.HTTPRequest{Method: "POST", URL: in.Connection.Settings["site"] + "/token", Body: body,
		Headers: []contract.Header{{Name: "Content-Type", Value: "application/json"}}})
	if err != nil {
		return failed(contract.FailureRetry, "platform_unavailable", "The platform did not answer."), nil
	}
	if answer.Status != 200 {
		return failed(contract.FailurePermanent, "code_refused", "The platform refused the code."), nil
	}
	doc, err := payload.Parse([]byte(answer.Body), payload.Limits{})
	if err != nil {
		return nil, err
	}
	if err := h.CredentialsPut(contract.CredentialsPut{AccessToken: doc.String("access_token"), ExpiresAt: time.Now().Add(time.Hour)}); err != nil {
		return nil, err
	}
	return &contract.CommandOutput{Events: []contract.Event{state(contract.StateConnected)}}, nil
}

func (connector) CheckHealth(h pdk.Host, in *contract.CheckHealthInput) (*contract.CommandOutput, error) {
	answer, err := h.HTTPSend(contract.HTTPRequest{Method: "GET", URL: in.Connection.Settings["site"] + "/me",
		Headers: []contract.Header{{Name: "Authorization", Value: "Bearer " + pdk.Credential("access_token")}}})
	switch {
	case err != nil:
		return failed(contract.FailureRetry, "platform_unavailable", "The platform did not answer."), nil
	case answer.Status == 401:
		return failed(contract.FailureReauthorise, "token_refused", "The platform refused the token."), nil
	case answer.Status != 200:
		return failed(contract.FailureRetry, "platform_unavailable", "The platform is out of order."), nil
	}
	return &contract.CommandOutput{Health: &contract.Health{CredentialsValid: true}}, nil
}

func failed(class contract.FailureClass, code, message string) *contract.CommandOutput {
	return &contract.CommandOutput{Failure: &contract.Failure{Class: class, Code: code, Message: message}}
}
