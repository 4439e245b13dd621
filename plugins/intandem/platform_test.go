package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/intandem/emulator"
	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// live is a world whose platform is the emulator, over HTTPS.
type live struct {
	*world
	mu     sync.Mutex // held by whoever runs an invocation, but not during its calls
	p      *emulator.Platform
	a      *emulator.App
	b      *emulator.Business
	client *http.Client
	base   string
	// asked is the token set that a refresh is for while it runs: the app's or the
	// connection's.
	codes []url.Values // what the consent page sent back
}

// goLive starts a platform with one app and one business.
func goLive(t *testing.T, opts emulator.Options, extra ...string) *live {
	t.Helper()
	l := &live{world: newWorld(t, extra...)}
	opts.Now = l.now
	p, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	l.p = p
	server := httptest.NewServer(l)
	l.base = server.URL + "/in/app"
	l.a = p.AddApp(emulator.AppOptions{ClientID: clientID, Secret: clientSecret, Base: l.base, Open: l.settings["open_channel"] == "true"})
	l.b = p.AddBusiness(business)
	l.answer = l.call
	l.client = emulate.Trusting(p.CAPEM(), p.Addr(), p.Names()...)
	t.Cleanup(func() {
		l.client.CloseIdleConnections()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
		if v := p.Violations(); len(v) > 0 {
			t.Errorf("against the protocol: %q", v)
		}
	})
	return l
}

func (l *live) ctx() context.Context {
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	l.t.Cleanup(cancel)
	return ctx
}

// ServeHTTP is the host's ingress.
func (l *live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	d := contract.Delivery{
		ID: "dlv_1", ReceivedAt: l.now(), Method: r.Method, Path: strings.TrimPrefix(r.URL.Path, "/in/app"), Query: r.URL.RawQuery, BodyBytes: int64(len(body)),
	}
	for name, values := range r.Header {
		d.Headers = append(d.Headers, contract.Header{Name: name, Value: values[0]})
	}
	l.mu.Lock()
	if r.Method == http.MethodGet && r.URL.Query().Has("code") { // the host's own, before route
		l.codes = append(l.codes, r.URL.Query())
		l.mu.Unlock()
		return
	}
	out := l.request(d, string(body))
	l.mu.Unlock()
	w.WriteHeader(int(out.Status))
	_, _ = io.WriteString(w, out.Body)
}

// call is the host's egress: it fills in placeholders, and lets no request out that needs a
// token which is not there.
func (l *live) call(r contract.HTTPRequest) (*contract.HTTPResult, error) {
	for name, value := range l.tokens {
		for i, h := range r.Headers {
			r.Headers[i].Value = strings.Replace(h.Value, "{{credential:"+name+"}}", value, 1)
		}
		r.Body = strings.Replace(r.Body, "{{credential:"+name+"}}", value, 1)
	}
	r.Body = strings.Replace(r.Body, "{{secret:client_secret}}", clientSecret, 1)
	for _, h := range r.Headers {
		if strings.Contains(h.Value+r.Body, "{{credential:") {
			return nil, &contract.HostError{Code: contract.HostUnauthorised, Certain: true}
		}
	}
	l.mu.Unlock()
	defer l.mu.Lock()
	req, err := http.NewRequestWithContext(l.ctx(), r.Method, r.URL, strings.NewReader(r.Body))
	if err != nil {
		return nil, &contract.HostError{Code: contract.HostInvalid, Certain: true}
	}
	for _, h := range r.Headers {
		req.Header.Set(h.Name, h.Value)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, &contract.HostError{Code: contract.HostUnreachable}
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	result := &contract.HTTPResult{Status: int64(resp.StatusCode), Body: string(answer)}
	for name, values := range resp.Header {
		result.Headers = append(result.Headers, contract.Header{Name: name, Value: values[0]})
	}
	return result, nil
}

// do runs f as the only invocation.
func (l *live) do(f func(w *world)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.world)
}

// settle waits until no callback is due and no work either.
func (l *live) settle() {
	l.t.Helper()
	for again := true; again; {
		if err := l.p.Settle(l.ctx()); err != nil {
			l.t.Fatal(err)
		}
		l.do(func(w *world) { again = w.step(w.now()) })
	}
}

// pass lets time pass in steps, with everything that comes of it.
func (l *live) pass(d time.Duration) {
	l.t.Helper()
	for end := l.now().Add(d); l.now().Before(end); {
		l.settle()
		l.do(func(w *world) { w.advance(min(time.Second, end.Sub(w.now()))) })
	}
	l.settle()
}

// serviceToken has the connector get the app's token.
func (l *live) serviceToken() *contract.CommandOutput {
	l.t.Helper()
	var out *contract.CommandOutput
	l.do(func(w *world) {
		own := w.tokens[contract.CredentialAccessToken]
		out = w.run(contract.ExportRefreshCredentials, &contract.RefreshCredentialsInput{
			Command: w.command(), Connection: w.appConnection(), Reason: contract.RefreshMissing,
		})
		if fresh := w.tokens[contract.CredentialAccessToken]; fresh != own {
			w.tokens[contract.CredentialAppAccessToken] = fresh
		}
		w.tokens[contract.CredentialAccessToken] = own
	})
	return out
}

const verifier = "a-verifier-that-is-long-enough-for-the-rules-of-rfc-7636"

// consent sends a browser through the consent page, and returns the code.
func (l *live) consent() string {
	l.t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	var out *contract.CommandOutput
	l.do(func(w *world) {
		out = w.run(contract.ExportAuthorizeURL, &contract.AuthorizeURLInput{
			Command: w.command(), Connection: w.connection(), RedirectURL: l.base, State: "st4te",
			CodeChallenge: base64.RawURLEncoding.EncodeToString(sum[:]),
		})
	})
	browser := &http.Client{Transport: l.client.Transport}
	req, err := http.NewRequestWithContext(l.ctx(), http.MethodGet, out.URL, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	resp, err := browser.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.codes) == 0 {
		l.t.Fatalf("the consent page answered %d and sent nobody back", resp.StatusCode)
	}
	back := l.codes[len(l.codes)-1]
	if back.Get("state") != "st4te" {
		l.t.Errorf("the state came back as %q", back.Get("state"))
	}
	return back.Get("code")
}

// exchange has the connector turn a code into a token.
func (l *live) exchange(code string) *contract.CommandOutput {
	l.t.Helper()
	var out *contract.CommandOutput
	l.do(func(w *world) {
		out = w.run(contract.ExportExchangeCode, &contract.ExchangeCodeInput{
			Command: w.command(), Connection: w.connection(), Code: code, RedirectURL: l.base, CodeVerifier: verifier,
		})
	})
	return out
}

// connect takes the connection to an active channel.
func (l *live) connect() *emulator.Channel {
	l.t.Helper()
	if out := l.serviceToken(); out.Failure != nil {
		l.t.Fatalf("the service token: %+v", out.Failure)
	}
	if out := l.exchange(l.consent()); out.Failure != nil {
		l.t.Fatalf("the code: %+v", out.Failure)
	}
	l.settle()
	ch, err := l.b.WaitChannel(l.ctx(), l.a)
	if err != nil {
		l.t.Fatal(err)
	}
	l.do(func(w *world) {
		w.wantEvents("connection.state connecting channel_pending", "connection.state connected channel_active")
	})
	return ch
}

// send sends a message in as many attempts as it takes, as the host would.
func (l *live) send(in contract.SendMessageInput) *contract.CommandOutput {
	l.t.Helper()
	l.do(func(w *world) { in.Command = w.command() })
	for {
		var out *contract.CommandOutput
		l.do(func(w *world) { out = w.attempt(in) })
		if f := out.Failure; f == nil || f.Class != contract.FailureRetry && f.Class != contract.FailureRetryAfter {
			l.settle()
			return out
		}
		in.Command.Attempt++
		l.pass(max(time.Duration(out.Failure.RetryAfterMillis)*time.Millisecond, 100*time.Millisecond))
	}
}

func (l *live) say(id, words string) *contract.CommandOutput {
	l.t.Helper()
	return l.send(contract.SendMessageInput{Message: dana(id, text(words))})
}
