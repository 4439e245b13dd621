package main

import (
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// told is how a status is called in the portal, and how far it is: none goes back. A failure may
// be followed by anything, for it may have been tried again, and follows only what was sent.
// Rank 0 is none that the portal is told of.
func told(status contract.MessageStatus) (word string, rank int64) {
	switch status {
	case contract.MessageFailed:
		return "error", rankError
	case contract.MessageSent:
		return "sent", rankSent
	case contract.MessageDelivered:
		return "delivered", 3
	case contract.MessageRead:
		return "read", 4
	}
	return "", 0
}

// The ranks that decide about an error.
const (
	rankError     = 1
	rankSent      = 2
	maxStatusText = 255
)

// SendReceipt tells the portal how far an operator's message got. That the portal does not take
// it fails nothing: the message is where it is.
func (connector) SendReceipt(h pdk.Host, in *contract.SendReceiptInput) (*contract.CommandOutput, error) {
	p, failure, err := dial(h, &in.Connection)
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return p.failed(failure), nil
	}
	id := string(in.Status.PlatformID)
	word, further := told(in.Status.Status)
	_, _, seen, err := loadSeen(h, id)
	if err != nil {
		return nil, err
	}
	if !seen {
		return p.failed(permanent("message_unknown", "No operator's message of this connection has that name.")), nil
	}
	rank, err := record.Count(h, prefixStatus+id)
	if err != nil || !onward(rank, further) {
		return nil, err
	}
	return p.tell(in, id, word, further)
}

// onward tells whether a status of rank to may follow one of rank from; 0 is none.
func onward(from, to int64) bool {
	if to == rankError {
		return from == 0 || from == rankSent
	}
	return to > from
}

// tell makes the call.
func (p *portal) tell(in *contract.SendReceiptInput, id, word string, rank int64) (*contract.CommandOutput, error) {
	body := payload.New().Text("status", word)
	if f := in.Status.Failure; f != nil && f.Message != "" {
		body.Words("statusText", plain.Clip(f.Message, maxStatusText))
	} else {
		body.Raw("statusText", "null")
	}
	result, failure := p.call("PATCH", pathMessages+"/"+escaped(id)+"/status", body.End(), true)
	if failure == nil && !succeeded(result) {
		failure = refused(result)
	}
	switch {
	case failure == nil:
		return p.endedWell(keep(p.h, prefixStatus+id, strconv.FormatInt(rank, 10), ttlStatus))
	case failure.Class == contract.FailurePermanent && failure.Code != codeForbidden:
		p.h.Log(pdk.LogWarn, "the portal did not take a status", "code", failure.Code)
		return &contract.CommandOutput{Events: p.events}, nil
	}
	return p.ended(nil, failure)
}

func (p *portal) endedWell(err error) (*contract.CommandOutput, error) {
	if err != nil {
		return nil, err
	}
	return p.ended(nil, nil)
}
