package store_test

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// testdata/schema1.db.gz was written by the store as of commit 6c0a096, by the test beside it: two workspaces with
// two connections each, deliveries in every state, a conversation of six messages the first
// three of which are read, one sent, one parked and one queued answer, media that waits, and
// something in every other bucket.
func layout1(t *testing.T) (path string) {
	t.Helper()
	zipped, err := os.Open("testdata/schema1.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer zipped.Close()
	raw, err := gzip.NewReader(zipped)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(raw)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "patchbay.db")
	write(t, path, string(content))
	return path
}

func TestAFileOfLayout1IsBroughtUpToDate(t *testing.T) {
	path := layout1(t)
	for range 2 { // brought up to date, then opened as any other
		s := openAt(t, path).Store
		for _, problem := range s.Check(t.Context()) {
			t.Error(problem)
		}
		checkLayout1(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path + ".rewriting"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something is left beside the file: %v", err)
	}
}

// TestAFileOfLayout2IsBroughtUpToDate: layout 3 has more buckets, and is otherwise the same.
func TestAFileOfLayout2IsBroughtUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "patchbay.db")
	s := openAt(t, path).Store
	if err := s.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_1"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	makeLayout2(t, path)
	if _, err := store.OpenReadOnly(path, store.Options{}); err == nil {
		t.Error("it was read as if it were up to date")
	}
	s = openAt(t, path).Store
	if _, err := s.Workspace(t.Context(), "wsp_1"); err != nil {
		t.Error(err)
	}
	if _, err := s.Tokens(t.Context(), "con_1"); !errors.Is(err, domain.ErrNotFound) {
		t.Error(err)
	}
	for _, problem := range s.Check(t.Context()) {
		t.Error(problem)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// makeLayout2 turns a file of layout 3 that holds neither apps nor token sets into one of
// layout 2.
func makeLayout2(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(b *bbolt.Tx) error {
		for _, name := range []string{"tokens", "connections_by_app", "routes", "routes_by_holder", "routed", "parked", "parked_by_key", "parked_by_expiry", "route_usage"} {
			if err := b.DeleteBucket([]byte(name)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return b.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint64(nil, 2))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// checkLayout1 looks for what layout 1 kept in another way.
func checkLayout1(t *testing.T, s *store.Store) {
	t.Helper()
	ctx := t.Context()
	for _, tt := range []struct {
		name string
		f    domain.DeliveryFilter
		want int
	}{
		{"a workspace", domain.DeliveryFilter{Workspace: "wsp_0"}, 11},
		{"a connection", domain.DeliveryFilter{Connection: "con_01"}, 2},
		{"a state", domain.DeliveryFilter{Workspace: "wsp_0", Connection: "con_00", State: domain.DeliveryFailed}, 1},
	} {
		if list, _, err := s.Deliveries(ctx, tt.f, domain.Page{}); err != nil || len(list) != tt.want {
			t.Errorf("%s has %d deliveries, want %d: %v", tt.name, len(list), tt.want, err)
		}
	}
	if n, err := s.LastEventSeq(ctx, "wsp_0"); err != nil || n != 11 { // eight messages, that three were read, that one was sent, and that one failed
		t.Errorf("the last event is %d: %v", n, err)
	}
	messages, _, err := s.Messages(ctx, "wsp_0", domain.MessageFilter{Connection: "con_00", Conversation: "chat-1"}, domain.Page{})
	if err != nil || len(messages) != 9 || messages[2].Status != contract.MessageRead || messages[3].Status != "" {
		t.Errorf("the conversation has %d messages: %v", len(messages), err)
	}
	conversations, _, err := s.Conversations(ctx, "wsp_0", "con_00", domain.Page{})
	if err != nil || len(conversations) != 2 || !conversations[0].LastMessageAt.Equal(time.Unix(1_700_000_202, 0)) || conversations[0].Title != "Ann" {
		t.Errorf("Conversations = %+v, %v", conversations, err)
	}
	var tickets []domain.Ticket
	if err := s.QueuedTickets(ctx, func(ticket domain.Ticket) error {
		tickets = append(tickets, ticket)
		return nil
	}); err != nil || len(tickets) != 4 || tickets[0].Lane == "" {
		t.Errorf("QueuedTickets = %+v, %v", tickets, err)
	}
	if d, err := s.Delivery(ctx, "dlv_01"); err != nil || string(d.Body) != "body 1" || !d.Answered {
		t.Errorf("Delivery = %+v, %v", d, err)
	}
	again := webhook(s, domain.Connection{ID: "con_00", Workspace: "wsp_0"}, 1)
	again.Delivery.DedupeKey = "key-1"
	if c, err := s.CommitDelivery(ctx, again); err != nil || !c.Duplicate || c.Delivery != "dlv_01" {
		t.Errorf("a redelivery is %+v, %v", c, err)
	}
	if err := s.VerifyAudit(ctx); err != nil {
		t.Error(err)
	}
}

// What a crash left of an attempt is no obstacle to the next one.
func TestAnInterruptedUpgradeBeginsAnew(t *testing.T) {
	path := layout1(t)
	write(t, path+".rewriting", "half a file")
	s := openAt(t, path).Store
	checkLayout1(t, s)
}

// An upgrade that fails leaves the file as it was.
func TestAFailedUpgradeChangesNothing(t *testing.T) {
	path := layout1(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path+".rewriting", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := store.Open(path, store.Options{}); err == nil {
		s.Close()
		t.Fatal("Open succeeded")
	}
	after, err := os.ReadFile(path)
	if err != nil || string(before) != string(after) {
		t.Errorf("the file has changed: %v", err)
	}
	remove(t, path+".rewriting")
	checkLayout1(t, openAt(t, path).Store)
}
