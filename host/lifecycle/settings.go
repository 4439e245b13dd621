package lifecycle

import (
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Settings is how long a workspace's data is kept, and how much there is of it.
type Settings struct {
	// Own is what was set for the workspace; a zero field is the host's default.
	Own domain.Retention `json:"own" doc:"What was set for the workspace; what is left out is the host's default."`
	// Effective is what holds.
	Effective domain.Retention `json:"effective" doc:"What holds; what is left out has no bound."`
	Usage     domain.Usage     `json:"usage" doc:"What the workspace keeps now."`
}

// Settings returns how long a workspace's data is kept; domain.ErrNotFound if there is no
// such workspace.
func (k *Keeper) Settings(ctx context.Context, ws contract.WorkspaceID) (Settings, error) {
	w, err := k.opts.Store.Workspace(ctx, ws)
	if err != nil {
		return Settings{}, fmt.Errorf("read retention: %w", err)
	}
	return k.settings(ctx, w)
}

func (k *Keeper) settings(ctx context.Context, w domain.Workspace) (Settings, error) {
	usage, err := k.opts.Store.Usage(ctx, w.ID)
	if err != nil {
		return Settings{}, fmt.Errorf("read retention: %w", err)
	}
	return Settings{Own: w.Retention, Effective: w.Retention.Over(k.opts.Defaults), Usage: usage}, nil
}

// SetRetention sets how long a workspace's data is kept, from the next pass on. The error
// is a [*domain.Invalid] or domain.ErrNotFound.
func (k *Keeper) SetRetention(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, r domain.Retention) (Settings, error) {
	if err := r.Check(); err != nil {
		return Settings{}, err
	}
	w, err := k.opts.Store.UpdateWorkspace(ctx, ws, func(w *domain.Workspace) error {
		w.Retention = r
		return nil
	})
	if err != nil {
		return Settings{}, fmt.Errorf("set retention: %w", err)
	}
	k.audit(ctx, domain.AuditEntry{Actor: by.Subject, Action: "retention.set", Workspace: ws, Target: string(ws),
		Detail: fmt.Sprintf("payload %d days, events %d days, dedupe %d days, at most %d bytes", r.PayloadDays, r.EventDays, r.DedupeDays, r.MaxBytes)})
	return k.settings(ctx, w)
}

// RunNow makes a pass because somebody asks for it.
func (k *Keeper) RunNow(ctx context.Context, by domain.Actor) (Report, error) {
	k.audit(ctx, domain.AuditEntry{Actor: by.Subject, Action: "retention.run"})
	return k.Pass(ctx)
}

// audit writes to the audit log. What was done is done, so a failure is only logged.
func (k *Keeper) audit(ctx context.Context, e domain.AuditEntry) {
	e.At = k.opts.Now()
	if err := k.opts.Store.Audit(ctx, e); err != nil {
		k.opts.Log.Error("an audit entry could not be kept", "action", e.Action, "actor", e.Actor, "error", err)
	}
}
