package store

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// dropped is an event that said nothing that the host could use.
type dropped struct {
	event domain.Event
	why   string
}

func (d dropped) log(log *slog.Logger) {
	log.Info("an event was dropped", "event", d.event.ID, "kind", string(d.event.Data.Kind), "why", d.why,
		"workspace", d.event.Workspace, "connection", d.event.Connection,
		"delivery", d.event.Delivery, "command", d.event.Command)
}

// learn applies what an event says to messages, conversations and the connection, and
// fills in the host's own names. It returns why the event must be dropped, or nothing.
// What the event points to is copied before it is changed.
func (t *tx) learn(e *domain.Event, at time.Time) (why string, err error) {
	switch e.Data.Kind {
	case contract.EventMessageCreated:
		return t.learnCreated(e, at)
	case contract.EventMessageUpdated:
		return t.learnUpdated(e, at)
	case contract.EventMessageDeleted:
		return t.learnDeleted(e)
	case contract.EventMessageStatus:
		return t.learnStatus(e, at)
	case contract.EventConnectionState:
		return t.learnState(e, at)
	case contract.EventConversationOpened, contract.EventConversationClosed:
		if e.Data.Conversation != nil {
			return "", t.sawConversation(e.Workspace, e.Connection, *e.Data.Conversation)
		}
	}
	return "", nil
}

func (t *tx) learnCreated(e *domain.Event, at time.Time) (why string, err error) {
	if e.Data.Message == nil {
		return "it carries no message", nil
	}
	known, err := t.messageNamed(e.Connection, e.Data.Message.PlatformID)
	if err != nil {
		return "", err
	}
	if known != nil && known.Direction == domain.Outbound {
		return "it is the echo of a message that the host sent", nil
	}
	if known != nil {
		return "the message is known already", nil
	}
	return "", t.createInbound(e, at)
}

// createInbound keeps a message that a plugin reported.
func (t *tx) createInbound(e *domain.Event, at time.Time) error {
	m := *e.Data.Message
	m.ID, m.Status = contract.MessageID(t.ids.next("msg")), ""
	e.Data.Message = &m
	return t.createMessage(domain.Message{Message: m, Workspace: e.Workspace, Connection: e.Connection,
		Direction: domain.Inbound, CreatedAt: at, UpdatedAt: at})
}

// learnUpdated keeps an unknown message too: the update is then all that is known of it.
func (t *tx) learnUpdated(e *domain.Event, at time.Time) (why string, err error) {
	if e.Data.Message == nil {
		return "it carries no message", nil
	}
	before, err := t.messageNamed(e.Connection, e.Data.Message.PlatformID)
	if err != nil {
		return "", err
	}
	if before == nil {
		return "", t.createInbound(e, at)
	}
	m := *e.Data.Message
	m.ID, m.Status, m.Conversation.ID = before.ID, before.Status, before.Conversation.ID
	e.Data.Message = &m
	after := *before
	after.Message.Message, after.UpdatedAt = m, at
	t.putMessage(before, after)
	return "", nil
}

func (t *tx) learnDeleted(e *domain.Event) (why string, err error) {
	if e.Data.Deletion == nil {
		return "it names no message", nil
	}
	known, err := t.messageNamed(e.Connection, e.Data.Deletion.PlatformID)
	if err != nil || known == nil {
		return "", err
	}
	d := *e.Data.Deletion
	d.MessageID = known.ID
	e.Data.Deletion = &d
	return "", nil
}

func (t *tx) learnState(e *domain.Event, at time.Time) (why string, err error) {
	n := e.Data.State
	if n == nil {
		return "it carries no state", nil
	}
	before, err := t.connection(e.Connection)
	if err != nil {
		return "", fmt.Errorf("the state of connection %q: %w", e.Connection, err)
	}
	state, changed := t.learnHealth(before, domain.CausePlugin, n, at)
	if !changed {
		return "it does not change the connection's state", nil
	}
	e.Data.State = &state
	return "", nil
}
