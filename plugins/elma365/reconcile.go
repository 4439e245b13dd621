package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Reconcile does what an earlier invocation asked for: see outcome.go for the kinds.
func (connector) Reconcile(h pdk.Host, in *contract.ReconcileInput) (*contract.CommandOutput, error) {
	kind, count, id, ok := readWork(in.Payload)
	if !ok {
		return &contract.CommandOutput{Failure: permanent("payload_unknown", "The payload is not of this plugin's making.")}, nil
	}
	record, found, err := loadPosted(h, id)
	if err != nil {
		return nil, err
	}
	r := &round{h: h, set: in.Connection.Settings, connection: &in.Connection, id: id, count: count, posted: record}
	switch {
	case kind == workEarly:
		return r.early(found)
	case !found || record.tries != count:
		return nil, nil
	case kind == workCheck:
		return r.check()
	case kind == workRepeat:
		return r.repeat()
	}
	return &contract.CommandOutput{Failure: permanent("payload_unknown", "There is no work of kind "+kind+".")}, nil
}

// round is one piece of work about one post.
type round struct {
	h          pdk.Host
	set        settings
	connection *contract.Connection
	id         string
	count      int64
	posted     *posted
}

// early looks again at an outcome that came before its post was noted.
func (r *round) early(noted bool) (*contract.CommandOutput, error) {
	if !noted {
		return r.earlier(), nil
	}
	o, found, err := loadOutcome(r.h, r.id)
	if err != nil || !found {
		return nil, err
	}
	if o.success {
		if err := forget(r.h, r.id); err != nil {
			return nil, err
		}
		return r.confirm()
	}
	if o.tries > 0 || r.set.outcomePolicy() == outcomesIgnored {
		return nil, nil
	}
	return r.onward(negative()), nil
}

// confirm reports a success that came early, unless send_message did.
func (r *round) confirm() (*contract.CommandOutput, error) {
	first, found, err := loadPosted(r.h, r.posted.message)
	if err != nil || (found && first.told) {
		return nil, err
	}
	events, err := delivered(r.h, r.posted)
	return &contract.CommandOutput{Events: events}, err
}

// earlier waits a while longer for a post to be noted.
func (r *round) earlier() *contract.CommandOutput {
	if r.count >= int64(len(earlyDelays)) {
		r.h.Log(pdk.LogWarn, "an outcome came for a message that we never sent", "message", r.id)
		return nil
	}
	return &contract.CommandOutput{Commands: []contract.CommandRequest{
		*work(workEarly, r.count+1, r.id, earlyDelays[r.count]),
	}}
}

// check decides about a post whose outcome is late.
func (r *round) check() (*contract.CommandOutput, error) {
	if done, err := r.done(); err != nil || done {
		return nil, err
	}
	o, found, err := loadOutcome(r.h, r.id)
	switch {
	case err != nil:
		return nil, err
	case found && o.tries == r.count:
		return nil, nil // the failure was reported, and the repeat is on its way
	case found:
		return r.onward(negative()), nil
	}
	return r.onward(absent()), nil
}

// done tells whether nothing is left to do about the post.
func (r *round) done() (bool, error) {
	if r.set.outcomePolicy() == outcomesIgnored {
		return true, nil
	}
	return confirmed(r.h, r.id, r.posted)
}

// onward asks for the next repeat, or gives the message up for the reason.
func (r *round) onward(reason *contract.Failure) *contract.CommandOutput {
	if next := r.set.again(r.id, r.posted.tries); next != nil {
		return &contract.CommandOutput{Commands: []contract.CommandRequest{*next}}
	}
	return &contract.CommandOutput{Events: undelivered(r.posted, reason)}
}

// repeat posts again, under the same id.
func (r *round) repeat() (*contract.CommandOutput, error) {
	if done, err := r.done(); err != nil || done {
		return nil, err
	}
	p, found, err := loadPost(r.h, r.id)
	if err != nil {
		return nil, err
	}
	if !found {
		r.h.Log(pdk.LogWarn, "a message is due for a repeat and no longer kept", "message", r.id)
		return &contract.CommandOutput{Events: undelivered(r.posted, absent())}, nil
	}
	l, failure, err := dial(r.h, r.connection)
	if err != nil {
		return nil, err
	}
	if failure == nil {
		failure, err = r.post(l, p)
	}
	if err != nil {
		return nil, err
	}
	return r.after(l, p, failure)
}

// post makes the call, with new links for the files.
func (r *round) post(l *link, p *post) (*contract.Failure, error) {
	urls, err := links(r.h, p.files)
	if err != nil {
		return nil, err
	}
	return l.deliver(p.body(urls, r.set.fileURLKey()))
}

// after decides what follows a repeat. A platform that could not take it has used up one
// of the repeats, so that the schedule ends.
func (r *round) after(l *link, p *post, f *contract.Failure) (*contract.CommandOutput, error) {
	if f != nil && f.Class == contract.FailureReauthorise {
		return l.failed(f), nil
	}
	if f != nil && f.Class == contract.FailurePermanent {
		out := l.failed(f)
		out.Events = append(out.Events, undelivered(r.posted, f)...)
		return out, nil
	}
	r.posted.tries++
	if err := l.keep(p, r.posted); err != nil {
		return nil, err
	}
	out := &contract.CommandOutput{Events: l.events}
	next := work(workCheck, r.posted.tries, r.id, r.set.outcomeTimeoutMillis())
	if f != nil {
		next.AfterMillis = max(next.AfterMillis, f.RetryAfterMillis)
	} else if _, next, err := l.await(r.id, r.posted.tries); err != nil || next == nil {
		return out, err // its outcome is there, and was reported when it came
	}
	out.Commands = []contract.CommandRequest{*next}
	return out, nil
}
