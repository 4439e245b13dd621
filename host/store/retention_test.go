package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

var ages = domain.Retention{PayloadDays: 30, EventDays: 90, DedupeDays: 180}

// pass makes one whole pass of retention, so many days from now, a few records at a time,
// and returns how much it removed.
func pass(t *testing.T, s *store.Store, defaults domain.Retention, days int) map[domain.SweepRoom]domain.Swept {
	t.Helper()
	plan, err := s.PlanSweep(t.Context(), defaults)
	if err != nil {
		t.Fatal(err)
	}
	plan.Now = time.Now().AddDate(0, 0, days)
	all := map[domain.SweepRoom]domain.Swept{}
	for _, room := range domain.SweepRooms() {
		sum := domain.Swept{}
		for next, more := "", true; more; more = next != "" {
			step, err := s.Sweep(t.Context(), plan, room, next, 3)
			if err != nil {
				t.Fatalf("sweep %s after %x: %v", room, next, err)
			}
			sum.Removed, sum.Bytes, sum.Damaged, next = sum.Removed+step.Removed, sum.Bytes+step.Bytes, sum.Damaged+step.Damaged, step.Next
		}
		all[room] = sum
	}
	return all
}

// today is a webhook that comes now.
func today(s *store.Store, conn domain.Connection, n int) domain.DeliveryEffects {
	e := webhook(s, conn, int64(n))
	e.At = time.Now()
	e.Delivery.ReceivedAt = e.At
	return e
}

// lived is a store in which something of every kind has happened today.
type lived struct {
	*store.Store
	conn     domain.Connection
	delivery domain.DeliveryEffects // the first of three
	// The jobs of three commands that send a message.
	done, parked, queued domain.Job
	accepts              domain.NewCommand // done's
}

func live(t *testing.T) *lived {
	t.Helper()
	ctx := t.Context()
	l := &lived{Store: open(t).Store, conn: domain.Connection{ID: "con_1", Workspace: "wsp_1", Plugin: "acme", Endpoint: "e"}}
	l.must(t, l.CreateWorkspace(ctx, domain.Workspace{ID: "wsp_1"}))
	l.must(t, l.CreateConnection(ctx, l.conn, nil))
	for i := range 3 {
		e := today(l.Store, l.conn, i+1)
		e.Delivery.BodyBytes = int64(len(e.Delivery.Body))
		e.Delivery.Attempts, e.Recording, e.RepeatWindow = 1, []byte("recording of a delivery"), time.Minute
		if i == 0 {
			l.delivery = e
		}
		_, err := l.CommitDelivery(ctx, e)
		l.must(t, err)
		l.MarkAnswered(e.Delivery.ID)
	}
	l.must(t, l.Ping(ctx)) // the mark is made by now
	l.must(t, l.PutMedia(ctx, domain.Media{Handle: "med_1", Workspace: "wsp_1", CreatedAt: time.Now()}))
	l.must(t, l.PutMedia(ctx, domain.Media{Handle: "med_2", Workspace: "wsp_1", CreatedAt: time.Now()}))
	l.done = l.send(t, "key", "", domain.JobDone)
	l.parked = l.send(t, "", "", domain.JobParked)
	l.queued = l.send(t, "", "med_1", domain.JobQueued)
	l.must(t, l.RevokeToken(ctx, "jti", time.Now().Add(time.Hour)))
	return l
}

func (l *lived) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// send accepts a command that sends a message, and commits one run of it.
func (l *lived) send(t *testing.T, key string, media contract.MediaHandle, state domain.JobState) domain.Job {
	t.Helper()
	now := time.Now()
	m := contract.Message{Conversation: contract.Conversation{ID: "out"}, Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: "hi"}}}}
	if media != "" {
		m.Parts = append(m.Parts, contract.Part{Kind: contract.PartMedia, Media: &contract.Media{Handle: media}})
	}
	n := domain.NewCommand{Workspace: "wsp_1", Connection: "con_1", IdempotencyKey: key, RequestHash: "hash", At: now,
		Command: domain.Command{Export: contract.ExportSendMessage, Message: &m}, Message: &domain.Message{Message: m}}
	job, _, err := l.AcceptCommand(t.Context(), n)
	l.must(t, err)
	if key != "" {
		l.accepts = n
	}
	if state == domain.JobQueued {
		return job
	}
	e := domain.CommandEffects{Effects: domain.Effects{Workspace: "wsp_1", Connection: "con_1", At: now, Recording: []byte("recording of a command")},
		JobID: job.ID, State: state, CountAttempt: true}
	if state == domain.JobParked {
		e.Failure = &contract.Failure{Class: contract.FailurePermanent, Code: "refused"}
	} else {
		e.Result = &domain.CommandResult{Sent: &contract.Sent{PlatformID: contract.PlatformMessageID(job.ID)}}
	}
	committed, err := l.CommitCommand(t.Context(), e)
	l.must(t, err)
	return committed.Job
}

// clean fails the test if something is wrong with the store.
func (l *lived) clean(t *testing.T) {
	t.Helper()
	if problems := l.Check(t.Context()); len(problems) > 0 {
		t.Fatalf("Check = %s", strings.Join(problems, "\n"))
	}
}

func (l *lived) payload(t *testing.T) int64 {
	t.Helper()
	usage, err := l.Usage(t.Context(), "wsp_1")
	l.must(t, err)
	return usage.PayloadBytes
}

func TestNothingYoungIsRemoved(t *testing.T) {
	l := live(t)
	for room, swept := range pass(t, l.Store, ages, 29) {
		if swept.Removed > 0 && room != domain.SweepTokens {
			t.Errorf("%s lost %d", room, swept.Removed)
		}
	}
	l.clean(t)
	if l.payload(t) == 0 {
		t.Error("no payload is counted")
	}
}

func TestPayloadGoesFirstAndTheRestStays(t *testing.T) {
	l := live(t)
	removed := pass(t, l.Store, ages, 31)
	l.clean(t)
	if n := removed[domain.SweepPayload].Removed; n != 5 {
		t.Errorf("payload of %d went, want that of 3 deliveries and 2 commands", n)
	}
	if left := l.payload(t); left != 0 {
		t.Errorf("%d bytes are counted yet", left)
	}
	d, err := l.Delivery(t.Context(), l.delivery.Delivery.ID)
	if err != nil || d.Body != nil || d.PayloadRemovedAt.IsZero() || !d.Answered {
		t.Errorf("the delivery is %+v, %v", d, err)
	}
	if runs, err := l.Recordings(t.Context(), l.done.ID); err != nil || len(runs) > 0 {
		t.Errorf("recordings %v, %v", runs, err)
	}
	if again := pass(t, l.Store, ages, 31)[domain.SweepPayload]; again.Removed > 0 {
		t.Errorf("a second pass removed %d more", again.Removed)
	}
}

// DESIGN §4: the dedupe key outlives the delivery, and its answer too.
func TestARepeatIsKnownWhenTheDeliveryIsGone(t *testing.T) {
	l := live(t)
	pass(t, l.Store, ages, 91)
	l.clean(t)
	if _, err := l.Delivery(t.Context(), l.delivery.Delivery.ID); !errors.Is(err, domain.ErrNotFound) {
		t.Fatalf("the delivery is still there: %v", err)
	}
	repeat := l.delivery
	repeat.Delivery.ID = contract.DeliveryID(l.NewID("dlv"))
	got, err := l.CommitDelivery(t.Context(), repeat)
	if err != nil || !got.Duplicate || got.Delivery != l.delivery.Delivery.ID || got.Response.Status != l.delivery.Delivery.Response.Status || len(got.Events) > 0 {
		t.Errorf("a repeat gave %+v, %v", got, err)
	}
	pass(t, l.Store, ages, 181)
	l.clean(t)
	repeat.Delivery.ID = contract.DeliveryID(l.NewID("dlv"))
	if got, err := l.CommitDelivery(t.Context(), repeat); err != nil || got.Duplicate {
		t.Errorf("after the keys are gone, a repeat gave %+v, %v", got, err)
	}
}

// A key is not forgotten before its delivery, whatever the ages are: replayed or repeated,
// that would take effect twice.
func TestAKeyIsKnownAsLongAsItsDeliveryIsKept(t *testing.T) {
	l := live(t)
	pass(t, l.Store, domain.Retention{PayloadDays: 1, EventDays: 365, DedupeDays: 30}, 100)
	l.clean(t)
	repeat := l.delivery
	repeat.Delivery.ID = contract.DeliveryID(l.NewID("dlv"))
	repeat.Delivery.Body, repeat.Delivery.BodySHA256 = []byte("said anew"), ""
	if got, err := l.CommitDelivery(t.Context(), repeat); err != nil || !got.Duplicate || got.Delivery != l.delivery.Delivery.ID {
		t.Errorf("a repeat gave %+v, %v", got, err)
	}
}

func TestAnIdempotencyKeyAnswersWhenItsCommandIsGone(t *testing.T) {
	l := live(t)
	pass(t, l.Store, ages, 91)
	if _, err := l.Job(t.Context(), l.done.ID); !errors.Is(err, domain.ErrNotFound) {
		t.Fatalf("the job is still there: %v", err)
	}
	job, created, err := l.AcceptCommand(t.Context(), l.accepts)
	if err != nil || created || job.ID != l.done.ID || job.State != domain.JobDone || job.Command.Message.ID != l.done.Command.Message.ID {
		t.Errorf("a repeat gave %+v, created %v, %v", job, created, err)
	}
	other := l.accepts
	other.RequestHash = "another"
	if _, _, err := l.AcceptCommand(t.Context(), other); !errors.Is(err, domain.ErrIdempotencyMismatch) {
		t.Errorf("another request with the key gave %v", err)
	}
	pass(t, l.Store, ages, 181)
	l.clean(t)
	if _, created, err := l.AcceptCommand(t.Context(), other); err != nil || !created {
		t.Errorf("after the key is gone: created %v, %v", created, err)
	}
}

func TestWhatWaitsIsNeverRemoved(t *testing.T) {
	l := live(t)
	pass(t, l.Store, ages, 179)
	l.clean(t)
	for _, job := range []domain.Job{l.parked, l.queued} {
		if _, err := l.Job(t.Context(), job.ID); err != nil {
			t.Errorf("the %s job: %v", job.State, err)
		}
		if _, err := l.Message(t.Context(), "wsp_1", job.Command.Message.ID); err != nil {
			t.Errorf("the message of the %s job: %v", job.State, err)
		}
	}
	if _, err := l.Media(t.Context(), "med_1"); err != nil {
		t.Errorf("the attachment of the queued job: %v", err)
	}
	if _, err := l.Media(t.Context(), "med_2"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("an attachment that nothing names is still there: %v", err)
	}
	pass(t, l.Store, ages, 181)
	l.clean(t)
	if _, err := l.Job(t.Context(), l.parked.ID); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("after twice the time, the parked job: %v", err)
	}
	if _, err := l.Job(t.Context(), l.queued.ID); err != nil {
		t.Errorf("after twice the time, the queued job: %v", err)
	}
	l.noticed(t, domain.NoticeRetentionParked, 1)
}

// noticed tests how many notices of a kind there are.
func (l *lived) noticed(t *testing.T, kind domain.NoticeKind, want int) {
	t.Helper()
	notices, _, err := l.Notices(t.Context(), domain.NoticeFilter{Kind: kind}, domain.Page{})
	if err != nil || len(notices) != want {
		t.Errorf("notices of %s: %+v, %v; want %d", kind, notices, err, want)
	}
}

func TestNumbersOfEventsGoOn(t *testing.T) {
	l := live(t)
	last, err := l.LastEventSeq(t.Context(), "wsp_1")
	l.must(t, err)
	if gone := pass(t, l.Store, ages, 91)[domain.SweepEvents].Removed; gone != int(last) {
		t.Errorf("%d events went, of %d", gone, last)
	}
	l.clean(t)
	if after, err := l.LastEventSeq(t.Context(), "wsp_1"); err != nil || after != last {
		t.Errorf("the last number is %d, was %d, %v", after, last, err)
	}
	committed, err := l.CommitDelivery(t.Context(), today(l.Store, l.conn, 9))
	if err != nil || committed.Events[0].Seq != last+1 {
		t.Errorf("the next event is %+v, %v, want number %d", committed.Events, err, last+1)
	}
	l.clean(t)
}

func TestAWorkspaceHasAgesOfItsOwn(t *testing.T) {
	l := live(t)
	own := func(r domain.Retention) {
		_, err := l.UpdateWorkspace(t.Context(), "wsp_1", func(w *domain.Workspace) error { w.Retention = r; return nil })
		l.must(t, err)
	}
	own(domain.Retention{PayloadDays: domain.Unlimited, EventDays: domain.Unlimited})
	for room, swept := range pass(t, l.Store, ages, 3000) {
		if swept.Removed > 0 && room != domain.SweepTokens {
			t.Errorf("of what is kept for ever, %s lost %d", room, swept.Removed)
		}
	}
	own(domain.Retention{PayloadDays: 1, EventDays: 2})
	if removed := pass(t, l.Store, ages, 3); removed[domain.SweepPayload].Removed == 0 || removed[domain.SweepDeliveries].Removed != 3 {
		t.Errorf("of what is kept for two days, %+v went", removed)
	}
	l.clean(t)
}

func TestTheOldestGoesForItsSize(t *testing.T) {
	l := live(t)
	var ids []contract.DeliveryID
	for i := range 10 {
		e := today(l.Store, l.conn, 100+i)
		e.Delivery.Body = []byte(strings.Repeat("x", 1000))
		e.Delivery.BodyBytes = 1000
		_, err := l.CommitDelivery(t.Context(), e)
		l.must(t, err)
		ids = append(ids, e.Delivery.ID)
	}
	bounded := ages
	bounded.MaxBytes = 4500
	swept := pass(t, l.Store, bounded, 0)[domain.SweepPayload]
	l.clean(t)
	if left := l.payload(t); left != 4000 || swept.Bytes == 0 {
		t.Errorf("%d bytes are left of at most 4500, and %d went; want 4000 left", left, swept.Bytes)
	}
	for i, id := range ids {
		d, err := l.Delivery(t.Context(), id)
		if want := i >= 6; err != nil || (d.Body != nil) != want {
			t.Errorf("delivery %d of 10 has a body: %v, want %v, %v", i, d.Body != nil, want, err)
		}
	}
	l.noticed(t, domain.NoticeRetention, 1)
	pass(t, l.Store, domain.Retention{MaxBytes: 2000}, 0)
	l.noticed(t, domain.NoticeRetention, 1) // once a day
	if left := l.payload(t); left != 2000 {
		t.Errorf("with a smaller bound %d bytes are left, want 2000", left)
	}
}

func TestADamagedRecordDoesNotEndAPass(t *testing.T) {
	l := live(t)
	tampered(t, l.Store, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("deliveries"))
		k, v := b.Cursor().First()
		return b.Put(k, append([]byte("?"), v...))
	})
	got := pass(t, l.Store, ages, 91)
	if d := got[domain.SweepDeliveries]; d.Removed != 2 || d.Damaged != 1 {
		t.Errorf("of three deliveries, one damaged, %d went and %d were told of", d.Removed, d.Damaged)
	}
	if e := got[domain.SweepEvents]; e.Removed == 0 {
		t.Error("no event went")
	}
}

func TestWhoLagsBehindIsNoticed(t *testing.T) {
	l := live(t)
	from := uint64(1)
	l.must(t, l.CreateSubscriber(t.Context(), domain.Subscriber{ID: "sub_slow", Workspace: "wsp_1", State: domain.SubscriberActive}, &from))
	l.must(t, l.CreateSubscriber(t.Context(), domain.Subscriber{ID: "sub_quick", Workspace: "wsp_1", State: domain.SubscriberActive}, nil))
	pass(t, l.Store, ages, 91)
	l.noticed(t, domain.NoticeRetentionBehind, 1)
}

func TestAnAttachmentStaysWhileAMessageNamesIt(t *testing.T) {
	l := live(t)
	l.must(t, l.PutMedia(t.Context(), domain.Media{Handle: "med_old", Workspace: "wsp_1", CreatedAt: time.Now().AddDate(0, 0, -80)}))
	l.send(t, "", "med_old", domain.JobDone)
	pass(t, l.Store, ages, 89)
	if _, err := l.Media(t.Context(), "med_old"); err != nil {
		t.Errorf("169 days old, named 89 days ago: %v", err)
	}
	pass(t, l.Store, ages, 93)
	if _, err := l.Media(t.Context(), "med_old"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("named 93 days ago: %v", err)
	}
	l.clean(t)
}

func TestASlowRoomGoesOnWhereItWas(t *testing.T) {
	s := open(t).Store
	for _, want := range []string{"", "somewhere", ""} {
		if err := s.MarkSweep(t.Context(), domain.SweepDedupe, want); err != nil {
			t.Fatal(err)
		}
		if got, err := s.SweepMark(t.Context(), domain.SweepDedupe); err != nil || got != want {
			t.Errorf("SweepMark = %q, %v, want %q", got, err, want)
		}
	}
	if _, err := s.Sweep(t.Context(), &domain.SweepPlan{}, "attic", "", 1); err == nil {
		t.Error("a room that there is not was swept")
	}
}

// Writers go on while retention removes what is between them.
func TestRetentionAmongWriters(t *testing.T) {
	l := live(t)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := l.CommitDelivery(t.Context(), today(l.Store, l.conn, 1000+i)); err != nil {
				done <- fmt.Errorf("delivery %d: %w", i, err)
				return
			}
		}
	}()
	for range 5 {
		pass(t, l.Store, domain.Retention{PayloadDays: 1, EventDays: 1, DedupeDays: 1}, 2)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
	l.clean(t)
}
