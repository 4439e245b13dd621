package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const listSubscribers listing = 's'

// subscriberKey is the key of a subscriber's record. Nothing but the workspace finds it, so
// that another workspace cannot.
func subscriberKey(ws contract.WorkspaceID, id domain.SubscriberID) key {
	return workspaceKey(ws).rest(string(id))
}

// CreateSubscriber keeps a new subscriber. It begins behind the event with the Seq after,
// or behind the newest one if that is nil. ErrExists if the id is taken, ErrNotFound if
// there is no such workspace.
func (s *Store) CreateSubscriber(ctx context.Context, n domain.Subscriber, after *uint64) error {
	return s.update(ctx, "create subscriber", func(t *tx) error {
		if !t.has(bucketWorkspaces, key(n.Workspace)) {
			return fmt.Errorf("workspace %q: %w", n.Workspace, domain.ErrNotFound)
		}
		if t.has(bucketSubscriberProgress, key(n.ID)) {
			return fmt.Errorf("subscriber %q: %w", n.ID, domain.ErrExists)
		}
		cursor := t.lastSeq(n.Workspace)
		if after != nil {
			cursor = min(cursor, *after)
		}
		t.putJSON(bucketSubscribers, subscriberKey(n.Workspace, n.ID), n)
		t.putJSON(bucketSubscriberProgress, key(n.ID), domain.SubscriberProgress{Cursor: cursor})
		return nil
	})
}

// CountSubscribers returns how many subscribers a workspace has.
func (s *Store) CountSubscribers(ctx context.Context, ws contract.WorkspaceID) (int64, error) {
	return view(ctx, s, "count subscribers", func(t *tx) (n int64, err error) {
		for range t.scan(bucketSubscribers, workspaceKey(ws), nil) {
			n++
		}
		return n, nil
	})
}

func (t *tx) subscriber(ws contract.WorkspaceID, id domain.SubscriberID) (domain.Subscriber, error) {
	found, err := load[domain.Subscriber](t, bucketSubscribers, subscriberKey(ws, id))
	if err != nil {
		return found, fmt.Errorf("subscriber %q of workspace %q: %w", id, ws, err)
	}
	return found, nil
}

func (t *tx) subscriberProgress(id domain.SubscriberID) (domain.SubscriberProgress, error) {
	p, err := load[domain.SubscriberProgress](t, bucketSubscriberProgress, key(id))
	if err != nil {
		return p, fmt.Errorf("progress of subscriber %q: %w", id, err)
	}
	return p, nil
}

// Subscriber returns a subscriber of a workspace; ErrNotFound if there is none.
func (s *Store) Subscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID) (domain.Subscriber, error) {
	return view(ctx, s, "read subscriber", func(t *tx) (domain.Subscriber, error) { return t.subscriber(ws, id) })
}

// SubscriberStatus returns a subscriber with how it is doing; ErrNotFound if there is none.
func (s *Store) SubscriberStatus(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID) (domain.SubscriberStatus, error) {
	return view(ctx, s, "read subscriber", func(t *tx) (domain.SubscriberStatus, error) {
		found, err := t.subscriber(ws, id)
		if err != nil {
			return domain.SubscriberStatus{}, err
		}
		return t.subscriberStatus(found)
	})
}

func (t *tx) subscriberStatus(found domain.Subscriber) (domain.SubscriberStatus, error) {
	p, err := t.subscriberProgress(found.ID)
	return domain.SubscriberStatus{
		Subscriber: found, Progress: p, LastEvent: t.lastSeq(found.Workspace),
		Queued: t.countJobs(found.ID, domain.JobQueued), Parked: t.countJobs(found.ID, domain.JobParked),
	}, err
}

func (t *tx) countJobs(id domain.SubscriberID, state domain.JobState) (n int) {
	for range t.newest(bucketJobListing, subscriberRuns(id, state), nil) {
		if n++; n == domain.MaxCounted {
			break
		}
	}
	return n
}

// subscriberRuns is the run of the index in which the jobs of a subscriber stand: jobs are
// listed by their group.
func subscriberRuns(id domain.SubscriberID, state domain.JobState) []key {
	return []key{stateKey(scopeConnection, string(id), jobState(state))}
}

// Subscribers lists the subscribers of a workspace, oldest first, with the cursor of the
// next page.
func (s *Store) Subscribers(ctx context.Context, ws contract.WorkspaceID, p domain.Page) ([]domain.SubscriberStatus, string, error) {
	return paged(ctx, s, "list subscribers", func(t *tx) ([]domain.SubscriberStatus, string, error) {
		after, err := listSubscribers.position(p.After)
		if err != nil {
			return nil, "", err
		}
		return collect(ctx, listSubscribers, p.Size(), t.scan(bucketSubscribers, workspaceKey(ws), after),
			func(_, doc []byte) (domain.SubscriberStatus, bool, error) {
				found, err := decode[domain.Subscriber](bucketSubscribers, doc)
				if err != nil {
					return domain.SubscriberStatus{}, false, err
				}
				status, err := t.subscriberStatus(found)
				return status, true, err
			})
	})
}

// ActiveSubscribers returns every active subscriber of the host.
func (s *Store) ActiveSubscribers(ctx context.Context) ([]domain.Subscriber, error) {
	return view(ctx, s, "read subscribers", func(t *tx) ([]domain.Subscriber, error) {
		var active []domain.Subscriber
		for _, doc := range t.scan(bucketSubscribers, nil, nil) {
			found, err := decode[domain.Subscriber](bucketSubscribers, doc)
			if err != nil {
				return nil, err
			}
			if found.State == domain.SubscriberActive {
				active = append(active, found)
			}
		}
		return active, nil
	})
}

// UpdateSubscriber changes a subscriber; its ID, Workspace and CreatedAt stay as they are.
// One that becomes active begins without failures. An error of modify is returned and
// nothing is changed.
func (s *Store) UpdateSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, modify func(*domain.Subscriber) error) (domain.Subscriber, error) {
	return change(ctx, s, "update subscriber", func(t *tx) (domain.Subscriber, error) {
		before, err := t.subscriber(ws, id)
		if err != nil {
			return before, err
		}
		after := before
		after.Kinds, after.Connections = slices.Clone(before.Kinds), slices.Clone(before.Connections)
		after.PrivateTargets, after.Secrets = slices.Clone(before.PrivateTargets), slices.Clone(before.Secrets)
		if err := modify(&after); err != nil {
			return before, err
		}
		after.ID, after.Workspace, after.CreatedAt = before.ID, before.Workspace, before.CreatedAt
		if after.State == domain.SubscriberActive && before.State != domain.SubscriberActive {
			p, err := t.subscriberProgress(id)
			if err != nil {
				return before, err
			}
			p.Failures, p.FailingSince, p.Noticed = 0, time.Time{}, false
			t.putJSON(bucketSubscriberProgress, key(id), p)
		}
		t.putJSON(bucketSubscribers, subscriberKey(ws, id), after)
		return after, nil
	})
}

// DisableSubscriber stops an active subscriber, and tells the operator why. One that is
// not active stays as it is.
func (s *Store) DisableSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, why string, at time.Time) (domain.Subscriber, error) {
	return change(ctx, s, "disable subscriber", func(t *tx) (domain.Subscriber, error) {
		found, err := t.subscriber(ws, id)
		if err != nil || found.State != domain.SubscriberActive {
			return found, err
		}
		found.State, found.StateReason, found.UpdatedAt = domain.SubscriberDisabled, why, at
		t.putJSON(bucketSubscribers, subscriberKey(ws, id), found)
		t.notice(domain.Notice{At: at, Kind: domain.NoticeSubscriberDisabled, Workspace: ws, Target: string(id),
			Detail: fmt.Sprintf("The subscriber %q gets no more events: %s", found.Name, why)})
		return found, nil
	})
}

// RewindSubscriber sets the cursor of a subscriber, so that it gets the events after it
// (again). A cursor beyond the newest event counts as that one's.
func (s *Store) RewindSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, after uint64) (domain.SubscriberProgress, error) {
	return change(ctx, s, "rewind subscriber", func(t *tx) (domain.SubscriberProgress, error) {
		if _, err := t.subscriber(ws, id); err != nil {
			return domain.SubscriberProgress{}, err
		}
		p, err := t.subscriberProgress(id)
		if err != nil {
			return p, err
		}
		p.Cursor, p.Round = min(after, t.lastSeq(ws)), p.Round+1
		t.putJSON(bucketSubscriberProgress, key(id), p)
		return p, nil
	})
}

// SubscriberProgress returns how far a subscriber is; ErrNotFound if there is none.
func (s *Store) SubscriberProgress(ctx context.Context, id domain.SubscriberID) (domain.SubscriberProgress, error) {
	return view(ctx, s, "read progress", func(t *tx) (domain.SubscriberProgress, error) { return t.subscriberProgress(id) })
}

// ReportSubscriber keeps news about a subscriber; ErrNotFound if it is gone.
func (s *Store) ReportSubscriber(ctx context.Context, id domain.SubscriberID, r domain.SubscriberReport) (domain.SubscriberProgress, error) {
	return change(ctx, s, "keep progress", func(t *tx) (domain.SubscriberProgress, error) {
		return t.reportSubscriber(id, r)
	})
}

func (t *tx) reportSubscriber(id domain.SubscriberID, r domain.SubscriberReport) (domain.SubscriberProgress, error) {
	p, err := t.subscriberProgress(id)
	if err != nil {
		return p, err
	}
	p.Cursor = max(p.Cursor, r.Cursor)
	if r.TakenAt.After(p.LastTakenAt) {
		p.LastTakenAt = r.TakenAt
	}
	if r.Failure != nil {
		if p.Failures++; p.FailingSince.IsZero() {
			p.FailingSince = r.FailedAt
		}
		p.LastFailure, p.LastFailedAt = r.Failure, r.FailedAt
	}
	if !p.LastTakenAt.IsZero() && !p.LastTakenAt.Before(p.LastFailedAt) { // what was taken later ends the spell
		p.Failures, p.FailingSince, p.Noticed = 0, time.Time{}, false
	}
	t.putJSON(bucketSubscriberProgress, key(id), p)
	return p, nil
}

// NoticeFailing tells the operator once of a spell of failures.
func (s *Store) NoticeFailing(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, detail string, at time.Time) error {
	return s.update(ctx, "notice failing subscriber", func(t *tx) error {
		p, err := t.subscriberProgress(id)
		if err != nil || p.Noticed {
			return err
		}
		p.Noticed = true
		t.putJSON(bucketSubscriberProgress, key(id), p)
		t.notice(domain.Notice{At: at, Kind: domain.NoticeSubscriberFailing, Workspace: ws, Target: string(id), Detail: detail})
		return nil
	})
}

// DeleteSubscriber removes a subscriber and cancels the jobs it has left, queued or parked.
// ErrNotFound if there is none. Whoever deletes one with many jobs ends them first, with
// EndNotifications, so that this is a small transaction.
func (s *Store) DeleteSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, at time.Time) error {
	return s.update(ctx, "delete subscriber", func(t *tx) error {
		if _, err := t.subscriber(ws, id); err != nil {
			return err
		}
		if _, err := t.endNotifications(id, 0, at); err != nil {
			return err
		}
		t.delete(bucketSubscribers, subscriberKey(ws, id))
		t.delete(bucketSubscriberProgress, key(id))
		return nil
	})
}

// FirstEventSeq returns the Seq of the oldest event of a workspace that is kept; one more
// than the newest ever given if none is.
func (s *Store) FirstEventSeq(ctx context.Context, ws contract.WorkspaceID) (uint64, error) {
	return view(ctx, s, "read first event", func(t *tx) (uint64, error) {
		for position := range t.scan(bucketEvents, workspaceKey(ws), nil) {
			return unpackNumber(position), nil
		}
		return t.lastSeq(ws) + 1, nil
	})
}
