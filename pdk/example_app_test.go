package pdk_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

// bubble connects the Bubble marketplace, which sends the deliveries of every account to the
// one address of the operator's app, signed with the app's secret, and installs the app for
// an account with a token set of that account's.
type bubble struct{}

var (
	_ pdk.Router               = bubble{}
	_ pdk.MessageSender        = bubble{}
	_ pdk.CredentialsRefresher = bubble{}
)

// Route runs for the app: it has the app's secrets, and nothing of any tenant. It says what is
// genuine, and for which account it is. Whose account that is, the host knows.
func (bubble) Route(h pdk.Host, in *contract.RouteInput) (*contract.RouteOutput, error) {
	body, err := h.DeliveryBody()
	if err != nil {
		return nil, err
	}
	mac, _ := hex.DecodeString(header(in.Delivery.Headers, "X-Bubble-Signature")) // what is no code fits nothing
	genuine, err := h.HMACVerify(contract.HMACVerify{Name: "client_secret", Algorithm: "sha256", OverBody: true, MAC: mac})
	if err != nil {
		return nil, err // kept, and tried again
	}
	doc, err := payload.Parse(body, payload.Limits{})
	account, kind := doc.Identifier("account"), doc.String("kind")
	switch {
	case !genuine:
		return notRouted(401, "signature_mismatch"), nil
	case err != nil || doc.Err() != nil || account == "":
		return notRouted(400, "malformed"), nil
	}
	out := &contract.RouteOutput{Key: "account:" + account, Payload: string(body), Response: contract.Response{Status: 200}}
	if kind == "installed" { // it waits until an operator says whose it is
		out.Park = &contract.Parking{Seconds: 14 * 24 * 3600, Title: account, Install: true}
	}
	return out, nil
}

func notRouted(status int64, code string) *contract.RouteOutput {
	return &contract.RouteOutput{Response: contract.Response{Status: status}, Rejected: &contract.Rejection{Code: code}}
}

// Receive runs for the connection that the host found by the key. What comes to the
// connection's own address is nothing of Bubble's.
func (bubble) Receive(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	if in.Routed == nil {
		return rejected(404, "not_routed"), nil
	}
	doc, err := payload.Parse([]byte(in.Routed.Payload), payload.Limits{})
	if err != nil {
		return nil, err
	}
	out := &contract.ReceiveOutput{Response: contract.Response{Status: 200}}
	switch doc.String("kind") {
	case "installed":
		err = h.CredentialsPut(tokens(doc, in.Delivery.ReceivedAt)) // the host keeps them; keep none
		out.Events = []contract.Event{{Kind: contract.EventConnectionState, State: &contract.StateChange{
			State: contract.StateConnected, Code: "installed", Reason: "The account installed the app."}}}
	case "message":
		out.Events = []contract.Event{{Kind: contract.EventMessageCreated, Message: &contract.Message{
			Conversation: contract.Conversation{ID: contract.ConversationID(doc.Identifier("chat"))},
			Author:       contract.Author{Role: contract.RoleAgent},
			Parts:        []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: doc.String("text")}}},
		}}}
	}
	return out, err
}

// SendMessage posts a message with the account's token, whatever that is by now.
func (bubble) SendMessage(h pdk.Host, in *contract.SendMessageInput) (*contract.CommandOutput, error) {
	answer, err := h.HTTPSend(contract.HTTPRequest{
		Method:  "POST",
		URL:     "https://api.bubble.test/v1/messages",
		Headers: []contract.Header{{Name: "Authorization", Value: "Bearer " + pdk.Credential(contract.CredentialAccessToken)}},
		Body:    pdk.Inert(in.Message.Parts[0].Text.Plain),
	})
	switch code := contract.HostErrorCode(err); {
	case code == contract.HostUnauthorised: // there is no token, and none can be had
		return failed(contract.FailureReauthorise, "token_missing"), nil
	case code == contract.HostUnavailable: // it did not go out: the token is being renewed, for one
		return failed(contract.FailureRetry, "host_unavailable"), nil
	case err != nil:
		return failed(contract.FailureUncertain, code), nil
	case answer.Status == 401: // the host renews the token and runs the command once more
		return failed(contract.FailureReauthorise, "token_refused"), nil
	case answer.Status != 200:
		return failed(contract.FailureRetry, "platform_unavailable"), nil
	}
	return &contract.CommandOutput{Sent: &contract.Sent{Status: contract.MessageSent}}, nil
}

// RefreshCredentials renews the account's tokens. When that is due is the host's to know.
func (bubble) RefreshCredentials(h pdk.Host, in *contract.RefreshCredentialsInput) (*contract.CommandOutput, error) {
	answer, err := h.HTTPSend(contract.HTTPRequest{
		Method:  "POST",
		URL:     "https://api.bubble.test/oauth/token",
		Headers: []contract.Header{{Name: "Content-Type", Value: "application/json"}},
		Body: payload.New().Text("grant_type", "refresh_token").
			Text("refresh_token", pdk.Credential(contract.CredentialRefreshToken)).
			Text("client_secret", pdk.Secret("client_secret")).End(),
	})
	switch {
	case err != nil && contract.HostErrorCode(err) == contract.HostUnavailable:
		return failed(contract.FailureRetry, "host_unavailable"), nil
	case err != nil: // the platform may have renewed them: the host asks once more, and knows
		return failed(contract.FailureUncertain, contract.HostErrorCode(err)), nil
	case answer.Status == 400 || answer.Status == 401: // a refusal: a person has to act
		return failed(contract.FailureReauthorise, "refresh_refused"), nil
	case answer.Status != 200: // an outage
		return failed(contract.FailureRetry, "platform_unavailable"), nil
	}
	doc, err := payload.Parse([]byte(answer.Body), payload.Limits{})
	fresh := tokens(doc, time.Now()) // the invocation's time, so that a replay does the same again
	if err != nil || doc.Err() != nil || fresh.AccessToken == "" {
		return failed(contract.FailureUncertain, "answer_malformed"), nil
	}
	return nil, h.CredentialsPut(fresh)
}

// tokens reads a token set as Bubble writes it, and as RFC 6749 does.
func tokens(doc payload.Object, now time.Time) contract.CredentialsPut {
	life := time.Duration(doc.Int("expires_in")) * time.Second
	return contract.CredentialsPut{AccessToken: doc.String("access_token"), RefreshToken: doc.String("refresh_token"), ExpiresAt: now.Add(life)}
}

func header(all []contract.Header, name string) string {
	for _, h := range all {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

func Example_app() {
	host := pdktest.New(nil, nil)
	host.SetSecret("client_secret", "s3cret")
	installed := []byte(`{"kind": "installed", "account": 42, "access_token": "a1", "refresh_token": "r1", "expires_in": 3600}`)
	mac := hmac.New(sha256.New, []byte("s3cret"))
	mac.Write(installed)
	delivery := contract.Delivery{Headers: []contract.Header{{Name: "X-Bubble-Signature", Value: hex.EncodeToString(mac.Sum(nil))}}}
	host.SetBody(installed)
	routed, err := host.Route(bubble{}, &contract.RouteInput{Delivery: delivery})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(routed.Key, routed.Park.Install)

	// An operator assigned the account to a connection, and the host has it take what waited.
	taken, err := host.Receive(bubble{}, &contract.ReceiveInput{Delivery: delivery, Routed: &contract.Routed{Key: routed.Key, Payload: routed.Payload, Parked: true}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(taken.Events[0].State.State, host.Credentials().AccessToken)

	// The token set is old, and the host has it renewed.
	host.Answer("POST", "/oauth/token", pdktest.JSON(200, `{"access_token": "a2", "refresh_token": "r2", "expires_in": 3600}`))
	if _, err := host.Command(bubble{}, &contract.RefreshCredentialsInput{Reason: contract.RefreshDue}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(host.Requests()[0].Body)
	fmt.Println(host.Credentials().AccessToken)
	// Output:
	// account:42 true
	// connected a1
	// {"grant_type":"refresh_token","refresh_token":"{{credential:refresh_token}}","client_secret":"{{secret:client_secret}}"}
	// a2
}
