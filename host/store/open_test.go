package store_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
)

func TestAFileIsForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "patchbay.db")
	openAt(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v: %v", info.Mode(), err)
	}
}

func TestAFileKeepsWhatItHad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "patchbay.db")
	for range 3 {
		s := openAt(t, path)
		err := s.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_1"})
		if err != nil && !errors.Is(err, domain.ErrExists) {
			t.Fatal(err)
		}
		if _, err := s.Workspace(t.Context(), "wsp_1"); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		want    string // of the error
	}{
		{"another process has it", func(t *testing.T, path string) { openAt(t, path) }, "another process has it open; stop that one"},
		{"a newer program wrote it", func(t *testing.T, path string) { rewrite(t, path, "meta", 99) }, "its schema is 99 and this program writes 3"},
		{"it belongs to something else", func(t *testing.T, path string) { rewrite(t, path, "theirs", 1) }, "not one of Patchbay's"},
		{"it is no such file", func(t *testing.T, path string) { write(t, path, strings.Repeat("not a database ", 2000)) }, "invalid database"},
		{"it is cut short", func(t *testing.T, path string) { write(t, path, "x") }, "open store"},
		{"there is no folder", func(t *testing.T, path string) { remove(t, filepath.Dir(path)) }, "no such file or directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "folder", "patchbay.db")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			tt.prepare(t, path)
			s, err := store.Open(path, store.Options{LockTimeout: time.Millisecond})
			if err == nil {
				s.Close()
				t.Fatal("Open succeeded")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open = %v\nwant an error with %q and the path", err, tt.want)
			}
		})
	}
}

// rewrite makes a bbolt file with one bucket that says which schema it has.
func rewrite(t *testing.T, path, bucket string, schema uint64) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte(bucket))
		if err != nil {
			return err
		}
		return b.Put([]byte("schema"), binary.BigEndian.AppendUint64(nil, schema))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func TestIDsSortAlthoughTheClockGoesBack(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s, err := store.Open(filepath.Join(t.TempDir(), "ids.db"), store.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	last := ""
	for _, step := range []time.Duration{0, time.Second, -time.Hour, 0, time.Millisecond, 2 * time.Hour} {
		now = now.Add(step)
		id := s.NewID("evt")
		if id <= last {
			t.Errorf("after %v: %s does not sort after %s", step, id, last)
		}
		last = id
	}
}

func TestIDsGoOnWhenTheMillisecondIsUsedUp(t *testing.T) {
	full := strings.NewReader(strings.Repeat("\xff", 10) + strings.Repeat("\x01", 100))
	s, err := store.Open(filepath.Join(t.TempDir(), "ids.db"), store.Options{Entropy: full, Now: func() time.Time { return time.Unix(0, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if first, second := s.NewID("evt"), s.NewID("evt"); second <= first {
		t.Errorf("%s, then %s", first, second)
	}
}

func TestIDsAreNotMadeWithoutRandomness(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "ids.db"), store.Options{Entropy: iotest.ErrReader(errors.New("no entropy"))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	defer func() {
		if recover() == nil {
			t.Error("an identity was made all the same")
		}
	}()
	s.NewID("evt")
}
