package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// eventLimits bound what route hands over: an event that it read, and a level around it.
var eventLimits = payload.Limits{MaxBytes: contract.MaxRoutedBytes, MaxDepth: 40, MaxValues: 21_000}

// receiveMessage turns a message event that route verified, and found the line of, into events.
// Whatever it holds is answered 200: SNS is the caller, and a repeat would be the same.
func receiveMessage(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	e, err := payload.Parse([]byte(in.Routed.Payload), eventLimits)
	if err != nil {
		return disbelieved(&refusal{400, "malformed", "What route handed over cannot be read."}), nil
	}
	out := &contract.ReceiveOutput{Response: jsonAnswer(200, "{}"), DedupeKey: textOf(e, "dedupe")}
	t, err := newTaker(h, &in.Connection, strings.TrimPrefix(in.Routed.Key, routeLine))
	if err != nil || t == nil {
		return out, err
	}
	t.guards = true
	verdict, err := t.take(textOf(e, "action"), objectOf(e, "message"))
	if err != nil {
		return nil, err
	}
	out.Events = t.events
	if verdict == unknownChat {
		return out, t.postpone(out, in.Routed.Payload)
	}
	return out, nil
}

// taker takes messages of the portal's chats for one line.
type taker struct {
	h      pdk.Host
	set    settings
	domain string
	line   string
	ours   string // what begins the names that we give to messages
	guards bool   // counts repeats of a text, against loops
	events []contract.Event
}

// newTaker is nil if the connection's portal is not an installed one, or the line not its line.
func newTaker(h pdk.Host, c *contract.Connection, line string) (*taker, error) {
	p, failure, err := dial(h, c)
	if err != nil {
		return nil, err
	}
	if failure != nil {
		h.Log(pdk.LogWarn, "a message came for a portal that is not installed here", "code", failure.Code)
		return nil, nil
	}
	record, _, _, err := loadLine(h)
	if err != nil {
		return nil, err
	}
	if record.id != line || record.domain != p.domain {
		h.Log(pdk.LogWarn, "a message came for a line that is not this connection's any more", "line", plain.Clip(line, 64))
		return nil, nil
	}
	return &taker{h: h, set: p.set, domain: p.domain, line: line, ours: p.ours()}, nil
}

// verdict says what became of a message.
type verdict int

const (
	taken verdict = iota
	// dropped means that there is nothing to report.
	dropped
	// unknownChat means that the chat is not one of this connection's, or not yet.
	unknownChat
)

// take reports one message, in the order of the protocol's section 3.3. An empty action is to be
// found out.
func (t *taker) take(action string, m payload.Object) (verdict, error) {
	id, chatID := textOf(m, "id"), textOf(m, "chatId")
	if !fits(id) || !fits(chatID) {
		t.h.Log(pdk.LogWarn, "a message without the usual ids was left at that")
		return dropped, nil
	}
	chat, found, err := loadChat(t.h, prefixChat, chatID)
	if err != nil {
		return dropped, err
	}
	if found && chat.line != t.line || t.contradicts(m) {
		return dropped, t.strange("a message contradicts what is known of its chat, and was dropped", chatID)
	}
	echo, err := t.isEcho(id, m)
	if err != nil || echo {
		return dropped, err
	}
	kind := textOf(m, "type")
	if (kind == typeSystem || kind == typeForm) && !t.set.forwardsKind(kind) {
		return dropped, nil
	}
	if !found {
		return unknownChat, nil
	}
	return t.report(action, id, chat, m)
}

// contradicts tells whether the message names another portal. What is no host name says nothing.
func (t *taker) contradicts(m payload.Object) bool {
	domain, ok := normalDomain(textOf(objectOf(m, "externalLine"), "portal"))
	return ok && strings.Contains(domain, ".") && domain != t.domain
}

// strange counts what should not be.
func (t *taker) strange(what, chat string) error {
	t.h.Log(pdk.LogWarn, what, "chat", chat)
	count, err := record.Count(t.h, keyStrange)
	if err != nil {
		return err
	}
	return keep(t.h, keyStrange, strconv.FormatInt(count+1, 10), 0)
}

// isEcho tells whether a message is ours, coming back.
func (t *taker) isEcho(id string, m payload.Object) (bool, error) {
	if textOf(m, "externalAuthorId") != "" {
		return true, nil
	}
	if !t.set.strictEcho() {
		return false, nil
	}
	if strings.HasPrefix(textOf(m, "externalId"), t.ours) {
		return true, nil
	}
	_, found, err := loadMine(t.h, id)
	return found, err
}

// report makes the event, unless it was made before.
func (t *taker) report(action, id string, chat chatRecord, m payload.Object) (verdict, error) {
	seen, version, known, err := loadSeen(t.h, id)
	if err != nil {
		return dropped, err
	}
	updated := millisOf(m, "updateTimestamp")
	var e contract.Event
	switch {
	case action == "delete":
		if seen.deleted || !t.set.forwardsDeletes() {
			return dropped, nil
		}
		seen.deleted = true
		e = contract.Event{Kind: contract.EventMessageDeleted, Deletion: &contract.Deletion{PlatformID: contract.PlatformMessageID(id)}}
	case !known && action == "update" && t.forgotten(m):
		seen.updated = updated
		e.Kind = contract.EventMessageUpdated
	case !known:
		seen.updated = updated
		e.Kind = contract.EventMessageCreated
	case action == "create" || seen.deleted || !t.set.forwardsEdits():
		return dropped, nil
	case updated <= seen.updated && (updated > 0 || action != "update"): // one without a time is told apart by its delivery
		return dropped, nil
	default:
		seen.updated = max(seen.updated, updated)
		e.Kind = contract.EventMessageUpdated
	}
	if e.Deletion == nil {
		if e.Message, err = t.message(id, chat, m); err != nil || e.Message == nil {
			return dropped, err
		}
		looping, err := t.loops(chat, e.Message)
		if err != nil || looping {
			return dropped, err
		}
	}
	return taken, t.add(e, id, chat, seen, version)
}

// forgotten tells whether a message is so old that what was noted of it is gone.
func (t *taker) forgotten(m payload.Object) bool {
	at := millisOf(m, "timestamp")
	return at > 0 && time.Now().UnixMilli()-at > ttlSeen*1000
}

// add reports an event, and notes that it was.
func (t *taker) add(e contract.Event, id string, chat chatRecord, seen seenRecord, version int64) error {
	conversation := contract.Conversation{ID: contract.ConversationID(chat.conversation), Title: chat.title}
	e.Conversation = &conversation
	t.events = append(t.events, e)
	err := t.h.KVPut(contract.KVPut{
		Key: prefixSeen + id, Value: seen.encode(), TTLSeconds: ttlSeen, CheckVersion: true, ExpectedVersion: version,
	})
	if err != nil {
		return err
	}
	return stir(t.h, chat.chat)
}

// What a loop is: the same text in one chat, so many times in so many milliseconds.
const (
	maxSameText  = 5
	loopMillis   = 10_000
	maxLoopBytes = 256
)

// loops tells whether the same text comes again and again, as it does when two machines answer
// each other (protocol section 8).
func (t *taker) loops(chat chatRecord, m *contract.Message) (bool, error) {
	if !t.guards || m.Parts[0].Text == nil {
		return false, nil
	}
	text, now := plain.Clip(m.Parts[0].Text.Plain, maxLoopBytes), time.Now().UnixMilli()
	r, _, found, err := load(t.h, prefixLoop, chat.chat)
	if err != nil {
		return false, err
	}
	count, since := int64(1), now
	if found && r.String("text") == text && now-r.Int("since") < loopMillis {
		count, since = r.Int("count")+1, r.Int("since")
	}
	if count > maxSameText {
		t.h.Log(pdk.LogWarn, "the same text came again and again within seconds, and is dropped", "chat", chat.chat)
		return true, nil
	}
	record := payload.New().Text("text", text).Number("count", count).Number("since", since).End()
	return false, keep(t.h, prefixLoop+chat.chat, record, ttlLoop)
}

// lookDelays is when to look again at a message whose chat is not known, in milliseconds: the
// chat may be one that is being made.
var lookDelays = []int64{5_000, 60_000}

// postpone has a message looked at again, or gives it up.
func (t *taker) postpone(out *contract.ReceiveOutput, event string) error {
	if work := lookWork(0, event); work != nil {
		out.Commands = []contract.CommandRequest{*work}
		return nil
	}
	raw, err := t.giveUp(event)
	out.Events = append(out.Events, raw)
	return err
}

// lookWork asks for another look at an event; nil if there were enough, or it is too large to be
// kept. Reading the chats finds what is lost by that.
func lookWork(tries int64, event string) *contract.CommandRequest {
	work := payload.New().Text("do", doLook).Number("tries", tries).Text("event", event).End()
	if tries >= int64(len(lookDelays)) || len(work) > contract.MaxPayloadBytes {
		return nil
	}
	return &contract.CommandRequest{AfterMillis: lookDelays[tries], Payload: work}
}

// look looks again at a message whose chat was not known.
func look(h pdk.Host, in *contract.ReconcileInput, work payload.Object) (*contract.CommandOutput, error) {
	event := work.String("event")
	e, err := payload.Parse([]byte(event), eventLimits)
	if err != nil || work.Err() != nil {
		return unknownWork(), nil
	}
	line, _, _, err := loadLine(h)
	if err != nil {
		return nil, err
	}
	t, err := newTaker(h, &in.Connection, line.id)
	if err != nil || t == nil {
		return nil, err
	}
	found, err := t.take(textOf(e, "action"), objectOf(e, "message"))
	if err != nil {
		return nil, err
	}
	out := &contract.CommandOutput{Events: t.events}
	if found != unknownChat {
		return out, nil
	}
	if next := lookWork(work.Int("tries")+1, event); next != nil {
		out.Commands = []contract.CommandRequest{*next}
		return out, nil
	}
	raw, err := t.giveUp(event)
	out.Events = append(out.Events, raw)
	return out, err
}

// giveUp tells of a message in a chat that is no customer's of ours, without what it says: there
// is nobody here whom it could be for.
func (t *taker) giveUp(event string) (contract.Event, error) {
	e, err := payload.Parse([]byte(event), eventLimits)
	if err != nil {
		return contract.Event{}, record.ErrDamaged
	}
	m := objectOf(e, "message")
	about := payload.New().Text("chatId", plain.Clip(textOf(m, "chatId"), maxIDBytes)).Text("messageId", plain.Clip(textOf(m, "id"), maxIDBytes)).
		Text("line", t.line).End()
	raw := contract.Event{Kind: contract.EventRaw, Raw: &contract.Raw{Kind: "unknown_chat", JSON: contract.RawJSON(about)}}
	return raw, t.strange("a message came in a chat that this connection did not make", plain.Clip(textOf(m, "chatId"), maxIDBytes))
}
