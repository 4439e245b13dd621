// Package e2e drives the product from outside: the real binary, over real HTTP, with the
// real plugin in its sandbox, against an emulator of the platform.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/pack"
	"github.com/seed75a60ee1/patchbay/host/server"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// built is what all tests share: the binary and the plugin files.
var built struct {
	binary       string
	elma, faulty []byte
	// dir holds the plugin files that few tests need; see plugin.
	dir string
	// cache holds compiled plugins: what one host has compiled, the next need not.
	cache string
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "patchbay-e2e-")
	if err == nil {
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func build(dir string) (err error) {
	built.dir, built.binary, built.cache = dir, filepath.Join(dir, "patchbay"), filepath.Join(dir, "cache")
	if err := os.Mkdir(built.cache, 0o700); err != nil {
		return err
	}
	compile := exec.Command("go", "build", "-o", built.binary, "../../host/cmd/patchbay")
	if out, err := compile.CombinedOutput(); err != nil {
		return fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	if built.elma, err = packed(dir, "../../plugins/elma365"); err != nil {
		return err
	}
	built.faulty, err = packed(dir, "testdata/faulty")
	return err
}

// packed builds a plugin with the binary, as a vendor does.
func packed(dir, source string) ([]byte, error) {
	file := filepath.Join(dir, filepath.Base(source)+".wasm")
	if out, err := exec.Command(built.binary, "plugin", "build", source, "-o", file).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build plugin %s: %w\n%s", source, err, out)
	}
	wasm, err := os.ReadFile(file)
	if err == nil {
		_, err = pack.Open(wasm)
	}
	return wasm, err
}

// within bounds a test's waiting.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// host is a running binary.
type host struct {
	t       *testing.T
	folders stage.Folders
	flags   []string
	at      server.Addresses
	cmd     *exec.Cmd
	log     *logbook
	gone    bool
}

// logbook keeps what a host logged and tells its addresses.
type logbook struct {
	mu    sync.Mutex
	lines bytes.Buffer
	ready chan server.Addresses
	ended chan struct{}
}

func (l *logbook) follow(r io.Reader) {
	defer close(l.ended)
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		l.mu.Lock()
		l.lines.Write(append(scanner.Bytes(), '\n'))
		l.mu.Unlock()
		var line struct{ Msg, Ingress, Management string }
		if json.Unmarshal(scanner.Bytes(), &line) == nil && line.Msg == "patchbay is ready" {
			select {
			case l.ready <- server.Addresses{Ingress: line.Ingress, Management: line.Management}:
			default: // said twice
			}
		}
	}
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

// serve starts the binary. The cleanup stops it, and shows its log if the test failed.
func serve(t *testing.T, folders stage.Folders, flags ...string) *host {
	t.Helper()
	h := &host{t: t, folders: folders, flags: flags}
	h.start()
	t.Cleanup(func() {
		if !h.gone {
			h.stop()
		}
		if t.Failed() {
			t.Logf("the host logged:\n%s", h.log)
		}
	})
	return h
}

func (h *host) start() {
	h.t.Helper()
	args := append([]string{"serve", "--data", h.folders.Data, "--plugins", h.folders.Plugins, "--egress.ca_file", h.folders.CAFile,
		"--ingress", "127.0.0.1:0", "--management", "127.0.0.1:0", "--log.format", "json", "--plugins.poll_interval", "200ms",
		"--jobs.base_delay", "50ms", "--jobs.max_delay", "200ms"}, h.flags...)
	h.cmd = exec.Command(built.binary, args...)
	h.cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "PATCHBAY_") })
	pipe, err := h.cmd.StderrPipe()
	if err == nil {
		err = h.cmd.Start()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.log = &logbook{ready: make(chan server.Addresses, 1), ended: make(chan struct{})}
	go h.log.follow(pipe)
	select {
	case h.at = <-h.log.ready:
		h.gone = false
	case <-h.log.ended:
		h.t.Fatalf("the host ended before it was ready: %v\n%s", h.cmd.Wait(), h.log)
	}
}

// stop asks the host to end, as an operator does, and expects that it ends well.
func (h *host) stop() {
	h.t.Helper()
	h.gone = true
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		h.t.Error(err)
	}
	<-h.log.ended
	if err := h.cmd.Wait(); err != nil {
		h.t.Errorf("the host did not end well: %v", err)
	}
}

// kill ends the host as a power cut does.
func (h *host) kill() {
	h.t.Helper()
	h.gone = true
	if err := h.cmd.Process.Kill(); err != nil {
		h.t.Error(err)
	}
	<-h.log.ended
	_ = h.cmd.Wait() // killed, as asked for
}

// cli runs a command of the binary as the operator, and returns what it printed.
func (h *host) cli(args ...string) (string, error) {
	h.t.Helper()
	token, err := stage.Token(h.folders.Data, "operator", "")
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.Command(built.binary, append([]string{"--url", h.at.Management, "--token", token}, args...)...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("patchbay %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// scene is a host with the approved plugin, one tenant, and one connection.
type scene struct {
	*host
	people     *stage.People
	platform   *emulator.Platform
	workspace  domain.Workspace
	connection client.Connection
	channel    *emulator.Channel
	inbox      *stage.Inbox
}

// emulate starts a platform.
func emulate(t *testing.T, opts emulator.Options) *emulator.Platform {
	t.Helper()
	platform, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if violations := platform.Violations(); len(violations) > 0 {
			t.Errorf("the connector broke the protocol: %q", violations)
		}
		if err := platform.Close(); err != nil {
			t.Error(err)
		}
	})
	return platform
}

// set sets everything up, up to a connected channel.
func set(t *testing.T, platform *emulator.Platform, settings map[string]string, flags ...string) *scene {
	t.Helper()
	s := approved(t, platform, built.elma, flags...)
	s.join(settings)
	return s
}

// setIn is set with everything below root.
func setIn(t *testing.T, platform *emulator.Platform, root string, wasm []byte, flags ...string) *scene {
	t.Helper()
	s := approvedIn(t, platform, root, wasm, flags...)
	s.join(nil)
	return s
}

// join makes the connection and has the platform connect.
func (s *scene) join(settings map[string]string) {
	s.t.Helper()
	s.connect(settings)
	channel, err := s.people.EnterSetup(within(s.t), s.workspace.ID, s.connection.ID, s.platform)
	if err != nil {
		s.t.Fatal(err)
	}
	s.channel = channel
	s.await("the connection to be connected", stage.State(s.connection.ID, contract.StateConnected))
}

// approved sets up a host whose reviewer has approved the plugin, and a workspace that
// enables it.
func approved(t *testing.T, platform *emulator.Platform, wasm []byte, flags ...string) *scene {
	t.Helper()
	return approvedIn(t, platform, t.TempDir(), wasm, flags...)
}

// approvedIn is approved with everything below root.
func approvedIn(t *testing.T, platform *emulator.Platform, root string, wasm []byte, flags ...string) *scene {
	t.Helper()
	ctx := within(t)
	folders, err := stage.MakeFolders(root, platform)
	if err == nil {
		err = errors.Join(os.Symlink(built.cache, filepath.Join(folders.Data, "cache")), folders.Drop(wasm, "elma365.wasm"))
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{host: serve(t, folders, flags...), platform: platform}
	s.hire()
	s.approve(wasm)
	if s.workspace, err = s.people.Open(ctx, s.at, folders.Data, "Parcel Express"); err != nil {
		t.Fatal(err)
	}
	if err := s.people.Tenant.EnablePlugin(ctx, s.workspace.ID, "elma365"); err != nil {
		t.Fatal(err)
	}
	return s
}

// hire makes the people's clients anew, as after a restart.
func (s *scene) hire() {
	s.t.Helper()
	people, err := stage.Hire(s.at, s.folders.Data)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.people != nil {
		s.people.Close()
		token, err := stage.Token(s.folders.Data, "workspace-admin", s.workspace.ID)
		if err != nil {
			s.t.Fatal(err)
		}
		people.Tenant = client.New(s.at.Management, token)
	}
	s.people = people
	s.t.Cleanup(people.Close)
}

// restart starts the host again after it ended, on the same ports.
func (s *scene) restart() {
	s.t.Helper()
	s.flags = append(s.flags, "--ingress", strings.TrimPrefix(s.at.Ingress, "http://"))
	s.start()
	s.hire()
}

// approve waits until the host has seen a plugin file and approves it.
func (s *scene) approve(wasm []byte) {
	s.t.Helper()
	ctx := within(s.t)
	want, err := pack.Open(wasm)
	if err != nil {
		s.t.Fatal(err)
	}
	s.poll("the plugin to be listed", func() bool {
		_, err := s.people.Reviewer.Plugin(ctx, want.Spec.Digest)
		return err == nil
	})
	if _, err := s.people.Reviewer.ApprovePlugin(ctx, want.Spec.Digest, client.Approval{All: true}); err != nil {
		s.t.Fatal(err)
	}
}

// poll asks again and again; for what the host has no event for.
func (s *scene) poll(what string, done func() bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	ctx := within(s.t)
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (s *scene) connect(settings map[string]string) {
	s.t.Helper()
	if settings == nil {
		settings = map[string]string{}
	}
	connection, err := s.people.Connect(within(s.t), s.workspace.ID, s.platform, settings)
	if err != nil {
		s.t.Fatal(err)
	}
	s.connection = connection
	s.listen("0")
}

func (s *scene) listen(after string) {
	s.inbox = stage.Listen(context.Background(), s.people.Tenant, s.workspace.ID, after)
	s.t.Cleanup(s.inbox.Close)
}

func (s *scene) await(what string, match func(client.Event) bool) client.Event {
	s.t.Helper()
	event, err := s.inbox.Wait(within(s.t), what, match)
	if err != nil {
		s.t.Fatal(err)
	}
	return event
}

// send sends a customer's message.
func (s *scene) send(chat, text string) contract.MessageID {
	s.t.Helper()
	sent, err := s.people.Tenant.Send(within(s.t), s.workspace.ID, s.connection.ID, message(chat, text))
	if err != nil {
		s.t.Fatal(err)
	}
	return sent.Message.ID
}

func message(chat, text string) client.NewMessage {
	return client.NewMessage{
		Conversation: contract.Conversation{ID: contract.ConversationID(chat), Title: "Dana Petrova"},
		Author: contract.Author{Role: contract.RoleCustomer,
			Contact: contract.Contact{ID: contract.ContactID("user-" + chat), Name: "Dana Petrova", Phone: "+37060012345"}},
		Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: text}}},
	}
}

// arrived waits until the operator has a message.
func (s *scene) arrived(id contract.MessageID) emulator.Message {
	s.t.Helper()
	m, err := s.channel.WaitMessage(within(s.t), func(m emulator.Message) bool { return m.ID == string(id) })
	if err != nil {
		s.t.Fatalf("message %s never arrived: %v", id, err)
	}
	return m
}

// reply has the operator reply, and expects the status.
func (s *scene) reply(chat, text string, status int) {
	s.t.Helper()
	answer, err := s.channel.Reply(within(s.t), emulator.Reply{Chat: chat, Text: text})
	if err != nil || answer.Status != status {
		s.t.Fatalf("the reply %q was answered %d %s (%v), want %d", text, answer.Status, answer.Body, err, status)
	}
}

// post sends anything to the receive URL.
func (s *scene) post(body []byte, header http.Header) (int, string) {
	s.t.Helper()
	return s.postTo(s.connection.ReceiveURL, body, header)
}

func (s *scene) postTo(url string, body []byte, header http.Header) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(within(s.t), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := c.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// deliveries counts the deliveries in a state.
func (s *scene) deliveries(state domain.DeliveryState) []domain.Delivery {
	s.t.Helper()
	page, err := s.people.Operator.Deliveries(within(s.t), s.workspace.ID, client.DeliveryFilter{State: state, Page: domain.Page{Limit: 1000}})
	if err != nil {
		s.t.Fatal(err)
	}
	return page.Items
}
