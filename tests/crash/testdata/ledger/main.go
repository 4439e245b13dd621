// A connector whose platform counts. What it does is easily done twice by mistake: it adds
// to a number that it reads, it makes several calls in a row that nobody could tell from
// new ones, and it asks to be called again.
package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type connector struct{}

var (
	_ pdk.MessageSender = connector{}
	_ pdk.Reconciler    = connector{}
)

func init() { pdk.Register(connector{}) }

func main() {}

// Receive takes {"id","conversation"}: it counts the conversation's deliveries, tells the
// number in an event and in its answer, and asks to be called again for an effect. With "take"
// it registers that as a key, by which the app's deliveries find this connection.
func (connector) Receive(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	doc, err := delivered(h)
	if err != nil {
		return nil, err
	}
	id, chat := doc.String("id"), doc.String("conversation")
	if id == "" || chat == "" {
		return &contract.ReceiveOutput{Response: malformed, Rejected: &contract.Rejection{Code: "malformed"}}, nil
	}
	if key := doc.String("take"); key != "" {
		if err := h.RoutePut(key); err != nil {
			return nil, err
		}
	}
	old, _, _, err := h.KVGet("count/" + chat)
	if err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(old) // nothing is 0
	count := strconv.Itoa(n + 1)
	if err := h.KVPut(contract.KVPut{Key: "count/" + chat, Value: count}); err != nil {
		return nil, err
	}
	response := contract.Response{Status: 200, Body: count}
	if in.Routed != nil {
		response = waits
	}
	conversation := contract.Conversation{ID: contract.ConversationID(chat)}
	role, parts := contract.RoleAgent, []contract.Part{text(id), text(count)}
	if strings.HasPrefix(chat, "b") { // a customer of the shop, whose words a bridge carries on
		role, parts = contract.RoleCustomer, parts[:1]
	}
	return &contract.ReceiveOutput{
		Response:  response,
		DedupeKey: id,
		Events: []contract.Event{{
			Kind: contract.EventMessageCreated, Conversation: &conversation,
			Message: &contract.Message{
				PlatformID: contract.PlatformMessageID(id), Conversation: conversation,
				Author: contract.Author{Role: role}, Parts: parts,
			},
		}},
		Commands: []contract.CommandRequest{{Lane: chat, Payload: id}},
	}, nil
}

func text(s string) contract.Part {
	return contract.Part{Kind: contract.PartText, Text: &contract.Text{Plain: s}}
}

// Reconcile makes the one effect of a delivery.
func (connector) Reconcile(h pdk.Host, in *contract.ReconcileInput) (*contract.CommandOutput, error) {
	token := contract.CredentialAccessToken
	if strings.HasPrefix(in.Payload, "p") { // it came to the app
		token = contract.CredentialAppAccessToken
	}
	failure, err := effect(h, ledgerOf(&in.Connection), in.Payload+"/1", token, false)
	return &contract.CommandOutput{Failure: failure}, err
}

// SendMessage makes three effects: two that must not be repeated and one that may.
func (connector) SendMessage(h pdk.Host, in *contract.SendMessageInput) (*contract.CommandOutput, error) {
	name := in.Message.Parts[0].Text.Plain
	for step := 1; step <= 3; step++ {
		failure, err := effect(h, ledgerOf(&in.Connection), name+"/"+strconv.Itoa(step), contract.CredentialAccessToken, step == 3)
		if err != nil || failure != nil {
			return &contract.CommandOutput{Failure: failure}, err
		}
	}
	return &contract.CommandOutput{Sent: &contract.Sent{
		PlatformID: contract.PlatformMessageID(in.Message.ID), Status: contract.MessageSent,
		Parts: []contract.PartOutcome{{Fate: contract.PartNative}},
	}}, nil
}

// effect makes one effect, unless an attempt before this one did. An answer that never
// came leaves open what happened.
func effect(h pdk.Host, url, name, token string, repeatable bool) (*contract.Failure, error) {
	key := "done/" + name
	if _, _, done, err := h.KVGet(key); err != nil || done {
		return nil, err
	}
	answer, err := h.HTTPSend(contract.HTTPRequest{
		Method: "POST", URL: url, Idempotent: repeatable, TimeoutMillis: 10_000,
		Headers: []contract.Header{{Name: "Effect", Value: name}, {Name: "Repeatable", Value: strconv.FormatBool(repeatable)},
			{Name: "Authorization", Value: "Bearer " + pdk.Credential(token)}},
	})
	switch {
	case err != nil && (certain(err) || repeatable):
		return &contract.Failure{Class: contract.FailureRetry, Code: contract.HostErrorCode(err)}, nil
	case err != nil:
		return &contract.Failure{Class: contract.FailureUncertain, Code: contract.HostErrorCode(err)}, nil
	case answer.Status == 401:
		return &contract.Failure{Class: contract.FailureReauthorise, Code: "token_refused"}, nil
	case answer.Status != 200:
		return &contract.Failure{Class: contract.FailureRetry, Code: "refused"}, nil
	}
	return nil, h.KVPut(contract.KVPut{Key: key, Value: "1", TTLSeconds: 3600})
}

// certain tells whether an error means that nothing happened.
func certain(err error) bool {
	refused := (*contract.HostError)(nil)
	return errors.As(err, &refused) && refused.Certain
}
