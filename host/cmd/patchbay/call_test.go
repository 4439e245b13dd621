package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox"
)

func TestAnswersAreReadAsTheyAreMeant(t *testing.T) {
	file := filepath.Join(t.TempDir(), "host.json")
	text := `{"kv_get": [{"found": true, "value": "a"}, {"found":false}], "delivery_body": "a=1&b=2", "media_fetch": [{"base64": "AP8="}],
		"http_send": {"status": 200}, "kv_list": [{"json": {"entries": [ ]}}, null], "greet": ["hi"], "kv_put": []}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	host, err := readAnswers(file)
	if err != nil {
		t.Fatal(err)
	}
	for function, want := range map[string][]string{
		"kv_get":        {`{"found":true,"value":"a"}`, `{"found":false}`, `{"found":false}`},
		"delivery_body": {"a=1&b=2", "a=1&b=2"},
		"media_fetch":   {"\x00\xff"},
		"http_send":     {`{"status":200}`, `{"status":200}`},
		"kv_list":       {`{"entries":[]}`, ""},
		"greet":         {"hi"},
	} {
		for i, answer := range want {
			if got, err := host[function](context.Background(), nil); string(got) != answer || err != nil {
				t.Errorf("call %d of %s is answered %q, %v; want %q", i, function, got, err, answer)
			}
		}
	}
	for _, function := range []string{"kv_put", "secret_equal"} {
		missing := new(unanswered)
		if got, err := host[function](context.Background(), nil); !errors.As(err, &missing) || missing.function != function {
			t.Errorf("%s is answered %q, %v; want that there is no answer", function, got, err)
		}
	}
}

func TestAHostThatCannotBeReadIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "host.json")
	for text, want := range map[string]string{
		"[]": "neither answers by name nor a recording", "{": "neither", `{"a":1,"a":2}`: "neither", `{"format": 1}`: "host.json: read recording: it does not name",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readAnswers(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestASeedIsFilledUp(t *testing.T) {
	if seed, err := seedOf("01ff"); err != nil || seed[0] != 1 || seed[1] != 0xff || seed[31] != 0 {
		t.Errorf("got %x, %v", seed, err)
	}
	first, err := seedOf("")
	again, againErr := seedOf("")
	if err != nil || againErr != nil || first == again {
		t.Errorf("two seeds of chance are %x and %x", first, again)
	}
	for _, wrong := range []string{"g", strings.Repeat("00", 33)} {
		if seed, err := seedOf(wrong); err == nil {
			t.Errorf("%q was read as %x", wrong, seed)
		}
	}
}

func TestAFailureIsExplained(t *testing.T) {
	s, c := &session{}, &pluginCall{}
	trap := &sandbox.Trap{Export: "receive", Cause: "unreachable", Stack: "main.a()\nmain.b()", Stderr: "panic: oops\n\x1b[2J"}
	for _, tt := range []struct {
		name       string
		err        error
		text, hint string
	}{
		{"a trap", trap, "receive trapped: unreachable\nstandard error:\n  panic: oops\n  \x1b[2J\nstack:\n  main.a()\n  main.b()", ""},
		{"a limit that came out as a trap", &sandbox.LimitError{Limit: "blocks", Allowed: 1, Used: 2, Err: &sandbox.Trap{Export: "receive", Cause: "unreachable"}},
			"limit blocks: 2 wanted, 1 allowed: receive trapped: unreachable", ""},
		{"fuel", &sandbox.LimitError{Limit: "fuel", Allowed: 1, Used: 2}, "limit fuel: 2 wanted, 1 allowed", "give it more with --fuel"},
		{"no answer", &sandbox.HostFault{Function: "kv_get", Err: &unanswered{"kv_get"}}, "host function kv_get: no answer was given for it",
			`give it an answer: --host FILE with {"kv_get": [...]}`},
		{"a failure of the plugin's", &sandbox.GuestError{Export: "receive", Code: 3, Message: "no"}, "receive failed with code 3: no", ""},
	} {
		if got := s.explain(c.explain(nil, tt.err)); got.text != tt.text || got.hint != tt.hint || got.code != exitFailure {
			t.Errorf("%s is explained as %+v, want %q and hint %q", tt.name, got, tt.text, tt.hint)
		}
	}
}
