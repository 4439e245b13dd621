package pdk_test

import (
	"fmt"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

// acme connects the Acme chat, which proves itself with a token in every body. In a
// plugin it stands in package main, with
//
//	func init() { pdk.Register(acme{}) }
//	func main() {}
type acme struct{}

var _ pdk.MessageSender = acme{} // an ability more

// Receive turns what Acme sends into events.
func (acme) Receive(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	body, err := h.DeliveryBody()
	if err != nil {
		return nil, err
	}
	doc, err := payload.Parse(body, payload.Limits{})
	token, chat, text := doc.String("token"), doc.Identifier("chat"), doc.String("text")
	if err == nil {
		err = doc.Err()
	}
	if err != nil || chat == "" || text == "" {
		return rejected(400, "malformed"), nil
	}
	genuine, err := h.SecretEqual("token", token) // in constant time; the value never comes here
	switch {
	case err != nil:
		return nil, err // kept, and tried again
	case !genuine:
		return rejected(401, "token_mismatch"), nil
	}
	message := &contract.Message{
		Conversation: contract.Conversation{ID: contract.ConversationID(chat)},
		Author:       contract.Author{Role: contract.RoleAgent},
		Parts:        []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: text}}},
	}
	return &contract.ReceiveOutput{
		Response: contract.Response{Status: 200},
		Events:   []contract.Event{{Kind: contract.EventMessageCreated, Message: message}},
	}, nil
}

func rejected(status int64, code string) *contract.ReceiveOutput {
	return &contract.ReceiveOutput{
		Response: contract.Response{Status: status},
		Rejected: &contract.Rejection{Code: code},
	}
}

// SendMessage posts a customer's message to Acme.
func (acme) SendMessage(h pdk.Host, in *contract.SendMessageInput) (*contract.CommandOutput, error) {
	answer, err := h.HTTPSend(contract.HTTPRequest{
		Method:  "POST",
		URL:     "https://api.acme.test/v1/messages",
		Headers: []contract.Header{{Name: "Authorization", Value: "Bearer " + pdk.Secret("token")}},
		Body:    pdk.Inert(in.Message.Parts[0].Text.Plain), // a customer wrote it
	})
	switch {
	case err != nil:
		return failed(contract.FailureUncertain, contract.HostErrorCode(err)), nil
	case answer.Status != 200:
		return failed(contract.FailureRetry, "platform_unavailable"), nil
	}
	sent := &contract.Sent{PlatformID: contract.PlatformMessageID(in.Message.ID), Status: contract.MessageSent}
	return &contract.CommandOutput{Sent: sent}, nil
}

func failed(class contract.FailureClass, code string) *contract.CommandOutput {
	return &contract.CommandOutput{Failure: &contract.Failure{Class: class, Code: code}}
}

func Example() {
	host := pdktest.New(nil, nil)
	host.SetSecret("token", "s3cret")
	host.SetBody([]byte(`{"token": "s3cret", "chat": 7, "text": "The courier is on the way."}`))
	received, err := host.Receive(acme{}, new(contract.ReceiveInput))
	if err != nil {
		fmt.Println(err)
		return
	}
	event := received.Events[0]
	fmt.Println(event.Kind, event.Message.Conversation.ID, event.Message.Parts[0].Text.Plain)

	host.Answer("POST", "/v1/messages", pdktest.JSON(200, `{}`))
	reply := event.Message
	reply.ID = "msg_1"
	sent, err := host.Command(acme{}, &contract.SendMessageInput{Message: *reply})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sent.Sent.Status, host.Requests()[0].Headers[0].Value)
	// Output:
	// message.created 7 The courier is on the way.
	// sent Bearer {{secret:token}}
}
