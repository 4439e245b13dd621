package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

func connectBody(url, id string) string {
	return envelopeOf("connect", `"channelId":"`+id+`",`, `{"webhook":"`+url+`"}`)
}

func TestConnect(t *testing.T) {
	w := newWorld(t)
	out := w.deliver(connectBody(hook, "ch-1"))
	if out.Response.Status != 200 || out.Response.Body != "{}" {
		t.Errorf("connect was answered %+v, want 200 {}", out.Response)
	}
	w.wantEvents("connection.state connected")
	w.say("msg_1", "hello")
	if got := w.sent[0].URL; got != hook {
		t.Errorf("posted to %q, want the callback URL %q", got, hook)
	}
}

func TestConnectOfADubiousURLIsRefused(t *testing.T) {
	for _, tt := range []struct{ name, url, code string }{
		{"plain http", "http://acme.elma365.example/x", "callback_refused"},
		{"another host", "https://evil.example/x", "callback_refused"},
		{"the host as user information", "https://acme.elma365.example@evil.example/x", "callback_refused"},
		{"another port", "https://acme.elma365.example:8443/x", "callback_refused"},
		{"a loopback address", "https://127.0.0.1/x", "callback_refused"},
		{"no URL at all", "hello", "callback_refused"},
		{"nothing", "", "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			out := w.deliver(connectBody(tt.url, "ch-1"))
			if out.Rejected == nil || out.Rejected.Code != tt.code || out.Response.Status/100 != 4 {
				t.Errorf("connect with %q was answered %d %+v, want rejected as %s", tt.url, out.Response.Status, out.Rejected, tt.code)
			}
			if got := w.say("msg_1", "hello"); got.Failure == nil || got.Failure.Code != "not_connected" {
				t.Errorf("after it, a send came to %+v", got)
			}
		})
	}
}

func TestConnectAgain(t *testing.T) {
	const other = "https://new.elma365.example"
	for _, tt := range []struct {
		name  string
		setup func(w *world)
		url   string
		code  string
	}{
		{"the same channel", func(*world) {}, hook, ""},
		{"a recreated channel", func(*world) {}, company + "/api/messengers/external/other/webhook/ch-9", ""},
		{"another host while active", func(w *world) { w.settings["company_url"] = other }, other + "/x", "host_change"},
		{"another host, allowed", func(w *world) {
			w.settings["company_url"], w.settings["allow_host_change"] = other, "true"
		}, other + "/x", ""},
		{"another host after disconnect", func(w *world) {
			w.deliver(envelopeOf("disconnect", "", ""))
			w.settings["company_url"] = other
		}, other + "/x", ""},
		{"another host, allowed but not the company's", func(w *world) { w.settings["allow_host_change"] = "true" }, other + "/x", "callback_refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t).connect()
			tt.setup(w)
			out := w.deliver(connectBody(tt.url, "ch-9"))
			code := ""
			if out.Rejected != nil {
				code = out.Rejected.Code
			}
			if code != tt.code {
				t.Fatalf("connect was rejected as %q, want %q", code, tt.code)
			}
			if code != "" {
				return
			}
			w.say("msg_1", "hello")
			if got := w.sent[0].URL; got != tt.url {
				t.Errorf("posted to %q, want %q", got, tt.url)
			}
			if out := w.deliver(envelopeOf("message", `"channelId":"ch-1",`, `{"targetChatId":"tg-553201","text":"x"}`)); out.Response.Status != 404 {
				t.Errorf("the old channel's message was answered %d, want 404", out.Response.Status)
			}
		})
	}
}

// TestStates walks the connection's state machine (protocol section 7).
func TestStates(t *testing.T) {
	status := func(code int64) func(*world) {
		return func(w *world) {
			w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
				return &contract.HTTPResult{Status: code}, nil
			}
			w.say("msg_"+w.now.String()[14:23], "hello")
		}
	}
	connect := func(w *world) { w.deliver(connectBody(hook, "ch-1")) }
	disconnect := func(w *world) { w.deliver(envelopeOf("disconnect", `"channelId":"ch-1",`, "")) }
	teardown := func(w *world) {
		w.run(contract.ExportTeardownConnection, &contract.TeardownConnectionInput{Command: w.command(), Connection: w.connection()})
	}
	setup := func(w *world) {
		w.run(contract.ExportSetupConnection, &contract.SetupConnectionInput{Command: w.command(), Connection: w.connection()})
	}
	times := func(n int, f func(*world)) func(*world) {
		return func(w *world) {
			for range n {
				f(w)
			}
		}
	}
	for _, tt := range []struct {
		name  string
		steps []func(*world)
		want  []string
	}{
		{"set up", []func(*world){setup}, []string{"connecting"}},
		{"connected", []func(*world){setup, connect}, []string{"connecting", "connected"}},
		{"set up again while connected", []func(*world){connect, setup}, []string{"connected"}},
		{"connected again", []func(*world){connect, connect}, []string{"connected", "connected"}},
		{"the platform disconnects", []func(*world){connect, disconnect, disconnect}, []string{"connected", "disconnected"}},
		{"a disconnect before connect", []func(*world){disconnect}, nil},
		{"a recreated channel", []func(*world){connect, disconnect, connect}, []string{"connected", "disconnected", "connected"}},
		{"the channel is gone", []func(*world){connect, status(404), status(404)}, []string{"connected", "disconnected"}},
		{"the token is refused", []func(*world){connect, status(401), status(401)}, []string{"connected", "needs_action"}},
		{"the token is accepted again", []func(*world){connect, status(401), status(200)}, []string{"connected", "needs_action", "connected"}},
		{"refused, then disconnected", []func(*world){connect, status(401), disconnect}, []string{"connected", "needs_action", "disconnected"}},
		{"nine server errors", []func(*world){connect, times(9, status(500)), status(200)}, []string{"connected"}},
		{"ten server errors", []func(*world){connect, times(12, status(503)), status(200), status(200)}, []string{"connected", "degraded", "connected"}},
		{"server errors not in a row", []func(*world){connect, times(9, status(500)), status(400), times(9, status(500))}, []string{"connected"}},
		{"server errors before a new connect", []func(*world){connect, times(9, status(500)), connect, times(9, status(500))}, []string{"connected", "connected"}},
		{"torn down", []func(*world){connect, teardown}, []string{"connected", "disconnected"}},
		{"torn down although refused", []func(*world){connect, status(401), teardown}, []string{"connected", "needs_action", "disconnected"}},
		{"torn down before connect", []func(*world){teardown}, []string{"disconnected"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			for _, step := range tt.steps {
				step(w)
			}
			var got []string
			for _, e := range w.events {
				if e.State != nil {
					got = append(got, string(e.State.State))
					if e.State.State == contract.StateNeedsAction && e.State.Action == "" {
						t.Error("needs_action without an action")
					}
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("states %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAReplyIsTakenWhateverTheState(t *testing.T) {
	w := newWorld(t).connect()
	w.say("msg_1", "hello")
	w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
		return &contract.HTTPResult{Status: 404}, nil
	}
	w.say("msg_2", "hello")
	w.deliver(envelopeOf("message", `"channelId":"ch-1",`, `{"targetChatId":"tg-553201","text":"I am still here."}`))
	w.wantEvents("connection.state disconnected", "message.created")
}

func TestAConnectDuringACallWins(t *testing.T) {
	w := newWorld(t).connect()
	w.say("msg_1", "hello")
	w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
		w.answer = nil
		w.deliver(connectBody(company+"/new", "ch-2")) // the channel was recreated while we called the old one
		return &contract.HTTPResult{Status: 404}, nil
	}
	in := &contract.SendMessageInput{Command: w.command(), Connection: w.connection(), Message: dana("msg_2", contract.Part{Kind: "text", Text: &contract.Text{Plain: "x"}})}
	if out, err := (connector{}).SendMessage(w.begin(""), in); contract.HostErrorCode(err) != contract.HostConflict {
		t.Fatalf("SendMessage returned %+v, %v; a conflict is due, so that it runs again", out, err)
	}
	if out := w.say("msg_2", "x"); out.Sent == nil || w.sent[len(w.sent)-1].URL != company+"/new" {
		t.Errorf("the second run came to %+v at %q", out, w.sent[len(w.sent)-1].URL)
	}
}

func TestSetupTellsWhatToEnter(t *testing.T) {
	w := newWorld(t)
	out := w.run(contract.ExportSetupConnection, &contract.SetupConnectionInput{Command: w.command(), Connection: w.connection()})
	var got []string
	for _, s := range out.Setup {
		got = append(got, s.Label+"="+s.Value)
	}
	want := []string{"Webhook={{receive_url}}", "Confirmation code={{secret:token}}", "Company's public URL=" + company}
	if !slices.Equal(got, want) {
		t.Errorf("setup says %q, want %q", got, want)
	}
	if len(w.sent) != 0 {
		t.Error("setup called the platform, which has nothing to call yet")
	}
}

func TestSetupRefusesSettingsThatCannotWork(t *testing.T) {
	for name, value := range map[string]string{
		"company_url":          "https://acme.example@evil.example",
		"files_url":            "https://a b",
		"retry_delays_seconds": "soon",
		"user_info_keys":       "surname=x",
	} {
		w := newWorld(t, name, value)
		out := w.run(contract.ExportSetupConnection, &contract.SetupConnectionInput{Command: w.command(), Connection: w.connection()})
		if out.Failure == nil || !strings.Contains(out.Failure.Message, name) {
			t.Errorf("with %s %q, setup came to %+v", name, value, out.Failure)
		}
	}
}

func TestSetupNoticesAMovedCompany(t *testing.T) {
	w := newWorld(t).connect()
	w.settings["company_url"] = "https://new.elma365.example"
	w.run(contract.ExportSetupConnection, &contract.SetupConnectionInput{Command: w.command(), Connection: w.connection()})
	w.wantEvents("connection.state needs_action")
	if out := w.say("msg_1", "x"); out.Failure == nil || out.Failure.Code != "callback_refused" || len(w.sent) > 0 {
		t.Errorf("a send came to %+v with %d calls; the stored URL must be checked at each call", out, len(w.sent))
	}
}

func TestTeardownSaysGoodbyeOnce(t *testing.T) {
	for _, status := range []int64{200, 401, 404, 500, 0} {
		w := newWorld(t).connect()
		w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
			if status == 0 {
				return nil, &contract.HostError{Code: contract.HostTimeout}
			}
			return &contract.HTTPResult{Status: status}, nil
		}
		in := &contract.TeardownConnectionInput{Command: w.command(), Connection: w.connection()}
		if out := w.run(contract.ExportTeardownConnection, in); out.Failure != nil {
			t.Errorf("after %d, teardown failed with %+v; it must stop whatever the answer", status, out.Failure)
		}
		w.wantEvents("connection.state disconnected")
		if warned := len(w.logs) > 0; warned != (status != 200 && status != 404) {
			t.Errorf("after %d, teardown logged %q", status, w.logs)
		}
		w.run(contract.ExportTeardownConnection, in)
		w.say("msg_1", "hello")
		w.wantPosts(1)
		if want := `{"type":"disconnect","token":"{{secret:outbound_token}}"}`; w.sent[0].Body != want {
			t.Errorf("posted %s, want %s", w.sent[0].Body, want)
		}
	}
}

func TestHealthTellsWhatIsKnown(t *testing.T) {
	for _, tt := range []struct {
		name   string
		state  map[string]string
		valid  bool
		detail string
	}{
		{"before connect", nil, false, "not sent connect"},
		{"active", map[string]string{keyChannel: channel{url: hook, state: channelActive}.encode()}, true, "connected"},
		{"refused", map[string]string{keyChannel: channel{url: hook, state: channelError}.encode()}, false, "refused our token"},
		{"ended", map[string]string{keyChannel: channel{url: hook, state: channelDisconnected}.encode()}, false, "was ended"},
		{"failing", map[string]string{keyChannel: channel{url: hook, state: channelActive}.encode(), keyFaults: "10"}, true, "server errors"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			for key, value := range tt.state {
				w.kv[key] = entry{value, 1}
			}
			out := w.run(contract.ExportCheckHealth, &contract.CheckHealthInput{Command: w.command(), Connection: w.connection()})
			if h := out.Health; h.CredentialsValid != tt.valid || !strings.Contains(h.Detail, tt.detail) || !strings.Contains(h.Detail, "no way to ask") {
				t.Errorf("health %+v, want %v and %q", h, tt.valid, tt.detail)
			}
			if len(w.sent) != 0 {
				t.Error("check_health called the platform, which has nothing to be asked")
			}
		})
	}
}

func TestManifestSaysTheSame(t *testing.T) {
	m := pdktest.LoadManifest(t, "plugin.yaml")
	want := pdk.Abilities(connector{})
	slices.Sort(want)
	got := slices.Clone(m.Abilities)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("plugin.yaml lists the abilities %q, the connector has %q", got, want)
	}
	told := settings(defaults(t, nil)).capabilities()
	if !slices.EqualFunc(m.Capabilities, told, func(a, b contract.Capability) bool {
		return a.Feature == b.Feature && a.Support == b.Support && a.Note == b.Note
	}) {
		t.Errorf("plugin.yaml lists the capabilities %+v, the connector %+v", m.Capabilities, told)
	}
	if problem := settings(defaults(t, map[string]string{"company_url": company})).problem(); problem != "" {
		t.Errorf("the manifest's own defaults are refused: %s", problem)
	}
}
