package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
)

func TestAConversation(t *testing.T) {
	d := ready(t, emulator.Options{})
	out := d.send(contract.SendMessageInput{Message: olena("msg_1", words("Is it in stock? 2*3*4"), d.attach(contract.MediaImage, "label.png", "picture"))})
	if out.Sent == nil {
		t.Fatalf("the send came to %+v", out.Failure)
	}
	chat := d.chat()
	if chat.Name != "Olena K." || len(chat.Meta) != 1 || chat.Meta[0].Value != "+380501112233" || chat.Lines[0].ExternalID != "patchbay:con_7Y2K" {
		t.Errorf("the chat is %+v", chat)
	}
	m := d.o.Messages(chat.ID)[0]
	if m.ID != string(out.Sent.PlatformID) || m.ExternalAuthorID != "tg-user-551020" || m.ExternalID != "patchbay:con_7Y2K:msg_1" ||
		m.Text != `Is it in stock? 2\*3\*4` || len(m.AttachedFiles) != 1 {
		t.Errorf("the message is %+v, sent as %s", m, out.Sent.PlatformID)
	}
	if f := d.o.Files()[0]; string(f.Content) != "picture" || f.OriginalFilename != "label.png" || f.EntityType != "message" || f.EntityID != chat.ID {
		t.Errorf("the file is %+v", f)
	}
	d.deliver() // the echo
	d.wantEvents()

	reply := d.reply(emulator.Reply{Text: "Your order **leaves today**", Parent: m.ID, Files: []emulator.NewFile{{Name: "route.pdf", Content: []byte("a route")}}})
	got := d.events[0].Message
	if got.Author.Role != contract.RoleAgent || got.Author.Contact.ID != "18" || got.Conversation.ID != "tg:551020" ||
		string(got.PlatformID) != reply.ID || got.ReplyTo != out.Sent.PlatformID || got.SentAt.UnixMilli() != reply.Timestamp {
		t.Errorf("the reply came as %+v", got)
	}
	media := got.Parts[1].Media
	if got.Parts[0].Text.Markdown != "Your order **leaves today**" || media.Name != "route.pdf" || media.SizeBytes != 7 ||
		media.SourceHeaders[0].Value != "Bearer {{credential:access_token}}" {
		t.Errorf("the reply's parts are %+v, %+v", got.Parts[0].Text, media)
	}
	d.wantEvents("message.created Your order leaves today")

	if err := d.o.Edit(reply.ID, "It leaves *tomorrow*"); err != nil {
		t.Fatal(err)
	}
	if err := d.o.Delete(reply.ID); err != nil {
		t.Fatal(err)
	}
	d.deliver()
	d.wantEvents("message.updated It leaves tomorrow")
}

func TestStatusesGoForward(t *testing.T) {
	d := ready(t, emulator.Options{})
	d.say("msg_1", "hello")
	d.deliver()
	reply := d.reply(emulator.Reply{Text: "hi"})
	report := func(status contract.MessageStatus, f *contract.Failure) *contract.CommandOutput {
		return d.run(contract.ExportSendReceipt, &contract.SendReceiptInput{
			Command: d.command(1), Connection: d.connection(), Conversation: contract.Conversation{ID: "tg:551020"},
			Status: contract.StatusReport{PlatformID: contract.PlatformMessageID(reply.ID), Status: status, Failure: f},
		})
	}
	for _, tt := range []struct {
		status contract.MessageStatus
		want   string
	}{
		{contract.MessageQueued, ""}, {contract.MessageSent, "sent"}, {contract.MessageFailed, "error"}, {contract.MessageDelivered, "delivered"},
		{contract.MessageSent, "delivered"}, {contract.MessageFailed, "delivered"}, {contract.MessageRead, "read"}, {contract.MessageDelivered, "read"},
	} {
		out := report(tt.status, nil)
		m := d.o.Messages(d.chat().ID)[1]
		if out.Failure != nil || m.Status != tt.want {
			t.Errorf("after %s the status is %q, want %q; the command came to %+v", tt.status, m.Status, tt.want, out.Failure)
		}
	}
	if n := d.p.Count(emulator.OpMessageStatus); n != 4 {
		t.Errorf("%d statuses were told, want 4", n)
	}
	d.p.Script(emulator.Step{Op: emulator.OpMessageStatus, Status: 422})
	second := d.reply(emulator.Reply{Text: "ho"})
	reply = second
	if out := report(contract.MessageSent, nil); out.Failure != nil {
		t.Errorf("a status that the portal refuses came to %+v", out.Failure)
	}
	reply.ID = "stranger"
	if out := report(contract.MessageRead, nil); out.Failure == nil || out.Failure.Code != "message_unknown" {
		t.Errorf("a status of a message of nobody's came to %+v", out.Failure)
	}
}

func TestAFailureIsToldWithItsReason(t *testing.T) {
	d := ready(t, emulator.Options{})
	d.say("msg_1", "hello")
	reply := d.reply(emulator.Reply{Text: "hi"})
	d.run(contract.ExportSendReceipt, &contract.SendReceiptInput{
		Command: d.command(1), Connection: d.connection(), Conversation: contract.Conversation{ID: "tg:551020"},
		Status: contract.StatusReport{PlatformID: contract.PlatformMessageID(reply.ID), Status: contract.MessageFailed,
			Failure: &contract.Failure{Class: contract.FailurePermanent, Code: "blocked", Message: "Recipient has blocked the bot {{secret:client_secret}}"}},
	})
	m := d.o.Messages(d.chat().ID)[1]
	if m.Status != "error" || m.StatusText == nil || !strings.HasPrefix(*m.StatusText, "Recipient has blocked the bot") {
		t.Errorf("the message is %+v", m)
	}
}

func TestTheCustomersEditsAndDeletions(t *testing.T) {
	for _, tt := range []struct {
		name   string
		step   []emulator.Step
		extra  []string
		want   []string // after the edit
		remain []string // after the deletion
	}{
		{"by the book", nil, nil, []string{"hello again"}, []string{"hello again", "The customer deleted this message."}},
		{"an edit is refused", []emulator.Step{{Op: emulator.OpMessageEdit, Status: 403}}, nil,
			[]string{"hello", "Edited: hello again"}, []string{"hello", "Edited: hello again", "The customer deleted this message."}},
		{"deletions are carried out", nil, []string{"delete_policy", "delete"}, []string{"hello again"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := ready(t, emulator.Options{}, tt.extra...)
			id := d.say("msg_1", "hello").Sent.PlatformID
			d.p.Script(tt.step...)
			edited := olena("msg_1", words("hello again"))
			edited.PlatformID = id
			edit := &contract.EditMessageInput{Command: d.command(1), Connection: d.connection(), Message: edited}
			for range 2 { // a repeat changes nothing
				if out := d.run(contract.ExportEditMessage, edit); out.Failure != nil || out.Sent.PlatformID != id {
					t.Errorf("the edit came to %+v, %+v", out.Failure, out.Sent)
				}
				tt.step = nil
				if d.p.Count(emulator.OpMessageEdit) == 1 && len(tt.want) == 2 {
					break
				}
			}
			d.wantTexts(tt.want...)
			remove := &contract.DeleteMessageInput{Command: d.command(1), Connection: d.connection(),
				Conversation: contract.Conversation{ID: "tg:551020"}, PlatformID: id}
			for range 2 {
				if out := d.run(contract.ExportDeleteMessage, remove); out.Failure != nil {
					t.Errorf("the deletion came to %+v", out.Failure)
				}
			}
			d.wantTexts(tt.remain...)
			d.deliver()
			d.wantEvents()
		})
	}
}

func TestAnEditOfAnotherShapeIsSaidAnew(t *testing.T) {
	d := ready(t, emulator.Options{}, "max_text_len", "100")
	id := d.say("msg_1", strings.Repeat("x", 150)).Sent.PlatformID
	edited := olena("msg_1", words("short"), d.attach(contract.MediaFile, "a.pdf", "a"))
	edited.PlatformID = id
	edit := &contract.EditMessageInput{Command: d.command(1), Connection: d.connection(), Message: edited}
	out := d.run(contract.ExportEditMessage, edit)
	if out.Failure != nil || out.Sent.Parts[1].Fate != contract.PartDropped {
		t.Errorf("the edit came to %+v, %+v", out.Failure, out.Sent)
	}
	if got := d.texts(d.chat().ID); got[len(got)-1] != "Edited: short" {
		t.Errorf("the chat has %q", got)
	}
	edit.Strict = true
	if out = d.run(contract.ExportEditMessage, edit); out.Failure == nil || out.Failure.Parts[1].Fate != contract.PartRejected || out.Failure.Parts[0].Fate != contract.PartNative {
		t.Errorf("the strict edit came to %+v", out.Failure)
	}
	edit.Message.PlatformID = "of-somebody-else"
	if out = d.run(contract.ExportEditMessage, edit); out.Failure == nil || out.Failure.Code != "message_unknown" {
		t.Errorf("an edit of a message of nobody's came to %+v", out.Failure)
	}
}

func TestWhatOperatorsWrite(t *testing.T) {
	for _, tt := range []struct {
		name  string
		chat  emulator.ChatOptions
		extra []string
		event func(d *desk, chat emulator.Chat)
		want  []string
		left  string // what stands in the log
	}{
		{"a line by its id", emulator.ChatOptions{LineAsID: true}, nil, func(d *desk, _ emulator.Chat) { d.reply(emulator.Reply{Text: "hi"}) }, []string{"message.created hi"}, ""},
		{"wrapped in payload.data", emulator.ChatOptions{Wrapper: "payload.data"}, nil, func(d *desk, _ emulator.Chat) { d.reply(emulator.Reply{Text: "hi"}) }, []string{"message.created hi"}, ""},
		{"wrapped in data.entity", emulator.ChatOptions{Wrapper: "data.entity"}, nil, func(d *desk, _ emulator.Chat) { d.reply(emulator.Reply{Text: "hi"}) }, []string{"message.created hi"}, ""},
		{"not wrapped", emulator.ChatOptions{Wrapper: "root"}, nil, func(d *desk, _ emulator.Chat) { d.reply(emulator.Reply{Text: "hi"}) }, []string{"message.created hi"}, ""},
		{"system words", emulator.ChatOptions{}, nil, func(d *desk, _ emulator.Chat) { d.reply(emulator.Reply{Text: "joined", Type: "SYSTEM"}) }, nil, ""},
		{"system words that are wanted", emulator.ChatOptions{}, []string{"forward_types", "SYSTEM,FORM_SUBMISSION"}, func(d *desk, _ emulator.Chat) {
			d.reply(emulator.Reply{Text: "joined", Type: "SYSTEM"})
		}, []string{"message.created joined"}, ""},
		{"an edit that is not wanted", emulator.ChatOptions{}, []string{"forward_edits", "false"}, func(d *desk, _ emulator.Chat) {
			m := d.reply(emulator.Reply{Text: "hi"})
			_ = d.o.Edit(m.ID, "ho")
			d.deliver()
		}, []string{"message.created hi"}, ""},
		{"a deletion that is wanted", emulator.ChatOptions{}, []string{"forward_deletes", "true"}, func(d *desk, _ emulator.Chat) {
			m := d.reply(emulator.Reply{Text: "hi"})
			_ = d.o.Delete(m.ID)
			d.deliver()
		}, []string{"message.created hi", "message.deleted"}, ""},
		{"an edit whose message never came", emulator.ChatOptions{}, nil, func(d *desk, c emulator.Chat) {
			m, _ := d.o.Reply(emulator.Reply{Chat: c.ID, Text: "hi", Quiet: true})
			_ = d.o.Edit(m.ID, "ho")
			d.deliver()
		}, []string{"message.created ho"}, ""},
		{"an edit of what is long forgotten", emulator.ChatOptions{}, nil, func(d *desk, c emulator.Chat) {
			old := time.Now().Add(-100 * 24 * time.Hour).UnixMilli()
			d.receive(strings.Replace(operatorEvent(d, c, map[string]any{"id": "m1", "timestamp": old}), `"create"`, `"update"`, 1))
		}, []string{"message.updated hi"}, ""},
		{"an edit without a time", emulator.ChatOptions{}, nil, func(d *desk, c emulator.Chat) {
			d.receive(operatorEvent(d, c, map[string]any{"id": "m1"}))
			d.receive(strings.Replace(operatorEvent(d, c, map[string]any{"id": "m1", "message": "ho"}), `"create"`, `"update"`, 1))
		}, []string{"message.created hi", "message.updated ho"}, ""},
		{"the same event twice", emulator.ChatOptions{}, nil, func(d *desk, c emulator.Chat) {
			event := operatorEvent(d, c, map[string]any{"id": "m1"})
			d.receive(event)
			d.receive(event)
		}, []string{"message.created hi"}, ""},
		{"numbers as texts", emulator.ChatOptions{}, nil, func(d *desk, c emulator.Chat) {
			d.receive(operatorEvent(d, c, map[string]any{"id": "m1", "timestamp": "1797930123456", "authorId": "18", "readBy": "x", "attachedFiles": nil}))
		}, []string{"message.created hi"}, ""},
		{"another portal's name", emulator.ChatOptions{}, nil, func(d *desk, c emulator.Chat) {
			line := d.o.Lines()[0]
			d.receive(operatorEvent(d, c, map[string]any{"id": "m1", "externalLine": map[string]any{"id": line.ID, "portal": "globex.uspacy.ua"}}))
		}, nil, "contradicts"},
		{"a portal's number for a name", emulator.ChatOptions{}, nil, func(d *desk, c emulator.Chat) {
			line := d.o.Lines()[0]
			d.receive(operatorEvent(d, c, map[string]any{"id": "m1", "externalLine": map[string]any{"id": line.ID, "portal": "8841"}}))
		}, []string{"message.created hi"}, ""},
		{"an echo by its author", emulator.ChatOptions{}, nil, func(d *desk, c emulator.Chat) {
			d.receive(operatorEvent(d, c, map[string]any{"id": "m1", "externalAuthorId": "tg-user-551020"}))
		}, nil, ""},
		{"an echo by our name", emulator.ChatOptions{}, nil, func(d *desk, c emulator.Chat) {
			d.receive(operatorEvent(d, c, map[string]any{"id": "m1", "externalId": "patchbay:con_7Y2K:msg_9"}))
		}, nil, ""},
		{"an echo by the portal's name", emulator.ChatOptions{}, nil, func(d *desk, c emulator.Chat) {
			d.receive(operatorEvent(d, c, map[string]any{"id": d.o.Messages(c.ID)[0].ID}))
		}, nil, ""},
		{"what another integration wrote", emulator.ChatOptions{}, nil, func(d *desk, c emulator.Chat) {
			d.receive(operatorEvent(d, c, map[string]any{"id": "m1", "externalId": "crm:1"}))
		}, []string{"message.created hi"}, ""},
		{"nothing at all", emulator.ChatOptions{}, nil, func(d *desk, c emulator.Chat) {
			d.receive(operatorEvent(d, c, map[string]any{"id": "m1", "message": ""}))
		}, nil, "without text and files"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := ready(t, emulator.Options{Chat: tt.chat}, tt.extra...)
			d.say("msg_1", "hello")
			d.deliver()
			tt.event(d, d.chat())
			d.wantEvents(tt.want...)
			if !strings.Contains(strings.Join(d.logs, "\n"), tt.left) {
				t.Errorf("the log is %q, want %q in it", d.logs, tt.left)
			}
		})
	}
}

// operatorEvent is an event with an operator's message, some fields replaced; nil leaves one out.
func operatorEvent(d *desk, c emulator.Chat, fields map[string]any) string {
	d.t.Helper()
	message := map[string]any{
		"id": "m1", "chatId": c.ID, "timestamp": time.Now().UnixMilli(), "authorId": 18, "message": "hi", "type": "MESSAGE",
		"externalLine": d.o.Lines()[0].ID,
	}
	for name, value := range fields {
		message[name] = value
		if value == nil {
			delete(message, name)
		}
	}
	text, err := json.Marshal(map[string]any{"action": "create", "entity": "message", "payload": message})
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

func TestFilesComeFromTheRightHostsOnly(t *testing.T) {
	for _, tt := range []struct {
		name, url       string
		source, bearing bool
	}{
		{"the portal's own", "https://acme.uspacy.ua/storage/1", true, true},
		{"a path", "/storage/1", true, true},
		{"the portal's own, by its port", "https://ACME.uspacy.ua:443/storage/1", true, true},
		{"a host of the setting", "https://files.example.com/1", true, false},
		{"another host", "https://evil.example/1", false, false},
		{"the portal as a user", "https://acme.uspacy.ua@evil.example/1", false, false},
		{"the portal as a label", "https://acme.uspacy.ua.evil.example/1", false, false},
		{"another port", "https://acme.uspacy.ua:8443/1", false, false},
		{"no encryption", "http://acme.uspacy.ua/1", false, false},
		{"a placeholder", "https://acme.uspacy.ua/{{credential:refresh_token}}", false, false},
		{"two slashes", "//evil.example/1", false, false},
		{"a backslash", `https://evil.example\@acme.uspacy.ua/1`, false, false},
		{"an address", "https://169.254.169.254/latest", false, false},
		{"nothing", "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			taker := &taker{domain: acme, set: settings{"file_hosts": "files.example.com"}}
			o := mustParse(t, `{"originalFilename":"../a/label.png","size":"12","url":`+string(payload.AppendQuoted(nil, tt.url))+`}`)
			m := taker.media(o, typeMessage)
			if (m.SourceURL != "") != tt.source || (len(m.SourceHeaders) > 0) != tt.bearing || (m.Missing == "") != tt.source {
				t.Errorf("%q became %+v", tt.url, m)
			}
			if m.Name != "label.png" || m.Kind != contract.MediaImage || m.SizeBytes != 12 {
				t.Errorf("the file is %+v", m)
			}
		})
	}
}

func TestALoopIsBroken(t *testing.T) {
	d := ready(t, emulator.Options{})
	d.say("msg_1", "hello")
	d.deliver()
	for range 9 {
		d.reply(emulator.Reply{Text: "I am a bot."})
	}
	if got := len(d.kinds()); got != 5 {
		t.Errorf("%d messages came through, want 5", got)
	}
	d.reply(emulator.Reply{Text: "I am a person."})
	d.wantEvents("message.created I am a person.")
}

func TestAnAnswerMayComeBeforeTheChatIsNoted(t *testing.T) {
	d := ready(t, emulator.Options{}, "reconcile_interval_minutes", "0")
	d.p.Script(emulator.Step{Op: emulator.OpChatCreate, After: func() {
		_, _ = d.o.Reply(emulator.Reply{Chat: d.o.Chats()[0].ID, Text: "Welcome!"})
		d.deliver()
	}})
	if out := d.say("msg_1", "hello"); out.Sent == nil {
		t.Fatalf("the send came to %+v", out.Failure)
	}
	d.deliver()
	d.wantEvents()
	d.advance(10 * time.Second)
	d.wantEvents("message.created Welcome!")
}

func TestAMessageInAForeignChatIsToldWithoutItsWords(t *testing.T) {
	d := ready(t, emulator.Options{})
	d.receive(operatorEvent(d, emulator.Chat{ID: "stranger"}, map[string]any{"message": "private words"}))
	d.wantEvents()
	d.advance(5 * time.Minute)
	if len(d.events) != 1 || d.events[0].Raw == nil || d.events[0].Raw.Kind != "unknown_chat" ||
		strings.Contains(string(d.events[0].Raw.JSON), "private") || !strings.Contains(string(d.events[0].Raw.JSON), "stranger") {
		t.Errorf("the events are %+v", d.events)
	}
	if d.kv[keyStrange].value != "1" {
		t.Errorf("%q such messages were counted", d.kv[keyStrange].value)
	}
	d.advance(time.Hour)
	if len(d.events) != 1 {
		t.Errorf("it was told %d times", len(d.events))
	}
	if slices.ContainsFunc(d.logs, func(line string) bool { return strings.Contains(line, "private") }) {
		t.Errorf("the words were logged: %q", d.logs)
	}
}
