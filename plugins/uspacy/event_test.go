package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

const inner = `{"id":"m-1","chatId":"c-1","message":"hi","externalLine":{"id":"66f2aa01"}}`

// event brings a text as a notification, and returns what came of it.
func (a *app) event(text string) *contract.RouteOutput {
	a.t.Helper()
	return a.sns(signed(notification(text)))
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a text is always JSON
	}
	return string(quoted)
}

func TestTheWrapperOfAnEvent(t *testing.T) {
	numbers := `{"id":101,"chatId":7,"type":"MESSAGE","externalLine":66}`
	for _, tt := range []struct{ name, text, key, action string }{
		{"in payload", `{"action":"create","payload":` + inner + `}`, "line:66f2aa01", "create"},
		{"in payload.data", `{"event":"message.updated","payload":{"data":` + inner + `}}`, "line:66f2aa01", "update"},
		{"in data.entity", `{"data":{"action":"delete","entity":` + inner + `}}`, "line:66f2aa01", "delete"},
		{"in data", `{"event":"newMessage","data":` + inner + `}`, "line:66f2aa01", "create"},
		{"in message", `{"message":` + inner + `}`, "line:66f2aa01", ""},
		{"at the root", inner, "line:66f2aa01", ""},
		{"in a text", `{"action":"create","payload":` + quote(inner) + `}`, "line:66f2aa01", "create"},
		{"all of it in a text", quote(`{"payload":` + inner + `}`), "line:66f2aa01", ""},
		{"in a text in a text", quote(quote(inner)), "line:66f2aa01", ""},
		{"with a line that is an id", strings.Replace(inner, `{"id":"66f2aa01"}`, `"66f2aa01"`, 1), "line:66f2aa01", ""},
		{"with numbers for ids", numbers, "line:66", ""},
		{"with an action in payload", `{"payload":{"action":"removed","data":` + inner + `}}`, "line:66f2aa01", "delete"},
		{"with an action that means nothing", `{"action":"touched","payload":` + inner + `}`, "line:66f2aa01", ""},
		{"with an action that is no text", `{"action":{"x":1},"event":"added","payload":` + inner + `}`, "line:66f2aa01", "create"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := newApp(t).event(tt.text)
			doc, err := payload.Parse([]byte(out.Payload), payload.Limits{})
			if out.Key != tt.key || err != nil || doc.String("action") != tt.action || !doc.Object("message").Has("chatId") {
				t.Errorf("the key is %q, the payload %s, %v; want %q and action %q", out.Key, out.Payload, err, tt.key, tt.action)
			}
		})
	}
}

// An operator may write what looks like an event of another tenant's line.
func TestWhatAnOperatorWritesIsNoEvent(t *testing.T) {
	theirs := strings.Replace(inner, "66f2aa01", "another-tenants", 1)
	mine := strings.Replace(inner, `"hi"`, quote(theirs), 1)
	for name, text := range map[string]string{
		"at the root": mine, "in payload": `{"payload":` + mine + `}`, "in data": `{"data":` + mine + `}`, "in a text": quote(mine),
	} {
		a := newApp(t, "event_paths", "message,payload.message,data.message,payload,data,.")
		if out := a.event(text); out.Key != "line:66f2aa01" {
			t.Errorf("%s, it was routed to %q", name, out.Key)
		}
	}
}

func TestEventsThatAreNobodys(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		kept       bool
	}{
		{"about a chat", `{"entity":"chat","payload":{"id":"c-1"}}`, false},
		{"about a lead", `{"data":{"entity":"lead","action":"update","user_id":7}}`, false},
		{"a message on no line", `{"payload":{"id":"m-1","chatId":"c-1","message":"hi"}}`, false},
		{"a message on a line of null", `{"payload":{"id":"m-1","chatId":"c-1","message":"hi","externalLine":null}}`, false},
		{"a message on a line with a long name", `{"payload":{"id":"m-1","chatId":"c-1","message":"hi","externalLine":"` + strings.Repeat("x", 300) + `"}}`, false},
		{"in another wrapper", `{"entity":"message","body":` + inner + `}`, true},
		{"without an id", `{"payload":{"chatId":"c-1","message":"hi"}}`, true},
		{"no JSON", "hello", true},
		{"a list", "[1,2]", true},
		{"nothing", "", true},
		{"texts without end", quote(quote(quote(quote(inner)))), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t)
			out := a.event(tt.text)
			if out.Rejected != nil || !out.Answered || out.Response.Status != 200 {
				t.Errorf("it was answered %+v, want 200", out)
			}
			if _, kept := a.h.KV()[prefixQuarantine+"0"]; kept != tt.kept {
				t.Errorf("put aside: %v, want %v; %v", kept, tt.kept, a.h.KV())
			}
		})
	}
}

func TestTheQuarantineIsBoundedAndHoldsNoWords(t *testing.T) {
	a := newApp(t)
	for n := range quarantined + 5 {
		a.event(fmt.Sprintf(`{"body":{"text":"a secret of Dana's","n":%d,"list":[true,null,{"Dana Petrova":"x"}]}}`, n))
	}
	kept := 0
	for key, value := range a.h.KV() {
		if !strings.HasPrefix(key, prefixQuarantine) {
			continue
		}
		kept++
		if strings.Contains(value, "Dana") || strings.Contains(value, "secret") || !strings.Contains(value, `\"body\"`) {
			t.Errorf("%s holds %s", key, value)
		}
	}
	if count := a.h.KV()[keyQuarantineCount]; kept != quarantined || count != fmt.Sprint(quarantined+5) {
		t.Errorf("%d are kept, and %s were counted", kept, count)
	}
}

func TestOutline(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`{"a":"b","c":[1,-2.5e7,true,null]}`, `{"a":"(1)","c":[0,0,?,?]}`},
		{`{"a b":"x"}`, `{"(3)":"(1)"}`},
		{`{"a\"b" : "x\\"}`, `{"(4)" : "(3)"}`},
		{`"open`, `"(4)"`},
		{`"\`, `"(1)"`},
		{`secret words`, `? ?`},
		{"", ""},
	} {
		if got := outline(tt.in); got != tt.want {
			t.Errorf("outline(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
