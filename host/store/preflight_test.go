package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// sampleFile is a file with large buckets and small ones, branches, and a value that needs
// several pages.
func sampleFile(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sample.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true, PageSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		large, err := tx.CreateBucket([]byte("large"))
		if err != nil {
			return err
		}
		for i := range 2000 {
			if err := large.Put(newKey().number(uint64(i)), bytes.Repeat([]byte("v"), 20)); err != nil {
				return err
			}
		}
		small, err := tx.CreateBucket([]byte("small"))
		if err != nil {
			return err
		}
		return errors.Join(large.Put([]byte("wide"), make([]byte, 10_000)), small.Put([]byte("k"), []byte("v")))
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPreflightPassesWhatIsWhole(t *testing.T) {
	file := sampleFile(t)
	if torn, err := walk(bytes.NewReader(file), int64(len(file)), 4096); torn || err != nil {
		t.Errorf("walk = %t, %v; want false, nil", torn, err)
	}
	for _, size := range []int64{-1, 0} { // no file, and an empty one
		path := filepath.Join(t.TempDir(), "patchbay.db")
		if size == 0 {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if torn, err := preflight(path, 0); torn || err != nil {
			t.Errorf("preflight of a file of %d bytes = %t, %v; want false, nil", size, torn, err)
		}
	}
}

func TestPreflightTellsThatTheNewestCommitMayBeGone(t *testing.T) {
	for page := range 2 {
		file := sampleFile(t)
		file[page*4096+pageHead+20] ^= 1
		if torn, err := walk(bytes.NewReader(file), int64(len(file)), 4096); err != nil || !torn {
			t.Errorf("with page %d damaged, walk = %t, %v; want true, nil", page, torn, err)
		}
	}
}

// FuzzPreflight damages a file anywhere. Whatever preflight passes can be read to its end;
// what it refuses, it refuses as damaged.
func FuzzPreflight(f *testing.F) {
	f.Add(uint32(4096*2), []byte{1})
	f.Add(uint32(4096*3+8), []byte{0xff, 0xff, 0xff, 0xff})
	f.Add(uint32(16), []byte("noise"))
	good := sampleFile(f)
	f.Fuzz(func(t *testing.T, at uint32, harm []byte) {
		file := bytes.Clone(good)
		copy(file[int(at)%len(file):], harm)
		_, err := walk(bytes.NewReader(file), int64(len(file)), 4096)
		if err != nil {
			if !errors.Is(err, ErrDamaged) || !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("refused with %v, which is not ErrDamaged", err)
			}
			return
		}
		readAll(t, file)
	})
}

// readAll opens a file with bbolt, which looks at every page, and reads every record.
func readAll(t *testing.T, file []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "damaged.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, PageSize: 4096})
	if err != nil {
		return
	}
	defer func() { _ = db.Close() }()
	if err := db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(_, _ []byte) error { return nil })
		})
	}); err != nil {
		t.Error(err)
	}
}
