package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/cloudevents"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// exampleEvent has a link that must not go out, and raw JSON with line ends in it.
func exampleEvent() domain.Event {
	committed := time.Date(2026, 11, 22, 10, 30, 0, 500, time.UTC)
	message := contract.Message{
		ID: "msg_1", PlatformID: "p-1", Conversation: contract.Conversation{ID: "chat-17"}, Author: contract.Author{Role: contract.RoleCustomer},
		Parts: []contract.Part{
			{Kind: contract.PartText, Text: &contract.Text{Plain: "1 < 2 & \u2028"}},
			{Kind: contract.PartMedia, Media: &contract.Media{Kind: contract.MediaImage, Handle: "med_1", SourceURL: "https://cdn.test/?token=secret"}},
			{Kind: contract.PartRaw, Fallback: "?", Raw: &contract.Raw{Kind: "poll", JSON: contract.RawJSON("{\n  \"a\": [1,\r\n 2]\n}")}},
		},
	}
	return domain.Event{ID: "evt_1", Seq: 4711, Workspace: "wsp_1", Connection: "con_1", CommittedAt: committed,
		Data: contract.Event{Kind: contract.EventMessageCreated, At: committed.Add(-time.Minute), Conversation: &message.Conversation, Message: &message}}
}

func TestCloudEvent(t *testing.T) {
	var frame bytes.Buffer
	before := exampleEvent()
	if err := appendFrame(&frame, cloudevents.New(before)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "cloudevent.txt")
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, frame.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if frame.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", frame.String(), want)
	}
	if before.Data.Message.Parts[1].Media.SourceURL == "" {
		t.Error("the event itself was changed")
	}
}

// FuzzAppendFrame checks that no text of a platform's can end a frame early or add a field.
func FuzzAppendFrame(f *testing.F) {
	f.Add("hello", "patchbay", "typing")
	f.Add("a\n\nid: 9\ndata: forged\n\n", "\r\r", "\n\ndata: forged")
	f.Fuzz(func(t *testing.T, text, id, kind string) {
		e := exampleEvent()
		e.Data.Kind = contract.EventKind(kind)
		e.Data.Message.Parts[0].Text.Plain, e.Data.Conversation.ID = text, contract.ConversationID(id)
		var frame bytes.Buffer
		if err := appendFrame(&frame, cloudevents.New(e)); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(frame.String(), "\n")
		if len(lines) != 5 || lines[3] != "" || lines[4] != "" || strings.Contains(frame.String(), "\r") ||
			!json.Valid([]byte(strings.TrimPrefix(lines[2], "data: "))) {
			t.Errorf("the frame is %q", frame.String())
		}
	})
}
