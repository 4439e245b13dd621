package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// everyKind is a message with a part of every kind.
func everyKind() []contract.Part {
	media := func(kind contract.MediaKind, handle string) contract.Part {
		return contract.Part{Kind: "media", Media: &contract.Media{Kind: kind, Handle: contract.MediaHandle(handle), Name: handle}}
	}
	image := &contract.Media{Kind: "image", Handle: "med_mug", Name: "mug.jpg"}
	option := []contract.Option{{ActionID: "a", Label: "Buy"}}
	return []contract.Part{
		text1("plain words"),
		{Kind: "text", Text: &contract.Text{Plain: "bold", Markdown: "**bold**"}},
		media("image", "med_image"), media("voice", "med_voice"), media("video", "med_video"), media("file", "med_file"),
		{Kind: "media", Media: &contract.Media{Kind: "file", Name: "lost.pdf", Missing: "It was too large."}},
		{Kind: "choice", Fallback: "Pick: 1. Buy", Choice: &contract.Choice{Style: "buttons", Prompt: "Pick", Options: option}},
		{Kind: "card", Fallback: "Mug", Card: &contract.Card{Title: "Mug", Image: image, Options: option}},
		{Kind: "carousel", Carousel: &contract.Carousel{Cards: []contract.Card{{Title: "One"}, {Title: "Two"}}}},
		{Kind: "location", Location: &contract.Location{LatitudeE7: 546870000, LongitudeE7: 252800000, Name: "Vilnius"}},
		{Kind: "contact", Contact: &contract.Contact{Name: "Ann", Phone: "+370600"}},
		{Kind: "raw", Raw: &contract.Raw{Kind: "sticker"}},
		{Kind: "raw", Fallback: "a wave", Raw: &contract.Raw{Kind: "sticker"}},
	}
}

func TestEveryKindOfPartIsSent(t *testing.T) {
	var all strings.Builder
	for _, style := range []string{"attachments", "text_link"} {
		w := newWorld(t, "media_style", style).live()
		out := w.write("msg_1", everyKind()...)
		if out.Sent == nil || len(out.Sent.Parts) != len(everyKind()) {
			t.Fatalf("%s: came to %+v", style, out)
		}
		all.WriteString("== " + style + "\n" + strings.Join(w.bodies(), "\n") + "\n")
		for _, o := range out.Sent.Parts {
			all.WriteString(strconv.FormatInt(o.Index, 10) + " " + string(o.Fate) + " " + o.Note + "\n")
		}
	}
	wantGolden(t, "sent.txt", all.String())
}

func TestStrictRefusesEachPartThatWouldBeDegraded(t *testing.T) {
	parts := everyKind()
	w := newWorld(t).live()
	out := w.send(contract.SendMessageInput{Message: dana("msg_1", parts...), Strict: true})
	if out.Failure == nil || out.Failure.Code != "part_refused" || len(out.Failure.Parts) != len(parts) || len(w.sent) > 0 {
		t.Fatalf("came to %+v", out)
	}
	native := map[int64]bool{0: true, 2: true, 4: true, 5: true}
	for _, o := range out.Failure.Parts {
		want := contract.PartRejected
		if native[o.Index] {
			want = contract.PartNative
		}
		if o.Fate != want {
			t.Errorf("part %d is %s, want %s", o.Index, o.Fate, want)
		}
	}
	if out := w.send(contract.SendMessageInput{Message: dana("msg_2", parts[0], parts[2]), Strict: true}); out.Sent == nil {
		t.Errorf("what the platform carries came to %+v", out.Failure)
	}
}

func TestEachConversationHasANumberForLife(t *testing.T) {
	w := newWorld(t).live()
	numbers := map[int64]string{}
	for i := range 200 {
		chat := "chat " + strconv.Itoa(i)
		m := dana("msg_"+strconv.Itoa(i), text1("x"))
		m.Conversation.ID, m.Author.Contact.ID = contract.ConversationID(chat), contract.ContactID("person "+strconv.Itoa(i))
		w.send(contract.SendMessageInput{Message: m})
		m.ID += "b"
		w.send(contract.SendMessageInput{Message: m})
		first, second := posted(t, w.sent[0]), posted(t, w.sent[1])
		if first.Number != second.Number || first.Sender.ID != second.Sender.ID {
			t.Errorf("%s is %d and then %d, of %s and then %s", chat, first.Number, second.Number, first.Sender.ID, second.Sender.ID)
		}
		if other, taken := numbers[first.Number]; taken || first.Number < 1 || first.Number >= 1<<31 {
			t.Errorf("%s has the number %d, which is %q's", chat, first.Number, other)
		}
		numbers[first.Number] = chat
		w.sent = nil
	}
}

func TestANumberThatIsTakenIsPassedOver(t *testing.T) {
	w := newWorld(t).live()
	first, err := freeNumber(w.begin(""), "chat")
	if err != nil {
		t.Fatal(err)
	}
	w.kv[prefixNumber+strconv.FormatInt(first, 10)] = entry{value: "another", version: 1}
	second, err := freeNumber(w.begin(""), "chat")
	if err != nil || second == first {
		t.Errorf("the number %d is taken, and given again as %d, %v", first, second, err)
	}
}

// body is what was posted, as far as tests look.
type body struct {
	Content string
	Number  int64 `json:"conversation_id"`
	Sender  struct{ ID, Name, Email string }
}

func posted(t *testing.T, r contract.HTTPRequest) body {
	t.Helper()
	var b body
	if err := json.Unmarshal([]byte(r.Body), &b); err != nil {
		t.Fatalf("%s: %v", r.Body, err)
	}
	return b
}

func TestSenderIDs(t *testing.T) {
	seen := map[string]string{}
	for _, person := range []string{
		"tg-553201", "a:b_c-D9", strings.Repeat("x", 64), strings.Repeat("x", 65), "Dana Petrova", "dana@shop.example", "дана", "x:abc", senderID("дана"),
	} {
		id := senderID(person)
		if len(id) > 64 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_-") != "" {
			t.Errorf("%q becomes %q", person, id)
		}
		if other, taken := seen[id]; taken {
			t.Errorf("%q and %q are both %q", person, other, id)
		}
		seen[id] = person
	}
	if senderID("tg-553201") != "tg-553201" {
		t.Error("an id that fits is changed")
	}
}

func TestANewConversationIsKeptBeforeItsMessageGoesOut(t *testing.T) {
	w := newWorld(t).live()
	m := dana("msg_1", text1("hello"))
	m.Conversation.ID, m.Author.Contact.ID = "new", "new person"
	in := &contract.SendMessageInput{Command: w.command(), Connection: w.connection(), Message: m}
	if out := w.run(contract.ExportSendMessage, in); out.Failure == nil || out.Failure.Code != "introduced" || len(w.sent) > 0 {
		t.Fatalf("the first attempt came to %+v with %d posts", out, len(w.sent))
	}
	if out := w.run(contract.ExportSendMessage, in); out.Sent == nil {
		t.Fatalf("the second attempt came to %+v", out.Failure)
	}
	for _, e := range []string{"recipient\":{\"id\":\"" + senderID("new person") + "\"}", "conversation_id\":" + strconv.FormatInt(posted(t, w.sent[0]).Number, 10)} {
		w.events = nil
		w.say(`{"` + e + `,"content":"x"}`)
		if len(w.events) != 1 || w.events[0].Message == nil || w.events[0].Message.Conversation.ID != "new" {
			t.Errorf("a reply by %s came to %+v", e, w.events)
		}
	}
}

func TestAMessageWithoutItsPersonIsOfTheOneWhoIsKnown(t *testing.T) {
	w := newWorld(t).live()
	m := dana("msg_1", text1("hello"))
	send := func() string {
		w.run(contract.ExportSendMessage, &contract.SendMessageInput{Command: w.command(), Connection: w.connection(), Message: m})
		return posted(t, w.sent[len(w.sent)-1]).Sender.ID
	}
	want := send()
	m.ID, m.Author.Contact = "msg_2", contract.Contact{}
	if got := send(); len(w.sent) != 2 || got != want {
		t.Errorf("post %d is of %q, want another of %q", len(w.sent), got, want)
	}
	m.ID, m.Conversation.ID = "msg_3", "nobody's"
	w.run(contract.ExportSendMessage, &contract.SendMessageInput{Command: w.command(), Connection: w.connection(), Message: m}) // introduced
	if got := send(); got != senderID("nobody's") {
		t.Errorf("where nobody is known, the post is of %q, want the conversation itself", got)
	}
}

func TestWhatWasAcceptedIsNotPostedAgain(t *testing.T) {
	w := newWorld(t, "max_text", "100").live()
	fails := 1
	w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
		if len(w.sent) == 2 && fails > 0 {
			fails--
			return &contract.HTTPResult{Status: 503}, nil
		}
		return &contract.HTTPResult{Status: 200}, nil
	}
	words := text1(strings.Repeat("a", 100) + strings.Repeat("b", 100) + strings.Repeat("c", 50))
	if out := w.write("msg_1", words); out.Failure == nil || out.Failure.Class != contract.FailureRetry {
		t.Fatalf("came to %+v", out)
	}
	if out := w.write("msg_1", words); out.Sent == nil {
		t.Fatalf("came to %+v", out.Failure)
	}
	var first []string
	for _, r := range w.sent {
		first = append(first, posted(t, r).Content[:1])
	}
	if got := strings.Join(first, ""); got != "abbc" {
		t.Errorf("the pieces were posted as %q, want abbc", got)
	}
}

func TestARepeatPressesWhatTheFirstAttemptDid(t *testing.T) {
	w := heard(t, kinds[5].body) // Buy 17, Buy 18, See
	w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
		return nil, &contract.HostError{Code: contract.HostTimeout}
	}
	w.write("msg_1", text1("1"))
	w.write("msg_2", text1("7")) // means nothing yet
	w.say(strings.ReplaceAll(kinds[5].body, "buy:", "sell:"))
	w.answer = nil
	w.live()
	w.sent = nil
	w.write("msg_1", text1("1"))
	w.write("msg_2", text1("7"))
	if !strings.Contains(w.sent[0].Body, "buy:17") || strings.Contains(w.sent[1].Body, "postback") {
		t.Errorf("the repeats say %q", w.bodies())
	}
}

func TestWhatCannotBeSent(t *testing.T) {
	for _, tt := range []struct {
		name  string
		state channel
		parts []contract.Part
		class contract.FailureClass
		code  string
	}{
		{"before setup", channel{}, nil, contract.FailurePermanent, "not_connected"},
		{"while the first set call is open", channel{state: channelVerifying}, nil, contract.FailureRetryAfter, "verifying"},
		{"unverified", channel{state: channelUnverified, botURL: botURL}, nil, contract.FailurePermanent, "not_verified"},
		{"removed", channel{state: channelRemoved, botURL: botURL}, nil, contract.FailurePermanent, "disconnected"},
		{"to a host that is not allowed any more", channel{state: channelReady, botURL: "https://evil.example/x"}, nil, contract.FailurePermanent, "bot_host_refused"},
		{"nothing", channel{state: channelReady, botURL: botURL}, []contract.Part{{Kind: "raw", Raw: &contract.Raw{Kind: "x"}}}, contract.FailurePermanent, "nothing_to_send"},
		{"too much", channel{state: channelReady, botURL: botURL}, []contract.Part{text1(strings.Repeat("x", 33*4000))}, contract.FailurePermanent, "text_too_long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t).live()
			w.kv[keyChannel] = entry{value: tt.state.encode(), version: 1}
			if tt.parts == nil {
				tt.parts = []contract.Part{text1("x")}
			}
			out := w.write("msg_1", tt.parts...)
			if out.Failure == nil || out.Failure.Class != tt.class || out.Failure.Code != tt.code || len(w.sent) > 0 {
				t.Errorf("came to %+v with %d posts, want %s %s", out, len(w.sent), tt.class, tt.code)
			}
		})
	}
}

func TestAnAttachmentThatIsGone(t *testing.T) {
	w := newWorld(t).live()
	w.gone["med_image"] = true
	out := w.write("msg_1", everyKind()[0], everyKind()[2])
	if out.Sent == nil || out.Sent.Parts[1].Fate != contract.PartDropped || len(w.sent) != 1 {
		t.Errorf("came to %+v with %d posts", out, len(w.sent))
	}
}

func TestACustomerCannotSmuggle(t *testing.T) {
	w := newWorld(t).live()
	m := dana("msg_1", text1("{{secret:flow_key}}"))
	m.Author.Contact.Name = "{{credential:receive_url}}\x1b[2J" + strings.Repeat("x", 300)
	w.send(contract.SendMessageInput{Message: m})
	got := posted(t, w.sent[0])
	if strings.Contains(w.sent[0].Body, "{{secret") || strings.Contains(w.sent[0].Body, "{{credential") {
		t.Errorf("a placeholder went out: %s", w.sent[0].Body)
	}
	if strings.Contains(got.Sender.Name, "\x1b") || len([]rune(got.Sender.Name)) > 129 { // and the word joiner
		t.Errorf("the name went out as %q", got.Sender.Name)
	}
}
