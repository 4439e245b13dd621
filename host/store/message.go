package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// messageRecord is a message as it is kept.
type messageRecord struct {
	domain.Message
	// Order is its place among all messages of the host.
	Order uint64 `json:"order"`
	// Earlier says, of an inbound message, that every inbound one before it in its
	// conversation has at least this status.
	Earlier contract.MessageStatus `json:"earlier,omitempty"`
}

// createMessage keeps a new message.
func (t *tx) createMessage(m domain.Message) error {
	record := messageRecord{Message: m, Order: t.next(bucketMessages)}
	t.putMessage(nil, record)
	return t.sawConversation(m.Workspace, m.Connection, m.Conversation)
}

// putMessage replaces a message; before is nil for a new one.
func (t *tx) putMessage(before *messageRecord, after messageRecord) {
	var old []entry
	if before != nil {
		old = messageIndex(*before)
	}
	t.reindex(old, messageIndex(after))
	t.putDoc(bucketMessages, key(after.ID), after)
	t.useMedia(after.UpdatedAt, mediaOf(&after.Message.Message))
}

func messageIndex(m messageRecord) []entry {
	id := []byte(m.ID)
	index := []entry{{bucketMessageOrder, messageOrderKey(m), orderValue(m)}}
	if m.Direction == domain.Outbound && slices.Contains(underway, m.Status) {
		index = append(index, entry{bucketMessageStatus, statusPrefix(&m, m.Status).number(m.Order), id})
	}
	if m.PlatformID != "" {
		index = append(index, entry{bucketMessagePlatform, messageNameKey(m.Connection, m.PlatformID), id})
	}
	return index
}

func messageOrderKey(m messageRecord) key {
	return workspaceKey(m.Workspace).text(string(m.Connection)).text(string(m.Conversation.ID)).number(m.Order)
}

func messageNameKey(c contract.ConnectionID, name contract.PlatformMessageID) key {
	return connectionKey(c).text(string(name))
}

// inboundMark is the bit of an orderValue that tells an inbound message.
const inboundMark = 0x80

// orderValue is what the order index says of a message: one byte with its direction and the
// rank of its Earlier, so that a walk back need not read what it passes; then its id.
func orderValue(m messageRecord) []byte {
	head := byte(0)
	if m.Earlier != "" {
		head = rank(m.Earlier)
	}
	if m.Direction == domain.Inbound {
		head |= inboundMark
	}
	return append([]byte{head}, m.ID...)
}

// statusPrefix is what the outbound messages share that are in one conversation and have
// one status.
func statusPrefix(m *messageRecord, s contract.MessageStatus) key {
	return connectionKey(m.Connection).text(string(m.Conversation.ID)).byte(rank(s))
}

func (t *tx) message(id contract.MessageID) (messageRecord, error) {
	m, err := load[messageRecord](t, bucketMessages, key(id))
	if err != nil {
		return m, fmt.Errorf("message %q: %w", id, err)
	}
	return m, nil
}

// messageNamed finds a message by the platform's name; nil if there is none, or no name.
func (t *tx) messageNamed(c contract.ConnectionID, name contract.PlatformMessageID) (*messageRecord, error) {
	if name == "" {
		return nil, nil
	}
	id := t.get(bucketMessagePlatform, messageNameKey(c, name))
	if id == nil {
		return nil, nil
	}
	m, err := t.message(contract.MessageID(id))
	return &m, err
}

// takeName takes the platform's name for m from another message that has it: an echo that
// came before the platform's answer to the send.
func (t *tx) takeName(m *messageRecord) error {
	holder, err := t.messageNamed(m.Connection, m.PlatformID)
	if err != nil || holder == nil || holder.ID == m.ID {
		return err
	}
	after := *holder
	after.PlatformID = ""
	t.putMessage(holder, after)
	return nil
}

// Message returns a message; ErrNotFound if the workspace has none with that id.
func (s *Store) Message(ctx context.Context, ws contract.WorkspaceID, id contract.MessageID) (domain.Message, error) {
	return view(ctx, s, "read message", func(t *tx) (domain.Message, error) {
		m, err := t.message(id)
		if err != nil {
			return domain.Message{}, err
		}
		if m.Workspace != ws {
			return domain.Message{}, fmt.Errorf("message %q of workspace %q: %w", id, ws, domain.ErrNotFound)
		}
		return m.Message, nil
	})
}

// Messages lists messages of a workspace, conversation by conversation, oldest first in
// each, with the cursor of the next page.
func (s *Store) Messages(ctx context.Context, ws contract.WorkspaceID, f domain.MessageFilter, p domain.Page) ([]domain.Message, string, error) {
	prefix := workspaceKey(ws)
	if f.Connection != "" {
		prefix = prefix.text(string(f.Connection))
		if f.Conversation != "" {
			prefix = prefix.text(string(f.Conversation))
		}
	}
	return paged(ctx, s, "list messages", func(t *tx) ([]domain.Message, string, error) {
		after, err := listMessages.position(p.After)
		if err != nil {
			return nil, "", err
		}
		return collect(ctx, listMessages, p.Size(), t.scan(bucketMessageOrder, prefix, after),
			func(_, entry []byte) (domain.Message, bool, error) {
				m, err := t.message(contract.MessageID(entry[1:]))
				return m.Message, true, err
			})
	})
}

// Conversations lists the conversations of a connection, in a fixed order, with the
// cursor of the next page.
func (s *Store) Conversations(
	ctx context.Context, ws contract.WorkspaceID, c contract.ConnectionID, p domain.Page,
) ([]domain.ConversationSummary, string, error) {
	return paged(ctx, s, "list conversations", func(t *tx) ([]domain.ConversationSummary, string, error) {
		after, err := listConversations.position(p.After)
		if err != nil {
			return nil, "", err
		}
		prefix := workspaceKey(ws).text(string(c))
		return collect(ctx, listConversations, p.Size(), t.scan(bucketConversations, prefix, after),
			func(_, doc []byte) (domain.ConversationSummary, bool, error) {
				summary, err := decode[domain.ConversationSummary](bucketConversations, doc)
				if err == nil {
					summary.LastMessageAt, err = t.lastMessageAt(summary)
				}
				return summary, true, err
			})
	})
}

func conversationKey(ws contract.WorkspaceID, c contract.ConnectionID, id contract.ConversationID) key {
	return workspaceKey(ws).text(string(c)).text(string(id))
}

// lastMessageAt returns when the newest message of a conversation became known: the newest
// that is kept says so, or else the record.
func (t *tx) lastMessageAt(c domain.ConversationSummary) (time.Time, error) {
	for _, entry := range t.scanBack(bucketMessageOrder, conversationKey(c.Workspace, c.Connection, c.ID), nil) {
		m, err := t.message(contract.MessageID(entry[1:]))
		return m.CreatedAt, err
	}
	return c.LastMessageAt, nil
}

// sawConversation keeps what is known about a conversation. Most of the time that is
// nothing new, and shows without decoding what is kept.
func (t *tx) sawConversation(ws contract.WorkspaceID, c contract.ConnectionID, seen contract.Conversation) error {
	k := conversationKey(ws, c, seen.ID)
	after := domain.ConversationSummary{Conversation: seen, Workspace: ws, Connection: c}
	t.scratch = conversationRecord{&after}.appendTo(t.scratch[:0])
	kept := t.get(bucketConversations, k)
	if bytes.Equal(kept, t.scratch) {
		return nil
	}
	if kept != nil {
		before, err := decode[domain.ConversationSummary](bucketConversations, kept)
		if err != nil {
			return err
		}
		if seen.Title == "" {
			after.Title = before.Title
		}
		after.Group, after.LastMessageAt = seen.Group || before.Group, before.LastMessageAt
		if after == before {
			return nil
		}
	}
	t.putDoc(bucketConversations, k, conversationRecord{&after})
	return nil
}
