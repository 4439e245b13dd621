package health

import (
	"context"
	"errors"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// probe asks the plugin of a connection how it is, keeps what comes of it, and has it asked
// again later.
func (r *Room) probe(ctx context.Context, s *subject) {
	c, err := r.opts.Store.Connection(ctx, s.id)
	if err != nil || !r.eligible(c) {
		r.again(s, 1) // the next scan forgets it, if it is gone
		return
	}
	if r.opts.Debt != nil && r.opts.Debt(c.Budget()) > 0 {
		r.again(s, 1)
		return
	}
	found, err := r.opts.Plugins.Probe(ctx, c)
	if err != nil && (stopped(ctx, err) || errors.Is(err, domain.ErrConflict)) {
		r.again(s, hurry) // nothing is known
		return
	}
	r.learn(ctx, s, c, verdictOf(found, err))
}

// hurry is the part of the interval after which a probe that failed is repeated.
const hurry = 0.25

// again has a connection probed after about that part of the interval.
func (r *Room) again(s *subject, part float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	jitter := 0.9 + 0.2*r.opts.Random()
	r.schedule(s, r.opts.Now().Add(time.Duration(float64(r.opts.Interval)*part*jitter)))
}

// verdict is what one probe says.
type verdict struct {
	well bool
	// refused tells that the platform did not take the credentials, and that the host has no
	// token to renew because of it.
	refused bool
	// code and detail are for programs and for the tenant; may be empty.
	code, detail string
}

func verdictOf(found contract.Health, err error) verdict {
	var failed *domain.Failed
	switch {
	case err == nil && found.CredentialsValid:
		return verdict{well: true, detail: found.Detail}
	case err == nil:
		return verdict{refused: true, code: "credentials_refused", detail: found.Detail}
	case errors.As(err, &failed):
		f := failed.Failure
		return verdict{refused: f.Class == contract.FailureReauthorise && !failed.Renewing, code: f.Code, detail: f.Message}
	}
	return verdict{code: "probe_failed", detail: "The plugin could not find out how the connection is."}
}

// learn keeps what a probe says of a connection.
func (r *Room) learn(ctx context.Context, s *subject, c domain.Connection, v verdict) {
	failures := r.count(s, v)
	change, keep := r.change(c, v, failures)
	if keep {
		if err := r.opts.Store.SetHealth(ctx, c.ID, domain.CauseProbe, change, r.opts.Now()); err != nil && !errors.Is(err, domain.ErrNotFound) && !stopped(ctx, err) {
			r.opts.Log.Error("what a probe found could not be kept", "connection", c.ID, "error", err)
		}
	}
	if v.well {
		r.again(s, 1)
		return
	}
	r.opts.Log.Info("a probe failed", "connection", c.ID, "plugin", c.Plugin, "code", v.code, "detail", v.detail, "in_a_row", failures)
	r.again(s, hurry)
}

// count notes a probe and returns how many failed in a row.
func (r *Room) count(s *subject, v verdict) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.status.LastAt, s.status.Detail = r.opts.Now(), v.detail
	s.status.Failures++
	if v.well {
		s.status.Failures = 0
	}
	return s.status.Failures
}

// refusals is how many probes in a row must find the credentials refused.
const refusals = 2

// change says what is known of a connection after a probe; keep tells whether that is to be
// kept, which it is not where it is known already.
func (r *Room) change(c domain.Connection, v verdict, failures int) (change *contract.StateChange, keep bool) {
	switch {
	case v.well:
		return nil, c.Health.Probe != nil
	case v.refused:
		if failures < refusals {
			return nil, false
		}
		change = &contract.StateChange{State: contract.StateNeedsAction, Code: v.code,
			Reason: orElse(v.detail, "The platform does not take the credentials of this connection."),
			Action: "Give the connection new credentials: rotate its secrets, or authorise it again."}
	case failures < r.opts.Failures:
		return nil, false
	default:
		change = &contract.StateChange{State: contract.StateDegraded, Code: v.code,
			Reason: orElse(v.detail, "The platform did not answer several checks in a row.")}
	}
	known := c.Health.Probe // which may say the same in other words
	return change, known == nil || known.State != change.State || known.Code != change.Code
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// Ended is to be told of each command that has ended: a check that a person asked for says as
// much as a probe.
func (r *Room) Ended(ctx context.Context, job domain.Job) {
	if job.Command == nil || job.Command.Export != contract.ExportCheckHealth || job.State != domain.JobDone && job.State != domain.JobParked {
		return
	}
	r.mu.Lock()
	s := r.known[job.Connection]
	r.mu.Unlock()
	c, err := r.opts.Store.Connection(ctx, job.Connection)
	if s == nil || err != nil || !r.eligible(c) {
		return
	}
	r.learn(ctx, s, c, verdictOfJob(job))
}

func verdictOfJob(job domain.Job) verdict {
	if job.Failure != nil {
		return verdictOf(contract.Health{}, &domain.Failed{Failure: *job.Failure})
	}
	if result := job.Command.Result; result != nil && result.Health != nil {
		return verdictOf(*result.Health, nil)
	}
	return verdict{well: true}
}
