package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// outcome is what became of a message that we posted (protocol section 4).
func (d *delivery) outcome() (*contract.ReceiveOutput, error) {
	id, success := d.data.String("messageId"), d.data.Bool("success")
	switch err := d.data.Err(); {
	case err != nil:
		return malformed(err), nil
	case id == "":
		return missing("messageId"), nil
	case !d.data.Has("success"):
		return missing("success"), nil
	case !fits(id):
		return d.unknownMessage(id), nil
	}
	if err := d.sawOutcome(); err != nil {
		return nil, err
	}
	old, found, err := loadOutcome(d.h, id)
	if err != nil {
		return nil, err
	}
	record, noted, err := loadPosted(d.h, id)
	if err != nil {
		return nil, err
	}
	if !noted {
		record = &posted{}
	}
	if found && (old.success || (!success && old.tries == record.tries)) {
		return accepted(), nil // it says nothing new
	}
	if err := d.putOutcome(id, outcome{success: success, tries: record.tries}); err != nil {
		return nil, err
	}
	switch {
	case !noted:
		return d.early(id), nil
	case success:
		return d.succeeded(id, record)
	}
	return d.failed(id, record), nil
}

// sawOutcome notes that this connection reports outcomes, which turns outcome_policy
// "auto" into "require".
func (d *delivery) sawOutcome() error {
	_, _, found, err := d.h.KVGet(keyOutcomesSeen)
	if err != nil || found {
		return err
	}
	return d.h.KVPut(contract.KVPut{Key: keyOutcomesSeen, Value: "1"})
}

func (d *delivery) putOutcome(id string, o outcome) error {
	return d.h.KVPut(contract.KVPut{Key: prefixOutcome + id, Value: o.encode(), TTLSeconds: d.set.ttlOutcome()})
}

// unknownMessage accepts a report about a message that was never sent.
func (d *delivery) unknownMessage(id string) *contract.ReceiveOutput {
	d.h.Log(pdk.LogWarn, "a report about an unknown message was answered 200 and left at that", "message", clip(id))
	return accepted()
}

// early accepts the outcome of a message that is not noted. It may have overtaken the
// answer to our call, so it is looked at again.
func (d *delivery) early(id string) *contract.ReceiveOutput {
	d.h.Log(pdk.LogInfo, "an outcome came for a message that is not known to be sent; it is looked at again", "message", clip(id))
	out := accepted()
	out.Commands = []contract.CommandRequest{*work(workEarly, 1, id, earlyDelays[0])}
	return out
}

// succeeded takes note of a message that was processed. A repeat that is due finds the
// outcome and does nothing.
func (d *delivery) succeeded(id string, p *posted) (*contract.ReceiveOutput, error) {
	if err := forget(d.h, id); err != nil {
		return nil, err
	}
	events, err := delivered(d.h, p)
	if err != nil {
		return nil, err
	}
	out := accepted()
	out.Events = events
	return out, nil
}

// failed asks for the repeat of a message that was not processed, or gives it up.
func (d *delivery) failed(id string, p *posted) *contract.ReceiveOutput {
	out := accepted()
	if d.set.outcomePolicy() == outcomesIgnored {
		d.h.Log(pdk.LogWarn, "ELMA365 could not process a message; outcomes are ignored", "message", clip(id))
		return out
	}
	if next := d.set.again(id, p.tries); next != nil {
		out.Commands = []contract.CommandRequest{*next}
		return out
	}
	out.Events = undelivered(p, negative())
	return out
}

// markAsRead tells that an operator read a message. That it was processed follows. Of a
// message in several pieces, the last one counts.
func (d *delivery) markAsRead() (*contract.ReceiveOutput, error) {
	id := d.data.String("messageId")
	if err := d.data.Err(); err != nil {
		return malformed(err), nil
	}
	if id == "" {
		return missing("messageId"), nil
	}
	p, found, err := loadPosted(d.h, id)
	if err != nil {
		return nil, err
	}
	if !found {
		return d.unknownMessage(id), nil
	}
	if err := d.noteRead(id, p); err != nil {
		return nil, err
	}
	out := accepted()
	if p.piece == p.pieces && !p.quiet {
		out.Events = []contract.Event{statusEvent(p, contract.StatusReport{
			Status: contract.MessageRead, AndEarlier: d.set.markReadThrough(),
		})}
	}
	return out, nil
}

// noteRead confirms the message, and in the mode "through" all earlier ones of its chat.
func (d *delivery) noteRead(id string, p *posted) error {
	o, found, err := loadOutcome(d.h, id)
	if err != nil {
		return err
	}
	if !found || !o.success {
		if err := d.putOutcome(id, outcome{success: true, tries: p.tries}); err != nil {
			return err
		}
		if err := forget(d.h, id); err != nil {
			return err
		}
	}
	mark, found, err := loadRead(d.h, p.chat)
	if err != nil || !d.set.markReadThrough() || (found && mark.at >= p.at) {
		return err
	}
	value := readMark{at: p.at, message: p.message}.encode()
	return d.h.KVPut(contract.KVPut{Key: prefixRead + p.chat, Value: value, TTLSeconds: ttlRead})
}
