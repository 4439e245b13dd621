package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

// FuzzReceiveMessage claims that whatever a genuine notification holds is answered, and that a
// message comes out only in the conversation of its chat, with files from allowed hosts only.
func FuzzReceiveMessage(f *testing.F) {
	m := readManifest(f)
	for _, d := range chatDeliveries() {
		f.Add(d.From.Payload)
	}
	f.Add(`{"action":"create","message":{"id":"a","chatId":"` + sampleChat + `","message":7,"attachedFiles":[{"url":"https://evil.example/{{credential:access_token}}"},{"url":1}],"timestamp":1e300}}`)
	f.Add(`{"message":{"id":9,"chatId":"` + sampleChat + `","formData":[{"label":1}],"type":"FORM_SUBMISSION","parentMessage":"x","updateTimestamp":"-5"}}`)
	f.Fuzz(func(t *testing.T, payload string) {
		if !utf8.ValidString(payload) {
			return
		}
		h := pdktest.New(m, map[string]string{"portal_url": "https://" + acme})
		prepareChat(h)
		connection := contract.Connection{ID: "con_1", Settings: m.WithDefaults(map[string]string{"portal_url": "https://" + acme, "forward_types": "SYSTEM,FORM_SUBMISSION", "forward_deletes": "true"})}
		out, err := h.Receive(connector{}, &contract.ReceiveInput{
			Delivery: contract.Delivery{Method: "POST", Path: "/sns"}, Connection: connection,
			Routed: &contract.Routed{Key: routeLine + sampleLine, Payload: payload},
		})
		if err != nil {
			t.Fatalf("it failed, so the host would keep it and try again: %v", err)
		}
		if len(h.Problems()) > 0 {
			t.Errorf("it tried what no host allows: %q", h.Problems())
		}
		if len(out.Events) > 1 {
			t.Errorf("one message became %d events", len(out.Events))
		}
		for _, e := range out.Events {
			checkEvent(t, e)
		}
	})
}

func checkEvent(t *testing.T, e contract.Event) {
	t.Helper()
	if e.Conversation != nil && e.Conversation.ID != "tg:551020" {
		t.Errorf("it came in the conversation %q", e.Conversation.ID)
	}
	if e.Message == nil {
		return
	}
	for _, p := range e.Message.Parts {
		if p.Media == nil {
			continue
		}
		own := strings.HasPrefix(strings.ToLower(p.Media.SourceURL), "https://"+acme)
		if (p.Media.SourceURL != "" || len(p.Media.SourceHeaders) > 0) && !own {
			t.Errorf("a file comes from %q with %v", p.Media.SourceURL, p.Media.SourceHeaders)
		}
	}
}

// FuzzBare claims that a JSON text keeps its meaning, and hides no brace.
func FuzzBare(f *testing.F) {
	for _, seed := range []string{`{"a":"\u007b"}`, `{"a":"\\u007b\u007B\\\u007b"}`, `{"\u007b":"\n"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		before, ok := meaning(text)
		if !ok {
			return
		}
		after, ok := meaning(bare(text))
		if !ok || after != before {
			t.Errorf("bare(%q) = %q means something else", text, bare(text))
		}
	})
}
