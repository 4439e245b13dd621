package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
)

const (
	strangeARN      = "arn:aws:sns:us-east-1:666666666666:evil"
	subscribed      = topicARN + ":0a6f0a6f-7d55-5c0e-9a2b-6f5b2e0c7f10"
	confirmationXML = `<ConfirmSubscriptionResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><ConfirmSubscriptionResult>` +
		`<SubscriptionArn>` + subscribed + `</SubscriptionArn></ConfirmSubscriptionResult></ConfirmSubscriptionResponse>`
)

// confirming has SNS answer confirmations, by default with success.
func confirming(a *app, results ...contract.HTTPResult) {
	if len(results) == 0 {
		results = []contract.HTTPResult{{Status: 200, Body: confirmationXML}}
	}
	a.h.Answer("GET", "/", results...)
}

// topicIn is what is kept of a topic.
func (a *app) topicIn(arn string) topic {
	a.t.Helper()
	t, err := decodeTopic(a.h.KV()[prefixTopic+digest(arn)], 0)
	if err != nil {
		a.t.Fatalf("nothing is kept of %s: %v", arn, err)
	}
	return t
}

// setup sets the app up, as the host does after its settings changed.
func (a *app) setup() *contract.CommandOutput {
	a.t.Helper()
	return a.command(&contract.SetupConnectionInput{Command: info(), Connection: a.appConnection()})
}

func TestAKnownTopicIsConfirmed(t *testing.T) {
	a := newApp(t)
	confirming(a)
	f := signed(confirmation(kindSubscribe, topicARN))
	out := a.sns(f)
	if !out.Answered || out.Response.Status != 200 || len(out.Commands) != 1 || len(out.Events) > 0 {
		t.Fatalf("it was answered %+v", out)
	}
	if strings.Contains(out.Commands[0].Payload, f["Token"]) {
		t.Error("the token is in the command")
	}
	done := a.work(out.Commands)
	if got := statesIn(done.Events); got != "connected subscribed" {
		t.Errorf("the confirmation came to %q, %+v", got, done.Failure)
	}
	requests := a.h.Requests()
	want := "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn%3Aaws%3Asns%3Aeu-central-1%3A111122223333%3Aexample-lines&Token=" + f["Token"]
	if got := requests[len(requests)-1]; got.URL != want || got.Method != "GET" {
		t.Errorf("what was called is %s %s, want GET %s", got.Method, got.URL, want)
	}
	if kept := a.topicIn(topicARN); kept.state != topicConfirmed || kept.subscription != subscribed || kept.token != "" {
		t.Errorf("what is kept is %+v", kept)
	}
	if again := a.work(out.Commands); again.Failure != nil || len(again.Events) > 0 {
		t.Errorf("the command a second time came to %+v", again)
	}
}

func TestAnUnknownTopicIsNeverConfirmed(t *testing.T) {
	a := newApp(t)
	confirming(a)
	out := a.sns(signed(confirmation(kindSubscribe, strangeARN)))
	if !out.Answered || out.Response.Status != 200 || len(out.Commands) > 0 || statesIn(out.Events) != "needs_action topic_unapproved" {
		t.Fatalf("it was answered %+v", out)
	}
	if change := out.Events[0].State; !strings.Contains(change.Reason, strangeARN) || !strings.Contains(change.Action, "sns_topic_arns") {
		t.Errorf("the operator is told %+v", change)
	}
	set := a.setup()
	if len(set.Commands) > 0 || statesIn(set.Events) != "needs_action topic_unapproved" || len(set.Setup) != 3 || set.Setup[2].Value != strangeARN {
		t.Errorf("setup came to %+v", set)
	}
	for _, r := range a.h.Requests() {
		if strings.Contains(r.URL, "Action=") {
			t.Errorf("%s was called", r.URL)
		}
	}
	wantRefused(t, a.sns(withARN(strangeARN)), 403, "topic_unknown") // a notification of it

	a.set["sns_topic_arns"] += "," + strangeARN // the operator allows it
	a.h.Answer("GET", "/", contract.HTTPResult{Status: 200, Body: strings.ReplaceAll(confirmationXML, topicARN, strangeARN)})
	set = a.setup()
	if len(set.Commands) != 1 {
		t.Fatalf("setup came to %+v", set)
	}
	if done := a.work(set.Commands); statesIn(done.Events) != "connected subscribed" {
		t.Errorf("the confirmation came to %+v", done)
	}
}

func withARN(arn string) emulator.SNSFields {
	f := notification(reply)
	name, _ := parseARN(arn)
	f["TopicArn"], f["SigningCertURL"] = arn, "https://"+name.host()+certPath
	amazon().Sign(f)
	return f
}

func TestUnknownTopicsCanBeRefusedOrIgnored(t *testing.T) {
	a := newApp(t, "sns_pending_approval", "false")
	wantRefused(t, a.sns(signed(confirmation(kindSubscribe, strangeARN))), 403, "topic_unknown")
	if len(a.h.Requests()) > 0 {
		t.Error("a certificate was fetched for it")
	}
	b := newApp(t)
	b.sns(signed(confirmation(kindSubscribe, strangeARN)))
	b.set["sns_pending_approval"] = "false"
	if got := statesIn(b.setup().Events); got != "connecting awaiting_subscription" {
		t.Errorf("an operator who wants to know of none is told %q", got)
	}
	b.pass(pendingSeconds*time.Second + time.Second)
	if len(b.h.KV()) > 0 {
		t.Errorf("it is kept for ever: %v", b.h.KV())
	}
}

func TestUnknownTopicsAreBounded(t *testing.T) {
	a := newApp(t)
	for n := range maxPendingTopics {
		out := a.sns(signed(confirmation(kindSubscribe, fmt.Sprintf("%s-%d", strangeARN, n))))
		if out.Rejected != nil {
			t.Fatalf("topic %d was refused", n)
		}
	}
	wantRefused(t, a.sns(signed(confirmation(kindSubscribe, strangeARN))), 403, "topic_unknown")
	if out := a.sns(signed(confirmation(kindSubscribe, topicARN))); len(out.Commands) != 1 {
		t.Errorf("a known topic was refused because of them: %+v", out)
	}
}

func TestTheSubscribeURLIsCheckedAndNotFollowed(t *testing.T) {
	for _, url := range []string{
		"https://evil.example/?Action=ConfirmSubscription", "https://sns.eu-central-1.amazonaws.com.evil.example/?Action=ConfirmSubscription",
		"http://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription", "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
		"https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe", "https://sns.eu-central-1.amazonaws.com/?x=Action=ConfirmSubscription",
	} {
		f := confirmation(kindSubscribe, topicARN)
		f["SubscribeURL"] = url
		wantRefused(t, newApp(t).sns(signed(f)), 403, "subscribe_url_refused")
	}
}

func TestSubscriptionsEnd(t *testing.T) {
	a := newApp(t)
	confirming(a)
	a.work(a.sns(signed(confirmation(kindSubscribe, topicARN))).Commands)
	out := a.sns(signed(confirmation(kindUnsubscribe, topicARN)))
	if statesIn(out.Events) != "needs_action sns_unsubscribed" || len(out.Commands) > 0 || out.Response.Status != 200 {
		t.Fatalf("the end came to %+v", out)
	}
	if got := statesIn(a.setup().Events); got != "needs_action sns_unsubscribed" {
		t.Errorf("after the end, setup came to %q", got)
	}
	a.set["sns_auto_resubscribe"] = "true" // the operator's button
	set := a.setup()
	if len(set.Commands) != 1 || statesIn(a.work(set.Commands).Events) != "connected subscribed" {
		t.Errorf("restoring it came to %+v", set)
	}
	out = a.sns(signed(confirmation(kindUnsubscribe, topicARN)))
	if len(out.Commands) != 1 || len(out.Events) > 0 {
		t.Errorf("with sns_auto_resubscribe, the end came to %+v", out)
	}
	wantRefused(t, a.sns(signed(confirmation(kindUnsubscribe, strangeARN))), 403, "topic_unknown")
}

func TestAnswersToAConfirmation(t *testing.T) {
	fail := func(code string) contract.HTTPResult {
		return contract.HTTPResult{Error: &contract.HostError{Code: code, Certain: true}}
	}
	for _, tt := range []struct {
		name    string
		answer  contract.HTTPResult
		failure contract.FailureClass
		state   string
	}{
		{"the token lapsed", contract.HTTPResult{Status: 400, Body: "<ErrorResponse/>"}, "", "needs_action topic_lapsed"},
		{"another topic's name", contract.HTTPResult{Status: 200, Body: strings.ReplaceAll(confirmationXML, "example-lines", "other")}, "", "needs_action topic_lapsed"},
		{"no name", contract.HTTPResult{Status: 200, Body: "<html>"}, "", "needs_action topic_lapsed"},
		{"a redirect", contract.HTTPResult{Status: 302}, "", "needs_action topic_lapsed"},
		{"an outage", contract.HTTPResult{Status: 500}, contract.FailureRetry, ""},
		{"too much", contract.HTTPResult{Status: 429}, contract.FailureRetry, ""},
		{"no way", fail(contract.HostUnreachable), contract.FailureRetry, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t)
			confirming(a, tt.answer)
			out := a.work(a.sns(signed(confirmation(kindSubscribe, topicARN))).Commands)
			if (out.Failure == nil) != (tt.failure == "") || out.Failure != nil && out.Failure.Class != tt.failure || statesIn(out.Events) != tt.state {
				t.Errorf("it came to %+v, %q", out.Failure, statesIn(out.Events))
			}
		})
	}
	again := newApp(t)
	confirming(again, contract.HTTPResult{Status: 400}, contract.HTTPResult{Status: 200, Body: confirmationXML})
	again.work(again.sns(signed(confirmation(kindSubscribe, topicARN))).Commands)
	if out := again.setup(); len(out.Commands) != 1 || statesIn(again.work(out.Commands).Events) != "connected subscribed" {
		t.Errorf("setting the app up once more came to %+v", out)
	}
	a := newApp(t)
	commands := a.sns(signed(confirmation(kindSubscribe, topicARN))).Commands
	a.set["sns_topic_arns"] = "" // taken out before the command ran
	if out := a.work(commands); out.Failure != nil || statesIn(out.Events) != "needs_action topic_unapproved" {
		t.Errorf("a topic that is not allowed any more came to %+v", out)
	}
}

func TestTheAppsSettings(t *testing.T) {
	for _, tt := range []struct{ name, value string }{
		{"sns_topic_arns", "example-lines"}, {"sns_topic_arns", topicARN + ":0a6f"}, {"portal_domain_suffixes", "ua"},
		{"portal_domain_suffixes", "https://uspacy.ua"}, {"event_paths", "payload..data"}, {"event_paths", "data."},
	} {
		if out := newApp(t, tt.name, tt.value).setup(); out.Failure == nil || !strings.Contains(out.Failure.Message, tt.name) {
			t.Errorf("%s=%s came to %+v", tt.name, tt.value, out.Failure)
		}
	}
	out := newApp(t).setup()
	if out.Failure != nil || statesIn(out.Events) != "connecting awaiting_subscription" || len(out.Setup) != 2 ||
		out.Setup[0].Value != "{{receive_url}}" || out.Setup[1].Value != "{{receive_url}}/sns" {
		t.Errorf("setup came to %+v", out)
	}
	a := newApp(t)
	health := a.command(&contract.CheckHealthInput{Command: info(), Connection: a.appConnection()})
	if health.Health == nil || !strings.Contains(health.Health.Detail, "Waiting for Uspacy") {
		t.Errorf("health is %+v", health.Health)
	}
	if out := a.command(&contract.TeardownConnectionInput{Command: info(), Connection: a.appConnection()}); statesIn(out.Events) != "disconnected torn_down" {
		t.Errorf("teardown came to %+v", out)
	}
	for _, payload := range []string{"", "x", `{"do":"novelty"}`, `{"do":7}`, `{"do":"line"}`} {
		if out := a.work([]contract.CommandRequest{{Payload: payload}}); out.Failure == nil || out.Failure.Class != contract.FailurePermanent {
			t.Errorf("the work %q came to %+v", payload, out.Failure)
		}
	}
}
