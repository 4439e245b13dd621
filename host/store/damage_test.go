package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// flip changes one bit of the first value of a bucket, at the given byte.
func flip(t *testing.T, s *store.Store, bucket string, at int) {
	t.Helper()
	tampered(t, s, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		k, v := b.Cursor().First()
		if len(v) <= at {
			return fmt.Errorf("%s has a first value of %d bytes", bucket, len(v))
		}
		v = bytes.Clone(v)
		v[at] ^= 0x10
		return b.Put(bytes.Clone(k), v)
	})
}

// A bit that changed is never part of an answer: whoever needs the record is told which one
// it is, and nobody else notices.
func TestAChangedBitIsAnError(t *testing.T) {
	conn := domain.Connection{ID: "con_1", Workspace: "wsp_1"}
	for _, tt := range []struct {
		bucket string
		ask    func(ctx context.Context, s *store.Store) error
	}{
		{"workspaces", func(ctx context.Context, s *store.Store) error { _, err := s.Workspace(ctx, "wsp_1"); return err }},
		{"connections", func(ctx context.Context, s *store.Store) error { _, err := s.Connection(ctx, "con_1"); return err }},
		{"connections_by_endpoint", func(ctx context.Context, s *store.Store) error {
			_, err := s.ConnectionByEndpoint(ctx, "e")
			return err
		}},
		{"secrets", func(ctx context.Context, s *store.Store) error { _, err := s.Secrets(ctx, "con_1"); return err }},
		{"kv", func(ctx context.Context, s *store.Store) error {
			_, _, _, err := s.KVGet(ctx, "con_1", "k", time.Unix(0, 0))
			return err
		}},
		{"deliveries", func(ctx context.Context, s *store.Store) error {
			_, _, err := s.Deliveries(ctx, domain.DeliveryFilter{}, domain.Page{})
			return err
		}},
		{"deliveries_by_state", func(ctx context.Context, s *store.Store) error {
			_, _, err := s.Deliveries(ctx, domain.DeliveryFilter{Workspace: "wsp_1"}, domain.Page{})
			return err
		}},
		{"events", func(ctx context.Context, s *store.Store) error { _, err := s.Events(ctx, "wsp_1", 0, 0); return err }},
		{"messages", func(ctx context.Context, s *store.Store) error {
			_, _, err := s.Messages(ctx, "wsp_1", domain.MessageFilter{}, domain.Page{})
			return err
		}},
		{"messages_by_order", func(ctx context.Context, s *store.Store) error {
			_, _, err := s.Messages(ctx, "wsp_1", domain.MessageFilter{}, domain.Page{})
			return err
		}},
		{"conversations", func(ctx context.Context, s *store.Store) error {
			_, _, err := s.Conversations(ctx, "wsp_1", "con_1", domain.Page{})
			return err
		}},
		{"jobs", func(ctx context.Context, s *store.Store) error {
			return s.QueuedJobs(ctx, func(domain.Job) error { return nil })
		}},
		{"queue", func(ctx context.Context, s *store.Store) error {
			return s.QueuedTickets(ctx, func(domain.Ticket) error { return nil })
		}},
		{"dedupe", func(ctx context.Context, s *store.Store) error {
			e := webhook(s, conn, 1)
			_, err := s.CommitDelivery(ctx, e)
			return err
		}},
		{"messages_by_name", func(ctx context.Context, s *store.Store) error {
			e := webhook(s, conn, 1)
			e.Delivery.DedupeKey = "another"
			_, err := s.CommitDelivery(ctx, e)
			return err
		}},
		{"idempotency", func(ctx context.Context, s *store.Store) error {
			_, _, err := s.AcceptCommand(ctx, domain.NewCommand{Workspace: "wsp_1", Connection: "con_1", IdempotencyKey: "key"})
			return err
		}},
		{"revoked", func(ctx context.Context, s *store.Store) error { _, err := s.TokenRevoked(ctx, "jti"); return err }},
	} {
		t.Run(tt.bucket, func(t *testing.T) {
			s := furnished(t)
			flip(t, s, tt.bucket, 0)
			before := content(t, s)
			err := tt.ask(t.Context(), s)
			var damage *store.DamagedError
			if !errors.As(err, &damage) || damage.Bucket != tt.bucket || !strings.Contains(err.Error(), "patchbay doctor") {
				t.Fatalf("the answer is %v", err)
			}
			for k, v := range before {
				if now := content(t, s)[k]; now != v && !strings.HasPrefix(k, "notices") && !strings.HasPrefix(k, "delivery_answered") {
					t.Errorf("%q has changed to %q", k, now)
				}
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Errorf("somebody else is told: %v", err)
			}
			if problems := s.Check(t.Context()); len(problems) == 0 {
				t.Error("Check sees nothing")
			}
		})
	}
}

// The operator is told of each damage once, however often it is met.
func TestDamageIsNoticedOnce(t *testing.T) {
	s := furnished(t)
	flip(t, s, "workspaces", 0)
	for range 5 {
		if _, err := s.Workspace(t.Context(), "wsp_1"); err == nil {
			t.Fatal("a damaged record was read")
		}
	}
	if err := s.Ping(t.Context()); err != nil { // the notice stands before it
		t.Fatal(err)
	}
	notices, _, err := s.Notices(t.Context(), domain.NoticeFilter{Kind: domain.NoticeDamage}, domain.Page{})
	if err != nil || len(notices) != 2 || !strings.Contains(notices[0].Detail, "wsp_1") { // one is furniture
		t.Errorf("Notices = %+v, %v", notices, err)
	}
}

// A panic in a read, as bbolt raises it for a page that makes no sense, ends that read only.
func TestAPanicInAReadIsAnError(t *testing.T) {
	s := furnished(t)
	err := s.QueuedTickets(t.Context(), func(domain.Ticket) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	err = s.Panic(t.Context(), "page 7: unexpected page type")
	if !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "page 7") || !strings.Contains(err.Error(), "patchbay doctor") {
		t.Errorf("the answer is %v", err)
	}
	if _, err := s.Workspace(t.Context(), "wsp_1"); err != nil {
		t.Errorf("the next read: %v", err)
	}
}

// A group that panics while it is committed is refused, and the next one is not.
func TestAPanicInACommitIsARefusal(t *testing.T) {
	broken := true
	s, err := store.Open(t.TempDir()+"/panic.db", store.Options{}.WithCommit(func(tx *bbolt.Tx) error {
		if broken {
			broken = false
			panic("assertion failed: Page expected to be: 12")
		}
		return tx.Commit()
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := create(s, "wsp_1"); !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "patchbay doctor") {
		t.Errorf("the first answer is %v", err)
	}
	if err := create(s, "wsp_1"); err != nil {
		t.Errorf("the next one is %v", err)
	}
	if problems := s.Check(t.Context()); len(problems) > 0 {
		t.Error(problems)
	}
}

// Reports about received messages reach back to the last one, and not beyond; what moved
// is what an index by status would have found.
func TestReadMarksReachBackToTheLastOne(t *testing.T) {
	s := open(t).Store
	conn := domain.Connection{ID: "con_1", Workspace: "wsp_1", Endpoint: "e"}
	if err := errors.Join(s.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_1"}), s.CreateConnection(t.Context(), conn, nil)); err != nil {
		t.Fatal(err)
	}
	deliver := func(events ...contract.Event) {
		t.Helper()
		e := webhook(s, conn, 1)
		e.Delivery.DedupeKey, e.Events = "", events
		if _, err := s.CommitDelivery(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	message := func(n int) contract.Event {
		e := webhook(s, conn, int64(n)).Events[0]
		e.Conversation = &contract.Conversation{ID: "chat"}
		e.Message.Conversation = *e.Conversation
		return e
	}
	report := func(n int, status contract.MessageStatus, earlier bool) contract.Event {
		return contract.Event{Kind: contract.EventMessageStatus, Status: &contract.StatusReport{
			PlatformID: contract.PlatformMessageID(fmt.Sprint("m-", n)), Status: status, AndEarlier: earlier}}
	}
	statuses := func() (all string) {
		t.Helper()
		list, _, err := s.Messages(t.Context(), "wsp_1", domain.MessageFilter{Connection: "con_1", Conversation: "chat"}, domain.Page{})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			all += string(append([]byte(m.Status), '-')[0:1])
		}
		if problems := s.Check(t.Context()); len(problems) > 0 {
			t.Error(problems)
		}
		return all
	}
	deliver(message(1), message(2), message(3), message(4), message(5))
	for _, step := range []struct {
		event contract.Event
		want  string
	}{
		{report(3, contract.MessageRead, false), "--r--"},
		{report(2, contract.MessageDelivered, true), "ddr--"},
		{report(4, contract.MessageDelivered, true), "ddrd-"},
		{report(4, contract.MessageRead, true), "rrrr-"},
		{report(5, contract.MessageRead, true), "rrrrr"},
	} {
		deliver(step.event)
		if got := statuses(); got != step.want {
			t.Errorf("after %+v: %s, want %s", step.event.Status, got, step.want)
		}
	}
	deliver(message(6), message(7))
	deliver(report(7, contract.MessageRead, true))
	if got := statuses(); got != "rrrrrrr" {
		t.Errorf("at last: %s", got)
	}
}

// A mark that nobody waits for goes with the next commit, and soon if there is none.
func TestAMarkAloneIsKeptSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open(t.TempDir()+"/marks.db", store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		conn := domain.Connection{ID: "con_1", Workspace: "wsp_1"}
		if err := errors.Join(s.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_1"}), s.CreateConnection(t.Context(), conn, nil)); err != nil {
			t.Fatal(err)
		}
		c, err := s.CommitDelivery(t.Context(), webhook(s, conn, 1))
		if err != nil {
			t.Fatal(err)
		}
		s.MarkAnswered(c.Delivery)
		<-time.After(25 * time.Millisecond)
		synctest.Wait()
		if d, err := s.Delivery(t.Context(), c.Delivery); err != nil || !d.Answered {
			t.Errorf("25 ms later it is not marked: %v", err)
		}
	})
}
