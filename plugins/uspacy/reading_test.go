package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
)

// lost has an operator write what SNS does not deliver.
func (d *desk) lost(text string, at int64) emulator.Message {
	d.t.Helper()
	m, err := d.o.Reply(emulator.Reply{Chat: d.chat().ID, Text: text, At: at, Quiet: true})
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

func TestReadingFindsWhatGotLost(t *testing.T) {
	d := ready(t, emulator.Options{})
	d.say("msg_1", "hello")
	d.deliver()
	d.advance(time.Minute)
	d.lost("first", time.Now().UnixMilli()+10)
	d.lost("second", time.Now().UnixMilli()+20)
	d.advance(10 * time.Minute)
	d.wantEvents("message.created first", "message.created second")
	third := d.reply(emulator.Reply{Text: "third"})
	d.lost("late", time.Now().UnixMilli()-60_000)
	d.advance(10 * time.Minute)
	d.wantEvents("message.created third", "message.created late")
	m := d.lost("fourth", 0)
	d.advance(10 * time.Minute)
	d.receive(operatorEvent(d, d.chat(), map[string]any{"id": m.ID, "message": "fourth"}))
	d.wantEvents("message.created fourth")
	if err := d.o.Edit(third.ID, "THIRD"); err != nil {
		t.Fatal(err)
	}
	d.pending = nil
	d.advance(10 * time.Minute)
	d.wantEvents("message.updated THIRD")
	d.advance(time.Hour)
	d.wantEvents()
}

func TestReadingEndsWithTheDay(t *testing.T) {
	d := ready(t, emulator.Options{})
	d.say("msg_1", "hello")
	d.advance(23 * time.Hour)
	before := d.p.Count(emulator.OpMessageList)
	if before < 100 {
		t.Errorf("the chat was read %d times in 23 hours", before)
	}
	d.advance(24 * time.Hour)
	if n := d.p.Count(emulator.OpMessageList) - before; n > 7 {
		t.Errorf("the chat was read %d times after a day of silence", n)
	}
	d.say("msg_2", "still there?")
	before = d.p.Count(emulator.OpMessageList)
	d.advance(time.Hour)
	if n := d.p.Count(emulator.OpMessageList) - before; n != 6 {
		t.Errorf("the chat was read %d times in an hour, want 6", n)
	}
}

func TestThereIsOneChainOfRounds(t *testing.T) {
	d := ready(t, emulator.Options{})
	for range 5 {
		d.reconcile(lineWork().Payload)
	}
	d.say("msg_1", "hello")
	d.advance(time.Second)
	before := d.p.Count(emulator.OpMessageList)
	d.advance(time.Hour)
	if n := d.p.Count(emulator.OpMessageList) - before; n != 6 {
		t.Errorf("the chat was read %d times in an hour, want 6", n)
	}
	d.kv[keyInstallation] = deskEntry{value: installation{domain: acme, state: installGone}.encode(), version: 9}
	d.advance(time.Hour)
	if len(d.due) != 0 {
		t.Errorf("the rounds go on after the app was removed: %+v", d.due)
	}
}

func TestReadingGoesPageByPage(t *testing.T) {
	d := ready(t, emulator.Options{})
	d.say("msg_1", "hello")
	d.deliver()
	start := time.Now().UnixMilli()
	var want []string
	for i := range 120 {
		text := fmt.Sprint("line ", i)
		d.lost(text, start+int64(i))
		want = append(want, "message.created "+text)
	}
	d.advance(10 * time.Minute)
	if got := d.kinds(); !slices.Equal(got, want) {
		t.Errorf("%d events of %d, beginning with %q", len(got), len(want), got[:min(3, len(got))])
	}
	if n := d.p.Count(emulator.OpMessageList); n < 3 || n > 5 {
		t.Errorf("%d pages were read", n)
	}
}

func TestManyChatsAreReadInTurns(t *testing.T) {
	d := ready(t, emulator.Options{})
	for i := range 25 {
		m := olena(fmt.Sprint("msg_", i), words("hello"))
		m.Conversation.ID = m.Conversation.ID + "/" + contractID(i)
		m.Conversation.Title = fmt.Sprint("Customer ", i)
		d.send(sendOf(m))
	}
	for _, c := range d.o.Chats() {
		if _, err := d.o.Reply(emulator.Reply{Chat: c.ID, Text: "to " + c.Name, Quiet: true}); err != nil {
			t.Fatal(err)
		}
	}
	d.advance(11 * time.Minute)
	seen := map[string]bool{}
	for _, kind := range d.kinds() {
		seen[kind] = true
	}
	if len(seen) != 25 {
		t.Errorf("%d of 25 replies were found", len(seen))
	}
}

func TestReadingGoesOnAfterAnOutage(t *testing.T) {
	for _, tt := range []struct {
		name string
		step emulator.Step
		code string
	}{
		{"no answer", emulator.Step{Op: emulator.OpMessageList, HangUp: true, Times: 2}, ""},
		{"an error of the portal's", emulator.Step{Op: emulator.OpMessageList, Status: 503}, ""},
		{"nonsense", emulator.Step{Op: emulator.OpMessageList, Body: "]["}, ""},
		{"a chat that is gone", emulator.Step{Op: emulator.OpMessageList, Status: 404}, ""},
		{"a refused token", emulator.Step{Op: emulator.OpMessageList, Status: 401}, "token_refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := ready(t, emulator.Options{})
			d.say("msg_1", "hello")
			d.advance(time.Minute)
			d.lost("hi", 0)
			d.p.Script(tt.step)
			payload := payload.New().Text("do", doRead).Raw("chats", `["`+d.chat().ID+`","stranger"]`).End()
			out, code := d.reconcile(payload), ""
			if out.Failure != nil {
				code = out.Failure.Code
			}
			if code != tt.code {
				t.Errorf("the reading came to %+v, want %q", out.Failure, tt.code)
			}
			d.wantEvents()
			d.advance(11 * time.Minute)
			d.wantEvents("message.created hi")
		})
	}
}

func TestWorkThatNobodyAskedFor(t *testing.T) {
	d := ready(t, emulator.Options{})
	for _, payload := range []string{`{"do":"dance"}`, `{"do":"look","event":7}`, `{"do":"look","event":"x"}`} {
		if out := d.reconcile(payload); out.Failure == nil || out.Failure.Code != "payload_unknown" {
			t.Errorf("%s came to %+v", payload, out.Failure)
		}
	}
	if out := d.reconcile(`{"do":"read","chats":["` + strings.Repeat("x", 300) + `"]}`); out.Failure != nil {
		t.Errorf("a chat with a long name came to %+v", out.Failure)
	}
}

func TestADeliveryAndAReadingOfTheSameMessageMakeOneEvent(t *testing.T) {
	d := ready(t, emulator.Options{})
	d.say("msg_1", "hello")
	other := olena("msg_2", words("hello"))
	other.Conversation.ID = "tg:2"
	d.send(sendOf(other))
	d.deliver()
	d.advance(time.Minute)
	first, second := d.o.Chats()[0].ID, d.o.Chats()[1].ID
	if _, err := d.o.Reply(emulator.Reply{Chat: first, Text: "hi"}); err != nil {
		t.Fatal(err)
	}
	before := d.p.Count(emulator.OpMessageList)
	// The delivery comes after the reading took the message, and before it commits.
	d.p.Script(emulator.Step{Op: emulator.OpMessageList}, emulator.Step{Op: emulator.OpMessageList, After: d.deliver})
	d.reconcile(payload.New().Text("do", doRead).Raw("chats", `["`+first+`","`+second+`"]`).End())
	d.wantEvents("message.created hi")
	if n := d.p.Count(emulator.OpMessageList) - before; n != 4 {
		t.Errorf("%d pages were read; the first reading should have been refused its commit", n)
	}
}
