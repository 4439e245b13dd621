package main

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func sample(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReceiveVerifies(t *testing.T) {
	w := newWorld(t).connect()
	w.say("msg_1", "hello")
	deep := `{"type":"message","token":"` + token + `","data":` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40) + `}`
	for _, tt := range []struct {
		name, body string
		status     int64
		code       string
	}{
		{"no JSON", `hello`, 400, "malformed"},
		{"nothing", ``, 400, "malformed"},
		{"an array", `[]`, 400, "malformed"},
		{"two documents", `{} {}`, 400, "malformed"},
		{"a name twice", `{"type":"message","type":"connect","token":"` + token + `"}`, 400, "malformed"},
		{"invalid UTF-8", "{\"type\":\"\xff\"}", 400, "malformed"},
		{"deep nesting", deep, 400, "malformed"},
		{"no type", `{"token":"` + token + `"}`, 400, "malformed"},
		{"a number for a type", `{"type":7,"token":"` + token + `"}`, 400, "malformed"},
		{"no token", `{"type":"markAsRead","data":{"messageId":"msg_1"}}`, 401, "token_mismatch"},
		{"an empty token", `{"type":"markAsRead","token":"","data":{"messageId":"msg_1"}}`, 401, "token_mismatch"},
		{"a number for a token", `{"type":"markAsRead","token":7,"data":{"messageId":"msg_1"}}`, 401, "token_mismatch"},
		{"another token", `{"type":"markAsRead","token":"forged","data":{"messageId":"msg_1"}}`, 401, "token_mismatch"},
		{"another token and another channel", `{"type":"markAsRead","token":"forged","channelId":"ch-2"}`, 401, "token_mismatch"},
		{"another token and an unknown type", `{"type":"novelty","token":"forged"}`, 401, "token_mismatch"},
		{"another channel", envelopeOf("markAsRead", `"channelId":"ch-2",`, `{"messageId":"msg_1"}`), 404, "channel_mismatch"},
		{"a number for a channel", envelopeOf("markAsRead", `"channelId":2,`, `{"messageId":"msg_1"}`), 400, "malformed"},
		{"the very channel", envelopeOf("markAsRead", `"channelId":"ch-1",`, `{"messageId":"msg_1"}`), 200, ""},
		{"no channel", envelopeOf("markAsRead", "", `{"messageId":"msg_1"}`), 200, ""},
		{"an unknown type", envelopeOf("novelty", "", `{}`), 200, ""},
		{"an array for data", envelopeOf("markAsRead", "", `[]`), 400, "malformed"},
		{"unknown fields", envelopeOf("markAsRead", `"x":{"y":[1]},`, `{"messageId":"msg_1","z":null}`), 200, ""},
		{"message without a target", envelopeOf("message", "", `{"text":"x"}`), 400, "malformed"},
		{"message with a number for a text", envelopeOf("message", "", `{"targetChatId":"tg-553201","text":5}`), 400, "malformed"},
		{"message with a text for files", envelopeOf("message", "", `{"targetChatId":"tg-553201","files":"x"}`), 400, "malformed"},
		{"outcome without an id", envelopeOf("messageOutcome", "", `{"success":true}`), 400, "malformed"},
		{"outcome without success", envelopeOf("messageOutcome", "", `{"messageId":"msg_1"}`), 400, "malformed"},
		{"outcome with a text for success", envelopeOf("messageOutcome", "", `{"messageId":"msg_1","success":"true"}`), 400, "malformed"},
		{"userInfo with an endless id", envelopeOf("userInfo", "", `{"userId":"`+strings.Repeat("x", 300)+`"}`), 400, "malformed"},
		{"userInfo without an id", envelopeOf("userInfo", "", `{}`), 400, "malformed"},
		{"markAsRead without an id", envelopeOf("markAsRead", "", `{}`), 400, "malformed"},
		{"connect without a webhook", envelopeOf("connect", "", `{}`), 400, "malformed"},
		{"too large", `{"x":"` + strings.Repeat("x", maxBodyBytes) + `"}`, 413, "too_large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := w.deliver(tt.body)
			code := ""
			if out.Rejected != nil {
				code = out.Rejected.Code
			}
			if out.Response.Status != tt.status || code != tt.code {
				t.Errorf("Receive(%.200s)\n got %d %q\nwant %d %q", tt.body, out.Response.Status, code, tt.status, tt.code)
			}
			if strings.Contains(out.Response.Body, token) {
				t.Errorf("the answer %q shows the token", out.Response.Body)
			}
		})
	}
}

func TestReceiveRefusesWhatIsNoDelivery(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name     string
		delivery contract.Delivery
		status   int64
	}{
		{"GET", contract.Delivery{Method: "GET"}, 405},
		{"PUT", contract.Delivery{Method: "PUT"}, 405},
		{"a path below the endpoint", contract.Delivery{Method: "POST", Path: "/x"}, 404},
		{"a body that says it is too large", contract.Delivery{Method: "POST", BodyBytes: maxBodyBytes + 1}, 413},
		{"a slash at the end", contract.Delivery{Method: "POST", Path: "/"}, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := w.request(tt.delivery, "").Response.Status; got != tt.status {
				t.Errorf("answered %d, want %d", got, tt.status)
			}
		})
	}
}

func TestReceiveFailsRatherThanGuess(t *testing.T) {
	for _, f := range []contract.HostFunction{
		contract.HostDeliveryBody, contract.HostSecretEqual, contract.HostKVGet, contract.HostKVPut,
	} {
		w := newWorld(t)
		w.broken = f
		in := &contract.ReceiveInput{Delivery: contract.Delivery{Method: "POST"}, Connection: w.connection()}
		out, err := connector{}.Receive(w.begin(sample(t, "connect")), in)
		if err == nil {
			t.Errorf("with %s broken, Receive answered %+v; the delivery must be kept for later", f, out)
		}
	}
}

func TestSamplesAreTaken(t *testing.T) {
	w := newWorld(t)
	w.deliver(sample(t, "connect"))
	w.say("msg_8841", "Where is my parcel?")
	w.kinds()
	for _, tt := range []struct{ name, event string }{
		{"message", "message.created"},
		{"message_outcome", "message.status msg_8841 delivered"},
		{"user_info", ""},
		{"mark_as_read", "message.status msg_8841 read"},
		{"disconnect", "connection.state disconnected"},
	} {
		out := w.deliver(sample(t, tt.name))
		if got := strings.Join(w.kinds(), ", "); out.Response.Status != 200 || got != tt.event {
			t.Errorf("%s was answered %d and became %q, want 200 and %q", tt.name, out.Response.Status, got, tt.event)
		}
	}
}

func TestOperatorsMessage(t *testing.T) {
	w := newWorld(t, "files_url", "https://files.acme.example").connect()
	w.say("msg_1", "hello")
	w.deliver(envelopeOf("message", "", `{"targetChatId":"tg-553201","text":"<p>On the <b>way</b>.</p>","files":[
		{"name":"route.pdf","size":48211,"URL":"`+company+`/files/route.pdf?sig=1"},
		{"name":"../map.PNG","size":"big","url":"https://files.acme.example/map"},
		{"name":"evil.exe","size":1,"Url":"https://169.254.169.254/latest"},
		{}]}`))
	if len(w.events) != 1 {
		t.Fatalf("events %+v, want one", w.events)
	}
	e := w.events[0]
	if e.Message.Author.Role != contract.RoleAgent || e.Conversation.ID != "tg-553201" || e.Message.Conversation.ID != "tg-553201" {
		t.Errorf("the event is %+v by %+v", e, e.Message.Author)
	}
	var got []contract.Media
	for _, p := range e.Message.Parts[1:] {
		p.Media.Missing = strings.SplitN(p.Media.Missing, ";", 2)[0]
		got = append(got, *p.Media)
	}
	const elsewhere = "Its link is not on the company's host"
	want := []contract.Media{
		{Kind: contract.MediaFile, Name: "route.pdf", SizeBytes: 48211, SourceURL: company + "/files/route.pdf?sig=1"},
		{Kind: contract.MediaImage, Name: "map.PNG", SourceURL: "https://files.acme.example/map"},
		{Kind: contract.MediaFile, Name: "evil.exe", SizeBytes: 1, Missing: elsewhere},
		{Kind: contract.MediaFile, Name: "file", Missing: elsewhere},
	}
	if text := e.Message.Parts[0].Text.Plain; text != "On the way." || !reflect.DeepEqual(got, want) {
		t.Errorf("parts %q and\n got %+v\nwant %+v", text, got, want)
	}
}

func TestOperatorsMessageOfManyFilesBecomesSeveral(t *testing.T) {
	w := newWorld(t).connect()
	w.say("msg_1", "hello")
	body := func(files int) string {
		list := strings.Repeat(`{"name":"a","URL":"`+company+`/a"},`, files)
		return envelopeOf("message", "", `{"targetChatId":"tg-553201","text":"x","files":[`+list[:len(list)-1]+`]}`)
	}
	w.deliver(body(130))
	total := 0
	for _, e := range w.events {
		if len(e.Message.Parts) > contract.MaxParts {
			t.Errorf("a message has %d parts", len(e.Message.Parts))
		}
		total += len(e.Message.Parts)
	}
	if total != 131 || len(w.events) != 3 {
		t.Errorf("%d messages with %d parts, want 3 with 131", len(w.events), total)
	}
	if out := w.deliver(body(maxFiles + 1)); out.Rejected == nil {
		t.Error("a message with 1001 files was taken")
	}
}

func TestAnEndlessTextBecomesSeveralParts(t *testing.T) {
	w := newWorld(t).connect()
	w.say("msg_1", "hello")
	text := strings.Repeat("漢", 100_000)
	w.deliver(envelopeOf("message", "", `{"targetChatId":"tg-553201","text":"`+text+`"}`))
	var got strings.Builder
	for _, p := range w.events[0].Message.Parts {
		got.WriteString(p.Text.Plain)
	}
	if got.String() != text {
		t.Errorf("%d bytes of text became %d", len(text), got.Len())
	}
}

func TestHTMLIsLeftAloneWhenOff(t *testing.T) {
	w := newWorld(t, "html", "off").connect()
	w.say("msg_1", "hello")
	w.deliver(envelopeOf("message", "", `{"targetChatId":"tg-553201","text":"<b>x</b>"}`))
	if got := w.events[0].Message.Parts[0].Text.Plain; got != "<b>x</b>" {
		t.Errorf("the text is %q", got)
	}
}

func TestEmptyMessageIsNoEvent(t *testing.T) {
	w := newWorld(t).connect()
	w.say("msg_1", "hello")
	out := w.deliver(envelopeOf("message", "", `{"targetChatId":"tg-553201","text":"","files":[]}`))
	if out.Response.Status != 200 || len(w.events) != 0 {
		t.Errorf("answered %d with events %+v", out.Response.Status, w.events)
	}
}

func TestTargetOfAMessage(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for _, tt := range []struct {
		name, policy, target string
		status               int64
		conversation         contract.ConversationID
	}{
		{"a chat", "user_id", "tg-553201", 200, "tg-553201"},
		{"a person", "user_id", "tg-user-553201", 200, "tg-553201"},
		{"nobody", "user_id", "tg-999", 404, ""},
		{"an id too long for a key", "user_id", long, 404, ""},
		{"a chat, never looked up as a person", "refuse", "tg-553201", 200, "tg-553201"},
		{"a person, never looked up", "refuse", "tg-user-553201", 404, ""},
		{"nobody, accepted", "accept", "tg-999", 200, "tg-999"},
		{"too long to be accepted", "accept", long, 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, "unknown_chat", tt.policy).connect()
			w.say("msg_1", "hello")
			out := w.deliver(envelopeOf("message", "", `{"targetChatId":"`+tt.target+`","text":"x"}`))
			if out.Response.Status != tt.status || len(w.events) > 1 {
				t.Fatalf("answered %d with events %+v, want %d", out.Response.Status, w.events, tt.status)
			}
			if len(w.events) == 1 && w.events[0].Conversation.ID != tt.conversation {
				t.Errorf("the message went to %q, want %q", w.events[0].Conversation.ID, tt.conversation)
			}
		})
	}
}

// FuzzReceive claims that no delivery makes the connector panic, that whatever it rejects
// has no effects, and that nothing without the token is taken.
func FuzzReceive(f *testing.F) {
	for _, name := range []string{"connect", "message", "message_outcome", "user_info", "mark_as_read", "disconnect"} {
		f.Add("POST", "", sample(f, name))
	}
	f.Add("GET", "/x", `{"type":"message","token":"c0nf-9tQ","data":{"files":[{"URL":7}]}}`)
	f.Add("POST", "/", `{"type":"connect","token":"c0nf-9tQ","channelId":null,"data":{"webhook":"https://x"}}`)
	settings := defaults(f, map[string]string{"company_url": company})
	state := map[string]entry{
		keyChannel:                    {channel{id: "5d0e6f0a-6a0c-4a36-9a55-0f9b6f6d1b11", url: hook, state: channelActive}.encode(), 1},
		prefixChat + "tg-553201":      {chatRecord{title: "Dana", user: "u"}.encode(), 1},
		prefixPosted + "msg_8841":     {(&posted{message: "msg_8841", piece: 1, pieces: 1, chat: "tg-553201", tries: 1}).encode(), 1},
		prefixUser + "tg-user-553201": {"tg-553201", 1},
	}
	f.Fuzz(func(t *testing.T, method, path, body string) {
		w := &world{t: t, settings: settings, kv: state}
		tx := w.begin(body)
		in := &contract.ReceiveInput{
			Delivery:   contract.Delivery{Method: method, Path: path, BodyBytes: int64(len(body))},
			Connection: contract.Connection{ID: "con_1", Settings: settings},
		}
		out, err := pdk.Connector(connector{}).Receive(tx, in)
		if err != nil {
			t.Fatalf("Receive(%q) failed though every host function worked: %v", body, err)
		}
		if err := out.Validate(); err != nil {
			t.Errorf("Receive(%q) is against the contract: %v", body, err)
		}
		if out.Rejected != nil && (len(out.Events)+len(out.Commands)+len(tx.writes) > 0 || out.Response.Status < 400) {
			t.Errorf("Receive(%q) rejected with effects: %+v, writes %v", body, out, tx.writes)
		}
		if out.Rejected == nil && (out.Response.Status != 200 || !strings.Contains(body, "c0nf") && !strings.Contains(body, `\u`)) {
			t.Errorf("Receive(%q) accepted with %d", body, out.Response.Status)
		}
	})
}

func BenchmarkReceive(b *testing.B) {
	settings := defaults(b, map[string]string{"company_url": company})
	state := map[string]entry{
		keyChannel:                    {channel{id: "5d0e6f0a-6a0c-4a36-9a55-0f9b6f6d1b11", url: hook, state: channelActive}.encode(), 1},
		prefixChat + "tg-553201":      {chatRecord{title: "Dana", user: "u"}.encode(), 1},
		prefixPosted + "msg_8841":     {(&posted{message: "msg_8841", piece: 1, pieces: 1, chat: "tg-553201", tries: 1}).encode(), 1},
		prefixUser + "tg-user-553201": {"tg-553201", 1},
	}
	for _, name := range []string{"message", "message_outcome", "user_info"} {
		b.Run(name, func(b *testing.B) {
			w := &world{settings: settings, kv: state}
			body := sample(b, name)
			in := contract.Marshal(&contract.ReceiveInput{
				Delivery:   contract.Delivery{Method: "POST", BodyBytes: int64(len(body))},
				Connection: contract.Connection{ID: "con_1", Settings: settings},
			})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := pdk.Invoke(connector{}, w.begin(body), contract.ExportReceive, in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
