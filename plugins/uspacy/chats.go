package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// customer is the person whom a chat is for.
type customer struct {
	conversation string
	user         string // externalAuthorId
	name         string
	phone        string
}

// customerOf reads who wrote a message; the failure says why that cannot be used.
func customerOf(m *contract.Message) (customer, *contract.Failure) {
	contact := m.Author.Contact
	c := customer{conversation: string(m.Conversation.ID), phone: contact.Phone}
	c.user = cmp.Or(string(contact.ID), c.conversation)
	c.name = pdk.Inert(plain.Clip(cmp.Or(m.Conversation.Title, contact.Name, contact.Login, contact.Phone, c.conversation), maxLineName))
	if !fits(c.conversation) || !fits(c.user) {
		return c, permanent("id_too_long", "The ids of conversation and person must have 1 to "+strconv.Itoa(maxIDBytes)+" bytes.")
	}
	return c, nil
}

// currentLine is the line to write by.
func (p *portal) currentLine() (lineRecord, *contract.Failure, error) {
	line, _, found, err := loadLine(p.h)
	if err != nil {
		return lineRecord{}, nil, err
	}
	if !found || line.gone || line.domain != p.domain {
		return lineRecord{}, retry("line_pending", "The external line is being made."), nil
	}
	return line, nil, nil
}

// chatFor finds or makes the customer's chat. A new one is committed before anything is written
// to it: an operator, or a bot, may answer before the command ends, and the answer must find
// the conversation. The failure then asks for the next attempt at once.
func (p *portal) chatFor(c customer, line lineRecord, info contract.CommandInfo) (chatRecord, *contract.Failure, error) {
	chat, found, err := loadChat(p.h, prefixConversation, c.conversation)
	if err != nil || found && chat.line == line.id {
		return chat, nil, err
	}
	since, doubtful, err := p.doubt(c, info)
	if err != nil {
		return chatRecord{}, nil, err
	}
	id, failure := "", (*contract.Failure)(nil)
	if doubtful {
		if id, failure, err = p.searchChat(c, line, since); err != nil || failure != nil {
			return chatRecord{}, failure, err
		}
		if id == "" && p.set.parksDoubtfulChats() {
			return chatRecord{}, &contract.Failure{Class: contract.FailureUncertain, Code: "chat_uncertain",
				Message: "Whether the portal made a chat for the customer is not known, and it was not found."}, nil
		}
	}
	if id == "" {
		if id, failure, err = p.createChat(c, line); err != nil || failure != nil {
			return chatRecord{}, failure, err
		}
	}
	return p.chatMade(c, chatRecord{chat: id, conversation: c.conversation, line: line.id, title: c.name, user: c.user})
}

// chatMade keeps a chat.
func (p *portal) chatMade(c customer, chat chatRecord) (chatRecord, *contract.Failure, error) {
	if err := saveChat(p.h, chat); err != nil {
		return chatRecord{}, nil, err
	}
	if err := p.h.KVDelete(contract.KVDelete{Key: prefixMaking + c.conversation}); err != nil {
		return chatRecord{}, nil, err
	}
	return chat, again("chat_made", "The customer's chat is noted first, so that answers find it; the message follows at once.", 1), nil
}

// doubt tells whether an earlier attempt may have made the chat, and since when, in milliseconds.
func (p *portal) doubt(c customer, info contract.CommandInfo) (since int64, doubtful bool, err error) {
	_, _, found, err := p.h.KVGet(prefixMaking + c.conversation)
	if err != nil || !found && info.Attempt <= 1 {
		return 0, false, err
	}
	if since, err = record.Count(p.h, prefixMaking+c.conversation); err != nil {
		return 0, false, err
	}
	if since == 0 {
		since = info.CreatedAt.UnixMilli()
	}
	return since, true, nil
}

// createChat makes a chat. Nothing in the protocol makes that safe to repeat, so a call without
// an answer leaves a mark, and the next attempt looks for the chat first.
func (p *portal) createChat(c customer, line lineRecord) (string, *contract.Failure, error) {
	began := time.Now().UnixMilli()
	members, err := p.firstMembers()
	if err != nil {
		return "", nil, err
	}
	result, failure := p.call("POST", pathChats, chatBody(c, line, members), false)
	if configured, _ := p.set.members(); failure == nil && len(members) == 0 && len(configured) > 0 && (result.Status == 400 || result.Status == 422) {
		if err := keep(p.h, keyNeedMembers, "1", 0); err != nil {
			return "", nil, err
		}
		result, failure = p.call("POST", pathChats, chatBody(c, line, configured), false)
	}
	switch {
	case failure != nil && failure.Code == codeNoAnswer, failure == nil && result.Status >= 500:
		if failure == nil {
			failure = refused(result)
		}
		return "", failure, p.mark(c, began)
	case failure != nil:
		return "", failure, nil
	case result.Status == 404:
		failure, err := p.lineGone(line)
		return "", failure, err
	case !succeeded(result):
		return "", refused(result), nil
	}
	id := textOf(answerObject(result), "id")
	if !fits(id) {
		return "", unreadable(), p.mark(c, began)
	}
	return id, nil, nil
}

// mark notes that a chat may have been made; the first mark stays.
func (p *portal) mark(c customer, began int64) error {
	_, _, found, err := p.h.KVGet(prefixMaking + c.conversation)
	if err != nil || found {
		return err
	}
	return keep(p.h, prefixMaking+c.conversation, strconv.FormatInt(began, 10), ttlMaking)
}

// firstMembers is whom a new chat begins with: nobody, unless the portal refused that before.
func (p *portal) firstMembers() ([]int64, error) {
	_, _, needed, err := p.h.KVGet(keyNeedMembers)
	if err != nil || !needed {
		return nil, err
	}
	members, _ := p.set.members()
	return members, nil
}

func chatBody(c customer, line lineRecord, members []int64) string {
	texts := make([]string, len(members))
	for i, n := range members {
		texts[i] = strconv.FormatInt(n, 10)
	}
	o := payload.New().Raw("members", "["+strings.Join(texts, ",")+"]").Text("type", "EXTERNAL").Words("name", c.name).
		Raw("externalLines", "["+string(payload.AppendQuoted(nil, line.id))+"]")
	if c.phone != "" {
		o.Raw("meta", "["+payload.New().Text("type", "phone").Words("value", c.phone).End()+"]")
	}
	return o.End()
}

// clockSkewMillis is by how much the portal's clock may differ from ours when it is asked what
// was made since.
const clockSkewMillis = 60_000

// searchChat looks for a chat that an earlier attempt may have made: on the line, of that name,
// since then, and nobody else's.
func (p *portal) searchChat(c customer, line lineRecord, since int64) (string, *contract.Failure, error) {
	path := pathChats + "?type=EXTERNAL&externalLineIds=" + escaped(line.id) + "&name=" + escaped(c.name)
	result, failure := p.call("GET", path, "", true)
	switch {
	case failure != nil:
		return "", failure, nil
	case !succeeded(result):
		return "", refused(result), nil
	}
	list, ok := answerList(result)
	if !ok {
		return "", unreadable(), nil
	}
	for _, o := range list {
		id := textOf(o, "id")
		if !fits(id) || textOf(o, "name") != c.name || !onLine(o, line.id) || madeAt(o) < since-clockSkewMillis {
			continue
		}
		if _, taken, err := loadChat(p.h, prefixChat, id); err != nil || !taken {
			return id, nil, err
		}
	}
	return "", nil, nil
}

// onLine tells whether a chat is of a line; lines may be objects or ids.
func onLine(chat payload.Object, line string) bool {
	raw := chat.Raw("externalLines")
	if raw.Kind() != '[' {
		return false
	}
	if slices.ContainsFunc(objectsOf(chat, "externalLines"), func(o payload.Object) bool { return textOf(o, "id") == line }) {
		return true
	}
	return strings.Contains(string(raw), string(payload.AppendQuoted(nil, line)))
}

// madeAt is when a chat was made, in milliseconds; 0 if the portal does not say.
func madeAt(chat payload.Object) int64 {
	if at := millisOf(chat, "timestamp"); at > 0 {
		return at
	}
	at, err := time.Parse(time.RFC3339, textOf(chat, "createdAt"))
	if err != nil {
		return 0
	}
	return at.UnixMilli()
}

// lineGone notes that the portal has no such line, and has one made.
func (p *portal) lineGone(line lineRecord) (*contract.Failure, error) {
	current, version, found, err := loadLine(p.h)
	if err != nil || !found || current.id != line.id || current.gone {
		return again("line_pending", "The external line is being made.", 5000), err
	}
	current.gone = true
	p.h.Log(pdk.LogWarn, "the portal has no such line any more; it is made anew", "line", line.id)
	p.commands = append(p.commands, lineWork())
	return again("line_gone", "The external line was removed in the portal, and is made anew.", 5000),
		p.h.KVPut(contract.KVPut{Key: keyLine, Value: current.encode(), CheckVersion: true, ExpectedVersion: version})
}

// forgetChat drops a chat that the portal does not have any more. What comes of it all the same
// finds its conversation, and a search does not take it for a new one.
func forgetChat(h pdk.Host, c chatRecord) error {
	for _, key := range []string{prefixConversation + c.conversation, prefixActive + c.chat, prefixCursor + c.chat} {
		if err := h.KVDelete(contract.KVDelete{Key: key}); err != nil {
			return err
		}
	}
	return nil
}
