package registry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// module is the smallest module that exports receive: () -> i32, which returns 0.
const module = "\x00asm\x01\x00\x00\x00" +
	"\x01\x05\x01\x60\x00\x01\x7f" + // type: () -> i32
	"\x03\x02\x01\x00" + // one function of it
	"\x07\x0b\x01\x07receive\x00\x00" +
	"\x0a\x06\x01\x04\x00\x41\x00\x0b" // i32.const 0

// plugin makes a plugin file.
func plugin(t *testing.T, name, version string) []byte {
	t.Helper()
	m := manifest.Manifest{
		Contract: contract.Version, Name: name, Version: version, Title: name, Vendor: manifest.Vendor{Name: "Test"},
		Abilities:   []contract.Export{contract.ExportReceive},
		Egress:      map[string]manifest.EgressRule{"api": {Purpose: "Test.", Host: "api.acme.test", Methods: []string{"POST"}, Paths: []string{"/"}}},
		Secrets:     map[string]manifest.Secret{"token": {Purpose: "Test.", SendTo: []string{"api"}}},
		Credentials: map[string]manifest.Credential{"access_token": {Purpose: "Test.", SendTo: []string{"api"}}},
	}
	wasm, err := binary.AppendCustom([]byte(module), manifest.Section, m.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// code is compiled code that tells when it was closed.
type code struct{ closed chan struct{} }

func (c *code) Record(context.Context, sandbox.Invocation) (*recording.Recording, *sandbox.Result, error) {
	return &recording.Recording{}, &sandbox.Result{}, nil
}

func (c *code) Close(context.Context) error {
	close(c.closed)
	return nil
}

// world is a registry over a real store and real folders.
type world struct {
	*registry.Registry
	t      *testing.T
	store  *store.Store
	dir    string
	auto   bool
	refuse error
	// compare is what is asked about a corpus; nil leaves it out.
	compare func(ctx context.Context, wasm []byte, corpus recording.Corpus) error

	mu     sync.Mutex
	loaded []*code
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	var err error
	if w.store, err = store.Open(filepath.Join(w.dir, "test.db"), store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	return w
}

func (w *world) load(context.Context, []byte) (registry.Code, error) {
	if w.refuse != nil {
		return nil, w.refuse
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loaded = append(w.loaded, &code{closed: make(chan struct{})})
	return w.loaded[len(w.loaded)-1], nil
}

// open starts the registry; the cleanup closes it.
func (w *world) open() {
	w.t.Helper()
	var err error
	w.Registry, err = registry.Open(w.t.Context(), registry.Options{
		Store: w.store, Load: w.load, Compare: w.compare, Keep: filepath.Join(w.dir, "kept"), Folder: filepath.Join(w.dir, "drop"),
		Poll: 10 * time.Millisecond, AutoApprove: w.auto, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	opened := w.Registry
	w.t.Cleanup(func() {
		if err := opened.Close(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) drop(name string, wasm []byte) {
	w.t.Helper()
	folder := filepath.Join(w.dir, "drop")
	if err := errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, name), wasm, 0o600)); err != nil {
		w.t.Fatal(err)
	}
}

// watch runs the watcher until the test ends.
func (w *world) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Watch(ctx)
	}()
	w.t.Cleanup(func() {
		cancel()
		<-done
	})
}

// eventually polls until the condition holds.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	tick, late := time.NewTicker(2*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// versions lists the known versions as "name version state", with "*" for the active one.
func (w *world) versions() string {
	w.t.Helper()
	plugins, err := w.store.Plugins(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var lines []string
	for _, p := range plugins {
		line := fmt.Sprintf("%s %s %s", p.Manifest.Name, p.Manifest.Version, p.State)
		if p.Active {
			line += "*"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

// digest is the name of a version.
func (w *world) digest(version string) string {
	w.t.Helper()
	plugins, err := w.store.Plugins(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range plugins {
		if p.Manifest.Version == version {
			return p.Digest
		}
	}
	w.t.Fatalf("there is no version %s", version)
	return ""
}

func (w *world) approve(version string) {
	w.t.Helper()
	if _, err := w.Approve(w.t.Context(), domain.Actor{Subject: "rita"}, w.digest(version), registry.Approval{All: true}); err != nil {
		w.t.Fatal(err)
	}
}

// runs is the version that runs now, or why none does.
func (w *world) runs(name string) string {
	v, release, err := w.Acquire(name)
	if err != nil {
		return err.Error()
	}
	defer release()
	return v.Manifest.Version
}

func TestANewPluginWaitsForAReviewer(t *testing.T) {
	w := newWorld(t)
	w.drop("a.wasm", plugin(t, "acme", "1.0.0"))
	w.open()
	if got := w.versions(); got != "acme 1.0.0 submitted" {
		t.Errorf("versions: %s", got)
	}
	if _, _, err := w.Acquire("acme"); !errors.Is(err, registry.ErrNoPlugin) {
		t.Errorf("Acquire = %v, want ErrNoPlugin", err)
	}
	w.approve("1.0.0")
	if got := w.versions() + "; runs " + w.runs("acme"); got != "acme 1.0.0 approved*; runs 1.0.0" {
		t.Error(got)
	}
	audited, _, err := w.store.AuditEntries(t.Context(), domain.AuditFilter{Action: "plugin.approved"}, domain.Page{})
	if err != nil || len(audited) != 1 || audited[0].Actor != "rita" || !strings.Contains(audited[0].Detail, "egress api; secrets token") {
		t.Errorf("audited %+v, %v", audited, err)
	}
}

func TestAutoApproveGrantsAllAndRunsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.auto = true
	w.open()
	w.watch()
	w.drop("a.wasm", plugin(t, "acme", "1.0.0"))
	w.eventually("the plugin to run", func() bool { return w.runs("acme") == "1.0.0" })
	v, release, err := w.Acquire("acme")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if g := v.Grant; g == nil || len(g.Egress) != 1 || !slices.Equal(g.Secrets, []string{"token", "credential:access_token"}) || g.GrantedBy != "policy:auto-approve" {
		t.Errorf("the grant is %+v", g)
	}
}

func TestTheRunningVersionStaysUntilAnotherIsApproved(t *testing.T) {
	w := newWorld(t)
	w.drop("a.wasm", plugin(t, "acme", "1.0.0"))
	w.open()
	w.approve("1.0.0")
	w.watch()
	w.drop("b.wasm", plugin(t, "acme", "1.1.0"))
	w.eventually("the new version to be listed", func() bool { return strings.Contains(w.versions(), "1.1.0") })
	if got := w.runs("acme"); got != "1.0.0" {
		t.Errorf("%s runs before it is approved", got)
	}
	w.drop("c.wasm", []byte("no plugin"))
	w.eventually("the refusal", func() bool {
		refusals, err := w.store.Refusals(t.Context())
		return err == nil && len(refusals) == 1 && refusals[0].File == "c.wasm" && refusals[0].Reason != ""
	})
	if got := w.runs("acme"); got != "1.0.0" {
		t.Errorf("%s runs after a broken file came", got)
	}
	held, release, err := w.Acquire("acme")
	if err != nil {
		t.Fatal(err)
	}
	w.approve("1.1.0")
	if got := w.runs("acme"); got != "1.1.0" {
		t.Errorf("%s runs after the approval", got)
	}
	old := held.Code.(*code)
	select {
	case <-old.closed:
		t.Error("the old version was closed while an invocation holds it")
	default:
	}
	release()
	release() // giving back twice is giving back once
	<-old.closed
}

func TestRevocationStopsTheNextCall(t *testing.T) {
	w := newWorld(t)
	w.drop("a.wasm", plugin(t, "acme", "1.0.0"))
	w.open()
	w.approve("1.0.0")
	if _, err := w.Revoke(t.Context(), domain.Actor{Subject: "rita"}, w.digest("1.0.0"), "it phones home"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Acquire("acme"); !errors.Is(err, registry.ErrRevoked) {
		t.Errorf("Acquire = %v, want ErrRevoked", err)
	}
	w.open() // the host starts again
	if _, _, err := w.Acquire("acme"); !errors.Is(err, registry.ErrRevoked) {
		t.Errorf("after a restart, Acquire = %v, want ErrRevoked", err)
	}
	w.approve("1.0.0")
	if got := w.runs("acme"); got != "1.0.0" {
		t.Errorf("after a new approval: %s", got)
	}
}

func TestAnApprovedPluginRunsAfterARestartWithoutItsFile(t *testing.T) {
	w := newWorld(t)
	w.drop("a.wasm", plugin(t, "acme", "1.0.0"))
	w.open()
	w.approve("1.0.0")
	if err := os.Remove(filepath.Join(w.dir, "drop", "a.wasm")); err != nil {
		t.Fatal(err)
	}
	w.open()
	if got := w.runs("acme"); got != "1.0.0" {
		t.Errorf("after a restart: %s", got)
	}
}

func TestBytesThatChangedOnDiskDoNotRun(t *testing.T) {
	w := newWorld(t)
	w.drop("a.wasm", plugin(t, "acme", "1.0.0"))
	w.open()
	w.approve("1.0.0")
	kept := filepath.Join(w.dir, "kept", strings.TrimPrefix(w.digest("1.0.0"), "sha256:")+".wasm")
	if err := os.WriteFile(kept, plugin(t, "acme", "6.6.6"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.open()
	if _, _, err := w.Acquire("acme"); !errors.Is(err, registry.ErrNoPlugin) {
		t.Errorf("Acquire = %v, want ErrNoPlugin", err)
	}
}

func TestAnApprovedVersionThatIsDroppedInAgainRuns(t *testing.T) {
	w := newWorld(t)
	w.drop("a.wasm", plugin(t, "acme", "1.0.0"))
	w.open()
	w.approve("1.0.0")
	w.watch()
	w.drop("b.wasm", plugin(t, "acme", "1.1.0"))
	w.eventually("the new version to be listed", func() bool { return strings.Contains(w.versions(), "1.1.0") })
	w.approve("1.1.0")
	w.drop("rollback.wasm", plugin(t, "acme", "1.0.0"))
	w.eventually("the old version to run again", func() bool { return w.runs("acme") == "1.0.0" })
}

func TestARefusalGoesWhenItsFileIsMendedOrGone(t *testing.T) {
	w := newWorld(t)
	w.drop("a.wasm", []byte("half"))
	w.drop("b.wasm", []byte("half"))
	w.open()
	refused := func() int {
		refusals, err := w.store.Refusals(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(refusals)
	}
	if refused() != 2 {
		t.Fatalf("%d files were refused, want 2", refused())
	}
	w.watch()
	w.drop("a.wasm", plugin(t, "acme", "1.0.0"))
	w.eventually("the mended file's refusal to go", func() bool { return refused() == 1 })
	if err := os.Remove(filepath.Join(w.dir, "drop", "b.wasm")); err != nil {
		t.Fatal(err)
	}
	w.eventually("the other one to go with its file", func() bool { return refused() == 0 })
}

func TestAFileThatTheSandboxRefusesIsRefused(t *testing.T) {
	w := newWorld(t)
	w.refuse = errors.New("it imports http_request")
	w.drop("a.wasm", plugin(t, "acme", "1.0.0"))
	w.open()
	refusals, err := w.store.Refusals(t.Context())
	if err != nil || len(refusals) != 1 || !strings.Contains(refusals[0].Reason, "http_request") || refusals[0].Digest == "" {
		t.Errorf("refusals %+v, %v", refusals, err)
	}
	if got := w.versions(); got != "" {
		t.Errorf("versions: %s", got)
	}
}

func TestAnApprovalGrantsNoMoreThanWasAskedFor(t *testing.T) {
	w := newWorld(t)
	w.drop("a.wasm", plugin(t, "acme", "1.0.0"))
	w.open()
	for _, tt := range []struct {
		name   string
		a      registry.Approval
		blamed string
	}{
		{"an egress rule that is not there", registry.Approval{Egress: []string{"api", "other"}}, "egress[1]"},
		{"a secret that is not there", registry.Approval{Secrets: []string{"password"}}, "secrets[0]"},
		{"a credential that is not there", registry.Approval{Secrets: []string{"credential:access_token", "credential:refresh_token"}}, "secrets[1]"},
		{"a credential without its mark", registry.Approval{Secrets: []string{"access_token"}}, "secrets[0]"},
		{"a host function that is not imported", registry.Approval{HostFunctions: []string{"http_send"}}, "host_functions[0]"},
		{"hosts for a rule that is not granted", registry.Approval{Hosts: map[string][]string{"api": {"api.acme.test"}}}, "hosts[0]"},
		{"a host that is none", registry.Approval{All: true, Hosts: map[string][]string{"api": {"*"}}}, "hosts.api[0]"},
		{"no host at all", registry.Approval{All: true, Hosts: map[string][]string{"api": {}}}, "hosts.api"},
		{"all and a list", registry.Approval{All: true, Secrets: []string{"token"}}, "all"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := w.Approve(t.Context(), domain.Actor{}, w.digest("1.0.0"), tt.a)
			var invalid *domain.Invalid
			if !errors.As(err, &invalid) || invalid.Problems[0].Field != tt.blamed {
				t.Errorf("Approve = %v, want that it blames %s", err, tt.blamed)
			}
		})
	}
	if _, err := w.Approve(t.Context(), domain.Actor{}, "sha256:none", registry.Approval{All: true}); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("approving what is not there = %v, want ErrNotFound", err)
	}
	if got := w.versions(); got != "acme 1.0.0 submitted" {
		t.Errorf("versions: %s", got)
	}
}
