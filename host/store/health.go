package store

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// SetHealth keeps what cause knows of a connection's health, or that it knows nothing bad any
// more if change is nil. If that gives the connection another state, its workspace gets one
// connection.state event, and if it needs somebody to act from now on, a notice, in the same
// commit. ErrNotFound if there is no such connection.
func (s *Store) SetHealth(ctx context.Context, connection contract.ConnectionID, cause domain.HealthCause, change *contract.StateChange, at time.Time) error {
	if !cause.Known() || cause == domain.CausePlugin && change == nil {
		return &domain.Invalid{Problems: []domain.Problem{{Field: "cause", Value: string(cause),
			Why: "nobody knows it, or it has nothing to take back", Fix: "use credentials or probe, or say what the plugin says"}}}
	}
	return s.update(ctx, "set health", func(t *tx) error {
		_, err := t.setHealth(connection, cause, change, at)
		return err
	})
}

// setHealth is SetHealth with whatever else the transaction keeps. It returns the event that
// it made visible, if any.
func (t *tx) setHealth(id contract.ConnectionID, cause domain.HealthCause, change *contract.StateChange, at time.Time) ([]domain.Event, error) {
	c, err := t.connection(id)
	if err != nil {
		return nil, fmt.Errorf("the health of connection %q: %w", id, err)
	}
	state, changed := t.learnHealth(c, cause, change, at)
	if !changed {
		return nil, nil
	}
	return []domain.Event{t.record(domain.Event{
		ID: contract.EventID(t.ids.next("evt")), Workspace: c.Workspace, Connection: c.ID,
		Data: contract.Event{Kind: contract.EventConnectionState, At: at, State: &state},
	}, at)}, nil
}

// learnHealth keeps one more thing that is known of a connection's health, and tells the
// operator if somebody has to act from now on. It returns the connection's state and whether
// that is another one than before.
func (t *tx) learnHealth(before domain.Connection, cause domain.HealthCause, change *contract.StateChange, at time.Time) (contract.StateChange, bool) {
	after, changed := before.Learn(cause, change)
	if changed {
		after.UpdatedAt = at
		t.noticeAction(before, after, at)
	}
	if changed || !after.Health.Equal(before.Health) {
		t.putConnection(&before, after)
	}
	return after.StateChange(), changed
}

// noticeAction keeps a notice of a connection that works no more until somebody acts. One
// that did not work before is known already.
func (t *tx) noticeAction(before, after domain.Connection, at time.Time) {
	if after.State != contract.StateNeedsAction || before.State == contract.StateNeedsAction {
		return
	}
	detail := strings.TrimSpace(after.StateReason + " " + after.StateAction)
	if detail == "" {
		detail = "the plugin does not say what to do"
	}
	t.notice(domain.Notice{At: at, Kind: domain.NoticeNeedsAction, Workspace: after.Workspace, Connection: after.ID,
		Target: string(after.ID), Detail: fmt.Sprintf("%s %q (%s) needs somebody to act: %s", kindOf(after), after.Name, after.Plugin, detail)})
}

// kindOf says what people call it: an app is kept as a connection.
func kindOf(c domain.Connection) string {
	if c.IsApp {
		return "app"
	}
	return "connection"
}

// CommitProbe keeps what a plugin wrote and said when it was asked for its health, all of it
// or nothing; capabilities replace the connection's, if not nil. ErrConflict if something that
// was read has changed, ErrQuota if there are too many key-value entries, ErrNotFound if the
// connection is not there.
func (s *Store) CommitProbe(ctx context.Context, e domain.Effects, capabilities []contract.Capability) error {
	return s.update(ctx, "commit probe", func(t *tx) error { return t.commitProbe(&e, capabilities) })
}

func (t *tx) commitProbe(e *domain.Effects, capabilities []contract.Capability) error {
	if err := t.owns(e.Workspace, e.Connection); err != nil {
		return err
	}
	before, err := t.connection(e.Connection)
	if err != nil {
		return err
	}
	plan, err := t.check(e)
	if err != nil {
		return err
	}
	if capabilities != nil && !reflect.DeepEqual(capabilities, before.Capabilities) {
		after := before
		after.Capabilities, after.UpdatedAt = capabilities, e.At
		t.putConnection(&before, after)
	}
	_, _, err = t.apply(source{ws: e.Workspace, connection: e.Connection, at: e.At}, plan, e)
	return err
}
