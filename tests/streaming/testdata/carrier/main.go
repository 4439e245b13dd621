// Command carrier moves attachments: a delivery names what to do, and where the bytes are.
package main

import (
	"encoding/json"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type connector struct{}

func init() { pdk.Register(connector{}) }

func main() {}

// errand is the body of a delivery.
type errand struct {
	// Show names what an event carries, and Carry what a command fetches, uploads and links.
	Show, Carry string
	// Upload and Tell are where the command sends the bytes and the link.
	Upload, Tell string
	// MaxBytes is how much the command takes at most.
	MaxBytes int64
}

const authorization = "Bearer {{secret:token}}"

func (connector) Receive(h pdk.Host, _ *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	body, err := h.DeliveryBody()
	if err != nil {
		return nil, err
	}
	var e errand
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	out := &contract.ReceiveOutput{Response: contract.Response{Status: 200}}
	if e.Show != "" {
		chat := contract.Conversation{ID: "chat"}
		out.Events = []contract.Event{{Kind: contract.EventMessageCreated, Conversation: &chat, Message: &contract.Message{
			Conversation: chat, Author: contract.Author{Role: contract.RoleAgent},
			Parts: []contract.Part{{Kind: contract.PartMedia, Fallback: "an attachment", Media: &contract.Media{Kind: contract.MediaFile,
				SourceURL: e.Show, SourceHeaders: []contract.Header{{Name: "Authorization", Value: authorization}}}}},
		}}}
	}
	if e.Carry != "" {
		out.Commands = []contract.CommandRequest{{Payload: string(body)}}
	}
	return out, nil
}

// Reconcile fetches an attachment, uploads it, and tells the platform a link to it.
func (connector) Reconcile(h pdk.Host, in *contract.ReconcileInput) (*contract.CommandOutput, error) {
	var e errand
	if in.Payload == "" || json.Unmarshal([]byte(in.Payload), &e) != nil {
		return &contract.CommandOutput{}, nil
	}
	media, err := h.MediaFetch(contract.MediaFetch{URL: e.Carry, MaxBytes: e.MaxBytes,
		Headers: []contract.Header{{Name: "Authorization", Value: authorization}}})
	if err != nil {
		return failed(err), nil
	}
	if _, err := h.MediaPut(contract.MediaPut{Handle: media.Handle, Field: "file", Form: map[string]string{"mime": media.MIME},
		Request: contract.HTTPRequest{Method: "POST", URL: e.Upload}}); err != nil {
		return failed(err), nil
	}
	link, err := h.MediaLink(contract.MediaLink{Handle: media.Handle})
	if err != nil {
		return failed(err), nil
	}
	if _, err := h.HTTPSend(contract.HTTPRequest{Method: "PUT", URL: e.Tell, Body: link.URL}); err != nil {
		return failed(err), nil
	}
	return &contract.CommandOutput{}, nil
}

func failed(err error) *contract.CommandOutput {
	return &contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailurePermanent, Code: contract.HostErrorCode(err), Message: err.Error()}}
}
