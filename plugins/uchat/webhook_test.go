package main

import (
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// answering scripts the platform: one answer for each request, the last one for ever.
func answering(w *world, answers ...contract.HTTPResult) *world {
	n := 0
	w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
		a := answers[min(n, len(answers)-1)]
		n++
		if a.Error != nil {
			return nil, a.Error
		}
		return &a, nil
	}
	return w
}

func ok(data string) contract.HTTPResult {
	return contract.HTTPResult{Status: 200, Body: `{"status":"ok","data":{` + data + `}}`}
}

const (
	oursVerified = `"webhook_url":"{{credential:receive_url}}","webhook_verification_key":"{{secret:verification_key}}","webhook_status":"verified","bot_url":"` + botURL + `"`
	noWebhook    = `"webhook_url":null,"bot_url":"` + botURL + `"`
)

func TestTheCallsOfASetup(t *testing.T) {
	w := answering(newWorld(t), ok(noWebhook), ok(oursVerified))
	out := w.run(contract.ExportSetupConnection, &contract.SetupConnectionInput{Command: w.command(), Connection: w.connection()})
	if len(w.sent) > 0 || len(w.due) != 1 || len(out.Setup) == 0 {
		t.Fatalf("setup itself called %d times and asked for %d commands", len(w.sent), len(w.due))
	}
	w.wantState("connecting verifying")
	w.advance(0)
	var all strings.Builder
	for _, r := range w.sent {
		all.WriteString(r.Method + " " + r.URL + "\n")
		for _, h := range r.Headers {
			all.WriteString(h.Name + ": " + h.Value + "\n")
		}
		all.WriteString(r.Body + "\n\n")
	}
	wantGolden(t, "setup.txt", all.String())
	w.wantState("connecting learning")
}

func TestWhatSetComesTo(t *testing.T) {
	result := func(status int64, body string) contract.HTTPResult {
		return contract.HTTPResult{Status: status, Body: body}
	}
	for _, tt := range []struct {
		name    string
		answers []contract.HTTPResult
		class   contract.FailureClass
		state   string
		says    string
	}{
		{"no webhook yet, by 404", []contract.HTTPResult{result(404, ""), ok(oursVerified)}, "", "connecting learning", ""},
		{"ours already", []contract.HTTPResult{ok(oursVerified)}, "", "connecting learning", ""},
		{"another one's", []contract.HTTPResult{ok(`"webhook_url":"https://x/y"`)}, "permanent", "needs_action webhook_taken", ""},
		{"another status of the webhook", []contract.HTTPResult{ok(noWebhook), ok(`"webhook_status":"pending"`)}, "permanent", "needs_action handshake_failed", "pending"},
		{"another status of the answer", []contract.HTTPResult{ok(noWebhook), result(200, `{"status":"error","message":"Api Chat is off"}`)}, "permanent", "needs_action platform_refused", "Api Chat is off"},
		{"no bot URL in the answer", []contract.HTTPResult{ok(noWebhook), ok(`"webhook_status":"verified"`), ok(oursVerified)}, "", "connecting learning", ""},
		{"a bot URL by http", []contract.HTTPResult{ok(noWebhook), ok(`"webhook_status":"verified","bot_url":"http://bot.dfktv2.com/x"`)}, "permanent", "needs_action bot_url_refused", ""},
		{"a bot URL elsewhere", []contract.HTTPResult{ok(noWebhook), ok(`"webhook_status":"verified","bot_url":"https://evil.example/x"`)}, "permanent", "needs_action bot_host_refused", "evil.example"},
		{"no JSON", []contract.HTTPResult{result(200, "<html>")}, "permanent", "needs_action answer_unreadable", ""},
		{"a wrong key", []contract.HTTPResult{result(401, `{"message":"Unauthenticated."}`)}, "reauthorise", "needs_action token_refused", "Unauthenticated."},
		{"errors by field", []contract.HTTPResult{ok(noWebhook), result(422, `{"errors":{"webhook_url":["is no URL"]}}`)}, "permanent", "needs_action platform_refused", "is no URL"},
		{"an outage", []contract.HTTPResult{result(503, "")}, "retry", "connecting verifying", ""},
		{"no answer", []contract.HTTPResult{{Error: &contract.HostError{Code: contract.HostTimeout}}}, "retry", "connecting verifying", ""},
		{"a limit", []contract.HTTPResult{{Status: 429, Headers: []contract.Header{{Name: "Retry-After", Value: "5"}}}}, "retry_after", "connecting verifying", ""},
		{"no grant", []contract.HTTPResult{{Error: &contract.HostError{Code: contract.HostDenied, Certain: true}}}, "permanent", "needs_action egress_refused", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := answering(newWorld(t), tt.answers...)
			out := w.setup()
			class, says := contract.FailureClass(""), ""
			if out.Failure != nil {
				class, says = out.Failure.Class, out.Failure.Message
			}
			if class != tt.class || !strings.Contains(says, tt.says) {
				t.Errorf("came to %q, %q; want %q, %q", class, says, tt.class, tt.says)
			}
			w.wantState(tt.state)
		})
	}
}

func TestOnlyTheNewestSetupCounts(t *testing.T) {
	w := answering(newWorld(t), ok(noWebhook), ok(oursVerified))
	in := func() *contract.SetupConnectionInput {
		return &contract.SetupConnectionInput{Command: w.command(), Connection: w.connection()}
	}
	w.run(contract.ExportSetupConnection, in())
	w.now = w.now.Add(time.Second)
	w.run(contract.ExportSetupConnection, in())
	w.advance(0)
	if len(w.sent) != 2 {
		t.Errorf("two setups made %d calls, want the two of the newest", len(w.sent))
	}
}

func TestARefusedPartnerKeyLeavesAWorkingBotAlone(t *testing.T) {
	w := newWorld(t).live()
	answering(w, contract.HTTPResult{Status: 401})
	w.setup()
	w.wantState("needs_action token_refused")
	answering(w, contract.HTTPResult{Status: 200})
	if out := w.write("msg_1", text1("hello")); out.Sent == nil {
		t.Errorf("a message came to %+v", out.Failure)
	}
	w.wantState("") // the partner's key is no better for it
	answering(w, ok(oursVerified))
	w.run(contract.ExportCheckHealth, &contract.CheckHealthInput{Command: w.command(), Connection: w.connection()})
	w.wantState("connected verified")
}

func TestSettingsThatAreRefused(t *testing.T) {
	for name, extra := range map[string][]string{
		"no workspace":              {"workspace_id", ""},
		"a workspace with a path":   {"workspace_id", "../1"},
		"a partner with a path":     {"partner_url", "https://x.example/api"},
		"a reseller without URL":    {"partner_api_style", "nicochat"},
		"manual without bot URL":    {"partner_api_style", "manual"},
		"a manual bot elsewhere":    {"partner_api_style", "manual", "bot_url", "https://evil.example/x"},
		"a bot on another port":     {"partner_api_style", "manual", "bot_url", "https://bot.dfktv2.com:8443/x"},
		"a header that is none":     {"signature_mode", "enforce", "signature_header", "X Y"},
		"a bot with an odd address": {"partner_api_style", "manual", "bot_url", "https://bot.dfktv2.com@evil.example/x"},
	} {
		if out := newWorld(t, extra...).setup(); out.Failure == nil || out.Failure.Code != "setting_invalid" {
			t.Errorf("%s came to %+v", name, out)
		}
	}
}

func TestChoosingASchemeLetsGoWhatIsHeld(t *testing.T) {
	for mode, want := range map[string]int{modeEnforce: 1, modeOpen: 2} {
		w := opened(t)
		w.say(strings.Replace(hello, "m-1", "m-0", 1) + " ") // genuine, held as the window is closed
		delete(w.kv, keyPin)
		w.events = nil
		w.kv[keyLearning] = entry{value: learning{}.encode(), version: 1}
		w.say(hello)
		w.deliver(strings.Replace(hello, "m-1", "m-2", 1), scheme{})
		if len(w.events) > 0 {
			t.Fatalf("%d events came before a scheme was chosen", len(w.events))
		}
		answering(w, ok(oursVerified)).set("signature_mode", mode)
		w.setup()
		got := 0
		for _, e := range w.events {
			if e.Message != nil {
				got++
			}
		}
		if got != want {
			t.Errorf("%s let %d messages go, want %d", mode, got, want)
		}
		w.set("signature_mode", "learn")
		w.setup()
		if _, found, _ := loadPin(w.begin("")); found {
			t.Errorf("%s kept what had been learned", mode)
		}
	}
}

func TestALateLookAtLearningIsForTheWindowOfItsTime(t *testing.T) {
	w := answering(newWorld(t), ok(oursVerified))
	w.setup()
	w.advance(5 * time.Minute)
	w.setup() // another window
	w.events = nil
	w.advance(6 * time.Minute)
	w.wantState("")
	w.advance(5 * time.Minute)
	w.wantState("needs_action signature_unknown")
	out := w.run(contract.ExportCheckHealth, &contract.CheckHealthInput{Command: w.command(), Connection: w.connection()})
	if out.Health == nil || !strings.Contains(out.Health.Detail, "No message") {
		t.Errorf("with the window closed the health is %+v", out.Health)
	}
}
