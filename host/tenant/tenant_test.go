package tenant_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/credentials"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/limits"
	"github.com/seed75a60ee1/patchbay/host/media"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/host/tenant"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plugins lends one version, or answers an error.
type plugins struct {
	version registry.Version
	err     error
}

func (p *plugins) Acquire(name string) (*registry.Version, func(), error) {
	if name != p.version.Manifest.Name {
		return nil, nil, registry.ErrNoPlugin
	}
	return &p.version, func() {}, p.err
}

// noted is the jobs that the scheduler was told of.
type noted struct{ added, forgotten []string }

func (n *noted) Add(jobs ...domain.Job) {
	for _, job := range jobs {
		n.added = append(n.added, string(job.Command.Export))
	}
}

func (n *noted) Forget(job domain.Job) { n.forgotten = append(n.forgotten, job.ID) }

// world is a service over a real store, vault and media folder.
type world struct {
	*tenant.Service
	store     *store.Store
	keeper    *credentials.Keeper
	tokens    *credentials.Tokens
	plugins   *plugins
	jobs      *noted
	limits    *limits.Limiter
	workspace domain.Workspace
	rival     domain.Workspace
}

var boss = domain.Actor{Subject: "boss", Role: "workspace-admin"}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(filepath.Join(dir, "test.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if broken := s.Check(context.Background()); len(broken) > 0 {
			t.Errorf("the store is inconsistent: %v", broken)
		}
		_ = s.Close()
	})
	vault, err := credentials.OpenVault(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	files, err := media.Open(filepath.Join(dir, "media"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{store: s, keeper: credentials.NewKeeper(vault, s), jobs: &noted{}, plugins: &plugins{version: registry.Version{Plugin: domain.Plugin{Manifest: manifest.Manifest{
		Name: "acme", Title: "Acme",
		Abilities: []contract.Export{contract.ExportReceive, contract.ExportSendMessage, contract.ExportSetupConnection, contract.ExportTeardownConnection},
		Settings: map[string]manifest.Setting{
			"base": {Type: manifest.TypeURL, Title: "Base", Required: true}, "retries": {Type: manifest.TypeInteger, Title: "Retries", Min: 1, Max: 5, Default: "2"}},
		Secrets: map[string]manifest.Secret{
			"token": {Purpose: "Test.", GenerateBytes: 32}, "brought": {Purpose: "Test."}, "extra": {Purpose: "Test.", Optional: true}},
	}}}}}
	w.limits = limits.New(limits.Options{
		Own: func(ctx context.Context, ws contract.WorkspaceID) (domain.Limits, error) {
			kept, err := s.Workspace(ctx, ws)
			return kept.Limits, err
		},
		Queued: func(contract.WorkspaceID) int { return 0 }, Refused: func(limits.Name) {}, Now: time.Now,
		Random: func() float64 { return 0 }, Log: slog.New(slog.DiscardHandler),
	})
	w.tokens = credentials.NewTokens(credentials.TokenOptions{Vault: vault, Store: s, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Manifest: func(string) (*manifest.Manifest, error) { return &w.plugins.version.Manifest, nil }})
	w.Service = tenant.New(tenant.Options{Tokens: w.tokens, Store: s, Plugins: w.plugins, Secrets: w.keeper, Files: files, Jobs: w.jobs, Limits: w.limits, PublicURL: "https://host.test",
		MediaMaxBytes: 1000, Now: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler)})
	if w.workspace, err = w.CreateWorkspace(t.Context(), boss, "Parcel Express"); err != nil {
		t.Fatal(err)
	}
	if w.rival, err = w.CreateWorkspace(t.Context(), boss, "Rival"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.EnablePlugin(t.Context(), boss, w.workspace.ID, "acme"); err != nil {
		t.Fatal(err)
	}
	return w
}

func good() tenant.NewConnection {
	return tenant.NewConnection{Plugin: "acme", Name: "Support", Settings: map[string]string{"base": "https://acme.test"}, Secrets: map[string]string{"brought": "hunter2"}}
}

func (w *world) connection(t *testing.T) domain.Connection {
	t.Helper()
	c, err := w.CreateConnection(t.Context(), boss, w.workspace.ID, good())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// blamed is the fields that an error blames, joined; or the error itself.
func blamed(err error) string {
	var invalid *domain.Invalid
	if !errors.As(err, &invalid) {
		return errorText(err)
	}
	var fields []string
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
	}
	return strings.Join(fields, " ")
}

func errorText(err error) string {
	if err == nil {
		return "nothing"
	}
	return err.Error()
}

func TestAConnectionGetsAnEndpointItsSecretsAndASetup(t *testing.T) {
	w := newWorld(t)
	c := w.connection(t)
	if c.State != contract.StatePending || len(c.Endpoint) != 43 || !slices.Equal(w.jobs.added, []string{"setup_connection"}) {
		t.Errorf("made %+v, queued %v", c, w.jobs.added)
	}
	again := w.connection(t)
	token, err := w.keeper.Reveal(t.Context(), c.ID, "token")
	other, err2 := w.keeper.Reveal(t.Context(), again.ID, "token")
	if err != nil || err2 != nil || len(token.Reveal()) != 43 || token.Reveal() == other.Reveal() || c.Endpoint == again.Endpoint {
		t.Errorf("the generated tokens are %q and %q, %v %v", token.Reveal(), other.Reveal(), err, err2)
	}
	if brought, err := w.keeper.Reveal(t.Context(), c.ID, "brought"); err != nil || brought.Reveal() != "hunter2" {
		t.Errorf("the brought secret is %q, %v", brought.Reveal(), err)
	}
	if _, err := w.keeper.Reveal(t.Context(), c.ID, "extra"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("the optional secret = %v, want ErrNotFound", err)
	}
}

func TestEveryProblemOfANewConnectionIsNamed(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name   string
		change func(*tenant.NewConnection)
		blamed string
	}{
		{"no name", func(n *tenant.NewConnection) { n.Name = "" }, "name"},
		{"a missing setting", func(n *tenant.NewConnection) { n.Settings = nil }, "settings.base"},
		{"a setting of the wrong type", func(n *tenant.NewConnection) { n.Settings["retries"] = "many" }, "settings.retries"},
		{"an unknown setting", func(n *tenant.NewConnection) { n.Settings["colour"] = "red" }, "settings.colour"},
		{"a missing secret", func(n *tenant.NewConnection) { n.Secrets = nil }, "secrets.brought"},
		{"an unknown secret", func(n *tenant.NewConnection) { n.Secrets["password"] = "x" }, "secrets.password"},
		{"an empty secret", func(n *tenant.NewConnection) { n.Secrets["extra"] = "" }, "secrets.extra"},
		{"several", func(n *tenant.NewConnection) { n.Name, n.Settings, n.Secrets = "", nil, nil }, "name settings.base secrets.brought"},
		{"a plugin that is not enabled", func(n *tenant.NewConnection) { n.Plugin = "other" }, "plugin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := good()
			tt.change(&n)
			if _, err := w.CreateConnection(t.Context(), boss, w.workspace.ID, n); blamed(err) != tt.blamed {
				t.Errorf("blamed %s, want %s", blamed(err), tt.blamed)
			}
		})
	}
	w.plugins.err = registry.ErrRevoked
	if _, err := w.CreateConnection(t.Context(), boss, w.workspace.ID, good()); blamed(err) != "plugin" {
		t.Errorf("with a revoked plugin: blamed %s", blamed(err))
	}
}

func TestAnotherWorkspacesThingsDoNotExist(t *testing.T) {
	w := newWorld(t)
	c := w.connection(t)
	job, m, err := w.Send(t.Context(), boss, w.workspace.ID, c.ID, tenant.Send{Message: text("hi")})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := w.Upload(t.Context(), boss, w.workspace.ID, "a.txt", strings.NewReader("mine"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, rival := t.Context(), w.rival.ID
	for name, err := range map[string]error{
		"update":  second(w.UpdateConnection(ctx, boss, rival, c.ID, tenant.ConnectionPatch{})),
		"remove":  second(w.RemoveConnection(ctx, boss, rival, c.ID)),
		"check":   second(w.CheckConnection(ctx, boss, rival, c.ID)),
		"lookup":  second(w.LookupContact(ctx, boss, rival, c.ID, "who")),
		"targets": second(w.AllowPrivateTargets(ctx, boss, rival, c.ID, nil)),
		"rotate":  w.RotateSecret(ctx, boss, rival, c.ID, "token", "", 0),
		"setup":   second(w.Setup(ctx, boss, rival, c.ID)),
		"retry":   second(w.RetryCommand(ctx, boss, rival, job.Command.ID)),
		"cancel":  second(w.CancelCommand(ctx, boss, rival, job.Command.ID)),
		"status":  second(w.ReportStatus(ctx, boss, rival, m.ID, tenant.StatusReport{Status: contract.MessageFailed})),
		"media":   func() error { _, _, err := w.OpenMedia(ctx, rival, kept.Handle); return err }(),
		"send": func() error {
			_, _, err := w.Send(ctx, boss, rival, c.ID, tenant.Send{Message: text("hi")})
			return err
		}(),
	} {
		if !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("%s = %v, want ErrNotFound", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func text(words string) contract.Message {
	return contract.Message{Conversation: contract.Conversation{ID: "chat"}, Author: contract.Author{Role: contract.RoleCustomer},
		Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: words}}}}
}

func TestEveryProblemOfAMessageIsNamed(t *testing.T) {
	w := newWorld(t)
	c := w.connection(t)
	theirs, err := w.Upload(t.Context(), boss, w.rival.ID, "theirs.txt", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	withMedia := text("see")
	withMedia.Parts = append(withMedia.Parts, contract.Part{Kind: contract.PartMedia, Media: &contract.Media{Kind: contract.MediaFile, Handle: theirs.Handle, Name: "theirs.txt"}})
	withAvatar := text("hi")
	withAvatar.Author.Contact.Avatar = "med_none"
	for _, tt := range []struct {
		name, blamed string
		send         tenant.Send
	}{
		{"no conversation", "conversation.id", tenant.Send{Message: contract.Message{Author: contract.Author{Role: contract.RoleCustomer}, Parts: text("x").Parts}}},
		{"no parts", "parts", tenant.Send{Message: contract.Message{Conversation: contract.Conversation{ID: "c"}}}},
		{"nobody wrote it", "message", tenant.Send{Message: contract.Message{Conversation: contract.Conversation{ID: "c"}, Parts: text("x").Parts}}},
		{"another workspace's attachment", "parts[1].media.handle", tenant.Send{Message: withMedia}},
		{"a picture that is not there", "author.contact.avatar", tenant.Send{Message: withAvatar}},
		{"a long idempotency key", "Idempotency-Key", tenant.Send{Message: text("x"), IdempotencyKey: strings.Repeat("k", 256)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, err := w.Send(t.Context(), boss, w.workspace.ID, c.ID, tt.send); blamed(err) != tt.blamed {
				t.Errorf("blamed %s, want %s", blamed(err), tt.blamed)
			}
		})
	}
}

func TestTheSetupIsFilledInAndEveryLookIsAudited(t *testing.T) {
	w := newWorld(t)
	c := w.connection(t)
	if _, err := w.store.UpdateConnection(t.Context(), c.ID, func(c *domain.Connection) error {
		c.Setup = []contract.SetupStep{{Label: "URL", Value: "{{receive_url}}"}, {Label: "Code", Value: "<{{secret:brought}}>"}, {Label: "Odd", Value: "{{secret:"}}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	steps, err := w.Setup(t.Context(), boss, w.workspace.ID, c.ID)
	if err != nil || steps[0].Value != "https://host.test/in/"+c.Endpoint || steps[1].Value != "<hunter2>" || steps[2].Value != "{{secret:" {
		t.Errorf("the steps are %+v, %v", steps, err)
	}
	audited, _, err := w.store.AuditEntries(t.Context(), domain.AuditFilter{Action: "connection.setup_seen"}, domain.Page{})
	if err != nil || len(audited) != 1 || audited[0].Actor != "boss" {
		t.Errorf("audited %+v, %v", audited, err)
	}
}

func TestARotatedSecretOverlapsAsAsked(t *testing.T) {
	w := newWorld(t)
	c := w.connection(t)
	for _, tt := range []struct {
		name, secret, value string
		overlap             time.Duration
		blamed              string
	}{
		{"an unknown secret", "nobody", "x", 0, "name"},
		{"nothing to generate from", "brought", "", 0, "value"},
		{"a negative overlap", "token", "", -time.Second, "overlap_seconds"},
		{"an endless overlap", "token", "", 31 * 24 * time.Hour, "overlap_seconds"},
		{"a good one", "brought", "hunter3", time.Hour, "nothing"},
	} {
		if err := w.RotateSecret(t.Context(), boss, w.workspace.ID, c.ID, tt.secret, tt.value, tt.overlap); blamed(err) != tt.blamed {
			t.Errorf("%s: blamed %s, want %s", tt.name, blamed(err), tt.blamed)
		}
	}
	for value, want := range map[string]bool{"hunter2": true, "hunter3": true, "hunter4": false} {
		if got, err := w.keeper.Equal(t.Context(), c.ID, "brought", value); got != want || err != nil {
			t.Errorf("%s is accepted: %v, %v, want %v", value, got, err, want)
		}
	}
	if err := w.RotateSecret(t.Context(), boss, w.workspace.ID, c.ID, "brought", "hunter5", 0); err != nil {
		t.Fatal(err)
	}
	if got, err := w.keeper.Equal(t.Context(), c.ID, "brought", "hunter3"); got || err != nil {
		t.Errorf("without overlap the old value is still accepted: %v, %v", got, err)
	}
}

func TestSettingsChangeAndGoBackToTheirDefaults(t *testing.T) {
	w := newWorld(t)
	c := w.connection(t)
	changed, err := w.UpdateConnection(t.Context(), boss, w.workspace.ID, c.ID, tenant.ConnectionPatch{Settings: map[string]string{"retries": "4"}})
	if err != nil || changed.Settings["retries"] != "4" || changed.Settings["base"] != "https://acme.test" {
		t.Errorf("the settings are %v, %v", changed.Settings, err)
	}
	changed, err = w.UpdateConnection(t.Context(), boss, w.workspace.ID, c.ID, tenant.ConnectionPatch{Settings: map[string]string{"retries": ""}})
	if _, set := changed.Settings["retries"]; set || err != nil {
		t.Errorf("the settings are %v, %v", changed.Settings, err)
	}
	if _, err := w.UpdateConnection(t.Context(), boss, w.workspace.ID, c.ID, tenant.ConnectionPatch{Settings: map[string]string{"base": ""}}); blamed(err) != "settings.base" {
		t.Errorf("blamed %s", blamed(err))
	}
}

func TestPrivateTargetsAreAddressesWithPorts(t *testing.T) {
	w := newWorld(t)
	c := w.connection(t)
	if _, err := w.AllowPrivateTargets(t.Context(), boss, w.workspace.ID, c.ID, []string{"10.0.0.5:443", "[fd00::5]:8443"}); err != nil {
		t.Error(err)
	}
	if _, err := w.AllowPrivateTargets(t.Context(), boss, w.workspace.ID, c.ID, []string{"10.0.0.5:443", "localhost:443", "10.0.0.0/8", "169.254.169.254:80"}); blamed(err) != "targets[1] targets[2] targets[3]" {
		t.Errorf("blamed %s", blamed(err))
	}
}

func TestRemovingAsksThePluginUnlessTheConnectionHasEnded(t *testing.T) {
	w := newWorld(t)
	c := w.connection(t)
	job, err := w.RemoveConnection(t.Context(), boss, w.workspace.ID, c.ID)
	if err != nil || job.Command.Export != contract.ExportTeardownConnection {
		t.Errorf("queued %+v, %v", job, err)
	}
	ended := w.connection(t)
	if _, err := w.store.UpdateConnection(t.Context(), ended.ID, func(c *domain.Connection) error { c.State = contract.StateDisconnected; return nil }); err != nil {
		t.Fatal(err)
	}
	if job, err := w.RemoveConnection(t.Context(), boss, w.workspace.ID, ended.ID); err != nil || job.ID != "" {
		t.Errorf("queued %+v, %v", job, err)
	}
	if _, err := w.store.Connection(t.Context(), ended.ID); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("the ended connection = %v, want ErrNotFound", err)
	}
}

func TestACancelledCommandLeavesItsLane(t *testing.T) {
	w := newWorld(t)
	c := w.connection(t)
	job, m, err := w.Send(t.Context(), boss, w.workspace.ID, c.ID, tenant.Send{Message: text("hi")})
	if err != nil || m.Status != contract.MessageQueued || m.Command != job.Command.ID {
		t.Fatalf("accepted %+v, %v", m, err)
	}
	if cancelled, err := w.CancelCommand(t.Context(), boss, w.workspace.ID, job.Command.ID); err != nil || cancelled.State != domain.JobCancelled {
		t.Errorf("cancelled %+v, %v", cancelled, err)
	}
	if !slices.Equal(w.jobs.forgotten, []string{job.ID}) {
		t.Errorf("the scheduler was told to forget %v", w.jobs.forgotten)
	}
}

func TestAStatusIsReportedOnWhatCameIn(t *testing.T) {
	w := newWorld(t)
	c := w.connection(t)
	_, out, err := w.Send(t.Context(), boss, w.workspace.ID, c.ID, tenant.Send{Message: text("hi")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ReportStatus(t.Context(), boss, w.workspace.ID, out.ID, tenant.StatusReport{Status: "sent"}); blamed(err) != "message status" {
		t.Errorf("blamed %s", blamed(err))
	}
}

func TestUploadsAreBoundedAndTheirNamesAreHarmless(t *testing.T) {
	w := newWorld(t)
	for given, want := range map[string]string{
		"a.txt": "a.txt", "../../etc/passwd": "passwd", `C:\temp\a.txt`: "a.txt", "": "file", "..": "file", "/": "file",
		"a\r\n\"b\".txt": "ab.txt", strings.Repeat("ü", 200): strings.Repeat("ü", 100), "\xff": "file",
	} {
		kept, err := w.Upload(t.Context(), boss, w.workspace.ID, given, strings.NewReader("x"))
		if err != nil || kept.Name != want {
			t.Errorf("%q is kept as %q, %v, want %q", given, kept.Name, err, want)
		}
	}
	if _, err := w.Upload(t.Context(), boss, w.workspace.ID, "big", bytes.NewReader(make([]byte, 1001))); contract.HostErrorCode(err) != contract.HostQuota {
		t.Errorf("one byte too many = %v, want quota", err)
	}
	kept, err := w.Upload(t.Context(), boss, w.workspace.ID, "a", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	_, file, err := w.OpenMedia(t.Context(), w.workspace.ID, kept.Handle)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got, err := io.ReadAll(file); string(got) != "hello" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}
