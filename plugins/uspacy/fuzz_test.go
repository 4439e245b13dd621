package main

import (
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/origin"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// Whatever comes to the app, route answers something that the contract allows, and believes
// nothing that is not signed.
func FuzzRoute(f *testing.F) {
	good := signed(notification(reply))
	f.Add("POST", pathSNS, "", snsBody(f, good))
	f.Add("POST", pathSNS, "", snsBody(f, signed(confirmation(kindSubscribe, topicARN))))
	f.Add("POST", pathInstall, "Bearer a.b.c", installBody)
	f.Add("DELETE", "/portals/uinstall", "bearer eyJhbGciOiJub25lIn0.e30.AA", "")
	a := newApp(f) // one for all: making a host takes longer than route
	f.Fuzz(func(t *testing.T, method, path, authorization, body string) {
		a.t = t
		d := contract.Delivery{Method: method, Path: path, Headers: []contract.Header{{Name: "Authorization", Value: authorization}}}
		out, err := a.tryRoute(d, body)
		if err != nil {
			t.Fatalf("route failed, so the host would keep what is nobody's: %v", err)
		}
		if out.Key != "" && !strings.Contains(body, good["Signature"]) {
			t.Errorf("it was believed: %+v", out)
		}
	})
}

// A message that an event is opened to has an id, a chat and something in it.
func FuzzOpenEvent(f *testing.F) {
	f.Add(reply)
	f.Add(quote(quote(inner)))
	f.Add(`{"data":{"entity":` + quote(inner) + `}}`)
	paths := []string{"payload", "payload.data", "data.entity", "data", "message", "."}
	f.Fuzz(func(t *testing.T, text string) {
		e, ok := openEvent(text)
		if !ok {
			return
		}
		e.isAboutOther()
		switch action := e.action(); action {
		case "", "create", "update", "delete":
		default:
			t.Errorf("the action is %q", action)
		}
		message, ok := e.find(paths)
		if !ok {
			return
		}
		again, err := payload.Parse([]byte(message.text), payload.Limits{})
		if err != nil || textOf(again, "id") == "" || textOf(again, "chatId") == "" {
			t.Errorf("%q was opened to %q, %v", text, message.text, err)
		}
	})
}

// An outline is bounded and holds nothing of a text but names.
func FuzzOutline(f *testing.F) {
	f.Add(reply)
	f.Add(`{"a":"b\"`)
	f.Fuzz(func(t *testing.T, text string) {
		if got := outline(text); len(got) > maxOutlineBytes+maxNameBytes+64 {
			t.Errorf("the outline of %d bytes has %d", len(text), len(got))
		}
		if got := outline(`{"name":` + quote("s3cret"+text) + `}`); strings.Contains(got, "s3cret") {
			t.Errorf("the outline holds the value: %q", got)
		}
	})
}

// A domain that is allowed is under a suffix, and means the same to everybody.
func FuzzDomain(f *testing.F) {
	f.Add("Acme.Uspacy.UA.")
	f.Add("evil.example/.uspacy.ua")
	f.Fuzz(func(t *testing.T, text string) {
		domain, ok := normalDomain(text)
		if !ok || !allowedDomain(domain, []string{"uspacy.ua"}) {
			return
		}
		again, ok := normalDomain(domain)
		if !ok || again != domain || !strings.HasSuffix(domain, ".uspacy.ua") || strings.ContainsAny(domain, "/:@?#%\\ ") {
			t.Errorf("%q was allowed as %q", text, domain)
		}
	})
}

// An ARN that is read can be put together again.
func FuzzARN(f *testing.F) {
	f.Add(topicARN)
	f.Add("arn:aws-cn:sns:cn-north-1:111122223333:a.fifo")
	f.Fuzz(func(t *testing.T, text string) {
		a, ok := parseARN(text)
		if !ok {
			return
		}
		if hasControl(text) || !strings.HasPrefix(text, "arn:"+a.partition+":sns:"+a.region+":"+a.account+":") || !origin.IsName(a.host()) || !origin.IsName(a.signer()) {
			t.Errorf("parseARN(%q) = %+v", text, a)
		}
	})
}
