package store

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// source is where events and jobs come from.
type source struct {
	ws         contract.WorkspaceID
	connection contract.ConnectionID
	delivery   contract.DeliveryID
	command    contract.CommandID
	at         time.Time
}

// addEvents makes events visible, in order. One that has to wait becomes a job instead,
// and so do those behind it in its conversation.
func (t *tx) addEvents(from source, events []contract.Event) (visible []domain.Event, waiting []domain.Job, err error) {
	for _, data := range events {
		e := domain.Event{
			ID: contract.EventID(t.ids.next("evt")), Workspace: from.ws, Connection: from.connection,
			Delivery: from.delivery, Command: from.command, Data: data,
		}
		if lane := eventLane(e); waits(data) || t.laneBusy(lane) {
			waiting = append(waiting, t.addJob(domain.Job{ID: string(e.ID), Kind: domain.JobEvent, Workspace: from.ws,
				Connection: from.connection, Lane: lane, NotBefore: from.at, CreatedAt: from.at, Event: &e}))
			continue
		}
		shown, err := t.show(e, from.at)
		if err != nil {
			return nil, nil, err
		}
		if shown.Seq > 0 {
			visible = append(visible, shown)
		}
	}
	return visible, waiting, nil
}

func eventLane(e domain.Event) string {
	c := conversationOf(e.Data)
	if c == nil {
		return domain.EventLane(e.Connection, "")
	}
	return domain.EventLane(e.Connection, c.ID)
}

func conversationOf(e contract.Event) *contract.Conversation {
	if e.Conversation == nil && e.Message != nil {
		return &e.Message.Conversation
	}
	return e.Conversation
}

// waits tells whether an event carries media that the host has yet to fetch.
func waits(e contract.Event) bool {
	for m := range media(e) {
		if pending(m) {
			return true
		}
	}
	return false
}

// media yields the attachments that an event carries.
func media(e contract.Event) iter.Seq[*contract.Media] {
	return func(yield func(*contract.Media) bool) {
		if e.Message == nil {
			return
		}
		for _, part := range e.Message.Parts {
			if part.Media != nil && !yield(part.Media) || part.Card != nil && part.Card.Image != nil && !yield(part.Card.Image) {
				return
			}
			if part.Carousel == nil {
				continue
			}
			for _, card := range part.Carousel.Cards {
				if card.Image != nil && !yield(card.Image) {
					return
				}
			}
		}
	}
}

func pending(m *contract.Media) bool { return m.SourceURL != "" && m.Handle == "" && m.Missing == "" }

// releaseUnfetched makes the event of a job visible without what the host has not fetched,
// and ends the job.
func (t *tx) releaseUnfetched(job domain.Job, why string, at time.Time) error {
	e := *job.Event
	for m := range media(e.Data) {
		if pending(m) {
			m.Missing = why
		}
	}
	t.endEventJob(job, at)
	_, err := t.show(e, at)
	return err
}

// endEventJob ends a job whose event is made visible.
func (t *tx) endEventJob(before domain.Job, at time.Time) {
	after := before
	after.State, after.Event, after.Failure, after.UpdatedAt = domain.JobDone, nil, nil, at
	t.putJob(&before, after)
}

// show applies an event to what the host knows and gives it the next place among the
// events of its workspace. An event that says nothing new is dropped: it has no Seq. How its
// attachments were asked for is nobody's business any more.
func (t *tx) show(e domain.Event, at time.Time) (domain.Event, error) {
	for m := range media(e.Data) {
		m.SourceHeaders = nil
	}
	why, err := t.learn(&e, at)
	if err != nil {
		return e, err
	}
	if why != "" {
		t.dropped = append(t.dropped, dropped{e, why})
		return e, nil
	}
	return t.record(e, at), nil
}

// record gives an event its place and keeps it.
func (t *tx) record(e domain.Event, at time.Time) domain.Event {
	e.Seq, e.CommittedAt = t.lastSeq(e.Workspace)+1, at
	t.late.seqs[e.Workspace] = e.Seq
	t.putDoc(bucketEvents, workspaceKey(e.Workspace).number(e.Seq), eventRecord{&e})
	if c := e.Data.Contact; c != nil && c.Avatar != "" {
		t.useMedia(at, []contract.MediaHandle{c.Avatar})
	}
	t.seen[e.Workspace] = true
	return e
}

// lastSeq returns the Seq of the newest event of a workspace, whether that is still kept
// or not; 0 if there was none.
func (t *tx) lastSeq(ws contract.WorkspaceID) uint64 {
	if n, ok := t.late.seqs[ws]; ok {
		return n
	}
	prefix := workspaceKey(ws)
	last := seekBefore(t.bolt.Bucket(bucketEvents).Cursor(), prefix, nil)
	if last.key == nil || !bytes.HasPrefix(last.key, prefix) {
		return t.removedEvents(ws)
	}
	return unpackNumber(last.key[len(prefix):])
}

// removedEvents returns the Seq of the newest event of a workspace that was removed; those
// after it are kept. 0 if none was.
func (t *tx) removedEvents(ws contract.WorkspaceID) uint64 {
	return unpackNumber(t.get(bucketEventsRemoved, key(ws)))
}

// Events lists the events of a workspace whose Seq is above the given one, oldest first,
// at most limit (0 means 100, and 1000 is the most).
func (s *Store) Events(ctx context.Context, ws contract.WorkspaceID, after uint64, limit int) ([]domain.Event, error) {
	size := domain.Page{Limit: limit}.Size()
	return view(ctx, s, "list events", func(t *tx) ([]domain.Event, error) {
		var events []domain.Event
		for _, doc := range t.scan(bucketEvents, workspaceKey(ws), packNumber(after)) {
			if len(events) == size {
				break
			}
			e, err := decode[domain.Event](bucketEvents, doc)
			if err != nil {
				return nil, err
			}
			events = append(events, e)
		}
		return events, nil
	})
}

// LastEventSeq returns the Seq of the newest event of a workspace; 0 if there is none.
func (s *Store) LastEventSeq(ctx context.Context, ws contract.WorkspaceID) (uint64, error) {
	return view(ctx, s, "read last event", func(t *tx) (uint64, error) {
		return t.lastSeq(ws), nil
	})
}

// ReleaseEvent makes the event of a job visible, as data, and ends the job. It must be
// the first of its lane. ErrNotFound if there is no such job, ErrConflict if it has ended
// or is not the first; so a second release changes nothing. An event that says nothing
// new is dropped: it is returned without a Seq, and the job has ended.
func (s *Store) ReleaseEvent(ctx context.Context, jobID string, data contract.Event, at time.Time) (domain.Event, error) {
	return change(ctx, s, "release event", func(t *tx) (domain.Event, error) {
		job, err := t.queuedJob(jobID)
		if err != nil {
			return domain.Event{}, err
		}
		if job.Kind != domain.JobEvent || job.Event == nil {
			return domain.Event{}, fmt.Errorf("job %q carries no event: %w", jobID, domain.ErrNotFound)
		}
		if first := t.laneHead(job.Lane); first != job.Seq {
			return domain.Event{}, fmt.Errorf("job %q waits behind another in its lane: %w", jobID, domain.ErrConflict)
		}
		e := *job.Event
		e.Data = data
		t.endEventJob(job, at)
		return t.show(e, at)
	})
}
