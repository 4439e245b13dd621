package main

import (
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Reconcile does what an earlier invocation asked for.
func (connector) Reconcile(h pdk.Host, in *contract.ReconcileInput) (*contract.CommandOutput, error) {
	c := &api{h: h, set: settingsOf(&in.Connection)}
	kind, count, id, ok := readWork(in.Payload)
	if ok && kind == workEarly {
		return early(h, count, id)
	}
	if ok && kind == workTypingEnd {
		return c.endTyping(id)
	}
	if f, err := c.authorised(); f != nil || err != nil {
		return failed(f), err
	}
	switch {
	case ok && (kind == workActivate || kind == workPut || kind == workConfirm):
		return unlessChanged(c.workOnSession(kind, count, id))
	case strings.HasPrefix(in.Payload, "channel_"):
		return unlessChanged(c.workOnChannel(in.Payload))
	}
	return failed(permanent("payload_unknown", "The payload is not of this plugin's making.")), nil
}

// unlessChanged is what a command came to. If a delivery changed meanwhile what the command
// wanted to write, it begins again: what it did on the platform is found there.
func unlessChanged(out *contract.CommandOutput, err error) (*contract.CommandOutput, error) {
	if contract.HostErrorCode(err) != contract.HostConflict {
		return out, err
	}
	return failed(retryAfter("changed_meanwhile", "Something changed while the command ran; it runs again at once.", 1)), nil
}
