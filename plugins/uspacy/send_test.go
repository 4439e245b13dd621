package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
)

func TestASendThatThePortalMakesHard(t *testing.T) {
	const hello = "hello"
	for _, tt := range []struct {
		name  string
		opts  emulator.ChatOptions
		extra []string
		steps []emulator.Step
		want  string // the class and code of the failure; empty if it was sent
		tries int    // how often the host would have to try
		calls map[string]int
	}{
		{"takes it", emulator.ChatOptions{}, nil, nil, "", 1, map[string]int{emulator.OpMessageCreate: 1, emulator.OpChatCreate: 1}},
		{"takes it and hangs up", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpMessageCreate, HangUp: true, Process: true}},
			"", 2, map[string]int{emulator.OpMessageCreate: 2, emulator.OpMessageList: 1}},
		{"takes it and answers 500", emulator.ChatOptions{DuplicateStatus: 409}, nil, []emulator.Step{{Op: emulator.OpMessageCreate, Status: 500, Process: true}},
			"", 2, map[string]int{emulator.OpMessageCreate: 2}},
		{"says that a repeat is a bad request", emulator.ChatOptions{DuplicateStatus: 400}, nil, []emulator.Step{{Op: emulator.OpMessageCreate, HangUp: true, Process: true}},
			"", 2, map[string]int{emulator.OpMessageCreate: 2}},
		{"refuses the token", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpMessageCreate, Status: 401}}, "reauthorise token_refused", 1, nil},
		{"forbids it", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpMessageCreate, Status: 403}}, "permanent forbidden", 1, nil},
		{"does not understand it", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpMessageCreate, Status: 422}}, "permanent platform_refused", 1, nil},
		{"points elsewhere", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpMessageCreate, Status: 302}}, "permanent redirected", 1, nil},
		{"asks for a pause", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpMessageCreate, Status: 429, Header: http.Header{"Retry-After": {"90"}}}},
			"retry_after platform_unavailable", 1, nil},
		{"asks for a very long pause", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpMessageCreate, Status: 503, Header: http.Header{"Retry-After": {"86400"}}}},
			"retry_after platform_unavailable", 1, nil},
		{"is away for a moment", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpMessageCreate, Status: 503}}, "", 2, map[string]int{emulator.OpMessageCreate: 2}},
		{"makes the chat and hangs up", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpChatCreate, HangUp: true, Process: true}},
			"", 2, map[string]int{emulator.OpChatCreate: 1, emulator.OpChatList: 1}},
		{"makes the chat and answers 502", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpChatCreate, Status: 502, Process: true}},
			"", 2, map[string]int{emulator.OpChatCreate: 1, emulator.OpChatList: 1}},
		{"loses the chat and hangs up", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpChatCreate, HangUp: true}},
			"", 2, map[string]int{emulator.OpChatCreate: 2, emulator.OpChatList: 1}},
		{"loses the chat, and a person shall decide", emulator.ChatOptions{}, []string{"doubtful_chat", "park"},
			[]emulator.Step{{Op: emulator.OpChatCreate, HangUp: true}}, "uncertain chat_uncertain", 2, map[string]int{emulator.OpChatCreate: 1}},
		{"takes no chat without members", emulator.ChatOptions{NeedMembers: true}, []string{"chat_default_members", "18, 21"}, nil,
			"", 1, map[string]int{emulator.OpChatCreate: 2}},
		{"takes no chat without members, and there are none", emulator.ChatOptions{NeedMembers: true}, nil, nil, "permanent platform_refused", 1, nil},
		{"answers what is no JSON", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpChatCreate, Body: "<html>"}},
			"", 2, map[string]int{emulator.OpChatCreate: 1, emulator.OpChatList: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := ready(t, emulator.Options{Chat: tt.opts}, append(tt.extra, "reconcile_interval_minutes", "0")...)
			d.p.Script(tt.steps...)
			out, tries := d.say("msg_1", hello), 1
			for ; out.Failure != nil && out.Failure.Class == contract.FailureRetry; tries++ {
				out = d.say("msg_1", hello)
			}
			got := ""
			if f := out.Failure; f != nil {
				got = string(f.Class) + " " + f.Code
				if f.RetryAfterMillis > 300_000 {
					t.Errorf("it waits for %d ms", f.RetryAfterMillis)
				}
			} else {
				d.wantTexts(hello)
				if m := d.o.Messages(d.chat().ID)[0]; m.ID != string(out.Sent.PlatformID) {
					t.Errorf("the message %s is called %s", m.ID, out.Sent.PlatformID)
				}
			}
			if got != tt.want || tries != tt.tries {
				t.Errorf("came to %q after %d tries, want %q after %d", got, tries, tt.want, tt.tries)
			}
			for op, want := range tt.calls {
				if n := d.p.Count(op); n != want {
					t.Errorf("%d calls of %s, want %d", n, op, want)
				}
			}
		})
	}
}

func TestWhatIsGoneIsMadeAnewOnce(t *testing.T) {
	for _, tt := range []struct {
		name   string
		remove func(d *desk)
		lines  int
	}{
		{"the chat", func(d *desk) { d.o.RemoveChat(d.chat().ID) }, 1},
		{"the line", func(d *desk) { d.o.RemoveLine(d.o.Lines()[0].ID) }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := ready(t, emulator.Options{}, "reconcile_interval_minutes", "0")
			d.say("msg_1", "hello")
			line := d.o.Lines()[0].ID
			tt.remove(d)
			if out := d.say("msg_2", "anybody?"); out.Sent == nil {
				t.Fatalf("the send came to %+v", out.Failure)
			}
			chats := d.o.Chats()
			last := chats[len(chats)-1]
			if got := d.texts(last.ID); !slices.Equal(got, []string{"anybody?"}) {
				t.Errorf("the new chat has %q", got)
			}
			now := d.o.Lines()[0].ID
			if (now != line) != (tt.lines == 2) || d.p.Count(emulator.OpLineCreate) != tt.lines || !d.routes[routeLine+now] || d.routes[routeLine+line] == (tt.lines == 2) {
				t.Errorf("the line was %s and is %s; the routes are %v", line, now, d.routes)
			}
			d.deliver()
			d.events = nil
			d.reply(emulator.Reply{Chat: last.ID, Text: "yes"})
			d.wantEvents("message.created yes")
		})
	}
	d := ready(t, emulator.Options{}, "reconcile_interval_minutes", "0")
	d.p.Script(emulator.Step{Op: emulator.OpMessageCreate, Status: 404, Times: 2})
	if out := d.say("msg_1", "hello"); out.Failure == nil || out.Failure.Code != "not_found" || d.p.Count(emulator.OpChatCreate) != 2 {
		t.Errorf("a portal that knows no chat at all came to %+v after %d chats", out.Failure, d.p.Count(emulator.OpChatCreate))
	}
}

func TestEveryKindOfPart(t *testing.T) {
	d := ready(t, emulator.Options{})
	message := olena("msg_1",
		contract.Part{Kind: contract.PartText, Text: &contract.Text{Plain: "bold", Markdown: "**bold**"}},
		d.attach(contract.MediaImage, "a.png", "a"), d.attach(contract.MediaFile, "b.pdf", "b"), d.attach(contract.MediaVoice, "c.ogg", "c"),
		d.attach(contract.MediaAudio, "d.mp3", "d"), d.attach(contract.MediaVideo, "e.mp4", "e"), d.attach(contract.MediaImage, "f.gif", "f"),
		contract.Part{Kind: contract.PartChoice, Fallback: "Which?\n1. This", Choice: &contract.Choice{Style: contract.ChoiceButtons, Prompt: "Which?",
			Options: []contract.Option{{ActionID: "1", Label: "This"}}}},
		contract.Part{Kind: contract.PartCard, Fallback: "Shoes", Card: &contract.Card{Title: "Shoes", Image: d.attach(contract.MediaImage, "g.png", "g").Media}},
		contract.Part{Kind: contract.PartCarousel, Fallback: "Hats", Carousel: &contract.Carousel{Cards: []contract.Card{{Title: "Hats"}}}},
		contract.Part{Kind: contract.PartLocation, Fallback: "Kyiv", Location: &contract.Location{LatitudeE7: 504500000, LongitudeE7: 305200000}},
		contract.Part{Kind: contract.PartContact, Fallback: "Ivan, +380", Contact: &contract.Contact{Name: "Ivan"}},
		contract.Part{Kind: contract.PartRaw, Fallback: "a sticker", Raw: &contract.Raw{Kind: "sticker"}},
		contract.Part{Kind: contract.PartMedia, Media: &contract.Media{Kind: contract.MediaFile, Name: "gone.txt", Missing: "It was too large."}},
		contract.Part{Kind: contract.PartMedia, Media: &contract.Media{Kind: contract.MediaFile, Name: "lost.txt", Handle: "med_lost.txt"}},
	)
	out := d.send(contract.SendMessageInput{Message: message})
	if out.Sent == nil {
		t.Fatalf("the send came to %+v", out.Failure)
	}
	var fates []string
	for i, o := range out.Sent.Parts {
		if o.Index != int64(i) {
			t.Errorf("outcome %d is of part %d", i, o.Index)
		}
		fates = append(fates, string(o.Fate))
	}
	want := strings.Fields("native native native native native native native converted converted converted converted converted converted dropped dropped")
	if !slices.Equal(fates, want) {
		t.Errorf("the parts came to %q, want %q", fates, want)
	}
	var kinds []string
	for _, m := range d.o.Messages(d.chat().ID) {
		kinds = append(kinds, m.Type+strings.Repeat("+", len(m.AttachedFiles)))
	}
	if want := []string{"MESSAGE+++", "VOICE+", "AUDIO+", "VIDEO+", "GIF+"}; !slices.Equal(kinds, want) {
		t.Errorf("the chat has %q, want %q", kinds, want)
	}
	text := d.texts(d.chat().ID)[0]
	if !strings.HasPrefix(text, "**bold**\n\nWhich?") || !strings.Contains(text, "a sticker") {
		t.Errorf("the text is %q", text)
	}

	message.ID = "msg_2"
	strict := d.send(contract.SendMessageInput{Message: message, Strict: true})
	if strict.Failure == nil || strict.Failure.Code != "part_refused" || len(strict.Failure.Parts) != len(message.Parts) {
		t.Fatalf("the strict send came to %+v", strict.Failure)
	}
	for i, o := range strict.Failure.Parts {
		if (o.Fate == contract.PartRejected) != (want[i] != "native") && i < 14 { // the last one is found out by uploading
			t.Errorf("part %d of the strict send came to %s", i, o.Fate)
		}
	}
}

func TestAStrictMessageIsSentWholeOrNotAtAll(t *testing.T) {
	d := ready(t, emulator.Options{})
	lost := contract.Part{Kind: contract.PartMedia, Media: &contract.Media{Kind: contract.MediaVoice, Name: "lost.ogg", Handle: "med_lost.ogg"}}
	in := contract.SendMessageInput{Message: olena("msg_1", words("hello"), d.attach(contract.MediaImage, "a.png", "a"), lost), Strict: true}
	out := d.send(in)
	if out.Failure == nil || out.Failure.Code != "part_refused" || out.Failure.Parts[2].Fate != contract.PartRejected || out.Failure.Parts[1].Fate != contract.PartNative {
		t.Fatalf("the send came to %+v", out.Failure)
	}
	d.wantTexts()
	in.Message.Parts = in.Message.Parts[:2]
	if out = d.send(in); out.Sent == nil || d.p.Count(emulator.OpFileUpload) != 1 {
		t.Errorf("without the part it came to %+v after %d uploads", out.Failure, d.p.Count(emulator.OpFileUpload))
	}
}

func TestUploads(t *testing.T) {
	for _, tt := range []struct {
		name  string
		opts  emulator.ChatOptions
		extra []string
		steps []emulator.Step
		want  string // the fate and, if it was refused, the code
		text  string
		files int
		posts int
	}{
		{"taken at once", emulator.ChatOptions{}, nil, nil, "native", "", 1, 1},
		{"as another entity", emulator.ChatOptions{EntityType: "messenger"}, nil, nil, "native", "", 1, 3},
		{"as no entity", emulator.ChatOptions{EntityType: "post"}, nil, nil, "platform_refused", "", 0, 3},
		{"of the line", emulator.ChatOptions{}, []string{"file_entity_id", "line"}, nil, "native", "", 1, 1},
		{"in another field", emulator.ChatOptions{FileField: "upload"}, []string{"file_part_name", "upload"}, nil, "native", "", 1, 1},
		{"by id", emulator.ChatOptions{}, []string{"attached_files_mode", "id"}, nil, "native", "", 1, 1},
		{"too large for the portal", emulator.ChatOptions{MaxFileBytes: 3}, nil, nil, "converted", `\[a.pdf: too large to be passed on\]`, 0, 1},
		{"too large for the setting", emulator.ChatOptions{}, []string{"max_attachment_bytes", "3"}, nil, "converted", `\[a.pdf: too large to be passed on\]`, 0, 0},
		{"not without a text", emulator.ChatOptions{NeedText: true}, nil, nil, "native", "a.pdf", 1, 1},
		{"not without a text, which is not wanted", emulator.ChatOptions{NeedText: true}, []string{"empty_text_fallback", "off"}, nil, "platform_refused", "", 0, 1},
		{"the storage is full", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpFileUpload, Status: 400},
			{Op: emulator.OpFileSize, Status: 200, Body: `{"data":{"size":"99","limit":100}}`}}, "storage_full", "", 0, 1},
		{"the upload gets lost once", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpFileUpload, HangUp: true}}, "native", "", 1, 2},
		{"the message gets lost once", emulator.ChatOptions{}, nil, []emulator.Step{{Op: emulator.OpMessageCreate, Status: 500}}, "native", "", 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := ready(t, emulator.Options{Chat: tt.opts}, append(tt.extra, "reconcile_interval_minutes", "0")...)
			d.p.Script(tt.steps...)
			in := contract.SendMessageInput{Message: olena("msg_1", d.attach(contract.MediaFile, "a.pdf", "words"))}
			out := d.send(in)
			for out.Failure != nil && out.Failure.Class == contract.FailureRetry {
				out = d.send(in)
			}
			got := ""
			if out.Failure != nil {
				got = out.Failure.Code
			} else {
				got = string(out.Sent.Parts[0].Fate)
				m := d.o.Messages(d.chat().ID)[0]
				if m.Text != tt.text || len(m.AttachedFiles) != tt.files {
					t.Errorf("the message is %q with %s", m.Text, m.AttachedFiles)
				}
			}
			if got != tt.want || d.p.Count(emulator.OpFileUpload) != tt.posts {
				t.Errorf("came to %q after %d uploads, want %q after %d", got, d.p.Count(emulator.OpFileUpload), tt.want, tt.posts)
			}
			if slices.Contains(tt.extra, "attached_files_mode") {
				wantViolation(t, d, "is no file object")
			}
		})
	}
}

// wantViolation takes the one violation that a test provokes off the platform's list.
func wantViolation(t *testing.T, d *desk, what string) {
	t.Helper()
	v := d.p.TakeViolations()
	if len(v) != 1 || !strings.Contains(v[0], what) {
		t.Errorf("violations %q, want one with %q", v, what)
	}
}

func TestTheEntityTypeIsLearnt(t *testing.T) {
	d := ready(t, emulator.Options{Chat: emulator.ChatOptions{EntityType: "chat"}})
	for _, id := range []string{"msg_1", "msg_2", "msg_3"} {
		if out := d.send(contract.SendMessageInput{Message: olena(id, d.attach(contract.MediaFile, id+".pdf", "words"))}); out.Sent == nil {
			t.Fatalf("the send came to %+v", out.Failure)
		}
	}
	if n := d.p.Count(emulator.OpFileUpload); n != 4 {
		t.Errorf("%d uploads, want one more than files", n)
	}
}

func TestALongMessageGoesOnWhereItEnded(t *testing.T) {
	d := ready(t, emulator.Options{}, "max_text_len", "100")
	d.p.Script(emulator.Step{Op: emulator.OpChatCreate}, emulator.Step{Op: emulator.OpMessageCreate}, emulator.Step{Op: emulator.OpMessageCreate, Status: 401})
	text := strings.Repeat("0123456789", 25)
	if out := d.say("msg_1", text); out.Failure == nil || out.Failure.Class != contract.FailureReauthorise {
		t.Fatalf("the send came to %+v", out.Failure)
	}
	out := d.say("msg_1", text)
	if out.Sent == nil {
		t.Fatalf("the repeat came to %+v", out.Failure)
	}
	d.wantTexts(text[:100], text[100:200], text[200:])
	if n := d.p.Count(emulator.OpMessageCreate); n != 4 {
		t.Errorf("%d posts, want 4", n)
	}
	d.deliver()
	d.reply(emulator.Reply{Text: "I see", Parent: d.o.Messages(d.chat().ID)[2].ID})
	if got := d.events[len(d.events)-1].Message.ReplyTo; got != out.Sent.PlatformID {
		t.Errorf("the answer to the third piece is to %s, want %s", got, out.Sent.PlatformID)
	}
}

func TestAnAnswerOfTheCustomers(t *testing.T) {
	d := ready(t, emulator.Options{})
	d.say("msg_1", "hello")
	reply := d.reply(emulator.Reply{Text: "hi"})
	for _, tt := range []struct {
		name   string
		to     contract.PlatformMessageID
		parent string
		text   string
	}{
		{"msg_2", contract.PlatformMessageID(reply.ID), reply.ID, "yes"},
		{"msg_3", "forgotten", "", "> …\n\nyes"},
	} {
		m := olena(tt.name, words("yes"))
		m.ReplyTo = tt.to
		if out := d.send(contract.SendMessageInput{Message: m}); out.Sent == nil {
			t.Fatalf("the send came to %+v", out.Failure)
		}
		list := d.o.Messages(d.chat().ID)
		got := list[len(list)-1]
		if got.Text != tt.text || (got.ParentMessage != nil) != (tt.parent != "") {
			t.Errorf("the answer to %s is %+v", tt.to, got)
		}
	}
}

func TestTheAppIsForbidden(t *testing.T) {
	d := ready(t, emulator.Options{}, "reconcile_interval_minutes", "0")
	d.say("msg_0", "hello")
	d.p.Script(emulator.Step{Op: emulator.OpMessageCreate, Status: 403, Times: 6})
	for _, id := range []string{"msg_1", "msg_2", "msg_3", "msg_4"} {
		d.say(id, "hello")
	}
	d.wantEvents()
	d.say("msg_5", "hello")
	d.wantEvents("connection.state needs_action")
	d.say("msg_6", "hello")
	d.wantEvents()
	d.say("msg_7", "hello")
	d.wantEvents("connection.state connected")
}

func TestACustomerCannotSmuggleAPlaceholder(t *testing.T) {
	d := ready(t, emulator.Options{}) // whose egress notes placeholders in bodies
	const evil = "{{secret:client_secret}}{{credential:access_token}}"
	m := olena("msg_1", words(evil), d.attach(contract.MediaFile, evil+".pdf", "x"))
	m.Conversation.Title, m.Author.Contact.Phone, m.Author.Contact.ID = evil, evil, contract.ContactID(evil)
	m.ReplyTo = contract.PlatformMessageID(evil)
	d.p.Script(emulator.Step{Op: emulator.OpChatCreate, HangUp: true, Process: true})
	d.send(contract.SendMessageInput{Message: m})
	out := d.send(contract.SendMessageInput{Message: m}) // looks for the chat by the customer's name
	if n := d.p.Count(emulator.OpChatCreate); n != 1 {
		t.Errorf("%d chats were made", n)
	}
	if out.Sent == nil {
		t.Fatalf("the send came to %+v", out.Failure)
	}
	if got := d.o.Messages(d.chat().ID)[0]; !strings.Contains(got.Text, "client\\_secret") && !strings.Contains(got.Text, "client_secret") {
		t.Errorf("the words were lost: %+v", got)
	}
	if got := bare(`{"a":"\u007B\u007bsecret:x}} \\u007b \n"}`); got != `{"a":"{{secret:x}} \\u007b \n"}` {
		t.Errorf("bare makes %s", got)
	}
}

func TestIdsThatDoNotFit(t *testing.T) {
	d := ready(t, emulator.Options{})
	long := strings.Repeat("x", maxIDBytes+1)
	for name, change := range map[string]func(*contract.Message){
		"message": func(m *contract.Message) { m.ID = contract.MessageID(long) }, "conversation": func(m *contract.Message) { m.Conversation.ID = contract.ConversationID(long) },
		"person": func(m *contract.Message) { m.Author.Contact.ID = contract.ContactID(long) },
	} {
		m := olena("msg_1", words("hello"))
		change(&m)
		if out := d.send(contract.SendMessageInput{Message: m}); out.Failure == nil || out.Failure.Code != "id_too_long" {
			t.Errorf("a long id of the %s came to %+v", name, out.Failure)
		}
	}
}

func TestACallWithoutAnAnswerIsUnderstood(t *testing.T) {
	for code, want := range map[string]string{
		contract.HostDenied: "permanent egress_refused", contract.HostInvalid: "permanent egress_refused",
		contract.HostUnauthorised: "reauthorise token_missing", contract.HostUnavailable: "retry host_unavailable",
		contract.HostQuota: "retry host_unavailable", contract.HostTimeout: "retry platform_unreachable", contract.HostUnreachable: "retry platform_unreachable",
	} {
		f := unanswered(&contract.HostError{Code: code})
		if got := string(f.Class) + " " + f.Code; got != want {
			t.Errorf("%s came to %q, want %q", code, got, want)
		}
	}
}

func TestSentTimesAndUnits(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC)
	d := ready(t, emulator.Options{})
	m := olena("msg_1", words("hello"))
	m.SentAt = at
	d.send(contract.SendMessageInput{Message: m})
	if got := d.o.Messages(d.chat().ID)[0].Timestamp; got != at.UnixMilli() {
		t.Errorf("the timestamp is %d, want %d", got, at.UnixMilli())
	}
	d.settings["timestamp_unit"] = "s"
	m.ID = "msg_2"
	d.send(contract.SendMessageInput{Message: m})
	wantViolation(t, d, "not in milliseconds")
}
