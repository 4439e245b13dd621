package store_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/host/store/storetest"
)

var _ storetest.Store = (*store.Store)(nil)

// children are what the test binary does instead of testing if it finds the variable that
// names one in its environment.
var children = map[string]func(path string){crashFile: crashChild}

func TestMain(m *testing.M) {
	for variable, run := range children {
		if path := os.Getenv(variable); path != "" {
			run(path)
			return
		}
	}
	goleak.VerifyTestMain(m)
}

// faulty is a store whose commits can be made to fail.
type faulty struct {
	*store.Store
	fault atomic.Pointer[error]
}

var _ storetest.Faulty = (*faulty)(nil)

func (f *faulty) FailCommits(err error) {
	if err == nil {
		f.fault.Store(nil)
		return
	}
	f.fault.Store(&err)
}

func (f *faulty) commit(tx *bbolt.Tx) error {
	if err := f.fault.Load(); err != nil {
		return *err
	}
	return tx.Commit()
}

// open opens a fresh store in a folder of its own.
func open(t testing.TB) *faulty {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "patchbay.db"))
}

func openAt(t testing.TB, path string) *faulty {
	t.Helper()
	f := &faulty{}
	s, err := store.Open(path, store.Options{Log: slog.New(slog.DiscardHandler)}.WithCommit(f.commit))
	if err != nil {
		t.Fatal(err)
	}
	f.Store = s
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return f
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Store { return open(t) })
}
