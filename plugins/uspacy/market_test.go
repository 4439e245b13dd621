package main

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
)

// market is a small host around the connector: an app whose address Uspacy and SNS really call,
// and one connection of it. State is kept by pdktest hosts, one for each scope; requests go to
// the emulator over HTTPS. Commands run when the test says so.
type market struct {
	t      *testing.T
	p      *emulator.Platform
	o      *emulator.Portal
	client *http.Client
	app    *pdktest.Host
	con    *pdktest.Host

	mu       sync.Mutex // held during an invocation
	set      map[string]string
	assigned bool             // the operator gave the portal to the connection
	parked   []parkedDelivery // what waits for that
	seen     map[string]bool  // dedupe keys
	due      []dueCommand
	states   []string
	messages []string
	rejected []string
	// tokens is the pair that the host keeps.
	tokens contract.CredentialsPut
}

type parkedDelivery struct {
	in   contract.Delivery
	body []byte
	out  *contract.RouteOutput
}

type dueCommand struct {
	app     bool
	payload string
}

func openMarket(t *testing.T, opts emulator.Options, extra ...string) *market {
	t.Helper()
	p, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	m := &market{t: t, p: p, o: p.Portal(acme), seen: map[string]bool{}}
	set := map[string]string{"portal_url": "https://" + acme, "sns_topic_arns": p.TopicARN(), "client_id": "app-1"}
	for i := 0; i < len(extra); i += 2 {
		set[extra[i]] = extra[i+1]
	}
	m.set = readManifest(t).WithDefaults(set)
	m.app, m.con = pdktest.New(readManifest(t), m.set), pdktest.New(readManifest(t), m.set)
	for _, h := range []*pdktest.Host{m.app, m.con} {
		h.SetSecret("client_secret", "uspacy-client-secret")
	}
	m.client = emulate.Trusting(p.CAPEM(), p.Addr(), p.Names()...)
	server := httptest.NewServer(m)
	p.Register(server.URL, server.URL+pathSNS)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
		m.client.CloseIdleConnections()
		if v := p.Violations(); len(v) > 0 {
			t.Errorf("against the protocol: %q", v)
		}
	})
	return m
}

func (m *market) ctx() context.Context {
	ctx, cancel := context.WithTimeout(m.t.Context(), 20*time.Second)
	m.t.Cleanup(cancel)
	return ctx
}

// wired is a host of pdktest whose requests really go out.
type wired struct {
	*pdktest.Host
	m *market
}

func (w wired) HTTPSend(r contract.HTTPRequest) (*contract.HTTPResult, error) {
	for _, fill := range []*string{&r.Body} {
		*fill = strings.ReplaceAll(*fill, "{{secret:client_secret}}", "uspacy-client-secret")
	}
	req, err := http.NewRequestWithContext(w.m.ctx(), r.Method, r.URL, strings.NewReader(r.Body))
	if err != nil {
		return nil, &contract.HostError{Code: contract.HostInvalid, Message: err.Error(), Certain: true}
	}
	for _, h := range r.Headers {
		value := strings.ReplaceAll(h.Value, "{{credential:access_token}}", w.m.tokens.AccessToken)
		req.Header.Set(h.Name, strings.ReplaceAll(value, "{{credential:refresh_token}}", w.m.tokens.RefreshToken))
	}
	resp, err := w.m.client.Do(req)
	if err != nil {
		return nil, &contract.HostError{Code: contract.HostTimeout, Message: err.Error()}
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	result := &contract.HTTPResult{Status: int64(resp.StatusCode), Body: string(body)}
	for name := range resp.Header {
		result.Headers = append(result.Headers, contract.Header{Name: name, Value: resp.Header.Get(name)})
	}
	return result, nil
}

func (w wired) HTTPCachedGet(r contract.HTTPCachedGet) (*contract.HTTPResult, error) {
	return w.HTTPSend(contract.HTTPRequest{Method: "GET", URL: r.URL})
}

func (w wired) CredentialsPut(c contract.CredentialsPut) error {
	if c.RefreshToken == "" {
		c.RefreshToken = w.m.tokens.RefreshToken
	}
	w.m.tokens = c
	return nil
}

// run invokes an export over encoded documents, and commits or discards what it wrote.
func (m *market) run(h *pdktest.Host, export contract.Export, in contract.Appendable, out pdktest.Output) {
	m.t.Helper()
	h.SetNow(time.Now())
	pdktest.Invoke(m.t, connector{}, wired{h, m}, export, in, out)
}

func (m *market) connection() contract.Connection {
	scoped := readManifest(m.t)
	return contract.Connection{ID: "con_1", Workspace: "wsp_1", Name: "Shop", State: contract.StateConnecting,
		Settings: scoped.In(manifest.ScopeConnection).WithDefaults(m.set),
		App:      &contract.App{ID: "app_1", Settings: scoped.In(manifest.ScopeApp).WithDefaults(m.set)}}
}

func (m *market) appConnection() contract.Connection {
	return contract.Connection{ID: "app_1", Workspace: "wsp_host", State: contract.StateConnecting, IsApp: true,
		Settings: readManifest(m.t).In(manifest.ScopeApp).WithDefaults(maps.Clone(m.set))}
}

// ServeHTTP is the app's address.
func (m *market) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m.mu.Lock()
	defer m.mu.Unlock()
	d := contract.Delivery{ID: "dlv_1", ReceivedAt: time.Now(), Method: r.Method, Path: r.URL.Path, BodyBytes: int64(len(body))}
	for name, values := range r.Header {
		for _, value := range values {
			d.Headers = append(d.Headers, contract.Header{Name: name, Value: value})
		}
	}
	answer := m.deliver(d, body)
	for _, h := range answer.Headers {
		w.Header().Set(h.Name, h.Value)
	}
	w.WriteHeader(int(answer.Status))
	_, _ = io.Copy(w, strings.NewReader(answer.Body))
}

// deliver does with a delivery what the host does: route, and then receive, or parking.
func (m *market) deliver(d contract.Delivery, body []byte) contract.Response {
	out := new(contract.RouteOutput)
	m.app.SetBody(body)
	m.run(m.app, contract.ExportRoute, &contract.RouteInput{Delivery: d, Settings: m.appConnection().Settings, App: "app_1"}, out)
	if out.Rejected != nil || !out.Answered || m.seen[out.DedupeKey] {
		m.app.Discard()
	}
	m.app.Commit()
	switch {
	case out.Rejected != nil:
		m.rejected = append(m.rejected, out.Rejected.Code)
		return out.Response
	case out.Answered && !m.seen[out.DedupeKey]:
		m.seen[out.DedupeKey] = out.DedupeKey != ""
		m.took(true, out.Events, out.Commands)
		return out.Response
	case out.Answered:
		return out.Response
	case strings.HasPrefix(out.Key, routePortal) && !m.assigned:
		m.parked = append(m.parked, parkedDelivery{d, bytes.Clone(body), out})
		return out.Response
	case strings.HasPrefix(out.Key, routeLine) && len(m.con.Routes()) == 0:
		return out.Response
	}
	return m.receive(d, body, out, false)
}

func (m *market) receive(d contract.Delivery, body []byte, routed *contract.RouteOutput, parked bool) contract.Response {
	out := new(contract.ReceiveOutput)
	m.con.SetBody(body)
	m.run(m.con, contract.ExportReceive, &contract.ReceiveInput{Delivery: d, Connection: m.connection(),
		Routed: &contract.Routed{Key: routed.Key, Payload: routed.Payload, Parked: parked}}, out)
	if out.Rejected != nil || m.seen[out.DedupeKey] {
		m.con.Discard()
		if out.Rejected != nil {
			m.rejected = append(m.rejected, out.Rejected.Code)
		}
		return out.Response
	}
	m.seen[out.DedupeKey] = out.DedupeKey != ""
	m.con.Commit()
	m.took(false, out.Events, out.Commands)
	return out.Response
}

// took notes what came of an invocation.
func (m *market) took(app bool, events []contract.Event, commands []contract.CommandRequest) {
	for _, e := range events {
		switch {
		case e.State != nil:
			m.states = append(m.states, e.State.Code)
		case e.Message != nil:
			m.messages = append(m.messages, e.Message.Parts[0].Text.Plain)
		}
	}
	for _, c := range commands {
		if c.AfterMillis == 0 {
			m.due = append(m.due, dueCommand{app, c.Payload})
		}
	}
}

// assign has the operator give the portal to the connection, and what is parked be claimed.
func (m *market) assign() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.assigned = true
	for _, p := range m.parked {
		m.receive(p.in, p.body, p.out, true)
	}
	m.parked = nil
}

// work runs the commands that are due, and what they ask for.
func (m *market) work() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.due) > 0 {
		next := m.due[0]
		m.due = m.due[1:]
		h, c := m.con, m.connection()
		if next.app {
			h, c = m.app, m.appConnection()
		}
		out := new(contract.CommandOutput)
		m.run(h, contract.ExportReconcile, &contract.ReconcileInput{Command: info(), Connection: c, Payload: next.payload}, out)
		h.Commit()
		if out.Failure != nil {
			m.t.Errorf("%s came to %+v", next.payload, out.Failure)
		}
		m.took(next.app, out.Events, out.Commands)
	}
}

// refresh renews the connection's tokens.
func (m *market) refresh(ambiguous bool) *contract.CommandOutput {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := new(contract.CommandOutput)
	m.run(m.con, contract.ExportRefreshCredentials, &contract.RefreshCredentialsInput{
		Command: info(), Connection: m.connection(), Reason: contract.RefreshDue, Ambiguous: ambiguous}, out)
	m.con.Commit()
	return out
}

// wantStates compares the states since the last look.
func (m *market) wantStates(want string) {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if got := strings.Join(m.states, " "); got != want {
		m.t.Errorf("the states were %q, want %q", got, want)
	}
	m.states = nil
}

// health asks the portal for the connection's line.
func (m *market) health() *contract.CommandOutput {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := new(contract.CommandOutput)
	m.run(m.con, contract.ExportCheckHealth, &contract.CheckHealthInput{Command: info(), Connection: m.connection()}, out)
	m.con.Commit()
	return out
}
