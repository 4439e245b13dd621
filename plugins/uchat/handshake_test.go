package main

import (
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// shake is a world in which a set call is under way.
func shake(t *testing.T) *world {
	w := newWorld(t)
	w.kv[keyChannel] = entry{value: channel{state: channelVerifying}.encode(), version: 1}
	return w
}

func TestHandshake(t *testing.T) {
	const challenge = "6f1d2c0b9a8e4d77b1c3a5e9f0d24c68"
	const right = "hub_mode=subscribe&hub_verify_token=vk_5hJ0123456789&hub_challenge=" + challenge
	for _, tt := range []struct {
		name, method, query, body string
		status                    int64
	}{
		{"a form", "POST", "", right, 200},
		{"a form with dots", "POST", "", strings.ReplaceAll(right, "hub_", "hub."), 200},
		{"a form with escapes", "POST", "", strings.ReplaceAll(right, "vk_", "vk%5F"), 200},
		{"a query", "POST", right, "", 200},
		{"a query by GET", "GET", right, "", 200},
		{"a query with dots by GET", "GET", strings.ReplaceAll(right, "hub_", "hub."), "", 200},
		{"JSON", "POST", "", `{"hub_mode":"subscribe","hub_verify_token":"vk_5hJ0123456789","hub_challenge":"` + challenge + `"}`, 200},
		{"JSON with dots", "POST", "", `{"hub.mode":"subscribe","hub.verify_token":"vk_5hJ0123456789","hub.challenge":"` + challenge + `"}`, 200},
		{"another token", "POST", "", strings.ReplaceAll(right, "vk_", "vx_"), 403},
		{"no token", "POST", "", "hub_mode=subscribe&hub_challenge=x", 403},
		{"an empty token", "POST", "", "hub_mode=subscribe&hub_verify_token=&hub_challenge=x", 403},
		{"another mode", "POST", "", strings.ReplaceAll(right, "=subscribe", "=unsubscribe"), 403},
		{"an empty challenge", "POST", "", strings.ReplaceAll(right, challenge, ""), 403},
		{"markup for a challenge", "POST", "", strings.ReplaceAll(right, challenge, "<script>x"), 403},
		{"a long challenge", "POST", "", strings.ReplaceAll(right, challenge, strings.Repeat("x", 257)), 403},
		{"a challenge of another type", "POST", "", `{"hub_mode":"subscribe","hub_verify_token":"vk_5hJ0123456789","hub_challenge":{}}`, 403},
		{"no challenge", "GET", "hub_mode=subscribe", "", 405},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := shake(t)
			w.set("signature_mode", "enforce")
			out := w.request(contract.Delivery{Method: tt.method, Query: tt.query}, tt.body)
			if out.Response.Status != tt.status {
				t.Fatalf("answered %+v, want %d", out, tt.status)
			}
			if (out.Rejected == nil) != (tt.status == 200) {
				t.Errorf("rejected %+v", out.Rejected)
			}
			if tt.status != 200 {
				return
			}
			headers := map[string]string{}
			for _, h := range out.Response.Headers {
				headers[h.Name] = h.Value
			}
			if out.Response.Body != challenge || headers["Content-Type"] != "text/plain" || headers["X-Content-Type-Options"] != "nosniff" {
				t.Errorf("answered %+v, want the challenge as text/plain, not to be sniffed", out.Response)
			}
		})
	}
}

func TestAHandshakeIsAnsweredOnlyWhenItIsDue(t *testing.T) {
	for state, want := range map[string]int64{
		"": 403, channelVerifying: 200, channelReady: 200, channelUnverified: 403, channelError: 403, channelRemoved: 403,
	} {
		w := newWorld(t)
		if state != "" {
			w.kv[keyChannel] = entry{value: channel{state: state}.encode(), version: 1}
		}
		out := w.request(contract.Delivery{}, "hub_mode=subscribe&hub_verify_token=vk_5hJ0123456789&hub_challenge=x")
		if out.Response.Status != want {
			t.Errorf("in state %q a handshake is answered %d, want %d", state, out.Response.Status, want)
		}
	}
}

func TestHandshakesAreLimited(t *testing.T) {
	w := shake(t)
	ask := func() int64 {
		return w.request(contract.Delivery{}, "hub_mode=subscribe&hub_verify_token=vk_5hJ0123456789&hub_challenge=x").Response.Status
	}
	for i := range 10 {
		if got := ask(); got != 200 {
			t.Fatalf("handshake %d is answered %d", i, got)
		}
	}
	if got := ask(); got != 429 {
		t.Errorf("the eleventh handshake within a minute is answered %d, want 429", got)
	}
	w.now = w.now.Add(time.Minute)
	if got := ask(); got != 200 {
		t.Errorf("a minute later a handshake is answered %d", got)
	}
}

// FuzzHandshake claims that whatever is answered 200 had the right token, and gets its own
// challenge back, which is harmless.
func FuzzHandshake(f *testing.F) {
	f.Add("hub_mode=subscribe&hub_verify_token=vk_5hJ0123456789&hub_challenge=abc", "")
	f.Add("", `{"hub_mode":"subscribe","hub_verify_token":"vk_5hJ0123456789","hub_challenge":"abc"}`)
	f.Add("hub.mode=%73ubscribe&hub.verify_token=%zz&hub.challenge=%", "hub_challenge=1&hub_challenge=2")
	f.Fuzz(func(t *testing.T, query, body string) {
		s, ok := findHandshake(query, body)
		if ok && !strings.Contains(query+body, "challenge") && !strings.Contains(query+body, "%") && !strings.Contains(query+body, `\u`) {
			t.Errorf("%q %q is no handshake, and was read as %+v", query, body, s)
		}
		w := newWorld(t)
		w.kv[keyChannel] = entry{value: channel{state: channelReady}.encode(), version: 1}
		out := w.request(contract.Delivery{Query: query}, body)
		if out.Response.Status == 200 && out.Response.Body != "" && (s.token != w.secrets["verification_key"] || out.Response.Body != s.challenge) {
			t.Errorf("%q %q was answered %+v", query, body, out.Response)
		}
	})
}
