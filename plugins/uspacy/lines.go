package main

import (
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// setupPortal checks the settings and has the external line made, once the portal installed the
// app. It makes no call itself: the line is made in a lane of its own, where an install that
// comes at the same time does not make a second one.
func setupPortal(h pdk.Host, in *contract.SetupConnectionInput) (*contract.CommandOutput, error) {
	set := settings(in.Connection.Settings)
	if problem := set.chatProblem(); problem != "" {
		return &contract.CommandOutput{Failure: permanent("setting_invalid", problem)}, nil
	}
	p, failure, err := dial(h, &in.Connection)
	if err != nil {
		return nil, err
	}
	out := &contract.CommandOutput{Setup: portalSteps(set), Capabilities: set.capabilities()}
	if failure == nil {
		out.Commands = []contract.CommandRequest{lineWork()}
		return out, nil
	}
	if change := waiting(failure); change != nil {
		p.report(*change)
	}
	out.Events = p.events
	return out, nil
}

// waiting is the state of a connection whose portal cannot be called yet; nil leaves it.
func waiting(f *contract.Failure) *contract.StateChange {
	switch f.Code {
	case "not_installed":
		return &contract.StateChange{State: contract.StateConnecting, Code: "awaiting_install",
			Reason: "Waiting for the app to be installed in the portal, and for an operator to give the install to this connection."}
	case "portal_mismatch":
		return &contract.StateChange{State: contract.StateNeedsAction, Code: f.Code, Reason: f.Message,
			Action: "Set portal_url back, or install the app in the portal that it names."}
	}
	return nil
}

// portalSteps is what an administrator of the portal does.
func portalSteps(set settings) []contract.SetupStep {
	return []contract.SetupStep{
		{
			Label: "Install the app", Value: set["portal_url"],
			Help: "Open the portal's marketplace as an administrator and install the app. Whoever runs this service then gives the install to this connection.",
		},
		{
			Label: "Give operators access to the line",
			Help:  "In the portal, open the settings of external lines once the line is there, and choose who answers.",
		},
	}
}

// lineWork asks for the external line to be made or found, and for its reading to begin.
func lineWork() contract.CommandRequest {
	return contract.CommandRequest{Lane: "line", Payload: payload.New().Text("do", doLine).End()}
}

// reconcileChat carries out the chat's part of what the connector asked itself for.
func reconcileChat(h pdk.Host, in *contract.ReconcileInput, do string, work payload.Object) (*contract.CommandOutput, error) {
	switch do {
	case doLine:
		return reconcileLine(h, in)
	case doTick:
		return tick(h, in, work.Int("round"), work.String("after"))
	case doRead:
		return read(h, in, work.Strings("chats"))
	case doLook:
		return look(h, in, work)
	}
	return unknownWork(), nil
}

// reconcileLine makes sure that the portal has our line and that its messages find this
// connection.
func reconcileLine(h pdk.Host, in *contract.ReconcileInput) (*contract.CommandOutput, error) {
	p, failure, err := dial(h, &in.Connection)
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return p.failed(failure), nil
	}
	old, version, known, err := loadLine(h)
	if err != nil {
		return nil, err
	}
	want := lineRecord{domain: p.domain, name: lineName(&in.Connection), icon: p.set.lineIcon()}
	if known && old.domain == p.domain && !old.gone {
		want.id = old.id
	}
	if failure = p.ensureLine(&want, old); failure == nil {
		failure, err = p.register(want, old, version)
	}
	if err != nil {
		return nil, err
	}
	if failure != nil {
		p.lineFailed(failure)
		return p.ended(nil, failure)
	}
	round, err := record.Count(h, keyRound)
	if err == nil {
		err = keep(h, keyRound, strconv.FormatInt(round+1, 10), 0)
	}
	if err != nil {
		return nil, err
	}
	p.report(contract.StateChange{State: contract.StateConnected, Code: "line_ready", Reason: "The external line is there."})
	return p.ended(&contract.CommandOutput{Commands: p.firstTick(round + 1)}, nil)
}

// lineFailed tells the tenant of a line that cannot be had.
func (p *portal) lineFailed(f *contract.Failure) {
	if f.Class != contract.FailurePermanent {
		return
	}
	p.report(contract.StateChange{State: contract.StateNeedsAction, Code: "line_failed", Reason: plain.Clip("The external line could not be made. "+f.Message, contract.MaxNameBytes),
		Action: "Check the app's rights in the portal and this connection's settings, and save them again."})
}

// ensureLine finds the line by its id, else by its externalId, else makes it; and gives it the
// name and icon of the settings.
func (p *portal) ensureLine(want *lineRecord, old lineRecord) *contract.Failure {
	var there lineRecord
	found, failure := false, (*contract.Failure)(nil)
	if want.id != "" {
		there, found, failure = p.getLine(want.id)
	}
	if !found && failure == nil {
		there, found, failure = p.searchLine()
	}
	switch {
	case failure != nil:
		return failure
	case !found:
		return p.createLine(want)
	}
	want.id = there.id
	if there.name == want.name && there.icon == want.icon {
		return nil
	}
	if there.id == old.id && want.name == old.name && want.icon == old.icon {
		want.name, want.icon = old.name, old.icon // the portal's people renamed it: theirs stays
		return nil
	}
	return p.renameLine(want)
}

func readLine(o payload.Object) lineRecord {
	return lineRecord{id: textOf(o, "id"), name: textOf(o, "name"), icon: textOf(o, "icon")}
}

// getLine asks for a line; false if the portal has none of that id.
func (p *portal) getLine(id string) (lineRecord, bool, *contract.Failure) {
	result, failure := p.call("GET", pathLines+"/"+escaped(id), "", true)
	switch {
	case failure != nil:
		return lineRecord{}, false, failure
	case result.Status == 404:
		return lineRecord{}, false, nil
	case !succeeded(result):
		return lineRecord{}, false, refused(result)
	}
	line := readLine(answerObject(result))
	return line, line.id == id, nil
}

// externalLineID is our name of the line in the portal.
func (p *portal) externalLineID() string { return "patchbay:" + string(p.connection) }

// searchLine looks for our line among the portal's.
func (p *portal) searchLine() (lineRecord, bool, *contract.Failure) {
	result, failure := p.call("GET", pathLines, "", true)
	switch {
	case failure != nil:
		return lineRecord{}, false, failure
	case !succeeded(result):
		return lineRecord{}, false, refused(result)
	}
	list, ok := answerList(result)
	if !ok {
		return lineRecord{}, false, unreadable()
	}
	for _, o := range list {
		if textOf(o, "externalId") == p.externalLineID() && fits(textOf(o, "id")) {
			return readLine(o), true, nil
		}
	}
	return lineRecord{}, false, nil
}

// createLine makes the line. If nobody knows whether that worked, the next attempt looks for it
// first, as every attempt does.
func (p *portal) createLine(want *lineRecord) *contract.Failure {
	body := payload.New().Words("name", want.name).Words("icon", want.icon).Words("phoneNumber", "").
		Words("externalId", p.externalLineID()).End()
	result, failure := p.call("POST", pathLines, body, false)
	switch {
	case failure != nil:
		return failure
	case !succeeded(result):
		return refused(result)
	}
	if want.id = readLine(answerObject(result)).id; !fits(want.id) {
		return unreadable()
	}
	return nil
}

func (p *portal) renameLine(want *lineRecord) *contract.Failure {
	body := payload.New().Words("name", want.name).Words("icon", want.icon).End()
	result, failure := p.call("PATCH", pathLines+"/"+escaped(want.id), body, true)
	switch {
	case failure != nil:
		return failure
	case !succeeded(result) && refused(result).Class != contract.FailurePermanent:
		return refused(result)
	case !succeeded(result):
		p.h.Log(pdk.LogWarn, "the portal does not let the line be renamed", "status", strconv.FormatInt(result.Status, 10))
	}
	return nil
}

// register keeps the line and has its messages find this connection.
func (p *portal) register(want, old lineRecord, version int64) (*contract.Failure, error) {
	if old.id != "" && old.id != want.id {
		if err := p.h.RouteDelete(routeLine + old.id); err != nil {
			return nil, err
		}
	}
	switch err := p.h.RoutePut(routeLine + want.id); {
	case contract.HostErrorCode(err) == contract.HostConflict:
		return permanent("line_taken", "Another connection has this portal's line already."), nil
	case contract.HostErrorCode(err) == contract.HostDenied:
		return permanent("no_app", "This connection belongs to no app; choose one."), nil
	case err != nil:
		return nil, err
	}
	return nil, p.h.KVPut(contract.KVPut{Key: keyLine, Value: want.encode(), CheckVersion: true, ExpectedVersion: version})
}

// TeardownConnection removes the line from the portal, if the settings say so, and stops
// whatever the answer.
func (connector) TeardownConnection(h pdk.Host, in *contract.TeardownConnectionInput) (*contract.CommandOutput, error) {
	if in.Connection.IsApp {
		return teardownApp(h, in)
	}
	p, failure, err := dial(h, &in.Connection)
	if err != nil {
		return nil, err
	}
	line, _, found, err := loadLine(h)
	if err != nil {
		return nil, err
	}
	if found && failure == nil && !p.set.keepsLine() && line.domain == p.domain {
		p.removeLine(line.id)
	}
	if found {
		if err := h.RouteDelete(routeLine + line.id); err != nil {
			return nil, err
		}
	}
	p.report(contract.StateChange{State: contract.StateDisconnected, Code: "torn_down", Reason: "The connection was ended here."})
	return &contract.CommandOutput{Events: p.events}, nil
}

// removeLine deletes the line, as far as the portal lets itself be told.
func (p *portal) removeLine(id string) {
	result, failure := p.call("DELETE", pathLines+"/"+escaped(id), "", true)
	switch {
	case failure != nil:
		p.h.Log(pdk.LogWarn, "the line could not be removed from the portal", "code", failure.Code)
	case !succeeded(result) && result.Status != 404:
		p.h.Log(pdk.LogWarn, "the portal did not remove the line", "code", refused(result).Code)
	}
}
