package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// Reading finds what SNS lost: in the default case it gives an event up after one to two
// minutes. A round begins with a tick, which lists the chats of the last day and has them read,
// a few in each command, and asks for the next tick. Only the tick of the latest round goes on,
// so there is one chain of them however often a line is set up.
const (
	chatsPerRead = 10
	// chatsPerTick bounds the commands that one tick asks for at once.
	chatsPerTick = 200
	messagesPage = 50
	maxPages     = 4
)

// firstTick is the beginning of reading.
func (p *portal) firstTick(round int64) []contract.CommandRequest {
	if p.set.reconcileMillis() == 0 {
		return nil
	}
	return []contract.CommandRequest{tickWork(round, "", 0)}
}

func tickWork(round int64, after string, millis int64) contract.CommandRequest {
	return contract.CommandRequest{
		Lane: "tick/" + strconv.FormatInt(round, 10), AfterMillis: millis, Payload: payload.New().Text("do", doTick).Number("round", round).Text("after", after).End(),
	}
}

// tick has the active chats read. It makes no call, so that nothing ends the chain but a newer
// one, an uninstalled app or the settings.
func tick(h pdk.Host, in *contract.ReconcileInput, round int64, after string) (*contract.CommandOutput, error) {
	p, failure, err := dial(h, &in.Connection)
	if err != nil {
		return nil, err
	}
	current, err := record.Count(h, keyRound)
	if err != nil || current != round || p.set.reconcileMillis() == 0 {
		return nil, err
	}
	if failure != nil && failure.Class == contract.FailurePermanent {
		return nil, nil // an install begins anew
	}
	page, err := h.KVList(contract.KVList{Prefix: prefixActive, After: after, Limit: chatsPerTick})
	if err != nil {
		return nil, err
	}
	out := new(contract.CommandOutput)
	if failure == nil {
		out.Commands = readWork(page.Entries)
	}
	next := tickWork(round, "", p.set.reconcileMillis())
	if page.More {
		next = tickWork(round, page.Entries[len(page.Entries)-1].Key, 0)
	}
	out.Commands = append(out.Commands, next)
	return out, nil
}

// readWork asks for chats to be read, a few in each command.
func readWork(entries []contract.KVEntry) []contract.CommandRequest {
	var list []contract.CommandRequest
	for some := range slices.Chunk(entries, chatsPerRead) {
		var chats []string
		for _, e := range some {
			chats = append(chats, string(payload.AppendQuoted(nil, strings.TrimPrefix(e.Key, prefixActive))))
		}
		work := payload.New().Text("do", doRead).Raw("chats", "["+strings.Join(chats, ",")+"]").End()
		list = append(list, contract.CommandRequest{Lane: "read", Payload: work})
	}
	return list
}

// read reads some chats. Where the portal does not answer, the next round tries again; only a
// refused token is told, so that it is renewed.
func read(h pdk.Host, in *contract.ReconcileInput, chats []string) (*contract.CommandOutput, error) {
	p, failure, err := dial(h, &in.Connection)
	if err != nil || failure != nil {
		return nil, err
	}
	line, _, _, err := loadLine(h)
	if err != nil {
		return nil, err
	}
	t, err := newTaker(h, &in.Connection, line.id)
	if err != nil || t == nil {
		return nil, err
	}
	for _, id := range chats {
		chat, found, err := loadChat(h, prefixChat, id)
		if err != nil {
			return nil, err
		}
		if !found || chat.line != line.id {
			continue
		}
		failure, err := p.readChat(t, chat)
		switch {
		case err != nil:
			return nil, err
		case failure != nil && failure.Code == "token_refused":
			return &contract.CommandOutput{Failure: failure, Events: t.events}, nil
		case failure != nil:
			h.Log(pdk.LogInfo, "a chat could not be read; the next round tries again", "code", failure.Code)
			if failure.Class != contract.FailurePermanent {
				return &contract.CommandOutput{Events: t.events}, nil
			}
		}
	}
	return &contract.CommandOutput{Events: t.events}, nil
}

// readChat reports what is new in a chat, oldest first.
func (p *portal) readChat(t *taker, chat chatRecord) (*contract.Failure, error) {
	cursor, err := record.Count(p.h, prefixCursor+chat.chat)
	if err != nil {
		return nil, err
	}
	fresh, newest, failure := p.newMessages(chat, cursor)
	if failure != nil {
		return failure, nil
	}
	for _, m := range slices.Backward(fresh) {
		if _, err := t.take("", m); err != nil {
			return nil, err
		}
	}
	if newest <= cursor {
		return nil, nil
	}
	return nil, keep(p.h, prefixCursor+chat.chat, strconv.FormatInt(newest, 10), 2*ttlActive)
}

// lateMillis is how late a message may show up behind one that is newer.
const lateMillis = 10 * 60_000

// newMessages reads pages, newest first, until one reaches the cursor.
func (p *portal) newMessages(chat chatRecord, cursor int64) (fresh []payload.Object, newest int64, failure *contract.Failure) {
	query := "?chatId=" + escaped(chat.chat) + "&limit=" + strconv.Itoa(messagesPage)
	more := ""
	for range maxPages {
		list, failure := p.page(query + more)
		if failure != nil {
			return nil, 0, failure
		}
		oldest := int64(0)
		for _, m := range list {
			at := millisOf(m, "timestamp")
			newest = max(newest, at)
			if oldest == 0 || at < oldest {
				oldest = at
			}
			if at >= cursor-lateMillis || millisOf(m, "updateTimestamp") >= cursor-lateMillis {
				fresh = append(fresh, m)
			}
		}
		if len(list) < messagesPage || oldest < cursor-lateMillis || oldest == 0 {
			break
		}
		more = "&dir=prev&lastTimestamp=" + strconv.FormatInt(oldest, 10)
	}
	slices.SortStableFunc(fresh, func(a, b payload.Object) int {
		return cmp.Compare(millisOf(b, "timestamp"), millisOf(a, "timestamp"))
	})
	return fresh, newest, nil
}

func (p *portal) page(query string) ([]payload.Object, *contract.Failure) {
	result, failure := p.call("GET", pathMessages+query, "", true)
	switch {
	case failure != nil:
		return nil, failure
	case !succeeded(result):
		return nil, refused(result)
	}
	list, ok := answerList(result)
	if !ok {
		return nil, unreadable()
	}
	return list, nil
}
