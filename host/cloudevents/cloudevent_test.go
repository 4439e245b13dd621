package cloudevents_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/cloudevents"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// anEvent has a link in every place where a message can have one.
func anEvent() domain.Event {
	committed := time.Date(2026, 11, 22, 10, 30, 0, 500, time.UTC)
	media := func() *contract.Media {
		return &contract.Media{Kind: contract.MediaImage, Handle: "med_1", SourceURL: "https://cdn.test/?token=source",
			SourceHeaders: []contract.Header{{Name: "Authorization", Value: "source"}}}
	}
	message := contract.Message{ID: "msg_1", Conversation: contract.Conversation{ID: "chat-17"}, Parts: []contract.Part{
		{Kind: contract.PartText, Text: &contract.Text{Plain: "1 < 2"}},
		{Kind: contract.PartMedia, Media: media()},
		{Kind: contract.PartCard, Card: &contract.Card{Image: media()}},
		{Kind: contract.PartCarousel, Carousel: &contract.Carousel{Cards: []contract.Card{{Image: media()}}}},
		{Kind: contract.PartRaw, Raw: &contract.Raw{Kind: "poll", JSON: contract.RawJSON("{\n  \"a\": 1\r\n}")}},
	}}
	return domain.Event{ID: "evt_1", Seq: 4711, Workspace: "wsp_1", Connection: "con_1", CommittedAt: committed,
		Data: contract.Event{Kind: contract.EventMessageCreated, At: committed.Add(-time.Minute), Conversation: &message.Conversation, Message: &message}}
}

func TestNoLinkGoesOut(t *testing.T) {
	e := anEvent()
	before, _ := json.Marshal(e)
	line, err := cloudevents.New(e).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(line), "cdn.test") || strings.Contains(string(line), "Authorization") || strings.Count(string(line), "med_1") != 3 {
		t.Errorf("links must go and handles stay: %s", line)
	}
	if after, _ := json.Marshal(e); !bytes.Equal(before, after) {
		t.Errorf("the event was changed:\n%s\n%s", before, after)
	}
}

func TestTimesAndSubject(t *testing.T) {
	e := anEvent()
	if got := cloudevents.New(e); !got.Time.Equal(e.Data.At) || got.Subject != "chat-17" || got.Sequence != "4711" {
		t.Errorf("got %v, subject %q, sequence %q", got.Time, got.Subject, got.Sequence)
	}
	e.Data.At, e.Data.Conversation = time.Time{}, nil
	if got := cloudevents.New(e); !got.Time.Equal(e.CommittedAt) || got.Subject != "" {
		t.Errorf("got %v, subject %q", got.Time, got.Subject)
	}
}

// FuzzEncode checks that an event is one line of JSON, and reads back as it was.
func FuzzEncode(f *testing.F) {
	f.Add("hello", "chat")
	f.Add("a\n\ndata: forged\n\n", "\r\n")
	f.Fuzz(func(t *testing.T, text, conversation string) {
		e := anEvent()
		e.Data.Message.Parts[0].Text.Plain, e.Data.Conversation.ID = text, contract.ConversationID(conversation)
		line, err := cloudevents.New(e).Encode()
		if err != nil {
			t.Fatal(err)
		}
		var back cloudevents.CloudEvent
		if err := json.Unmarshal(line, &back); err != nil || bytes.ContainsAny(line, "\r\n") {
			t.Fatalf("%v in %q", err, line)
		}
		if want := strings.ToValidUTF8(text, "\uFFFD"); strings.ToValidUTF8(back.Data.Message.Parts[0].Text.Plain, "\uFFFD") != want && !strings.Contains(want, "\uFFFD") {
			t.Errorf("%q came back as %q", text, back.Data.Message.Parts[0].Text.Plain)
		}
	})
}
