package tenant

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// WorkspaceLimits is what bounds a workspace.
type WorkspaceLimits struct {
	// Set is what an operator set for it; 0 means the host's default, -1 no limit.
	Set domain.Limits
	// Effective is what binds it; 0 is no limit.
	Effective domain.Limits
}

// Limits tells what bounds a workspace.
func (s *Service) Limits(ctx context.Context, ws contract.WorkspaceID) (WorkspaceLimits, error) {
	w, err := s.opts.Store.Workspace(ctx, ws)
	if err != nil {
		return WorkspaceLimits{}, fmt.Errorf("workspace %s: %w", ws, err)
	}
	return WorkspaceLimits{Set: w.Limits, Effective: s.opts.Limits.Effective(ws)}, nil
}

// SetLimits sets all limits of a workspace, at once and for whatever comes next.
func (s *Service) SetLimits(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, limits domain.Limits) (WorkspaceLimits, error) {
	if problems := limitProblems(limits); len(problems) > 0 {
		return WorkspaceLimits{}, &domain.Invalid{Problems: problems}
	}
	_, err := s.opts.Store.UpdateWorkspace(ctx, ws, func(w *domain.Workspace) error {
		w.Limits = limits
		return nil
	})
	s.opts.Limits.Changed(ws) // with an error, too: the change may have been committed
	if err != nil {
		return WorkspaceLimits{}, fmt.Errorf("set the limits of workspace %s: %w", ws, err)
	}
	detail, err := json.Marshal(limits)
	if err != nil {
		return WorkspaceLimits{}, fmt.Errorf("describe the limits of workspace %s: %w", ws, err)
	}
	s.audit(ctx, by, "workspace.limited", ws, "", string(ws), string(detail))
	return WorkspaceLimits{Set: limits, Effective: s.opts.Limits.Effective(ws)}, nil
}

// maxLimit bounds every limit: numbers beyond it are slips.
const maxLimit = 1e12

func limitProblems(l domain.Limits) (problems []domain.Problem) {
	for _, limit := range []struct {
		name  string
		value float64
	}{
		{"deliveries_per_second", l.DeliveriesPerSecond}, {"commands_per_second", l.CommandsPerSecond},
		{"bytes_per_second", l.BytesPerSecond}, {"fuel_million_per_second", l.FuelMillionPerSecond},
		{"queued_jobs", float64(l.QueuedJobs)}, {"connections", float64(l.Connections)},
		{"subscribers", float64(l.Subscribers)}, {"bridges", float64(l.Bridges)},
	} {
		v := limit.value
		if v == domain.Unlimited || v == 0 || v >= 0.001 && v <= maxLimit && !math.IsNaN(v) {
			continue
		}
		problems = append(problems, domain.Problem{Field: limit.name, Value: fmt.Sprint(v), Why: "it is no limit that can be kept",
			Fix: "give 0.001 to 1000000000000, 0 for the host's default, or -1 for no limit"})
	}
	return problems
}

// admit asks whether the workspace may have a command of so many bytes now.
func (s *Service) admit(ws contract.WorkspaceID, bytes int64) error {
	if err := s.opts.Limits.AdmitCommand(ws, bytes); err != nil {
		return fmt.Errorf("ask for a command: %w", err)
	}
	return nil
}
