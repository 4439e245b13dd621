package ingress_test

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/oauth"
)

// fakeOAuth keeps who visited.
type fakeOAuth struct{ visits chan oauth.Visit }

func (f fakeOAuth) Start(_ context.Context, v oauth.Visit) oauth.Page {
	f.visits <- v
	return oauth.Page{Status: http.StatusSeeOther, Location: "https://login.acme.test/?a=b", Policy: "default-src 'none'", Body: []byte("going"),
		Cookie: &http.Cookie{Name: "patchbay_oauth_1", Value: "v", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}}
}

func (f fakeOAuth) Callback(_ context.Context, v oauth.Visit) oauth.Page {
	f.visits <- v
	return oauth.Page{Status: http.StatusOK, Policy: "default-src 'none'", Body: []byte("back")}
}

// ask sends one request and follows no redirect.
func ask(t *testing.T, w *world, method, path, cookie string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+w.addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close() // read to its end
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func TestBrowsersReachTheConsentPages(t *testing.T) {
	w, visits := openOAuth(t)
	answer, body := ask(t, w, "GET", "/oauth/start/tick%2Fet?x=y", "__Host-patchbay_oauth_1=a; other=b; patchbay_oauth_2=c; patchbay_oauth_2=d")
	want := oauth.Visit{Method: "GET", Path: "/oauth/start/tick%2Fet", Query: "x=y", Cookies: map[string]string{"__Host-patchbay_oauth_1": "a", "patchbay_oauth_2": ""}}
	if got := <-visits; !reflect.DeepEqual(got, want) {
		t.Errorf("the room saw %+v, want %+v", got, want)
	}
	for name, value := range map[string]string{"Location": "https://login.acme.test/?a=b", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": "default-src 'none'", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
		"Set-Cookie": "patchbay_oauth_1=v; Path=/; HttpOnly; SameSite=Lax", "Content-Type": "text/html; charset=utf-8"} {
		if got := answer.Header.Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	if answer.StatusCode != http.StatusSeeOther || body != "going" {
		t.Errorf("it answered %d %q", answer.StatusCode, body)
	}
	if answer, body = ask(t, w, "GET", "/oauth/callback?code=c&state=s", ""); answer.StatusCode != 200 || body != "back" {
		t.Errorf("the callback answered %d %q", answer.StatusCode, body)
	}
}

func TestABrowserThatReturnsToAnAppIsNoDelivery(t *testing.T) {
	w, visits := openOAuth(t)
	_, body := ask(t, w, "GET", "/in/endpoint?code=c&state=pbo_s", "")
	if v := <-visits; body != "back" || v.Path != "/in/endpoint" || v.Query != "code=c&state=pbo_s" {
		t.Errorf("the room saw %+v and the browser %q", v, body)
	}
	for _, path := range []string{"/in/endpoint?code=c&state=other", "/in/endpoint?state=pbo_s", "/in/endpoint"} {
		if _, body := ask(t, w, "GET", path, ""); body != "taken" {
			t.Errorf("GET %s was answered %q, want the broker's answer", path, body)
		}
		<-w.broker.received
	}
	if _, body := ask(t, w, "POST", "/in/endpoint?code=c&state=pbo_s", ""); body != "taken" {
		t.Errorf("POST was answered %q, want the broker's answer", body)
	}
}

func TestAPluginNeverSeesTheCookiesOfAConsent(t *testing.T) {
	w, _ := openOAuth(t)
	for cookie, want := range map[string]string{"patchbay_oauth_1=secret; sid=1": "sid=1", "__Host-patchbay_oauth_1=secret;patchbay_oauth_2=secret": "", "sid=1; b=2": "sid=1; b=2"} {
		ask(t, w, "GET", "/in/endpoint", cookie)
		got := ""
		for _, h := range (<-w.broker.received).Headers {
			if h.Name == "Cookie" {
				got += h.Value
			}
		}
		if got != want || strings.Contains(got, "secret") {
			t.Errorf("of %q the delivery has %q, want %q", cookie, got, want)
		}
	}
}

func openOAuth(t *testing.T) (*world, <-chan oauth.Visit) {
	t.Helper()
	visits := make(chan oauth.Visit, 1)
	return openFor(t, fakeOAuth{visits}, func(broker.Request) broker.Answer { return broker.Answer{Status: 200, Body: []byte("taken")} }), visits
}
