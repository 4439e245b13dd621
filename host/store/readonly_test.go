package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
)

// closed is the path of a store that nobody has open.
func closed(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "patchbay.db")
	s, err := store.Open(path, store.Options{})
	if err == nil {
		err = errors.Join(s.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_1"}), s.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAReadOnlyStoreChangesNothing(t *testing.T) {
	path := closed(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenReadOnly(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if problems := s.Check(t.Context()); len(problems) > 0 {
		t.Errorf("Check = %v", problems)
	}
	if _, err := s.Workspace(t.Context(), "wsp_1"); err != nil {
		t.Errorf("a read: %v", err)
	}
	if err := s.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_2"}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a write = %v, want ErrUnavailable", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file has changed: %v", err)
	}
}

func TestAReadOnlyStoreThatCannotBeOpenedSaysWhy(t *testing.T) {
	busy := closed(t)
	host, err := store.Open(busy, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Close() }() // it is not what is tested
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	db, err := bbolt.Open(foreign, 0o600, nil)
	if err == nil {
		err = errors.Join(db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("x")); return err }), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenReadOnly(busy, store.Options{LockTimeout: 10 * time.Millisecond}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("one that a host has open: %v", err)
	}
	if _, err := store.OpenReadOnly(foreign+"x", store.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that is not there: %v", err)
	}
	if _, err := store.OpenReadOnly(foreign, store.Options{}); err == nil {
		t.Error("one of another program was opened")
	}
	for what, content := range map[string][]byte{"nothing": nil, "zeros": make([]byte, 20_000)} {
		path := filepath.Join(t.TempDir(), "patchbay.db")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := store.OpenReadOnly(path, store.Options{}); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("one that holds %s: %v", what, err)
		}
		if after, err := os.ReadFile(path); err != nil || len(after) != len(content) {
			t.Errorf("one that held %s has %d bytes now, %v", what, len(after), err)
		}
		if content == nil {
			continue // to write, an empty file is a new store
		}
		if _, err := store.Open(path, store.Options{}); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("one that holds %s, opened to write: %v", what, err)
		}
	}
	if space, err := store.SpaceOf(t.Context(), foreign+"x", store.Options{}); err != nil || space.FileBytes != 0 {
		t.Errorf("the space of one that is not there = %+v, %v", space, err)
	}
}

func TestSpaceIsWhatWasRemoved(t *testing.T) {
	l := live(t)
	full, err := l.Space(t.Context())
	if err != nil || full.FileBytes == 0 || full.FreeBytes < 0 || full.FreeShare() > 1 {
		t.Fatalf("Space = %+v, %v", full, err)
	}
	for i := range 200 {
		if _, err := l.CommitDelivery(t.Context(), today(l.Store, l.conn, 1000+i)); err != nil {
			t.Fatal(err)
		}
	}
	before, err := l.Space(t.Context())
	l.must(t, err)
	pass(t, l.Store, ages, 91)
	after, err := l.Space(t.Context())
	l.must(t, err)
	if after.FreeBytes-before.FreeBytes < 200*1024 {
		t.Errorf("before %+v, after the removal of 200 bodies of 1 KiB %+v", before, after)
	}
}
