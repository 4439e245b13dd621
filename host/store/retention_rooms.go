package store

import (
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Each room: what is too old in it, and what goes with it.

func judgeDelivery(s *sweep, _, doc []byte) (verdict, int, error) {
	d, err := decode[domain.Delivery](bucketDeliveries, doc)
	if err != nil {
		return stays, 0, err
	}
	if d.State != domain.DeliveryParked && s.old(d.ReceivedAt, s.age(d.Workspace).EventDays) {
		return goes, 0, nil
	}
	return s.mayStop(d.ReceivedAt, s.plan.Shortest.EventDays), 0, nil
}

// removeDelivery removes a delivery with all that stands by it. The key that it is known by
// stays: a repeat of it is answered as the first time.
func removeDelivery(s *sweep, position, _ []byte) error {
	d, err := s.t.delivery(contract.DeliveryID(position))
	if err != nil {
		return err
	}
	s.swept.Bytes += s.t.dropPayload(d.Workspace, string(d.ID))
	return s.t.removeDelivery(d)
}

func judgeEvent(s *sweep, position, doc []byte) (verdict, int, error) {
	e, err := decode[domain.Event](bucketEvents, doc)
	if err != nil {
		return stays, 0, err
	}
	if s.old(e.CommittedAt, s.age(e.Workspace).EventDays) {
		return goes, 0, nil
	}
	return enough, len(position) - 8, nil // all behind it in its workspace are younger
}

// removeEvent removes an event. What has read as far as that does not miss it; whoever has
// not is named in a notice.
func removeEvent(s *sweep, _, doc []byte) error {
	e, err := decode[domain.Event](bucketEvents, doc)
	if err != nil {
		return err
	}
	s.t.removeEvent(e)
	s.noticeBehind(e)
	return nil
}

// judgeMessage leaves what the host sent to judgeJob: the two go together.
func judgeMessage(s *sweep, _, doc []byte) (verdict, int, error) {
	m, err := decode[messageRecord](bucketMessages, doc)
	if err != nil {
		return stays, 0, err
	}
	if m.Command == "" && s.old(m.UpdatedAt, s.age(m.Workspace).EventDays) {
		return goes, 0, nil
	}
	return s.mayStop(m.CreatedAt, s.plan.Shortest.EventDays), 0, nil
}

func removeMessage(s *sweep, _, doc []byte) error {
	m, err := decode[messageRecord](bucketMessages, doc)
	if err != nil {
		return err
	}
	return s.dropMessage(m)
}

// dropMessage removes a message, and its conversation with the last message of that.
func (s *sweep) dropMessage(m messageRecord) error {
	if err := s.t.removeMessage(m); err != nil {
		return err
	}
	k := conversationKey(m.Workspace, m.Connection, m.Conversation.ID)
	for range s.t.scan(bucketMessageOrder, k, nil) {
		return nil
	}
	if seen, err := load[domain.ConversationSummary](s.t, bucketConversations, k); err == nil && s.old(seen.LastMessageAt, s.age(m.Workspace).EventDays) {
		s.t.delete(bucketConversations, k)
	}
	return nil
}

// judgeJob lets a job go once it has ended long ago, and a parked one after twice that
// time. The message that it sends may be younger than the job; then both wait.
func judgeJob(s *sweep, _, doc []byte) (verdict, int, error) {
	job, err := decode[domain.Job](bucketJobs, doc)
	if err != nil {
		return stays, 0, err
	}
	days := s.age(job.Workspace).EventDays
	waiting := days
	if job.State == domain.JobParked {
		waiting *= 2
	}
	if job.State == domain.JobQueued || !s.old(job.UpdatedAt, waiting) {
		s.keepMediaOf(job)
		return s.mayStop(job.CreatedAt, s.plan.Shortest.EventDays), 0, nil
	}
	if m, err := s.t.messageOf(job); err != nil || m != nil && !s.old(m.UpdatedAt, days) {
		return stays, 0, err
	}
	return goes, 0, nil
}

// keepMediaOf notes which attachments a job needs yet.
func (s *sweep) keepMediaOf(job domain.Job) {
	if job.Command != nil && job.Command.Message != nil && (job.State == domain.JobQueued || job.State == domain.JobParked) {
		for _, h := range mediaOf(job.Command.Message) {
			s.plan.InUse[h] = true
		}
	}
}

func removeJob(s *sweep, _, doc []byte) error {
	job, err := decode[domain.Job](bucketJobs, doc)
	if err != nil {
		return err
	}
	m, err := s.t.messageOf(job)
	if err == nil && m != nil && string(m.Command) == job.ID {
		err = s.dropMessage(*m)
	}
	if err == nil {
		err = s.t.rememberEnd(job)
	}
	if err != nil {
		return err
	}
	if job.State == domain.JobParked {
		s.notice("parked/"+string(job.Workspace), domain.Notice{Kind: domain.NoticeRetentionParked, Workspace: job.Workspace,
			Connection: job.Connection, Target: job.ID, Detail: fmt.Sprintf(
				"Jobs that were parked before %s are removed, %s the first of them: nobody retried or cancelled them.",
				domain.Cutoff(s.plan.Now, 2*s.age(job.Workspace).EventDays).Format(time.DateOnly), job.ID)}, anyNotice)
	}
	s.swept.Bytes += s.t.dropPayload(job.Workspace, job.ID)
	return s.t.removeJob(job)
}

// rememberEnd lets the idempotency key of a job answer without it.
func (t *tx) rememberEnd(job domain.Job) error {
	k := idempotencyKey(job.Workspace, job.IdempotencyKey)
	if job.IdempotencyKey == "" || !t.has(bucketIdempotency, k) {
		return nil
	}
	first, err := load[accepted](t, bucketIdempotency, k)
	if err != nil || first.Job != job.ID {
		return err
	}
	first.Ended = job.State
	if job.Command != nil && job.Command.Message != nil {
		first.Message = job.Command.Message.ID
	}
	t.putJSON(bucketIdempotency, k, first)
	return nil
}

// mediaSlack is how many days an attachment outlives what named it last: its time of use is
// kept to the day.
const mediaSlack = 2

func judgeMedia(s *sweep, _, doc []byte) (verdict, int, error) {
	m, err := decode[domain.Media](bucketMedia, doc)
	if err != nil {
		return stays, 0, err
	}
	used := m.CreatedAt
	if m.UsedAt.After(used) {
		used = m.UsedAt
	}
	days := s.age(m.Workspace).EventDays
	if days > 0 && s.old(used, days+mediaSlack) && !s.plan.InUse[m.Handle] {
		return goes, 0, nil
	}
	return s.mayStop(m.CreatedAt, s.plan.Shortest.EventDays), 0, nil
}

func judgeNotice(s *sweep, _, doc []byte) (verdict, int, error) {
	n, err := decode[domain.Notice](bucketNotices, doc)
	if err != nil {
		return stays, 0, err
	}
	if s.old(n.At, s.age(n.Workspace).EventDays) {
		return goes, 0, nil
	}
	return s.mayStop(n.At, s.plan.Shortest.EventDays), 0, nil
}

func judgeToken(s *sweep, position, _ []byte) (verdict, int, error) {
	if len(position) < 8 {
		return stays, 0, damaged(bucketRevokedUntil, position, "its key is too short")
	}
	if unpackTime(position[:8]).Before(s.plan.Now) {
		return goes, 0, nil
	}
	return enough, 0, nil
}

func removeToken(s *sweep, position, _ []byte) error {
	s.t.delete(bucketRevokedUntil, position)
	s.t.delete(bucketRevoked, position[8:])
	return nil
}

// judgeDedupe goes by the time in the id of the first delivery: it is all that is left of
// it.
func judgeDedupe(s *sweep, position, doc []byte) (verdict, int, error) {
	first, err := decode[firstAnswer](bucketDedupe, doc)
	if err != nil {
		return stays, 0, err
	}
	at, known := mintedAt(string(first.Delivery))
	if known && s.old(at, s.age(s.dedupeWorkspace(position)).DedupeDays) && !s.t.has(bucketDeliveries, key(first.Delivery)) {
		return goes, 0, nil
	}
	return stays, 0, nil
}

// dedupeWorkspace returns whose connection a dedupe key belongs to; none if the connection
// is gone.
func (s *sweep) dedupeWorkspace(position []byte) contract.WorkspaceID {
	if len(position) < 2 {
		return ""
	}
	length := int(binary.BigEndian.Uint16(position))
	if length > len(position)-2 {
		return ""
	}
	c, err := s.t.connection(contract.ConnectionID(position[2 : 2+length]))
	if err != nil {
		return ""
	}
	return c.Workspace
}

func judgeIdempotency(s *sweep, position, doc []byte) (verdict, int, error) {
	a, err := decode[accepted](bucketIdempotency, doc)
	if err != nil {
		return stays, 0, err
	}
	if a.Ended == "" && a.Thing == "" || len(position) < 2 {
		return stays, 0, nil
	}
	length := min(int(binary.BigEndian.Uint16(position)), len(position)-2)
	if s.old(a.At, s.age(contract.WorkspaceID(position[2:2+length])).DedupeDays) {
		return goes, 0, nil
	}
	return stays, 0, nil
}

// mintedAt returns the time that NewID put into an id.
func mintedAt(id string) (time.Time, bool) {
	if len(id) < ulid.EncodedSize+1 {
		return time.Time{}, false
	}
	u, err := ulid.ParseStrict(id[len(id)-ulid.EncodedSize:])
	return u.Timestamp(), err == nil
}

// noticeBehind tells of readers that had not come as far as an event that is removed.
func (s *sweep) noticeBehind(e domain.Event) {
	if s.readers[e.Workspace] == nil {
		s.readers[e.Workspace] = maps.Collect(s.t.eventReaders(e.Workspace))
	}
	for reader, at := range s.readers[e.Workspace] {
		if at >= e.Seq {
			continue
		}
		s.notice("behind/"+reader, domain.Notice{Kind: domain.NoticeRetentionBehind, Workspace: e.Workspace, Target: reader,
			Detail: fmt.Sprintf("Events older than %d days are removed, and the %s has read only as far as %d: it goes on with the oldest that is kept.",
				s.age(e.Workspace).EventDays, reader, at)},
			func(n domain.Notice) bool { return n.Target == reader })
	}
}

// eventReaders yields who reads the events of a workspace from a cursor of its own, and how
// far each has come.
func (t *tx) eventReaders(ws contract.WorkspaceID) iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for id := range t.scan(bucketSubscribers, workspaceKey(ws), nil) {
			p, err := t.subscriberProgress(domain.SubscriberID(id))
			if err == nil && !yield("subscriber "+string(id), p.Cursor) {
				return
			}
		}
		for id := range t.scan(bucketBridges, workspaceKey(ws), nil) {
			p, err := load[domain.BridgeProgress](t, bucketBridgeProgress, key(id))
			if err == nil && !yield("bridge "+string(id), p.Cursor) {
				return
			}
		}
	}
}
