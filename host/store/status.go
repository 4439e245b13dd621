package store

import (
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// rank orders statuses: a message only ever moves to a higher one. Failed stands below
// delivered: what a platform says arrived has arrived, whatever we had made of it. It
// returns 0 for what is not a status. An inbound message has the empty status.
func rank(s contract.MessageStatus) byte {
	switch s {
	case "":
		return 1
	case contract.MessageQueued:
		return 2
	case contract.MessageSent:
		return 3
	case contract.MessageFailed:
		return 4
	case contract.MessageDelivered:
		return 5
	case contract.MessageRead:
		return 6
	}
	return 0
}

// underway are the statuses that a report about a later message can move on. A message
// that waits or failed has not gone anywhere.
var underway = []contract.MessageStatus{"", contract.MessageSent, contract.MessageDelivered}

// learnStatus moves a message on, and the earlier ones with it if the report says so.
func (t *tx) learnStatus(e *domain.Event, at time.Time) (why string, err error) {
	if e.Data.Status == nil {
		return "it carries no status", nil
	}
	report := *e.Data.Status
	if report.Status == "" || rank(report.Status) == 0 {
		return fmt.Sprintf("%q is no status", report.Status), nil
	}
	m, err := t.messageMeant(e.Connection, report.PlatformID)
	if err != nil {
		return "", err
	}
	if m == nil {
		return "the message is unknown", nil
	}
	report.MessageID = m.ID
	e.Data.Status = &report
	moved := t.moveOn(m, report, at)
	earlier := 0
	if report.AndEarlier && report.Status != contract.MessageFailed {
		if earlier, err = t.moveEarlier(m, report.Status, at); err != nil {
			return "", err
		}
	}
	if !moved && earlier == 0 {
		return fmt.Sprintf("the message is %q already", m.Status), nil
	}
	return "", nil
}

// messageMeant finds the message of a report: by the platform's name or, as a plugin may
// have sent ours along, by the host's.
func (t *tx) messageMeant(c contract.ConnectionID, name contract.PlatformMessageID) (*messageRecord, error) {
	m, err := t.messageNamed(c, name)
	if err != nil || m != nil {
		return m, err
	}
	if !t.has(bucketMessages, key(name)) {
		return nil, nil
	}
	record, err := t.message(contract.MessageID(name))
	if err != nil || record.Connection != c {
		return nil, err
	}
	return &record, nil
}

// moveOn applies a report to one message, unless it is further already.
func (t *tx) moveOn(m *messageRecord, report contract.StatusReport, at time.Time) (moved bool) {
	if rank(report.Status) <= rank(m.Status) {
		return false
	}
	after := *m
	after.Status, after.Failure, after.UpdatedAt = report.Status, report.Failure, at
	if parts := fates(report); parts != nil {
		after.Outcomes = parts
	}
	t.putMessage(m, after)
	return true
}

// fates is what a report says became of each part; a failure says it of a message that was
// refused because of its parts.
func fates(report contract.StatusReport) []contract.PartOutcome {
	if report.Parts == nil && report.Failure != nil {
		return report.Failure.Parts
	}
	return report.Parts
}

// moveEarlier moves on the messages before m that went the same way in its conversation.
// Each message is looked at only when it moves, however many there are.
func (t *tx) moveEarlier(m *messageRecord, status contract.MessageStatus, at time.Time) (moved int, err error) {
	ids := t.earlierOutbound(m, status)
	if m.Direction == domain.Inbound {
		ids = t.earlierInbound(m, status)
	}
	for _, id := range ids {
		earlier, err := t.message(id)
		if err != nil {
			return 0, err
		}
		if t.moveOn(&earlier, contract.StatusReport{Status: status}, at) {
			moved++
		}
	}
	if m.Direction == domain.Outbound || rank(m.Earlier) >= rank(status) {
		return moved, nil
	}
	before, err := t.message(m.ID) // it may have moved itself
	if err != nil {
		return 0, err
	}
	after := before
	after.Earlier = status
	t.putMessage(&before, after)
	return moved, nil
}

// earlierOutbound returns the sent messages before m that have a lower status.
func (t *tx) earlierOutbound(m *messageRecord, status contract.MessageStatus) (ids []contract.MessageID) {
	for _, s := range underway {
		if rank(s) >= rank(status) {
			continue
		}
		for position, id := range t.scan(bucketMessageStatus, statusPrefix(m, s), nil) {
			if unpackNumber(position) >= m.Order {
				break
			}
			ids = append(ids, contract.MessageID(id))
		}
	}
	return ids
}

// earlierInbound returns the received messages before m, back to the one that an earlier
// report of the kind was about: what is before that has moved already.
func (t *tx) earlierInbound(m *messageRecord, status contract.MessageStatus) (ids []contract.MessageID) {
	if rank(m.Earlier) >= rank(status) {
		return nil
	}
	conversation := conversationKey(m.Workspace, m.Connection, m.Conversation.ID)
	for _, entry := range t.scanBack(bucketMessageOrder, conversation, packNumber(m.Order)) {
		if entry[0]&inboundMark == 0 {
			continue
		}
		ids = append(ids, contract.MessageID(entry[1:]))
		if entry[0]&^inboundMark >= rank(status) {
			break
		}
	}
	return ids
}

// report moves a message on and makes that visible, for what the host itself knows. The
// event does not queue behind the media of the conversation: it concerns what the tenant
// wrote, not what it reads. It returns nothing if the message is further already.
func (t *tx) report(from source, m *messageRecord, report contract.StatusReport) []domain.Event {
	report.PlatformID, report.MessageID, report.Parts = m.PlatformID, m.ID, fates(report)
	if !t.moveOn(m, report, from.at) {
		return nil
	}
	conversation := m.Conversation
	return []domain.Event{t.record(domain.Event{
		ID: contract.EventID(t.ids.next("evt")), Workspace: from.ws, Connection: from.connection,
		Delivery: from.delivery, Command: from.command,
		Data: contract.Event{Kind: contract.EventMessageStatus, At: from.at, Conversation: &conversation, Status: &report},
	}, from.at)}
}
