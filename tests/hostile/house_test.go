package hostile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/pack"
	"github.com/seed75a60ee1/patchbay/host/server"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// house is a running host, the real binary, in which a connector that means harm was
// approved beside ELMA365's, each for a workspace of its own.
type house struct {
	t        *testing.T
	folders  stage.Folders
	at       server.Addresses
	cmd      *exec.Cmd
	log      *logbook
	people   *stage.People // with the victim as the tenant
	platform *emulator.Platform
	shop     *shop

	victim, thief       domain.Workspace
	robber              *client.Client // the thief's workspace administrator
	connection, theirs  client.Connection
	victims             client.Connection // of the burglar, too, in the victim's workspace
	channel             *emulator.Channel
	wasm                []byte
	burglar             string // its digest
	clientOfTheEndpoint *http.Client
}

// shop is what the burglar is allowed to talk to, on a loopback address that an operator
// allowed, and what it is not: another server on the same address.
type shop struct {
	open, shut *httptest.Server
	mu         sync.Mutex
	seen       []string // what reached the open one
	intruded   []string // what reached the shut one
}

func openShop(t *testing.T) *shop {
	s := &shop{}
	s.shut = httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.intruded = append(s.intruded, r.Method+" "+r.URL.String())
	}))
	s.open = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.shut.Close)
	t.Cleanup(s.open.Close)
	return s
}

// serve echoes what it gets in every place of an answer, and redirects to where it is told.
func (s *shop) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what came of it
	all := fmt.Sprint(r.Header.Get("X-Secret"), "|", r.URL.RawQuery, "|", string(body))
	s.mu.Lock()
	s.seen = append(s.seen, all)
	s.mu.Unlock()
	switch {
	case r.URL.Path == "/redirect":
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusTemporaryRedirect)
	case r.URL.Path == "/echo":
		w.Header().Set("X-Echo", r.Header.Get("X-Secret"))
		w.Header().Set("Set-Cookie", "s="+r.Header.Get("X-Secret"))
		w.Header().Set(fieldName(r.Header.Get("X-Secret")), "as a name")
		_, _ = fmt.Fprintf(w, "%s\n%s\n", all, strings.Repeat(r.Header.Get("X-Secret"), 3))
	case r.URL.Path == "/flood":
		for range 64 {
			_, _ = w.Write(bytes.Repeat([]byte("x"), mib)) // ends when the host has enough
		}
	}
}

// fieldName is a header field's name made of a text.
func fieldName(text string) string {
	return "X-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return -1
	}, text)
}

func (s *shop) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.open.Certificate().Raw})
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// must stops the test at an error.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// tool builds the binary and the plugins with it, once a run.
var tool = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(workDir, "patchbay")
	out, err := exec.Command("go", "build", "-o", binary, "../../host/cmd/patchbay").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	return binary, nil
})

func packed(t *testing.T, source string) []byte {
	t.Helper()
	file := filepath.Join(workDir, filepath.Base(source)+".packed.wasm")
	binary := must[string](t)(tool())
	if out, err := exec.Command(binary, "plugin", "build", source, "-o", file).CombinedOutput(); err != nil {
		t.Fatalf("build plugin %s: %v\n%s", source, err, out)
	}
	return must[[]byte](t)(os.ReadFile(file))
}

// settle starts a host with two plugins, two workspaces and three connections.
func settle(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, platform: must[*emulator.Platform](t)(emulator.Start(emulator.Options{})), shop: openShop(t)}
	t.Cleanup(func() {
		if err := h.platform.Close(); err != nil {
			t.Error(err)
		}
	})
	h.folders = must[stage.Folders](t)(stage.MakeFolders(t.TempDir(), h.platform))
	ca := must[[]byte](t)(os.ReadFile(h.folders.CAFile))
	elma := packed(t, "../../plugins/elma365")
	h.wasm = packed(t, "testdata/burglar")
	if err := errors.Join(os.WriteFile(h.folders.CAFile, append(ca, h.shop.pem()...), 0o600),
		h.folders.Drop(elma, "elma365.wasm"), h.folders.Drop(h.wasm, "burglar.wasm")); err != nil {
		t.Fatal(err)
	}
	h.serve()
	ctx := within(t)
	h.people = must[*stage.People](t)(stage.Hire(h.at, h.folders.Data))
	h.victim = must[domain.Workspace](t)(h.people.Open(ctx, h.at, h.folders.Data, "Parcel Express"))
	h.thief = must[domain.Workspace](t)(h.people.Operator.CreateWorkspace(ctx, "Thieves"))
	h.robber = client.New(h.at.Management, must[string](t)(stage.Token(h.folders.Data, "workspace-admin", h.thief.ID)))
	h.clientOfTheEndpoint = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(func() {
		h.people.Close()
		h.robber.Close()
		h.clientOfTheEndpoint.CloseIdleConnections()
	})
	h.approve(elma)
	h.burglar = h.approve(h.wasm)
	for _, err := range []error{
		h.people.Tenant.EnablePlugin(ctx, h.victim.ID, "elma365"), h.people.Tenant.EnablePlugin(ctx, h.victim.ID, "burglar"),
		h.robber.EnablePlugin(ctx, h.thief.ID, "burglar"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	h.theirs = h.connect(h.robber, h.thief, h.shop.open.URL, h.shop.open.URL)
	h.victims = h.connect(h.people.Tenant, h.victim, h.shop.open.URL, "")
	h.connection = must[client.Connection](t)(h.people.Connect(ctx, h.victim.ID, h.platform, map[string]string{}))
	h.channel = must[*emulator.Channel](t)(h.people.EnterSetup(ctx, h.victim.ID, h.connection.ID, h.platform))
	return h
}

// connect makes a connection of the burglar's, and has the operator allow the shop.
func (h *house) connect(c *client.Client, ws domain.Workspace, company, other string) client.Connection {
	h.t.Helper()
	settings := map[string]string{"company_url": company}
	if other != "" {
		settings["other_url"] = other
	}
	made := must[client.Connection](h.t)(c.CreateConnection(within(h.t), ws.ID, client.NewConnection{Plugin: "burglar", Name: "B", Settings: settings}))
	target := netip.MustParseAddrPort(strings.TrimPrefix(h.shop.open.URL, "https://")).String()
	return must[client.Connection](h.t)(h.people.Operator.AllowPrivateTargets(within(h.t), ws.ID, made.ID, []string{target}))
}

func (h *house) approve(wasm []byte) (digest string) {
	h.t.Helper()
	known := must[*pack.Package](h.t)(pack.Open(wasm))
	digest = known.Spec.Digest
	must[domain.Plugin](h.t)(h.people.AwaitPlugin(within(h.t), known.Manifest.Name))
	must[domain.Plugin](h.t)(h.people.Reviewer.ApprovePlugin(within(h.t), digest, client.Approval{All: true}))
	return digest
}

// await asks again and again; for what the host has no event for.
func (h *house) await(what string, done func() bool) {
	h.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	ctx := within(h.t)
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			h.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// logbook keeps what the host logged and tells its addresses.
type logbook struct {
	mu    sync.Mutex
	lines bytes.Buffer
	ready chan server.Addresses
	ended chan struct{}
}

func (l *logbook) follow(r io.Reader) {
	defer close(l.ended)
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, mib)
	for scanner.Scan() {
		l.mu.Lock()
		l.lines.Write(append(scanner.Bytes(), '\n'))
		l.mu.Unlock()
		var line struct{ Msg, Ingress, Management string }
		if json.Unmarshal(scanner.Bytes(), &line) == nil && line.Msg == "patchbay is ready" {
			l.ready <- server.Addresses{Ingress: line.Ingress, Management: line.Management}
		}
	}
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

// serve starts the host; the cleanup ends it, and expects that it is alive until then and
// ends well.
func (h *house) serve() {
	h.t.Helper()
	h.cmd = exec.Command(must[string](h.t)(tool()), "serve", "--data", h.folders.Data, "--plugins", h.folders.Plugins, "--egress.ca_file", h.folders.CAFile,
		"--ingress", "127.0.0.1:0", "--management", "127.0.0.1:0", "--log.format", "json", "--plugins.poll_interval", "100ms",
		"--jobs.base_delay", "50ms", "--jobs.max_delay", "200ms", "--receive.deadline", "2s")
	h.cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "PATCHBAY_") })
	pipe := must[io.ReadCloser](h.t)(h.cmd.StderrPipe())
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.log = &logbook{ready: make(chan server.Addresses, 1), ended: make(chan struct{})}
	go h.log.follow(pipe)
	select {
	case h.at = <-h.log.ready:
	case <-h.log.ended:
		h.t.Fatalf("the host ended before it was ready: %v\n%s", h.cmd.Wait(), h.log)
	}
	h.t.Cleanup(func() {
		if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			h.t.Error(err)
		}
		<-h.log.ended
		if err := h.cmd.Wait(); err != nil {
			h.t.Errorf("the host did not end well: %v", err)
		}
		if text := h.log.String(); h.t.Failed() {
			h.t.Logf("the host logged at last:\n%s", text[max(0, len(text)-4000):])
		}
	})
}

// tell hands the burglar a delivery and returns what it was answered.
func (h *house) tell(c client.Connection, words ...string) (status int, text string) {
	h.t.Helper()
	body := must[[]byte](h.t)(json.Marshal(words))
	r := must[*http.Request](h.t)(http.NewRequestWithContext(within(h.t), http.MethodPost, c.ReceiveURL, bytes.NewReader(body)))
	answer := must[*http.Response](h.t)(h.clientOfTheEndpoint.Do(r))
	defer answer.Body.Close()
	return answer.StatusCode, string(must[[]byte](h.t)(io.ReadAll(answer.Body)))
}

// told is tell for what the burglar is to answer in good order.
func (h *house) told(c client.Connection, words ...string) string {
	h.t.Helper()
	status, text := h.tell(c, words...)
	if status != 200 {
		h.t.Errorf("%.60q was answered %d %.200s", words, status, text)
	}
	return text
}

// ask has the burglar make a request, as a command, and returns what it got.
func (h *house) ask(c *client.Client, ws domain.Workspace, connection client.Connection, r contract.HTTPRequest) string {
	h.t.Helper()
	text := string(must[[]byte](h.t)(json.Marshal(r)))
	sent := must[client.Accepted](h.t)(c.Send(within(h.t), ws.ID, connection.ID, message("chat", text)))
	var loot string
	h.await("the request to be made", func() bool {
		loot = h.told(connection, "get", "loot/"+string(sent.Message.ID))
		return strings.HasPrefix(loot, "true ")
	})
	return strings.TrimPrefix(loot, "true ")
}

func message(chat, text string) client.NewMessage {
	return client.NewMessage{
		Conversation: contract.Conversation{ID: contract.ConversationID(chat), Title: "Dana Petrova"},
		Author:       contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{ID: contract.ContactID("user-" + chat), Name: "Dana Petrova"}},
		Parts:        []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: text}}},
	}
}

// memory is the largest that the host has been.
func (h *house) memory() int64 {
	h.t.Helper()
	text := must[[]byte](h.t)(os.ReadFile(fmt.Sprintf("/proc/%d/status", h.cmd.Process.Pid)))
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	h.t.Fatal("no VmHWM")
	return 0
}
