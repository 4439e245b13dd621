package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// Reconcile carries out what the connector asked itself for.
func (connector) Reconcile(h pdk.Host, in *contract.ReconcileInput) (*contract.CommandOutput, error) {
	work, err := payload.Parse([]byte(in.Payload), payload.Limits{})
	if err != nil {
		return unknownWork(), nil
	}
	do := work.String("do")
	if work.Err() != nil {
		return unknownWork(), nil
	}
	switch {
	case in.Connection.IsApp && do == doConfirm:
		return confirmTopic(h, in.Connection.Settings, work.String("topic"))
	case in.Connection.IsApp:
		return unknownWork(), nil
	case do == doProve:
		return prove(h, &in.Connection)
	}
	return reconcileChat(h, in, do, work)
}

// unknownWork answers a payload that no version of this connector wrote.
func unknownWork() *contract.CommandOutput {
	return &contract.CommandOutput{Failure: failed(contract.FailurePermanent, "payload_unknown", "Nothing is known of such a piece of work.")}
}

// proveWork asks for the call that proves an install, or that one was undone.
func proveWork() contract.CommandRequest {
	return contract.CommandRequest{Lane: "line", Payload: payload.New().Text("do", doProve).End()}
}

// confirmWork asks for a topic to be confirmed.
func confirmWork(topic string) contract.CommandRequest {
	return contract.CommandRequest{Lane: "topic", Payload: payload.New().Text("do", doConfirm).Text("topic", topic).End()}
}
