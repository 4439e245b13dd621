package main

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func base64Of(mac []byte) string { return base64.StdEncoding.EncodeToString(mac) }

const hello = `{"recipient": {"id": "tg-553201"}, "message": {"mid": "m-1", "text": "Grüße / hello"}}`

func TestEnforcedSignatures(t *testing.T) {
	signature := func(w *world, body string) contract.Header {
		return contract.Header{Name: "x-hub-signature-256", Value: w.sign(body, meta)}
	}
	for _, tt := range []struct {
		name    string
		headers func(w *world) []contract.Header
		status  int64
		code    string
	}{
		{"a genuine one", func(w *world) []contract.Header { return []contract.Header{signature(w, hello)} }, 200, ""},
		{"without prefix", func(w *world) []contract.Header {
			h := signature(w, hello)
			h.Value = strings.TrimPrefix(h.Value, "sha256=")
			return []contract.Header{h}
		}, 200, ""},
		{"none", func(*world) []contract.Header { return nil }, 401, "signature_missing"},
		{"two", func(w *world) []contract.Header { return []contract.Header{signature(w, hello), signature(w, hello)} }, 401, "signature_missing"},
		{"of another body", func(w *world) []contract.Header { return []contract.Header{signature(w, hello+" ")} }, 401, "signature_mismatch"},
		{"in another header", func(w *world) []contract.Header {
			return []contract.Header{{Name: "X-Signature", Value: w.sign(hello, meta)}}
		}, 401, "signature_missing"},
		{"with another key", func(w *world) []contract.Header {
			return []contract.Header{{Name: meta.header, Value: w.sign(hello, scheme{algorithm: "sha256", key: "flow_key"})}}
		}, 401, "signature_mismatch"},
		{"no hex", func(*world) []contract.Header { return []contract.Header{{Name: meta.header, Value: "sha256=zz"}} }, 401, "signature_mismatch"},
		{"empty", func(*world) []contract.Header { return []contract.Header{{Name: meta.header}} }, 401, "signature_mismatch"},
		{"half", func(w *world) []contract.Header {
			return []contract.Header{{Name: meta.header, Value: w.sign(hello, meta)[:40]}}
		}, 401, "signature_mismatch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, mode := range []string{"learn", "enforce"} {
				w := newWorld(t, "signature_mode", mode).live()
				out := w.request(contract.Delivery{Headers: tt.headers(w)}, hello)
				code := ""
				if out.Rejected != nil {
					code = out.Rejected.Code
				}
				if out.Response.Status != tt.status || code != tt.code || (len(w.events) > 0) != (tt.status == 200) {
					t.Errorf("%s: answered %d %q with %d events, want %d %q", mode, out.Response.Status, code, len(w.events), tt.status, tt.code)
				}
			}
		})
	}
}

func TestReceiveRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		d      contract.Delivery
		body   string
		status int64
	}{
		{"a path below", contract.Delivery{Path: "/x"}, hello, 404},
		{"another method", contract.Delivery{Method: "PUT"}, hello, 405},
		{"a body over 1 MiB", contract.Delivery{}, strings.Repeat("x", 1<<20+1), 413},
		{"a list", contract.Delivery{}, `[]`, 400},
		{"no JSON", contract.Delivery{}, `hello`, 400},
		{"a name twice", contract.Delivery{}, `{"content":"a","content":"b"}`, 400},
		{"a text of another type", contract.Delivery{}, `{"conversation_id":4210077,"content":{}}`, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t).live()
			tt.d.Headers = []contract.Header{{Name: meta.header, Value: w.sign(tt.body, meta)}}
			if out := w.request(tt.d, tt.body); out.Response.Status != tt.status || out.Rejected == nil || len(w.events) > 0 {
				t.Errorf("answered %+v, want %d and a rejection", out, tt.status)
			}
		})
	}
	if out := newWorld(t).say(hello); out.Response.Status != 404 {
		t.Errorf("before setup a message is answered %d, want 404", out.Response.Status)
	}
}

func TestWithSecretPathOnlyAnythingIsTaken(t *testing.T) {
	w := newWorld(t, "signature_mode", "secret_path_only").live()
	if out := w.deliver(hello, scheme{}); out.Response.Status != 200 || len(w.events) != 1 {
		t.Errorf("an unsigned message was answered %+v with %d events", out, len(w.events))
	}
}

// opened is a world whose window for learning is open.
func opened(t *testing.T) *world {
	w := newWorld(t).live()
	delete(w.kv, keyPin)
	w.kv[keyLearning] = entry{value: learning{until: w.now.Add(learningWindow).UnixMilli()}.encode(), version: 1}
	return w
}

func TestEachSchemeOfTheGridIsLearned(t *testing.T) {
	headers := append(slices.Clone(likelyHeaders), "X-Acme-Hmac", "Acme-Signature")
	for _, header := range headers {
		for _, algorithm := range gridAlgorithms {
			for _, key := range gridKeys {
				for _, body := range []string{"raw", "php"} {
					for _, encoding := range gridEncodings {
						s := scheme{header: header, algorithm: algorithm, key: key, signed: body, encoding: encoding}
						w := opened(t)
						if out := w.deliver(hello, s); out.Response.Status != 200 || len(w.events) != 2 {
							t.Fatalf("%+v: answered %+v with %d events, want the state and the message", s, out, len(w.events))
						}
						got, _, err := loadPin(w.begin(""))
						if err != nil || got != s {
							t.Errorf("%+v was learned as %+v, %v", s, got, err)
						}
						if out := w.deliver(hello, scheme{}); out.Response.Status != 401 {
							t.Errorf("after learning, an unsigned message is answered %d", out.Response.Status)
						}
					}
				}
			}
		}
	}
}

func TestWhatIsHeldGoesOutInOrderOnceItIsLearned(t *testing.T) {
	w := opened(t)
	delete(w.kv, keyLearning) // messages come before the window opens
	body := func(n string) string { return `{"conversation_id":4210077,"content":"` + n + `","id":` + n + `}` }
	w.say(body("1"))
	w.deliver(body("2"), scheme{}) // forged, or at least not signed
	w.say(body("3"))
	w.say(body("3")) // a repeat
	if len(w.events) != 0 {
		t.Fatalf("%d events came out of quarantine", len(w.events))
	}
	w.kv[keyLearning] = entry{value: learning{until: w.now.Add(time.Minute).UnixMilli()}.encode(), version: 1}
	w.say(body("4"))
	var words []string
	for _, e := range w.events {
		if e.Message != nil {
			words = append(words, e.Message.Parts[0].Text.Plain)
		} else {
			words = append(words, e.State.Code)
		}
	}
	if want := []string{"verified", "1", "3", "4"}; !slices.Equal(words, want) {
		t.Errorf("what came out is %q, want %q", words, want)
	}
	for key := range w.kv {
		if strings.HasPrefix(key, prefixHeld) {
			t.Errorf("%s is still held", key)
		}
	}
}

func TestAmbiguousAndUnknownSignaturesPinNothing(t *testing.T) {
	w := opened(t)
	d := contract.Delivery{Headers: []contract.Header{
		{Name: "Host", Value: "x"}, {Name: "X-Hub-Signature-256", Value: w.sign(hello, meta)},
		{Name: "X-Signature", Value: w.sign(hello, meta)}, {Name: "X-Acme", Value: "top-secret"},
	}}
	if out := w.request(d, hello); out.Response.Status != 200 || len(w.events) != 0 {
		t.Errorf("two signatures that fit were answered %+v with %d events", out, len(w.events))
	}
	if _, found, _ := loadPin(w.begin("")); found {
		t.Error("one of two signatures that fit was pinned")
	}
	w.kv[keyLearning] = entry{value: w.kv[keyLearning].value, version: 1}
	window, _, _ := loadLearning(w.begin(""))
	if window.names != "x-hub-signature-256, x-signature, x-acme" {
		t.Errorf("the names that were kept are %q", window.names)
	}
	w.due = []dueWork{{w.now, workLearned + " " + strconv.FormatInt(window.until, 10)}}
	w.advance(0)
	if reason := w.events[0].State.Reason; !strings.Contains(reason, "x-acme") || strings.Contains(reason, "top-secret") {
		t.Errorf("the operator is told %q", reason)
	}
	w.wantState("needs_action signature_unknown")
}

func TestNothingIsLearnedOutsideTheWindow(t *testing.T) {
	w := opened(t)
	w.now = w.now.Add(learningWindow)
	w.say(hello)
	if _, found, _ := loadPin(w.begin("")); found || len(w.events) > 0 {
		t.Errorf("a message after the window was learned from")
	}
}

func TestTheQuarantineIsBounded(t *testing.T) {
	w := opened(t)
	for i := range maxHeld {
		if out := w.deliver(hello, scheme{}); out.Response.Status != 200 {
			t.Fatalf("delivery %d was answered %+v", i, out)
		}
	}
	if out := w.deliver(hello, scheme{}); out.Response.Status != 429 {
		t.Errorf("one more was answered %d, want 429", out.Response.Status)
	}
	w.now = w.now.Add(25 * time.Hour)
	if out := w.deliver(hello, scheme{}); out.Response.Status != 200 {
		t.Errorf("a day later one was answered %d", out.Response.Status)
	}
	long := `{"content":"` + strings.Repeat("x", maxHeldBytes) + `"}`
	if out := w.deliver(long, scheme{}); out.Response.Status != 413 {
		t.Errorf("a long one was answered %d, want 413", out.Response.Status)
	}
	if out := w.deliver("hello", scheme{}); out.Response.Status != 400 {
		t.Errorf("no JSON was answered %d, want 400", out.Response.Status)
	}
}

func TestHeldDeliveriesKeepNobodyOut(t *testing.T) {
	w := opened(t)
	forged := w.deliver(hello, scheme{})
	genuine := w.say(hello)
	if forged.DedupeKey != "" || genuine.DedupeKey != "m::m-1" {
		t.Errorf("the dedupe keys are %q for what is held and %q for what is believed", forged.DedupeKey, genuine.DedupeKey)
	}
}

func TestPHPJSON(t *testing.T) {
	for in, want := range map[string]string{
		`{ "a" : [ 1 , 2.50 ] }`:               `{"a":[1,2.50]}`,
		`{"u":"https://x/ü"}`:                  `{"u":"https:\/\/x\/\u00fc"}`,
		`{"u":"\u00FC\ud83d\ude00\/\n\u000a"}`: `{"u":"\u00fc\ud83d\ude00\/\n\n"}`,
		"{\"u\":\"😀\u007f\"}":                  "{\"u\":\"\\ud83d\\ude00\u007f\"}",
		`{"u":"\u0001\"\\"}`:                   `{"u":"\u0001\"\\"}`,
	} {
		if got, ok := phpJSON(in); !ok || got != want {
			t.Errorf("phpJSON(%s) = %s, %v, want %s", in, got, ok, want)
		}
	}
	if _, ok := phpJSON(`{"a":`); ok {
		t.Error("half an object was taken for JSON")
	}
}

// FuzzPHPJSON claims that what PHP writes means the same, and is written the same again.
func FuzzPHPJSON(f *testing.F) {
	f.Add(`{"a":"\u00e4/\"","b":[1e3,true,null,{}]}`)
	f.Fuzz(func(t *testing.T, in string) {
		out, ok := phpJSON(in)
		if !ok {
			return
		}
		if again, _ := phpJSON(out); again != out {
			t.Errorf("%q becomes %q, and that becomes %q", in, out, again)
		}
		var a, b any
		if json.Unmarshal([]byte(in), &a) != nil || json.Unmarshal([]byte(out), &b) != nil {
			return
		}
		if x, y := mustJSON(a), mustJSON(b); x != y {
			t.Errorf("%q becomes %q, which means %s and not %s", in, out, y, x)
		}
	})
}

func mustJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	return string(data)
}

func TestManyBadSignaturesAreToldAndAGoodOneHeals(t *testing.T) {
	w := newWorld(t).live()
	out := w.deliver(hello, scheme{})
	if r := out.Rejected; r.Limit != 20 || r.TooMany == nil || r.TooMany.State != contract.StateNeedsAction || r.TooMany.Action == "" {
		t.Errorf("a bad signature is rejected with %+v", r)
	}
	w.told = contract.StateNeedsAction
	w.say(hello)
	w.wantState("connected verified")
}
