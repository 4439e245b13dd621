package bridges

import (
	"context"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// typingAge is how old a typing indicator may be when it is passed on.
const typingAge = 10 * time.Second

// take adds to the step what an event means to the bridge.
func (d *draft) take(ctx context.Context, e domain.Event) error {
	side, ok := d.bridge.Side(e.Connection)
	if !ok {
		return nil
	}
	switch e.Data.Kind {
	case contract.EventMessageCreated:
		return d.takeCreated(ctx, e, side)
	case contract.EventMessageUpdated:
		return d.takeUpdated(ctx, e, side)
	case contract.EventMessageDeleted:
		return d.takeDeleted(ctx, e, side)
	case contract.EventMessageStatus:
		return d.takeStatus(ctx, e, side)
	case contract.EventTyping:
		return d.takeTyping(ctx, e, side)
	case contract.EventPostback:
		return d.takePostback(ctx, e, side)
	}
	return nil
}

func (d *draft) takeCreated(ctx context.Context, e domain.Event, side domain.BridgeSide) error {
	m := e.Data.Message
	if m == nil {
		return nil
	}
	if m.Author.Role == contract.RoleSystem {
		d.skip(side, "") // what a platform says about itself means nothing on another
		return nil
	}
	return d.send(ctx, e, side, *m)
}

// takePostback passes on what somebody picked as words: the other side has its own names
// for options, if any.
func (d *draft) takePostback(ctx context.Context, e domain.Event, side domain.BridgeSide) error {
	picked := e.Data.Postback
	if picked == nil || e.Data.Conversation == nil {
		return nil
	}
	words := picked.Label
	if words == "" {
		words = picked.ActionID
	}
	if words == "" {
		d.skip(side, "")
		return nil
	}
	return d.send(ctx, e, side, contract.Message{Conversation: *e.Data.Conversation, Author: picked.Author, ReplyTo: picked.PlatformID,
		Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: words}}}})
}

// send passes a message on, unless it is an echo or the link is stopped.
func (d *draft) send(ctx context.Context, e domain.Event, side domain.BridgeSide, m contract.Message) error {
	link, err := d.linked(ctx, side, m.Conversation.ID)
	if err != nil {
		return err
	}
	if link == nil {
		return d.unlinked(ctx, side, m.Conversation.ID)
	}
	said, err := d.says(ctx, m.Author.Role, m.Parts)
	if err != nil {
		return err
	}
	pass, err := d.watch(ctx, link, side, said, e.CommittedAt)
	if err != nil || !pass.ok {
		return err
	}
	out := side.Other()
	target := contract.Message{
		ID:           contract.MessageID(d.room.opts.Store.NewID("msg")),
		Conversation: contract.Conversation{ID: link.Conversation(out)},
		Author:       m.Author, Parts: carried(m.Parts, d.ends[out].capabilities), SentAt: m.SentAt, Status: contract.MessageQueued,
	}
	if side == domain.CustomersSide { // what agents call a conversation is not the customer's business
		target.Conversation.Title, target.Conversation.Group = m.Conversation.Title, m.Conversation.Group
	}
	if target.ReplyTo, err = d.replyTo(ctx, side, m.ReplyTo); err != nil {
		return err
	}
	c := d.queue(out, domain.ConversationLane(d.ends[out].id, target.Conversation.ID),
		domain.Command{Export: contract.ExportSendMessage, Message: &target})
	c.Message, c.NotBefore = &domain.Message{Message: target}, pass.notBefore
	d.step.Counts.Forwarded++
	if m.ID != "" {
		d.keepForward(domain.BridgeForward{Bridge: d.bridge.ID, Source: m.ID, Target: target.ID, From: side})
	}
	return d.remember(ctx, link, out, target, pass.hops)
}

// unlinked leaves a message out whose conversation has no counterpart. Conversations of
// another bridge that shares the connection are that one's business.
func (d *draft) unlinked(ctx context.Context, side domain.BridgeSide, id contract.ConversationID) error {
	elsewhere, err := d.linkedElsewhere(ctx, side, id)
	if err != nil || elsewhere {
		return err
	}
	d.skip(side, "A conversation began on the agents' side, and the customers' side has none of that name, so its messages are not forwarded.")
	return nil
}

// replyTo translates the name of the message that is answered; empty if the other side
// has no name for it.
func (d *draft) replyTo(ctx context.Context, side domain.BridgeSide, name contract.PlatformMessageID) (contract.PlatformMessageID, error) {
	if name == "" {
		return "", nil
	}
	answered, err := missing(d.room.opts.Store.MessageNamed(ctx, d.ends[side].id, name))
	if err != nil || answered == nil {
		return "", err
	}
	var counterpart contract.MessageID
	if answered.Direction == domain.Inbound {
		f, err := d.forward(ctx, answered.ID)
		if err != nil || f == nil {
			return "", err
		}
		counterpart = f.Target
	} else {
		f, err := d.forwardOf(ctx, answered.ID)
		if err != nil || f == nil {
			return "", err
		}
		counterpart = f.Source
	}
	m, err := d.message(ctx, counterpart)
	if err != nil || m == nil {
		return "", err
	}
	return m.PlatformID, nil
}

func (d *draft) takeUpdated(ctx context.Context, e domain.Event, side domain.BridgeSide) error {
	if e.Data.Message == nil {
		return nil
	}
	source, err := d.message(ctx, e.Data.Message.ID)
	if err != nil || source == nil || source.Direction != domain.Inbound {
		return err // a platform's news of what we sent ourselves
	}
	f, err := d.forward(ctx, source.ID)
	if err != nil {
		return err
	}
	if f == nil && source.CreatedAt.Equal(e.CommittedAt) { // the update is the first that is known of it
		return d.takeCreated(ctx, e, side)
	}
	if f == nil {
		return nil
	}
	return d.amend(ctx, *f, e.Data.Message.Parts, domain.PendingEdit)
}

func (d *draft) takeDeleted(ctx context.Context, e domain.Event, _ domain.BridgeSide) error {
	if e.Data.Deletion == nil || e.Data.Deletion.MessageID == "" {
		return nil
	}
	f, err := d.forward(ctx, e.Data.Deletion.MessageID)
	if err != nil || f == nil {
		return err
	}
	return d.amend(ctx, *f, nil, domain.PendingDelete)
}

// amend edits or deletes what a message was forwarded as: at once, or when its platform
// has named it.
func (d *draft) amend(ctx context.Context, f domain.BridgeForward, parts []contract.Part, what domain.BridgePending) error {
	out := f.From.Other()
	if !d.ends[out].can(exportOf(what)) || f.Gone || f.Pending == domain.PendingDelete {
		d.skip(f.From, "")
		return nil
	}
	target, err := d.message(ctx, f.Target)
	if err != nil {
		return err
	}
	if target == nil || target.PlatformID == "" {
		f.Pending = what
		d.keepForward(f)
		return nil
	}
	return d.queueAmendment(ctx, f, *target, parts, what)
}

func exportOf(what domain.BridgePending) contract.Export {
	if what == domain.PendingDelete {
		return contract.ExportDeleteMessage
	}
	return contract.ExportEditMessage
}

func (d *draft) queueAmendment(ctx context.Context, f domain.BridgeForward, target domain.Message, parts []contract.Part, what domain.BridgePending) error {
	out := f.From.Other()
	link, err := d.link(ctx, out, target.Conversation.ID)
	if err != nil || link == nil {
		return err
	}
	if link.State == domain.LinkStopped {
		d.skip(f.From, "")
		return nil
	}
	notBefore, ok := d.pace(link, f.From)
	if !ok {
		return nil
	}
	conversation := target.Conversation
	c := domain.Command{Export: exportOf(what), Conversation: &conversation,
		Status: &contract.StatusReport{PlatformID: target.PlatformID, MessageID: target.ID}}
	if what == domain.PendingEdit {
		edited := target.Message
		edited.Parts = carried(parts, d.ends[out].capabilities)
		c.Conversation, c.Status, c.Message = nil, nil, &edited
		d.step.Counts.Edited++
	} else {
		f.Gone = true
		d.keepForward(f)
		d.step.Counts.Deleted++
	}
	d.queue(out, domain.ConversationLane(d.ends[out].id, conversation.ID), c).NotBefore = notBefore
	link.LastAt = d.now
	d.keep(link)
	return nil
}

// takeStatus brings news of a message that the bridge sent back to where it came from.
func (d *draft) takeStatus(ctx context.Context, e domain.Event, side domain.BridgeSide) error {
	report := e.Data.Status
	if report == nil || report.MessageID == "" {
		return nil
	}
	f, err := d.forwardOf(ctx, report.MessageID)
	if err != nil || f == nil || f.From == side {
		return err
	}
	source, err := d.message(ctx, f.Source)
	if err != nil || source == nil {
		return err
	}
	if err := d.amendPending(ctx, *f, *source); err != nil {
		return err
	}
	d.receipt(*f, *source, *report)
	return nil
}

// amendPending does what had to wait for the platform's name of a message.
func (d *draft) amendPending(ctx context.Context, f domain.BridgeForward, source domain.Message) error {
	if f.Pending == "" {
		return nil
	}
	target, err := d.message(ctx, f.Target)
	if err != nil || target == nil || target.PlatformID == "" {
		return err
	}
	what := f.Pending
	f.Pending = ""
	d.keepForward(f)
	return d.queueAmendment(ctx, f, *target, source.Parts, what)
}

// receipt tells the platform of the original how far the forwarded message got.
func (d *draft) receipt(f domain.BridgeForward, source domain.Message, report contract.StatusReport) {
	if !d.ends[f.From].can(contract.ExportSendReceipt) || source.PlatformID == "" {
		return
	}
	status := contract.StatusReport{PlatformID: source.PlatformID, MessageID: source.ID, Status: report.Status, AndEarlier: report.AndEarlier}
	switch report.Status {
	case contract.MessageDelivered, contract.MessageRead:
	case contract.MessageFailed: // why, is nothing for the other side's platform
		status.Failure = &contract.Failure{Class: contract.FailurePermanent, Code: "not_delivered", Message: "The message could not be delivered."}
	default:
		return
	}
	conversation := source.Conversation
	d.queue(f.From, domain.ConversationLane(d.ends[f.From].id, conversation.ID),
		domain.Command{Export: contract.ExportSendReceipt, Conversation: &conversation, Status: &status})
	d.step.Counts.Receipts++
}

// takeTyping passes on that somebody types, if that is still news. On each side, only its
// own people count: typing says nothing that an echo could be known by.
func (d *draft) takeTyping(ctx context.Context, e domain.Event, side domain.BridgeSide) error {
	out := side.Other()
	if e.Data.Typing == nil || e.Data.Conversation == nil ||
		(e.Data.Typing.Author.Role == contract.RoleCustomer) != (side == domain.CustomersSide) ||
		d.now.Sub(e.CommittedAt) > typingAge || !d.ends[out].known || !d.ends[out].can(contract.ExportSendTyping) {
		return nil
	}
	link, err := d.link(ctx, side, e.Data.Conversation.ID)
	if err != nil || link == nil || link.State == domain.LinkStopped {
		return err
	}
	typing := *e.Data.Typing
	conversation := contract.Conversation{ID: link.Conversation(out)}
	d.queue(out, domain.TypingLane(d.ends[out].id, conversation.ID),
		domain.Command{Export: contract.ExportSendTyping, Conversation: &conversation, Typing: &typing}).IfIdle = true
	d.step.Counts.Typing++
	return nil
}
