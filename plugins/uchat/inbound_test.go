package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// to is how either family says who a message is for.
const (
	toRecipient = `"recipient":{"id":"tg-553201"}`
	toNumber    = `"message_type":"outgoing","conversation_id":4210077`
)

// heard is a world that has been brought one genuine message.
func heard(t testing.TB, body string, extra ...string) *world {
	t.Helper()
	w := newWorld(t, append([]string{"media_hosts", "cdn.example"}, extra...)...).live()
	if out := w.say(body); out.Response.Status != 200 || out.Response.Body != "" {
		t.Fatalf("%s was answered %+v", body, out)
	}
	return w
}

// parts is what one message says, as JSON.
func partsOf(t testing.TB, w *world) string {
	t.Helper()
	if len(w.events) != 1 || w.events[0].Message == nil {
		t.Fatalf("the events are %+v, want one message", w.events)
	}
	m := w.events[0].Message
	if m.Conversation.ID != "tg-chat-1" {
		t.Errorf("the message is for %q", m.Conversation.ID)
	}
	return strings.ReplaceAll(asJSON(t, m.Parts), menuName("tg-chat-1", string(m.PlatformID)), "MENU")
}

func asJSON(t testing.TB, list []contract.Part) string {
	t.Helper()
	var texts []string
	for i := range list {
		text := string(contract.Marshal(&contract.Message{Parts: list[i : i+1]}))
		texts = append(texts, text[strings.Index(text, `{"kind"`):len(text)-len("]}")])
	}
	return strings.Join(texts, "\n")
}

// wantGolden compares with a file that people review.
func wantGolden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s\nRun go test -update if that is right.", path, got, want)
	}
}

// kinds is every kind of message, in both families (protocol section 3.2).
var kinds = []struct{ name, body string }{
	{"text, Chatwoot", `{"event":"message_created",` + toNumber + `,"content":"Your order is packed.","sender":{"id":8812,"name":"Shop bot","type":"agent_bot"}}`},
	{"text, Messenger", `{` + toRecipient + `,"message":{"text":"Your order is packed."}}`},
	{"button template, Messenger", `{` + toRecipient + `,"message":{"attachment":{"type":"template","payload":{"template_type":"button","text":"Deliver today?","buttons":[
		{"type":"postback","title":"Yes","payload":"f12|yes"},{"type":"web_url","title":"Terms","url":"https://shop.example/terms"},
		{"type":"phone_number","title":"Call","payload":"+37060012345"},{"type":"account_link","title":"Log in","url":"https://shop.example/login"}]}}}}`},
	{"button template, Chatwoot", `{` + toNumber + `,"content":"Deliver today?","content_type":"input_select","content_attributes":{"items":[{"title":"Yes","value":"f12|yes"}]}}`},
	{"card, Messenger", `{` + toRecipient + `,"message":{"attachment":{"type":"template","payload":{"template_type":"generic","elements":[
		{"title":"Blue mug","subtitle":"€9","image_url":"https://cdn.example/mug.jpg","buttons":[{"type":"postback","title":"Buy","payload":"buy:17"}]}]}}}}`},
	{"carousel, Messenger", `{` + toRecipient + `,"message":{"attachment":{"type":"template","payload":{"template_type":"generic","elements":[
		{"title":"Blue mug","image_url":"https://elsewhere.example/mug.jpg","buttons":[{"type":"postback","title":"Buy","payload":"buy:17"}]},
		{"title":"Red mug","subtitle":"€8","buttons":[{"type":"postback","title":"Buy","payload":"buy:18"},{"type":"web_url","title":"See","url":"https://shop.example/18"}]}]}}}}`},
	{"cards, Chatwoot", `{` + toNumber + `,"content":"Offers","content_type":"cards","content_attributes":{"items":[{"media_url":"https://cdn.example/mug.jpg","title":"Blue mug","description":"€9",
		"actions":[{"type":"postback","text":"Buy","payload":"buy:17"},{"type":"link","text":"See","uri":"https://shop.example/17"}]}]}}`},
	{"image, Messenger", `{` + toRecipient + `,"message":{"attachment":{"type":"image","payload":{"url":"https://cdn.example/a%20b.jpg?sig=1"}}}}`},
	{"audio, Chatwoot", `{` + toNumber + `,"content":"","attachments":[{"file_type":"audio","data_url":"https://cdn.example/a.mp3"}]}`},
	{"video with words", `{` + toRecipient + `,"message":{"text":"Look","attachments":[{"type":"video","payload":{"url":"https://cdn.example/a.mp4"}}]}}`},
	{"file on another host", `{` + toRecipient + `,"attachment":{"type":"file","payload":{"url":"https://evil.example/a.pdf"}}}`},
	{"file by http", `{` + toRecipient + `,"attachment":{"type":"file","payload":{"url":"http://cdn.example/a.pdf"}}}`},
	{"file by a script", `{` + toRecipient + `,"text":"x","attachment":{"type":"file","payload":{"url":"javascript:alert(1)"}}}`},
	{"quick replies", `{` + toRecipient + `,"message":{"text":"Which?","quick_replies":[{"content_type":"text","title":"One","payload":"1st"},{"content_type":"text","title":"Two","payload":"2nd"}]}}`},
	{"unknown template", `{` + toRecipient + `,"message":{"attachment":{"type":"template","payload":{"template_type":"receipt","recipient_name":"Dana","elements":[{"title":"Mug","price":9}]}}}}`},
}

func TestEveryKindOfMessageIsRead(t *testing.T) {
	var all strings.Builder
	for _, tt := range kinds {
		all.WriteString("== " + tt.name + "\n" + partsOf(t, heard(t, tt.body)) + "\n")
	}
	wantGolden(t, "read.txt", all.String())
}

func TestRouting(t *testing.T) {
	const other = `"content":"x","sender":{"id":"tg-2","type":"contact"}`
	for _, tt := range []struct{ name, body, want string }{
		{"by recipient.id", `{"recipient":{"id":"tg-553201"},"content":"x"}`, "tg-chat-1"},
		{"by contact.id", `{"contact":{"id":"tg-553201"},"content":"x"}`, "tg-chat-1"},
		{"by receiver.id", `{"receiver":{"id":"tg-553201"},"content":"x"}`, "tg-chat-1"},
		{"by user.id", `{"user":{"id":"tg-553201"},"content":"x"}`, "tg-chat-1"},
		{"by user_id", `{"user_id":"tg-553201","content":"x"}`, "tg-chat-1"},
		{"by to", `{"to":"tg-553201","content":"x"}`, "tg-chat-1"},
		{"by a contact's sender.id", `{"sender":{"id":"tg-553201","type":"contact"},"content":"x"}`, "tg-chat-1"},
		{"by conversation.meta.sender.id", `{"conversation":{"meta":{"sender":{"id":"tg-553201"}}},"content":"x"}`, "tg-chat-1"},
		{"by conversation.contact_inbox.source_id", `{"conversation":{"contact_inbox":{"source_id":"tg-553201"}},"content":"x"}`, "tg-chat-1"},
		{"by conversation_id", `{"conversation_id":4210077,"content":"x"}`, "tg-chat-1"},
		{"by conversation_id as text", `{"conversation_id":"4210077","content":"x"}`, "tg-chat-1"},
		{"by conversation.id", `{"conversation":{"id":4210077},"content":"x"}`, "tg-chat-1"},
		{"by the second name, the first being unknown", `{"contact":{"id":"nobody"},"user_id":"tg-553201","content":"x"}`, "tg-chat-1"},
		{"by both, which agree", `{"conversation_id":4210077,"to":"tg-553201","content":"x"}`, "tg-chat-1"},
		{"by both, which differ", `{"conversation_id":4210077,` + other + `}`, "tg-chat-2"},
		{"by a number of a person with two conversations", `{"conversation_id":77,"to":"tg-553201","content":"x"}`, "tg-chat-3"},
		{"not by an agent's sender.id", `{"sender":{"id":"tg-553201","type":"user"},"content":"x"}`, ""},
		{"not at all", `{"content":"x"}`, ""},
		{"by another's number", `{"conversation_id":1,"content":"x"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t).live()
			w.kv[prefixUser+"tg-2"] = entry{value: "tg-chat-2", version: 1}
			w.kv[prefixNumber+"77"] = entry{value: "tg-chat-3", version: 1}
			w.kv[prefixChat+"tg-chat-3"] = entry{value: chatRecord{number: 77, sender: "tg-553201"}.encode(), version: 1}
			if out := w.say(tt.body); out.Response.Status != 200 {
				t.Fatalf("answered %+v", out)
			}
			if tt.want == "" {
				if len(w.events) != 1 || w.events[0].Raw == nil || w.events[0].Raw.Kind != "undeliverable" || string(w.events[0].Raw.JSON) != tt.body {
					t.Errorf("the events are %+v, want the body as undeliverable", w.events)
				}
				return
			}
			if got := w.events[0].Message.Conversation.ID; string(got) != tt.want {
				t.Errorf("the message is for %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAuthors(t *testing.T) {
	for _, tt := range []struct {
		name, more string
		role       contract.Role
		who        string
	}{
		{"nobody said", ``, contract.RoleBot, ""},
		{"a bot", `,"sender":{"id":1,"name":"Shop bot","type":"agent_bot"}`, contract.RoleBot, "Shop bot"},
		{"an agent by type", `,"sender":{"id":1,"name":"Ann","type":"user"}`, contract.RoleAgent, "Ann"},
		{"an agent by field", `,"agent":{"id":7,"name":"Ann"}`, contract.RoleAgent, "Ann"},
		{"an agent by name", `,"agent":"Ann"`, contract.RoleAgent, "Ann"},
		{"the customer as sender", `,"sender":{"id":"tg-553201","name":"Dana","type":"contact"}`, contract.RoleBot, ""},
		{"a name for the terminal", `,"sender":{"name":"A\u001b[2Jnn` + strings.Repeat("x", 200) + `","type":"user"}`, contract.RoleAgent, "A[2Jnn" + strings.Repeat("x", 122)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := heard(t, `{`+toRecipient+`,"content":"x"`+tt.more+`}`).events[0].Message.Author
			if a.Role != tt.role || a.Contact.Name != tt.who {
				t.Errorf("the author is %+v, want %s %q", a, tt.role, tt.who)
			}
		})
	}
}

func TestWhatIsLeftAtThat(t *testing.T) {
	for name, body := range map[string]string{
		"an echo":               `{"message_type":"incoming","conversation_id":4210077,"content":"x"}`,
		"an echo in numbers":    `{"message_type":0,"conversation_id":4210077,"content":"x"}`,
		"a note among agents":   `{"message_type":"outgoing","private":true,"conversation_id":4210077,"content":"x"}`,
		"an echo without route": `{"message_type":"incoming","content":"x"}`,
	} {
		if w := heard(t, body); len(w.events) > 0 {
			t.Errorf("%s became %+v", name, w.events)
		}
	}
	w := heard(t, `{"event":"conversation_typing_on","conversation_id":4210077}`)
	if len(w.events) != 1 || w.events[0].Raw == nil || w.events[0].Raw.Kind != "unreadable" || w.events[0].Conversation == nil {
		t.Errorf("a delivery without content became %+v, want a raw event in its conversation", w.events)
	}
}

func TestDeliveriesAreNamed(t *testing.T) {
	for body, want := range map[string]string{
		`{"event":"message_created","id":5,"conversation_id":4210077,"content":"x"}`: "m:message_created:5",
		`{"message_id":"a","id":5,"conversation_id":4210077,"content":"x"}`:          "m::a",
		`{"mid":"b","conversation_id":4210077,"content":"x"}`:                        "m::b",
		`{"message":{"mid":"c","text":"x"},"conversation_id":4210077}`:               "m::c",
		`{"conversation_id":4210077,"content":"x"}`:                                  "",
	} {
		w := newWorld(t).live()
		if got := w.say(body).DedupeKey; got != want {
			t.Errorf("%s is named %q, want %q", body, got, want)
		}
	}
}

func TestAnUpdateIsOne(t *testing.T) {
	w := heard(t, `{"event":"message_updated","id":5,"conversation_id":4210077,"content":"x"}`)
	if w.events[0].Kind != contract.EventMessageUpdated || w.events[0].Message.PlatformID != "5" {
		t.Errorf("an update became %+v", w.events[0])
	}
}

func TestLongMessagesAreCarriedWhole(t *testing.T) {
	words := strings.Repeat("ж", 100_000)
	w := heard(t, `{"conversation_id":4210077,"content":"`+words+`"}`)
	var got string
	for _, p := range w.events[0].Message.Parts {
		got += p.Text.Plain
	}
	if got != words {
		t.Errorf("of %d bytes %d came out", len(words), len(got))
	}
}

func TestTemplatesBeyondAllBounds(t *testing.T) {
	button := `{"type":"postback","title":"` + strings.Repeat("t", 300) + `","payload":"` + strings.Repeat(`\"`, 2000) + `"}`
	element := `{"title":"x","buttons":[` + strings.Repeat(button+",", 9) + button + `]}`
	w := heard(t, `{`+toRecipient+`,"attachment":{"type":"template","payload":{"template_type":"generic","elements":[`+
		strings.Repeat(element+",", 19)+element+`]}}}`)
	if len(w.events) != 1 { // newWorld's host checks the bounds of entries, and the contract those of events
		t.Errorf("%d events", len(w.events))
	}
}

// FuzzReceive claims that no body makes the connector fail, that what it answers is valid,
// and that what is rejected or not signed has no effects.
func FuzzReceive(f *testing.F) {
	for _, tt := range kinds {
		f.Add(tt.body, true)
	}
	f.Add(`{"recipient":{"id":{}},"message":[1],"attachments":[{"type":1,"payload":[]}]}`, true)
	f.Add(`{"conversation":{"meta":1},"content_type":"cards","content_attributes":{"items":[{"actions":[{}]}]}}`, false)
	f.Fuzz(func(t *testing.T, body string, genuine bool) {
		w := newWorld(t).live()
		before := len(w.kv)
		s := meta
		if !genuine {
			s = scheme{}
		}
		out := w.deliver(body, s)
		if !genuine && out.Rejected == nil && !strings.Contains(body, "challenge") {
			t.Errorf("%q was not signed, and answered %+v", body, out)
		}
		if out.Rejected != nil && (len(w.events) > 0 || len(w.kv) != before) {
			t.Errorf("%q was rejected with %+v, and had effects", body, out.Rejected)
		}
		if out.Rejected == nil && !json.Valid([]byte(body)) && !strings.Contains(body, "challenge") {
			t.Errorf("%q is no JSON, and was taken", body)
		}
	})
}

func TestPressesComeFromTheNewestTemplateForADay(t *testing.T) {
	w := heard(t, kinds[2].body) // Yes, Terms, a call, Log in
	w.say(kinds[5].body)         // Buy 17, Buy 18, See
	w.events, w.sent = nil, nil
	for i, tt := range []struct {
		policy, words string
		want          string // the payload, or "" for words
	}{
		{"labels", "1", "buy:17"}, {"labels", " 2 ", "buy:18"}, {"labels", "3", ""}, {"labels", "4", ""}, {"labels", "0", ""},
		{"labels", "buy", "buy:17"}, {"labels", "See", ""}, {"labels", "Yes", ""}, {"labels", "Buy it", ""},
		{"numbers", "2", "buy:18"}, {"numbers", "Buy", ""}, {"off", "1", ""},
	} {
		w.set("choice_replies", tt.policy)
		w.write("msg_"+tt.policy+tt.words, text1(tt.words))
		body := w.sent[i].Body
		if got := strings.Contains(body, `"event":"message_postback"`); got != (tt.want != "") || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %q was posted as %s, want the press of %q", tt.policy, tt.words, body, tt.want)
		}
	}
	w.now = w.now.Add(25 * time.Hour)
	w.sent = nil
	w.set("choice_replies", "labels")
	w.write("msg_late", text1("1"))
	if strings.Contains(w.sent[0].Body, "postback") {
		t.Errorf("a day later a number still presses: %s", w.sent[0].Body)
	}
}

func TestAnOptionBringsItsPayloadBack(t *testing.T) {
	w := heard(t, kinds[2].body)
	choice := w.events[0].Message.Parts[0].Choice
	press := func(action string) contract.Part {
		return contract.Part{Kind: contract.PartRaw, Fallback: "Yes", Raw: &contract.Raw{Kind: "postback", JSON: contract.RawJSON(`{"action_id":"` + action + `"}`)}}
	}
	w.now = w.now.Add(48 * time.Hour)
	w.write("msg_1", press(choice.Options[0].ActionID))
	wantGolden(t, "postback.txt", w.sent[0].Body+"\n")
	out := w.write("msg_2", press("unknown.1"))
	if body := w.sent[1].Body; !strings.Contains(body, `"message_created"`) || out.Sent.Parts[0].Fate != contract.PartConverted {
		t.Errorf("an option that is not known was posted as %s, with %+v", body, out.Sent.Parts)
	}
	if slices.ContainsFunc(choice.Options, func(o contract.Option) bool { return strings.Contains(o.ActionID, "f12") }) {
		t.Errorf("a payload got out: %+v", choice.Options)
	}
}
