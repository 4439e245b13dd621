package store_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// furnished is a store with something in every bucket.
func furnished(t *testing.T) *store.Store {
	t.Helper()
	s := open(t).Store
	ctx := t.Context()
	conn := domain.Connection{ID: "con_1", Workspace: "wsp_1", Plugin: "acme", Endpoint: "e"}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(s.CreateWorkspace(ctx, domain.Workspace{ID: "wsp_1"}))
	ok(s.CreateConnection(ctx, conn, []domain.Secret{{Name: "token"}}))
	e := webhook(s, conn, 1)
	e.RepeatWindow = time.Minute
	e.Writes = []domain.KVWrite{{Key: "k", Value: "v", ExpiresAt: e.At.Add(time.Hour)}}
	waits := webhook(s, conn, 2).Events[0]
	waits.Message.Parts[0].Media = &contract.Media{SourceURL: "https://cdn.test/1"}
	e.Events = append(e.Events, waits)
	_, err := s.CommitDelivery(ctx, e)
	ok(err)
	s.MarkAnswered(e.Delivery.ID)
	failed := webhook(s, conn, 3).Delivery
	failed.Workspace, failed.Connection, failed.State = conn.Workspace, conn.ID, domain.DeliveryFailed
	ok(s.KeepDelivery(ctx, failed, []byte("recording")))
	ok(s.AddNotice(ctx, domain.Notice{Kind: domain.NoticeDamage}))
	message := domain.Message{Message: *e.Events[0].Message}
	send := domain.NewCommand{Workspace: "wsp_1", Connection: "con_1", IdempotencyKey: "key",
		Command: domain.Command{Export: contract.ExportSendMessage}, Message: &message}
	job, _, err := s.AcceptCommand(ctx, send)
	ok(err)
	_, err = s.CommitCommand(ctx, domain.CommandEffects{JobID: job.ID, State: domain.JobDone, Effects: domain.Effects{Workspace: "wsp_1", Connection: "con_1"},
		Result: &domain.CommandResult{Sent: &contract.Sent{PlatformID: "sent"}}})
	ok(err)
	send.IdempotencyKey = ""
	job, _, err = s.AcceptCommand(ctx, send)
	ok(err)
	ok(s.WriteJournal(ctx, job.ID, 0, [][]byte{[]byte("one"), []byte("two")}))
	ok(s.RemoveEvent(ctx, "wsp_1", 1))
	ok(s.PutPlugin(ctx, domain.Plugin{Digest: "sha256:1", Manifest: manifest.Manifest{Name: "acme"}}))
	ok(s.ActivatePlugin(ctx, "acme", "sha256:1"))
	ok(s.PutRefusal(ctx, domain.Refusal{File: "a.wasm"}))
	ok(s.PutMedia(ctx, domain.Media{Handle: "med_1"}))
	ok(s.RevokeToken(ctx, "jti", time.Now().Add(time.Hour)))
	ok(s.CreateSubscriber(ctx, domain.Subscriber{ID: "sub_1", Workspace: "wsp_1"}, nil))
	ok(furnishBridge(ctx, s))
	ok(furnishApp(ctx, s))
	ok(s.PutTokens(ctx, domain.TokenSet{Owner: "con_1", Workspace: "wsp_1", Version: 1, Sealed: []byte("sealed")}))
	for range 3 {
		ok(s.Audit(ctx, domain.AuditEntry{Action: "a"}))
	}
	return s
}

// furnishApp puts in an app with a connection that has a key, and a delivery that waits for
// another.
func furnishApp(ctx context.Context, s *store.Store) error {
	at := time.Now()
	parked := domain.Parked{Delivery: "dlv_parked", App: "con_app", Key: "unclaimed", At: at, ExpiresAt: at.Add(time.Hour)}
	body := []byte("body")
	kept := domain.Delivery{Delivery: contract.Delivery{ID: parked.Delivery, ReceivedAt: at, BodyBytes: int64(len(body))}, Body: body,
		Routed: &domain.Routed{App: "con_app", Key: "unclaimed", Parked: true}}
	err := errors.Join(s.CreateWorkspace(ctx, domain.Workspace{ID: domain.HostWorkspace}),
		s.CreateConnection(ctx, domain.Connection{ID: "con_app", Workspace: domain.HostWorkspace, Plugin: "acme", IsApp: true, Endpoint: "f"}, nil),
		s.CreateConnection(ctx, domain.Connection{ID: "con_of_app", Workspace: "wsp_1", Plugin: "acme", App: "con_app", Endpoint: "g"}, nil))
	if err == nil {
		_, err = s.AssignRoute(ctx, "con_app", "claimed", "con_of_app", at)
	}
	if err == nil {
		_, err = s.ParkDelivery(ctx, domain.NewParked{Parked: parked, Kept: kept})
	}
	return err
}

// tampered runs a change of the file behind the store's back.
func tampered(t *testing.T, s *store.Store, change func(*bbolt.Tx) error) {
	t.Helper()
	if err := s.Bolt().Update(change); err != nil {
		t.Fatal(err)
	}
}

// TestCheckSeesWhatIsLost takes the first entry out of each bucket and damages it, one
// after the other. These buckets hold records that nothing points to.
func TestCheckSeesWhatIsLost(t *testing.T) {
	alone := map[string]bool{"meta": true, "refusals": true, "media": true, "tokens": true, "secrets": true, "plugins_active": true, "idempotency": true, "repeats": true, "notices": true, "delivery_answered": true}
	s := furnished(t)
	if problems := s.Check(t.Context()); len(problems) > 0 {
		t.Fatalf("before anything is lost: %v", problems)
	}
	var buckets []string
	tampered(t, s, func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			buckets = append(buckets, string(name))
			return nil
		})
	})
	for _, name := range buckets {
		t.Run(name, func(t *testing.T) {
			s := furnished(t)
			tampered(t, s, func(tx *bbolt.Tx) error {
				b := tx.Bucket([]byte(name))
				k, _ := b.Cursor().First()
				if k == nil {
					return fmt.Errorf("%s is empty: the test needs something in it", name)
				}
				return b.Delete(k)
			})
			if problems := s.Check(t.Context()); (len(problems) == 0) != alone[name] {
				t.Errorf("Check = %v; nothing points to it: %t", problems, alone[name])
			}
		})
	}
}

// TestCheckSeesWhatIsTooMuch adds an entry that leads nowhere to each index.
func TestCheckSeesWhatIsTooMuch(t *testing.T) {
	for _, name := range []string{
		"connections_by_workspace", "connections_by_endpoint", "traffic", "kv", "kv_usage", "kv_expiry", "deliveries_by_state",
		"failed_by_body", "delivery_bodies", "delivery_answered", "messages_by_order", "messages_by_status", "messages_by_name", "jobs_by_id",
		"jobs_by_state", "queue", "lanes", "plugins_active", "revoked_by_until", "events", "events_removed", "dedupe", "repeats", "audit",
		"connections_by_app", "routes", "routes_by_holder", "routed", "parked_by_key", "parked_by_expiry", "route_usage",
	} {
		t.Run(name, func(t *testing.T) {
			s := furnished(t)
			tampered(t, s, func(tx *bbolt.Tx) error { return tx.Bucket([]byte(name)).Put([]byte("\xffstray"), []byte("stray")) })
			if problems := s.Check(t.Context()); len(problems) == 0 {
				t.Error("Check sees nothing")
			}
		})
	}
}

func TestCheckStopsWhenItIsToldTo(t *testing.T) {
	s := furnished(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if problems := s.Check(ctx); len(problems) == 0 {
		t.Error("a check that did not happen found nothing wrong")
	}
}

func TestTheAuditLogShowsTampering(t *testing.T) {
	seq := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	for _, tt := range []struct {
		name   string
		tamper func(b *bbolt.Bucket) error
		broken uint64 // 0 for not at all
	}{
		{"nothing happened", func(*bbolt.Bucket) error { return nil }, 0},
		{"the first was removed", func(b *bbolt.Bucket) error { return b.Delete(seq(1)) }, 1},
		{"one in the middle was removed", func(b *bbolt.Bucket) error { return b.Delete(seq(2)) }, 2},
		{"the last was removed", func(b *bbolt.Bucket) error { return b.Delete(seq(3)) }, 3},
		{"one was changed", func(b *bbolt.Bucket) error {
			return b.Put(seq(2), []byte(strings.Replace(string(b.Get(seq(2))), `"action":"a"`, `"action":"b"`, 1)))
		}, 2},
		{"two were exchanged", func(b *bbolt.Bucket) error {
			first, second := string(b.Get(seq(1))), string(b.Get(seq(2)))
			return errors.Join(b.Put(seq(1), []byte(second)), b.Put(seq(2), []byte(first)))
		}, 1},
		{"one was put in", func(b *bbolt.Bucket) error { return b.Put(seq(4), b.Get(seq(3))) }, 4},
		{"one is no entry at all", func(b *bbolt.Bucket) error { return b.Put(seq(2), []byte("{")) }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := furnished(t)
			tampered(t, s, func(tx *bbolt.Tx) error { return tt.tamper(tx.Bucket([]byte("audit"))) })
			broken := new(store.AuditBroken)
			if errors.As(s.VerifyAudit(t.Context()), &broken); broken.Seq != tt.broken {
				t.Errorf("VerifyAudit blames entry %d (%s), want %d", broken.Seq, broken.Why, tt.broken)
			}
		})
	}
}

// A damaged record is an error of its reader and of nobody else.
func TestADamagedRecordIsAnError(t *testing.T) {
	s := furnished(t)
	tampered(t, s, func(tx *bbolt.Tx) error {
		return errors.Join(tx.Bucket([]byte("workspaces")).Put([]byte("wsp_1"), []byte("{")),
			tx.Bucket([]byte("kv")).Put([]byte("\x00\x05con_1k"), []byte("short")))
	})
	if _, err := s.Workspace(t.Context(), "wsp_1"); err == nil || errors.Is(err, domain.ErrNotFound) || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("Workspace = %v", err)
	}
	if _, _, _, err := s.KVGet(t.Context(), "con_1", "k", time.Now()); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("KVGet = %v", err)
	}
	if _, err := s.Connection(t.Context(), "con_1"); err != nil {
		t.Errorf("Connection = %v", err)
	}
}
