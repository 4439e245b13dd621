package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// content reads every entry of a file.
func content(t *testing.T, s *store.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := s.Bolt().View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			all[string(name)] = fmt.Sprint(b.Sequence())
			return b.ForEach(func(k, v []byte) error {
				all[string(name)+" "+string(k)] = string(v)
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("it has %d entries, want %d", len(got), len(want))
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%q is %q, want %q", k, got[k], v)
		}
	}
}

func TestCompactKeepsEverythingAndMakesTheFileSmaller(t *testing.T) {
	path := filepath.Join(t.TempDir(), "patchbay.db")
	s := openAt(t, path).Store
	conn := domain.Connection{ID: "con_1", Workspace: "wsp_1", Endpoint: "e"}
	if err := errors.Join(s.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_1"}), s.CreateConnection(t.Context(), conn, nil)); err != nil {
		t.Fatal(err)
	}
	for i := range int64(50) {
		if _, err := s.CommitDelivery(t.Context(), webhook(s, conn, i)); err != nil {
			t.Fatal(err)
		}
	}
	want := content(t, s)
	if _, _, err := store.Compact(t.Context(), path, store.Options{LockTimeout: 1}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("Compact of an open store = %v", err)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	if _, err := s.CompactInto(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CompactInto(t.Context(), copied); !errors.Is(err, os.ErrExist) {
		t.Errorf("CompactInto what is there = %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, after, err := store.Compact(t.Context(), path, store.Options{})
	if err != nil || after >= before || after < 50<<10 {
		t.Errorf("Compact: %d bytes, then %d: %v", before, after, err)
	}
	for _, p := range []string{path, copied} {
		s := openAt(t, p).Store
		same(t, content(t, s), want)
		if problems := s.Check(t.Context()); len(problems) > 0 {
			t.Errorf("%s: %v", p, problems)
		}
	}
}

func TestACompactionThatEndsLeavesTheFile(t *testing.T) {
	path := layout1(t)
	s := openAt(t, path).Store
	want := content(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, path+".rewriting", "a crash left this")
	s = openAt(t, path).Store
	same(t, content(t, s), want)
	if _, err := os.Stat(path + ".rewriting"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a crash left is still there: %v", err)
	}
}

// A snapshot is a store of its own, and has everything that was acknowledged before it
// began, although others write meanwhile.
func TestSnapshotUnderLoad(t *testing.T) {
	s := open(t).Store
	conn := domain.Connection{ID: "con_1", Workspace: "wsp_1", Endpoint: "e"}
	if err := errors.Join(s.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_1"}), s.CreateConnection(t.Context(), conn, nil)); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var acknowledged []contract.DeliveryID
	ctx, stop := context.WithCancel(t.Context())
	reached := make(chan struct{}, 1)
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for n := int64(w); ctx.Err() == nil; n += 8 {
				c, err := s.CommitDelivery(context.Background(), webhook(s, conn, n))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, c.Delivery)
				if len(acknowledged) == 100 {
					reached <- struct{}{}
				}
				mu.Unlock()
			}
		})
	}
	<-reached
	mu.Lock()
	before := append([]contract.DeliveryID(nil), acknowledged...)
	mu.Unlock()
	var snapshot bytes.Buffer
	n, err := s.Snapshot(t.Context(), &snapshot)
	stop()
	writers.Wait()
	if err != nil || n != int64(snapshot.Len()) {
		t.Fatalf("Snapshot = %d of %d bytes, %v", n, snapshot.Len(), err)
	}
	path := filepath.Join(t.TempDir(), "restored.db")
	write(t, path, snapshot.String())
	restored := openAt(t, path).Store
	for _, id := range before {
		if _, err := restored.Delivery(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if problems := restored.Check(t.Context()); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestSnapshotEndsWithItsContextOrItsReader(t *testing.T) {
	s := open(t).Store
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Snapshot(ctx, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context ended: %v", err)
	}
	full := errors.New("no room")
	if _, err := s.Snapshot(t.Context(), writerFunc(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) {
		t.Errorf("after its reader failed: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// bbolt grows a file by 16 MiB at a time once it is that large: a copy that kept the last of
// these would give back little.
func TestCompactLeavesNoRoomAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "patchbay.db")
	s := openAt(t, path).Store
	conn := domain.Connection{ID: "con_1", Workspace: "wsp_1", Endpoint: "e"}
	if err := errors.Join(s.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_1"}), s.CreateConnection(t.Context(), conn, nil)); err != nil {
		t.Fatal(err)
	}
	body, random := make([]byte, 1<<20), rand.NewChaCha8([32]byte{})
	for i := range int64(20) {
		_, _ = random.Read(body) // never fails
		e := webhook(s, conn, i)
		e.Delivery.Body = slices.Clone(body)
		if _, err := s.CommitDelivery(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, after, err := store.Compact(t.Context(), path, store.Options{}); err != nil || after < 20<<20 || after > 30<<20 {
		t.Errorf("20 MiB of bodies take %d bytes, %v", after, err)
	}
}
