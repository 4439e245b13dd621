package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// uspacyFiles are the attachments of the conversation, by name, beginning as such files do.
var uspacyFiles = map[string][]byte{
	"label.pdf": []byte("%PDF-1.7 a label"), "shelf.png": []byte("\x89PNG\r\n\x1a\n a shelf"), "note.ogg": []byte("OggS a voice"),
	"film.mp4": []byte("\x00\x00\x00\x18ftypmp42 a film"), "song.mp3": []byte("ID3\x04 a song"), "wave.gif": []byte("GIF89a a wave"), "card.png": []byte("\x89PNG\r\n\x1a\n a card"),
}

// media uploads one of the files, and makes a part of it.
func (s *uspacyShop) media(kind contract.MediaKind, name string) *contract.Media {
	s.m.t.Helper()
	kept, err := s.of.admin.Upload(within(s.m.t), s.of.workspace.ID, name, "", bytes.NewReader(uspacyFiles[name]))
	if err != nil {
		s.m.t.Fatal(err)
	}
	return &contract.Media{Kind: kind, Handle: kept.Handle, Name: name}
}

// everything is a part of every kind.
func (s *uspacyShop) everything() []contract.Part {
	file := func(kind contract.MediaKind, name string) contract.Part {
		return contract.Part{Kind: contract.PartMedia, Media: s.media(kind, name)}
	}
	yes := []contract.Option{{ActionID: "yes", Label: "Yes"}, {ActionID: "no", Label: "No"}}
	card := contract.Card{Title: "Oak shelf", Body: "Two metres", Image: s.media(contract.MediaImage, "card.png"), Options: yes}
	return []contract.Part{
		uspacyText("2 * 3 is _six_ {{secret:client_secret}}"),
		{Kind: contract.PartText, Text: &contract.Text{Plain: "bold words", Markdown: "**bold** words"}},
		file(contract.MediaFile, "label.pdf"), file(contract.MediaImage, "shelf.png"), file(contract.MediaVoice, "note.ogg"),
		file(contract.MediaVideo, "film.mp4"), file(contract.MediaAudio, "song.mp3"), file(contract.MediaImage, "wave.gif"),
		{Kind: contract.PartChoice, Fallback: "Today? Yes or No", Choice: &contract.Choice{Style: contract.ChoiceButtons, Prompt: "Today?", Options: yes}},
		{Kind: contract.PartCard, Fallback: "Card: Oak shelf", Card: &card},
		{Kind: contract.PartCarousel, Fallback: "Row: Oak shelf", Carousel: &contract.Carousel{Cards: []contract.Card{{Title: "Oak shelf"}}}},
		{Kind: contract.PartLocation, Fallback: "Place: Vilnius", Location: &contract.Location{LatitudeE7: 546872000, LongitudeE7: 252797000, Name: "Vilnius"}},
		{Kind: contract.PartContact, Fallback: "Person: Ona", Contact: &contract.Contact{Name: "Ona", Phone: "+37060012346"}},
		{Kind: contract.PartRaw, Fallback: "Something: else", Raw: &contract.Raw{Kind: "poll", JSON: contract.RawJSON(`{"a":1}`)}},
	}
}

// actTalk is a conversation with everything in it, each way.
func actTalk(t *testing.T, m *uspacyMarket) {
	s := m.open(m.tenants[1], m.platforms[0], "talk.uspacy.ua", "forward_deletes", "true")
	parts := s.everything()
	kept := s.message(s.post("chat-1", parts...), contract.MessageSent)
	got := s.o.Messages(s.o.Chats()[0].ID)
	s.wantSaid(got)
	if len(kept.Outcomes) != len(parts) {
		t.Errorf("of %d parts, %d have an outcome: %+v", len(parts), len(kept.Outcomes), kept.Outcomes)
	}
	for i, o := range kept.Outcomes {
		native := i < 8
		if native != (o.Fate == contract.PartNative) || !native && o.Fate != contract.PartConverted {
			t.Errorf("part %d, a %s, became %s: %s", i, parts[i].Kind, o.Fate, o.Note)
		}
	}
	chat := s.o.Chats()[0]
	if chat.Name != "Dana chat-1" || len(chat.Meta) != 1 || chat.Meta[0].Value != "+37060012345" {
		t.Errorf("the chat is %+v", chat)
	}
	s.hears(t, chat.ID, string(kept.PlatformID))
	s.changes(t, chat.ID)
	if n := s.count(func(e client.Event) bool {
		return e.Data.Message != nil && (e.Data.Message.Author.Role != contract.RoleAgent || e.Data.Message.SentAt.IsZero())
	}); n > 0 {
		t.Errorf("%d messages are no operator's: what customers said came back", n)
	}
	long := strings.Repeat("a long story, ", 600)
	kept = s.message(s.post("chat-2", uspacyText(long)), contract.MessageSent)
	pieces := s.o.Messages(s.o.Chats()[1].ID)
	if told := strings.Join(uspacyTexts(pieces), " "); len(pieces) != 3 || strings.Join(strings.Fields(told), " ") != strings.Join(strings.Fields(long), " ") {
		t.Errorf("a text of %d characters came as %d messages with %d", len(long), len(pieces), len(told))
	}
}

func uspacyTexts(messages []emulator.Message) (texts []string) {
	for _, m := range messages {
		texts = append(texts, m.Text)
	}
	return texts
}

// wantSaid holds what the portal has against everything.
func (s *uspacyShop) wantSaid(got []emulator.Message) {
	t := s.m.t
	t.Helper()
	var kinds []string
	names := map[string]bool{}
	for _, g := range got {
		kinds = append(kinds, g.Type)
		for _, raw := range g.AttachedFiles {
			var f emulator.File
			if err := json.Unmarshal(raw, &f); err != nil {
				t.Error(err)
			}
			names[f.OriginalFilename] = true
		}
	}
	slices.Sort(kinds)
	if want := "AUDIO GIF MESSAGE VIDEO VOICE"; strings.Join(slices.Compact(kinds), " ") != want {
		t.Errorf("the messages are of the types %v, want %s", kinds, want)
	}
	for _, f := range s.o.Files() {
		if want, ok := uspacyFiles[f.OriginalFilename]; !ok || !bytes.Equal(f.Content, want) || !names[f.OriginalFilename] {
			t.Errorf("the file %q has %q, in a message: %v", f.OriginalFilename, f.Content, names[f.OriginalFilename])
		}
	}
	if len(names) != len(uspacyFiles) {
		t.Errorf("the portal has the files %v", names)
	}
	text := strings.Join(uspacyTexts(got), "\n")
	for _, want := range []string{"**bold** words", `2 \* 3 is \_six\_`, "Today? Yes or No", "Oak shelf", "Vilnius", "Ona", "Something: else"} {
		if !strings.Contains(text, want) {
			t.Errorf("the portal's text lacks %q: %s", want, text)
		}
	}
	if strings.Contains(text, uspacySecret) || !strings.Contains(text, "client") {
		t.Errorf("a customer's placeholder became %s", text)
	}
}

// hears has the operator write what operators can write.
func (s *uspacyShop) hears(t *testing.T, chat, quoted string) {
	s.reply(emulator.Reply{Chat: chat, Text: "It **leaves today**", Parent: quoted, Author: 21, Files: []emulator.NewFile{
		{Name: "map.gif", Content: []byte("GIF89a a map")}, {Name: "bill.pdf", Content: []byte("%PDF-1.7 a bill")},
		{Name: "away.pdf", Content: []byte("%PDF"), URL: "https://files.example.org/away.pdf"}, {Name: "inside.pdf", URL: "https://169.254.169.254/latest"},
	}})
	e := s.heard("It leaves today")
	got := e.Data.Message
	if got.Parts[0].Text.Markdown != "It **leaves today**" || got.Author.Contact.ID != "21" || string(got.ReplyTo) != quoted ||
		e.Subject != "chat-1" || got.Conversation.ID != "chat-1" || len(got.Parts) != 5 {
		t.Fatalf("the reply came as %+v", got)
	}
	if gif, bill := got.Parts[1].Media, got.Parts[2].Media; gif.Kind != contract.MediaImage || gif.MIME != "image/gif" || string(s.download(gif)) != "GIF89a a map" ||
		string(s.download(bill)) != "%PDF-1.7 a bill" || bill.SourceURL != "" || bill.SourceHeaders != nil {
		t.Errorf("the files came as %+v and %+v", gif, bill)
	}
	for _, part := range got.Parts[3:] {
		if part.Media.Handle != "" || part.Media.Missing == "" {
			t.Errorf("a file from elsewhere came as %+v", part.Media)
		}
	}
	s.reply(emulator.Reply{Chat: chat, Type: "VOICE", Files: []emulator.NewFile{{Name: "answer.ogg", Content: []byte("OggS an answer")}}})
	voice := s.await("a voice note", func(e client.Event) bool {
		return e.Data.Message != nil && len(e.Data.Message.Parts) == 1 && e.Data.Message.Parts[0].Media != nil
	}).Data.Message.Parts[0].Media
	if voice.Kind != contract.MediaVoice || string(s.download(voice)) != "OggS an answer" {
		t.Errorf("the voice note came as %+v", voice)
	}
	s.reply(emulator.Reply{Chat: chat, Type: "SYSTEM", Text: "An operator took the chat"})
	s.reply(emulator.Reply{Chat: chat, Type: "FORM_SUBMISSION", Text: "A form"})
	s.wantOnce(chat, "It leaves today")
	if n := s.count(stage.Said("An operator took the chat")) + s.count(stage.Said("A form")); n > 0 {
		t.Errorf("%d messages that nobody wrote were reported", n)
	}
}

// changes has the operator change and delete a reply. Each is reported once though SNS says it
// twice.
func (s *uspacyShop) changes(t *testing.T, chat string) {
	m := s.reply(emulator.Reply{Chat: chat, Text: "On Monday"})
	s.heard("On Monday")
	edited := func(text string) func(client.Event) bool {
		return func(e client.Event) bool {
			return e.Data.Kind == contract.EventMessageUpdated && string(e.Data.Message.PlatformID) == m.ID && stage.Text(e.Data.Message) == text
		}
	}
	deleted := func(e client.Event) bool {
		return e.Data.Kind == contract.EventMessageDeleted && string(e.Data.Deletion.PlatformID) == m.ID
	}
	for _, text := range []string{"On Tuesday", "On Wednesday"} {
		if err := s.o.Edit(m.ID, text); err != nil {
			t.Fatal(err)
		}
		s.await("the change to "+text, edited(text))
	}
	if err := s.o.Delete(m.ID); err != nil {
		t.Fatal(err)
	}
	s.await("the deletion", deleted)
	s.wantOnce(chat, "On Monday")
	if n := []int{s.count(edited("On Tuesday")), s.count(edited("On Wednesday")), s.count(deleted)}; fmt.Sprint(n) != "[1 1 1]" {
		t.Errorf("the changes and the deletion were reported %v times", n)
	}
}

// actStatuses: what became of a reply is told to the portal, and never goes back.
func actStatuses(t *testing.T, m *uspacyMarket) {
	s := m.open(m.tenants[0], m.platforms[0], "status.uspacy.ua")
	chat := s.say("chat-1", "Tell me everything").ChatID
	status := func(id string) (string, string) {
		for _, m := range s.o.Messages(chat) {
			if m.ID == id && m.StatusText != nil {
				return m.Status, *m.StatusText
			} else if m.ID == id {
				return m.Status, ""
			}
		}
		return "", "gone"
	}
	tell := func(e client.Event, r client.StatusReport) {
		command, err := s.of.admin.ReportStatus(within(t), s.of.workspace.ID, e.Data.Message.ID, r)
		if err != nil {
			t.Fatal(err)
		}
		m.poll("the report to be done", func() (bool, error) {
			now, err := s.of.admin.Command(within(t), s.of.workspace.ID, command.ID)
			return now.State.Ended(), err
		})
	}
	s.reply(emulator.Reply{Chat: chat, Text: "Everything"})
	e := s.heard("Everything")
	for _, tt := range []struct {
		report     client.StatusReport
		want, text string
	}{
		{client.StatusReport{Status: contract.MessageDelivered}, "delivered", ""},
		{client.StatusReport{Status: contract.MessageRead}, "read", ""},
		{client.StatusReport{Status: contract.MessageDelivered}, "read", ""},
		{client.StatusReport{Status: contract.MessageFailed, Reason: "too late"}, "read", ""},
	} {
		tell(e, tt.report)
		if got, text := status(string(e.Data.Message.PlatformID)); got != tt.want || text != tt.text {
			t.Errorf("after %+v the portal shows %s %q, want %s %q", tt.report, got, text, tt.want, tt.text)
		}
	}
	s.reply(emulator.Reply{Chat: chat, Text: "Nothing"})
	e = s.heard("Nothing")
	tell(e, client.StatusReport{Status: contract.MessageFailed, Reason: "Recipient has blocked the bot"})
	if got, text := status(string(e.Data.Message.PlatformID)); got != "error" || text != "Recipient has blocked the bot" {
		t.Errorf("after a failure the portal shows %s %q", got, text)
	}
}

// actLost: SNS gave a reply up. Reading the chats finds it, and the event that comes after all
// is no second one.
func actLost(t *testing.T, m *uspacyMarket) {
	s := m.open(m.tenants[0], m.platforms[0], "lost.uspacy.ua")
	chat := s.say("chat-1", "Do you hear me?").ChatID
	lost := s.reply(emulator.Reply{Chat: chat, Text: "Loud and clear", Quiet: true})
	if _, err := s.of.admin.UpdateConnection(within(t), s.of.workspace.ID, s.connection.ID, client.ConnectionPatch{Settings: map[string]string{"reconcile_interval_minutes": "5"}}); err != nil {
		t.Fatal(err)
	}
	s.heard("Loud and clear")
	event, err := json.Marshal(map[string]any{"action": "create", "payload": lost})
	if err != nil {
		t.Fatal(err)
	}
	s.o.Publish(string(event))
	s.wantOnce(chat, "Loud and clear")
	if n := s.count(stage.Said("Do you hear me?")); n > 0 {
		t.Errorf("reading reported what the customer said, %d times", n)
	}
}
