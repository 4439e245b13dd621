// Package tenant does what a workspace asks for: it opens workspaces, enables plugins,
// makes and mends connections, accepts commands and keeps uploads.
//
// It checks and records; the plugin's part of the work is a command, which the broker
// carries out later. Everything here is bound to a workspace: what belongs to another one
// does not exist.
package tenant

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/limits"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Store is what the service keeps things in.
type Store interface {
	CreateWorkspace(ctx context.Context, w domain.Workspace) error
	Workspace(ctx context.Context, id contract.WorkspaceID) (domain.Workspace, error)
	UpdateWorkspace(ctx context.Context, id contract.WorkspaceID, change func(*domain.Workspace) error) (domain.Workspace, error)
	CreateConnection(ctx context.Context, c domain.Connection, secrets []domain.Secret) error
	CountConnections(ctx context.Context, ws contract.WorkspaceID) (int64, error)
	Connection(ctx context.Context, id contract.ConnectionID) (domain.Connection, error)
	UpdateConnection(ctx context.Context, id contract.ConnectionID, change func(*domain.Connection) error) (domain.Connection, error)
	DeleteConnection(ctx context.Context, id contract.ConnectionID) error
	Apps
	AcceptCommand(ctx context.Context, n domain.NewCommand) (job domain.Job, created bool, err error)
	Job(ctx context.Context, id string) (domain.Job, error)
	RequeueJob(ctx context.Context, id string, at time.Time) (domain.Job, error)
	CancelJob(ctx context.Context, id string) (domain.Job, error)
	// OldestJobs lists jobs in one state, oldest first; a page may be short of its limit.
	OldestJobs(ctx context.Context, f domain.JobFilter, p domain.Page) (items []domain.Job, next string, err error)
	// RequeueJobs and CancelJobs change several jobs in one transaction.
	RequeueJobs(ctx context.Context, ids []string, at time.Time) (done []domain.Job, skipped []domain.Skipped, err error)
	CancelJobs(ctx context.Context, ids []string) (done []domain.Job, skipped []domain.Skipped, err error)
	Message(ctx context.Context, ws contract.WorkspaceID, id contract.MessageID) (domain.Message, error)
	PutMedia(ctx context.Context, m domain.Media) error
	Media(ctx context.Context, h contract.MediaHandle) (domain.Media, error)
	ClaimKey(ctx context.Context, ws contract.WorkspaceID, once domain.Once, id string, at time.Time) (domain.Claim, error)
	SettleKey(ctx context.Context, ws contract.WorkspaceID, key string) error
	Audit(ctx context.Context, e domain.AuditEntry) error
	NewID(prefix string) string
}

// Plugins lends the version of a plugin that runs now.
type Plugins interface {
	Acquire(name string) (v *registry.Version, release func(), err error)
}

// Secrets keeps the secrets of connections.
type Secrets interface {
	// Seal encrypts a value for one connection and name.
	Seal(c contract.ConnectionID, name string, value secret.Text) (domain.SecretValue, error)
	Reveal(ctx context.Context, c contract.ConnectionID, name string) (secret.Text, error)
	// Rotate makes value the newest; what was valid stays so for overlap.
	Rotate(ctx context.Context, c contract.ConnectionID, name string, value secret.Text, overlap time.Duration) error
}

// Files keeps the bytes of attachments.
type Files interface {
	Put(ctx context.Context, r io.Reader, maxBytes int64) (sha256 string, size int64, mime string, err error)
	Open(sha256 string) (io.ReadSeekCloser, error)
}

// Jobs is told of commands as they come and go.
type Jobs interface {
	Add(jobs ...domain.Job)
	Forget(job domain.Job)
}

// Limits bounds what a workspace uses.
type Limits interface {
	// AdmitCommand answers a domain.ErrQuota that says more if the workspace may not ask for
	// a command of so many bytes now.
	AdmitCommand(ws contract.WorkspaceID, bytes int64) error
	// Within has create make one more of what limit counts, if there are fewer of it than
	// the workspace may have.
	Within(ctx context.Context, ws contract.WorkspaceID, limit limits.Name, count func(context.Context) (int64, error), create func(context.Context) error) error
	// Effective is what binds a workspace now; Changed says that this is not any more what
	// it was.
	Effective(ws contract.WorkspaceID) domain.Limits
	Changed(ws contract.WorkspaceID)
}

// Options says how a service works.
type Options struct {
	Store   Store
	Plugins Plugins
	Secrets Secrets
	Tokens  Tokens
	Files   Files
	Jobs    Jobs
	Limits  Limits
	// PublicURL is the base of receive URLs, without a slash at its end.
	PublicURL string
	// MediaMaxBytes limits one upload.
	MediaMaxBytes int64
	Now           func() time.Time
	// Random gives endpoints and generated secrets; crypto/rand.Reader in production.
	Random io.Reader
	Log    *slog.Logger
}

// Service does what workspaces ask for. It is safe for concurrent use.
type Service struct{ opts Options }

// New makes a service.
func New(opts Options) *Service { return &Service{opts: opts} }

// maxName bounds the names of workspaces and connections, in bytes.
const maxName = 200

func checkName(field, name string) []domain.Problem {
	if name == "" || len(name) > maxName {
		return []domain.Problem{{Field: field, Value: name, Why: "it has not 1 to 200 bytes", Fix: "choose a short name"}}
	}
	return nil
}

// CreateWorkspace opens a workspace.
func (s *Service) CreateWorkspace(ctx context.Context, by domain.Actor, name string) (domain.Workspace, error) {
	if problems := checkName("name", name); problems != nil {
		return domain.Workspace{}, &domain.Invalid{Problems: problems}
	}
	w := domain.Workspace{ID: contract.WorkspaceID(s.opts.Store.NewID("wsp")), Name: name, CreatedAt: s.opts.Now()}
	if err := s.opts.Store.CreateWorkspace(ctx, w); err != nil {
		return domain.Workspace{}, fmt.Errorf("create workspace: %w", err)
	}
	s.audit(ctx, by, "workspace.created", w.ID, "", string(w.ID), name)
	return w, nil
}

// EnablePlugin lets a workspace connect with a plugin. The plugin must be approved.
func (s *Service) EnablePlugin(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, plugin string) (domain.Workspace, error) {
	if _, err := s.opts.Store.Workspace(ctx, ws); err != nil {
		return domain.Workspace{}, fmt.Errorf("enable plugin: workspace: %w", err)
	}
	_, release, err := s.opts.Plugins.Acquire(plugin)
	if err != nil {
		return domain.Workspace{}, &domain.Invalid{Problems: []domain.Problem{{Field: "plugin", Value: plugin,
			Why: err.Error(), Fix: "a reviewer approves it first: patchbay plugin list"}}}
	}
	release()
	w, err := s.opts.Store.UpdateWorkspace(ctx, ws, func(w *domain.Workspace) error {
		if !slices.Contains(w.Enabled, plugin) {
			w.Enabled = append(w.Enabled, plugin)
			slices.Sort(w.Enabled)
		}
		return nil
	})
	if err != nil {
		return domain.Workspace{}, fmt.Errorf("enable plugin: %w", err)
	}
	s.audit(ctx, by, "plugin.enabled", ws, "", plugin, "")
	return w, nil
}

// DisablePlugin stops a plugin for a workspace: deliveries to its connections are kept
// and answered 503, and its commands wait.
func (s *Service) DisablePlugin(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, plugin string) (domain.Workspace, error) {
	w, err := s.opts.Store.UpdateWorkspace(ctx, ws, func(w *domain.Workspace) error {
		w.Enabled = slices.DeleteFunc(w.Enabled, func(name string) bool { return name == plugin })
		return nil
	})
	if err != nil {
		return domain.Workspace{}, fmt.Errorf("disable plugin: %w", err)
	}
	s.audit(ctx, by, "plugin.disabled", ws, "", plugin, "")
	return w, nil
}

func (s *Service) audit(ctx context.Context, by domain.Actor, action string, ws contract.WorkspaceID, c contract.ConnectionID, target, detail string) {
	err := s.opts.Store.Audit(ctx, domain.AuditEntry{At: s.opts.Now(), Actor: by.Subject, Action: action,
		Workspace: ws, Connection: c, Target: target, Detail: detail})
	if err != nil {
		s.opts.Log.Error("an audit entry was not kept", "action", action, "target", target, "error", err)
	}
}
