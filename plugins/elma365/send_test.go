package main

import (
	"flag"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = "testdata/" + name
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n got %s\nwant %s", name, got, want)
	}
}

// transcript writes requests the way that people read them.
func transcript(requests []contract.HTTPRequest) string {
	var b strings.Builder
	for _, r := range requests {
		b.WriteString(r.Method + " " + r.URL + "\n")
		for _, h := range r.Headers {
			b.WriteString(h.Name + ": " + h.Value + "\n")
		}
		b.WriteString("\n" + r.Body + "\n")
	}
	return b.String()
}

func TestWhatIsPosted(t *testing.T) {
	w := newWorld(t).connect()
	out := w.send(contract.SendMessageInput{Message: dana("msg_8841",
		contract.Part{Kind: "text", Text: &contract.Text{Plain: "Where is my parcel? \"№ 1\""}},
		contract.Part{Kind: "media", Media: &contract.Media{Kind: "image", Handle: "med_1", Name: "label.jpg"}},
		contract.Part{Kind: "location", Location: &contract.Location{LatitudeE7: 546870000, LongitudeE7: 252790000}},
	)})
	golden(t, "posted.txt", transcript(w.sent))
	if out.Sent == nil || out.Sent.PlatformID != "msg_8841" || out.Sent.Status != contract.MessageSent {
		t.Errorf("sent %+v", out.Sent)
	}
	var fates []contract.PartFate
	for _, p := range out.Sent.Parts {
		fates = append(fates, p.Fate)
	}
	if want := []contract.PartFate{contract.PartNative, contract.PartNative, contract.PartConverted}; !slices.Equal(fates, want) {
		t.Errorf("fates %q, want %q", fates, want)
	}
	if !w.sent[0].Idempotent || w.sent[0].TimeoutMillis == 0 {
		t.Errorf("the request %+v is not marked as repeatable, or has no timeout", w.sent[0])
	}
}

func TestTextAndFilesAreAlwaysThere(t *testing.T) {
	w := newWorld(t, "file_url_key", "url").connect()
	w.say("msg_1", "hello")
	w.send(contract.SendMessageInput{Message: dana("msg_2", contract.Part{Kind: "media", Media: &contract.Media{Handle: "med_1"}})})
	for i, want := range []string{
		`"text":"hello","files":[]}`,
		`"text":"","files":[{"name":"file","url":"https://host.example/media/med_1"}]}`,
	} {
		if !strings.Contains(w.sent[i].Body, want) {
			t.Errorf("posted %s, want %s in it", w.sent[i].Body, want)
		}
	}
}

func TestNamesOfAChat(t *testing.T) {
	for _, tt := range []struct {
		name               string
		conversation       contract.Conversation
		person             contract.Contact
		wantTitle, wantWho string
	}{
		{"a person", contract.Conversation{ID: "c"}, contract.Contact{ID: "u", Name: "Dana"}, "Dana", "u"},
		{"a group", contract.Conversation{ID: "c", Title: "Family", Group: true}, contract.Contact{ID: "u", Name: "Dana"}, "Family", "u"},
		{"nobody in particular", contract.Conversation{ID: "c"}, contract.Contact{}, "c", "c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t).connect()
			m := dana("msg_1", contract.Part{Kind: "text", Text: &contract.Text{Plain: "x"}})
			m.Conversation, m.Author.Contact = tt.conversation, tt.person
			w.send(contract.SendMessageInput{Message: m})
			want := `"externalChatId":"c","externalChatName":"` + tt.wantTitle + `","externalUserId":"` + tt.wantWho + `"`
			if !strings.Contains(w.sent[0].Body, want) {
				t.Errorf("posted %s, want %s in it", w.sent[0].Body, want)
			}
		})
	}
}

func TestALongTextIsSplit(t *testing.T) {
	w := newWorld(t, "max_text", "100").connect()
	text := strings.Repeat("x", 250)
	w.send(contract.SendMessageInput{Message: dana("msg_1",
		contract.Part{Kind: "media", Media: &contract.Media{Handle: "med_1", Name: "a.jpg"}},
		contract.Part{Kind: "text", Text: &contract.Text{Plain: text}})})
	w.wantPosts(3)
	for i, body := range w.posts() {
		id := []string{"msg_1", "msg_1/2", "msg_1/3"}[i]
		if !strings.Contains(body, `"externalMessageId":"`+id+`"`) || strings.Contains(body, "med_1") != (i == 2) {
			t.Errorf("piece %d was %s, want id %s, and the file with the last piece only", i, body, id)
		}
	}
}

func TestASendGoesOnWhereItStopped(t *testing.T) {
	w := newWorld(t, "max_text", "100").connect()
	w.say("msg_0", "hello")
	w.answer = func(r contract.HTTPRequest) (*contract.HTTPResult, error) {
		if strings.Contains(r.Body, "msg_1/2") && len(w.sent) < 4 {
			return &contract.HTTPResult{Status: 500}, nil
		}
		return &contract.HTTPResult{Status: 200}, nil
	}
	text := strings.Repeat("x", 250)
	if out := w.say("msg_1", text); out.Failure == nil || out.Failure.Class != contract.FailureRetry {
		t.Fatalf("the first attempt came to %+v", out)
	}
	if out := w.say("msg_1", text); out.Sent == nil {
		t.Fatalf("the second attempt came to %+v", out)
	}
	var ids []string
	for _, body := range w.posts()[1:] {
		_, rest, _ := strings.Cut(body, `"externalMessageId":"`)
		id, _, _ := strings.Cut(rest, `"`)
		ids = append(ids, id)
	}
	if want := []string{"msg_1", "msg_1/2", "msg_1/2", "msg_1/3"}; !slices.Equal(ids, want) {
		t.Errorf("posted %q, want %q", ids, want)
	}
}

// TestResults is the table of the protocol's section 4.
func TestResults(t *testing.T) {
	status := func(code int64, headers ...contract.Header) func(contract.HTTPRequest) (*contract.HTTPResult, error) {
		return func(contract.HTTPRequest) (*contract.HTTPResult, error) {
			return &contract.HTTPResult{Status: code, Headers: headers}, nil
		}
	}
	failing := func(code string, certain bool) func(contract.HTTPRequest) (*contract.HTTPResult, error) {
		return func(contract.HTTPRequest) (*contract.HTTPResult, error) {
			return nil, &contract.HostError{Code: code, Certain: certain}
		}
	}
	wait := contract.Header{Name: "Retry-After", Value: "7"}
	for _, tt := range []struct {
		name   string
		answer func(contract.HTTPRequest) (*contract.HTTPResult, error)
		class  contract.FailureClass
		code   string
		after  int64
	}{
		{"200", status(200), "", "", 0},
		{"202", status(202), "", "", 0},
		{"401", status(401), contract.FailureReauthorise, "token_refused", 0},
		{"404", status(404), contract.FailurePermanent, "channel_gone", 0},
		{"500", status(500), contract.FailureRetry, "platform_unavailable", 0},
		{"502", status(502), contract.FailureRetry, "platform_unavailable", 0},
		{"503 with Retry-After", status(503, wait), contract.FailureRetryAfter, "platform_unavailable", 7000},
		{"408", status(408), contract.FailureRetry, "platform_unavailable", 0},
		{"429", status(429), contract.FailureRetry, "platform_unavailable", 0},
		{"429 with Retry-After", status(429, wait), contract.FailureRetryAfter, "platform_unavailable", 7000},
		{"400", status(400), contract.FailurePermanent, "platform_refused", 0},
		{"403", status(403), contract.FailurePermanent, "platform_refused", 0},
		{"413", status(413), contract.FailurePermanent, "platform_refused", 0},
		{"302", status(302, contract.Header{Name: "Location", Value: "https://evil.example"}), contract.FailurePermanent, "redirected", 0},
		{"timeout", failing(contract.HostTimeout, false), contract.FailureRetry, "platform_unreachable", 0},
		{"unreachable", failing(contract.HostUnreachable, true), contract.FailureRetry, "platform_unreachable", 0},
		{"host unavailable", failing(contract.HostUnavailable, true), contract.FailureRetry, "platform_unreachable", 0},
		{"quota", failing(contract.HostQuota, true), contract.FailureRetry, "platform_unreachable", 0},
		{"denied", failing(contract.HostDenied, true), contract.FailurePermanent, "egress_refused", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t).connect()
			w.answer = tt.answer
			out := w.say("msg_1", "hello")
			w.wantPosts(1)
			if tt.class == "" {
				if out.Sent == nil || out.Failure != nil {
					t.Errorf("came to %+v, want sent", out)
				}
				return
			}
			f := out.Failure
			if out.Sent != nil || f == nil || f.Class != tt.class || f.Code != tt.code || f.RetryAfterMillis != tt.after {
				t.Errorf("came to %+v, want %s %s after %d ms", f, tt.class, tt.code, tt.after)
			}
		})
	}
}

func TestWhatIsNeverPosted(t *testing.T) {
	text := contract.Part{Kind: "text", Text: &contract.Text{Plain: "hello"}}
	long := strings.Repeat("x", maxIDBytes+1)
	for _, tt := range []struct {
		name   string
		change func(*contract.SendMessageInput)
		code   string
	}{
		{"no parts", func(in *contract.SendMessageInput) { in.Message.Parts = nil }, "nothing_to_send"},
		{"nothing but what the platform lacks", func(in *contract.SendMessageInput) {
			in.Message.Parts = []contract.Part{{Kind: "raw", Raw: &contract.Raw{Kind: "poll"}}}
		}, "nothing_to_send"},
		{"formatting, strictly", func(in *contract.SendMessageInput) {
			in.Strict, in.Message.Parts[0].Text = true, &contract.Text{Plain: "a", Markdown: "*a*"}
		}, "part_refused"},
		{"a missing attachment, strictly", func(in *contract.SendMessageInput) {
			in.Strict = true
			in.Message.Parts = append(in.Message.Parts, contract.Part{Kind: "media", Media: &contract.Media{Handle: "med_gone"}})
		}, "part_refused"},
		{"a text of far too many pieces", func(in *contract.SendMessageInput) {
			in.Message.Parts[0].Text = &contract.Text{Plain: strings.Repeat("x", 4000*maxPieces+1)}
		}, "text_too_long"},
		{"a conversation id too long for a key", func(in *contract.SendMessageInput) {
			in.Message.Conversation.ID = contract.ConversationID(long)
		}, "id_too_long"},
		{"a person's id too long for a key", func(in *contract.SendMessageInput) {
			in.Message.Author.Contact.ID = contract.ContactID(long)
		}, "id_too_long"},
		{"more than can be kept", func(in *contract.SendMessageInput) {
			for range 63 {
				in.Message.Parts = append(in.Message.Parts, contract.Part{Kind: "media", Media: &contract.Media{Handle: "med_1", Name: strings.Repeat("n", 1000)}})
			}
		}, "too_large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t).connect()
			w.gone["med_gone"] = true
			in := contract.SendMessageInput{Message: dana("msg_1", text)}
			tt.change(&in)
			out := w.send(in)
			if out.Failure == nil || out.Failure.Class != contract.FailurePermanent || out.Failure.Code != tt.code {
				t.Errorf("came to %+v, want %s", out.Failure, tt.code)
			}
			w.wantPosts(0)
		})
	}
}

func TestAMissingAttachmentIsToldAndLeftOut(t *testing.T) {
	w := newWorld(t).connect()
	w.gone["med_gone"] = true
	out := w.send(contract.SendMessageInput{Message: dana("msg_1",
		contract.Part{Kind: "text", Text: &contract.Text{Plain: "two labels"}},
		contract.Part{Kind: "media", Media: &contract.Media{Handle: "med_gone", Name: "a.jpg"}},
		contract.Part{Kind: "media", Media: &contract.Media{Handle: "med_2", Name: "b.jpg"}})})
	if !strings.Contains(w.sent[0].Body, `"files":[{"name":"b.jpg","URL":"https://host.example/media/med_2"}]`) {
		t.Errorf("posted %s, want b.jpg alone", w.sent[0].Body)
	}
	if p := out.Sent.Parts[1]; p.Fate != contract.PartDropped || p.Note == "" {
		t.Errorf("the missing attachment is told as %+v", p)
	}
}

func TestACustomerCannotSmuggleAPlaceholder(t *testing.T) {
	w := newWorld(t).connect()
	const smuggled = "{{secret:token}} {{credential:access_token}}"
	m := dana("msg_1", contract.Part{Kind: "text", Text: &contract.Text{Plain: smuggled}},
		contract.Part{Kind: "media", Media: &contract.Media{Handle: "med_1", Name: smuggled}})
	m.Conversation.Title, m.Author.Contact.Name, m.Author.Contact.Email = smuggled, smuggled, "{{media_base64:med_other}}"
	w.send(contract.SendMessageInput{Message: m})
	out := w.deliver(sample(t, "user_info"))
	for _, body := range []string{w.sent[0].Body, out.Response.Body} {
		body = strings.Replace(body, `"token":"{{secret:outbound_token}}"`, "", 1)
		body = strings.Replace(body, `"{{media_base64:med_avatar}}"`, "", 1)
		for _, word := range []string{"{{secret:", "{{credential:", "{{media_base64:"} {
			if strings.Contains(body, word) {
				t.Errorf("%s has a placeholder that the customer wrote", body)
			}
		}
	}
}

// TestANewPersonIsKnownBeforeTheMessage is about a platform that asks userInfo, or lets
// a bot answer, while it takes a person's first message.
func TestANewPersonIsKnownBeforeTheMessage(t *testing.T) {
	w := newWorld(t).connect()
	var info, reply *contract.ReceiveOutput
	w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
		info = w.deliver(sample(t, "user_info"))
		reply = w.deliver(envelopeOf("message", "", `{"targetChatId":"tg-553201","text":"I am a bot."}`))
		return &contract.HTTPResult{Status: 200}, nil
	}
	w.say("msg_1", "hello")
	if info == nil || !strings.Contains(info.Response.Body, "Dana Petrova") || reply.Response.Status != 200 {
		t.Errorf("userInfo during the first message was answered %+v, a reply %+v", info, reply)
	}
	in := &contract.SendMessageInput{Command: w.command(), Connection: w.connection(), Message: dana("msg_2", contract.Part{Kind: "text", Text: &contract.Text{Plain: "x"}})}
	if out := w.run(contract.ExportSendMessage, in); out.Sent == nil {
		t.Errorf("the second message of a known person came to %+v at the first attempt", out)
	}
}

func TestDetailsOfAPersonAreKeptUpToDate(t *testing.T) {
	w := newWorld(t).connect()
	w.say("msg_1", "hello")
	m := dana("msg_2", contract.Part{Kind: "text", Text: &contract.Text{Plain: "x"}})
	m.Author.Contact.Name, m.Author.Contact.Attributes = "Dana Kowalska", map[string]string{"segment": "vip"}
	w.send(contract.SendMessageInput{Message: m})
	if out := w.deliver(sample(t, "user_info")); !strings.Contains(out.Response.Body, "Dana Kowalska") {
		t.Errorf("userInfo was answered %s", out.Response.Body)
	}
	if value := w.kv[prefixContact+"tg-user-553201"].value; strings.Contains(value, "vip") {
		t.Errorf("%s keeps more of the person than userInfo tells", value)
	}
}

func TestReceipts(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings []string
		chat     contract.ConversationID
		status   contract.MessageStatus
		posts    int
		code     string
	}{
		{"a failure", nil, "tg-553201", contract.MessageFailed, 1, ""},
		{"a failure, notices off", []string{"failure_notice", "false"}, "tg-553201", contract.MessageFailed, 0, ""},
		{"a failure in an unknown chat", nil, "tg-1", contract.MessageFailed, 0, "conversation_unknown"},
		{"delivered", nil, "tg-553201", contract.MessageDelivered, 0, ""},
		{"read", nil, "tg-553201", contract.MessageRead, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.settings...).connect()
			w.say("msg_1", "hello")
			w.sent = nil
			in := &contract.SendReceiptInput{
				Command: w.command(), Connection: w.connection(),
				Conversation: contract.Conversation{ID: tt.chat}, Status: contract.StatusReport{Status: tt.status},
			}
			out := w.run(contract.ExportSendReceipt, in)
			code := ""
			if out.Failure != nil {
				code = out.Failure.Code
			}
			if code != tt.code {
				t.Errorf("came to %q, want %q", code, tt.code)
			}
			w.wantPosts(tt.posts)
			if tt.posts == 1 {
				golden(t, "notice.txt", transcript(w.sent))
			}
		})
	}
}

func TestANoticeIsRepeatedButNotReported(t *testing.T) {
	w := newWorld(t).connect()
	w.say("msg_1", "hello")
	in := &contract.SendReceiptInput{
		Command: w.command(), Connection: w.connection(),
		Conversation: contract.Conversation{ID: "tg-553201"}, Status: contract.StatusReport{Status: contract.MessageFailed},
	}
	w.run(contract.ExportSendReceipt, in)
	id := "notice-" + string(in.Command.ID)
	w.deliver(outcomeOf(id, false))
	w.advance(defaultDelaysTotal)
	w.deliver(outcomeOf(id, true))
	w.deliver(envelopeOf("markAsRead", "", `{"messageId":"`+id+`"}`))
	if n := len(w.sent); n != 1+1+len(defaultDelays) {
		t.Errorf("the notice was posted %d times, want 1 and %d repeats", n-1, len(defaultDelays))
	}
	w.wantEvents()
}

func TestStoredPostIsWhatWasPosted(t *testing.T) {
	for n := range 3 {
		p := post{id: "msg_1", chat: "c", title: "t", user: "u", text: "x\n" + strconv.Itoa(n)}
		for i := range n {
			p.files = append(p.files, file{name: strconv.Itoa(i), handle: "med_1"})
		}
		value, err := p.stored()
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t)
		w.kv[prefixAgain+"msg_1"] = entry{value, 1}
		got, found, err := loadPost(w.begin(""), "msg_1")
		if err != nil || !found || got.body(make([]string, n), "URL") != p.body(make([]string, n), "URL") || len(got.files) != n {
			t.Errorf("stored %+v, read back %+v, %v", p, got, err)
		}
	}
}
