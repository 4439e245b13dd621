// Command greeter is a connector for the tests of packing: it believes a delivery that
// knows the token, and greets whoever sent it.
package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type connector struct{}

var (
	_ pdk.Connector     = connector{}
	_ pdk.MessageSender = connector{}
)

func init() { pdk.Register(connector{}) }

func main() {}

func (connector) Receive(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	genuine, err := h.SecretEqual("token", in.Delivery.Query)
	if err != nil {
		return nil, err
	}
	if !genuine {
		return &contract.ReceiveOutput{Response: contract.Response{Status: 401}, Rejected: &contract.Rejection{Code: "token_mismatch"}}, nil
	}
	visitor := contract.Message{
		PlatformID: "visit-1", Conversation: contract.Conversation{ID: "42"}, Author: contract.Author{Role: contract.RoleCustomer},
		Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: "knock knock"}}},
	}
	return &contract.ReceiveOutput{
		Response: contract.Response{Status: 200, Body: "hello"},
		Events:   []contract.Event{{Kind: contract.EventMessageCreated, Conversation: &visitor.Conversation, Message: &visitor}},
	}, nil
}

func (connector) SendMessage(h pdk.Host, in *contract.SendMessageInput) (*contract.CommandOutput, error) {
	_, err := h.HTTPSend(contract.HTTPRequest{Method: "POST", URL: "https://api.greeter.test/messages"})
	if err != nil {
		return nil, err
	}
	return &contract.CommandOutput{Sent: &contract.Sent{PlatformID: "1", Status: contract.MessageSent}}, nil
}
