// Package store keeps everything that the host knows in one bbolt file.
//
// There is one writer. Requests queue up while it is busy; it takes all that wait, runs
// them in one transaction, makes that durable with one fsync, and only then answers
// them. A request that fails takes nothing else down with it. Reads do not queue: they
// see the newest commit and return copies.
//
// A method that returned nil has made its change durable. A method that returned
// [domain.ErrUnavailable] has changed nothing. A method whose context ended has stopped
// waiting, no more: if its request was in the queue, it may be committed all the same.
//
// A function that is handed to an Update method runs inside the transaction, possibly
// more than once: it changes what it is given, and must not call the store.
package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/seed75a60ee1/patchbay/host/disk"
	"github.com/seed75a60ee1/patchbay/host/domain"
)

// Options says how a store works. The zero value is good for use.
type Options struct {
	// Log is told of events that were dropped and of what failed behind nobody's back;
	// nil discards.
	Log *slog.Logger
	// Now is the clock; nil is the system's. It must be safe for concurrent use.
	Now func() time.Time
	// Entropy is where ids get their randomness; nil is crypto/rand. A reader that fails
	// makes NewID panic.
	Entropy io.Reader
	// LockTimeout is how long Open waits for another process to let go of the file; 0
	// means 2 s.
	LockTimeout time.Duration
	// OnCommit is told of every commit: how many requests shared it and how long it took,
	// fsync included. It is called by the writer, which waits for it.
	OnCommit func(group int, took time.Duration)

	// commit replaces the last step of a transaction, so that tests can make it fail.
	commit func(*bbolt.Tx) error
	// group is the most requests that share a commit, so that a benchmark can see what
	// sharing is worth.
	group int
}

// Store is an open file. It is safe for concurrent use, and must be closed.
type Store struct {
	db    *bbolt.DB
	opts  Options
	ids   *ids
	watch *watchers

	requests chan *request
	marks    marks
	quit     chan struct{} // closed by Close: no more requests
	stopped  chan struct{} // closed by the writer: all that were queued are answered
	closing  sync.Once

	commits, writes, failures atomic.Uint64
	largest                   atomic.Int64
}

// mapBytes is the address space to reserve at first. Within it the file grows without
// being mapped anew, which would make the writer wait for every read.
const mapBytes = 1 << 30

// Open opens the file at path and creates it if there is none. The folder must exist.
// Only one process can have a file open.
func Open(path string, opts Options) (*Store, error) {
	opts = opts.filled()
	_, err := os.Stat(path)
	fresh := errors.Is(err, os.ErrNotExist)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: opts.LockTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
		InitialMmapSize: mapBytes, NoStatistics: true,
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open store %q: another process has it open; stop that one, or use another data folder: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	if err := prepare(db, fresh); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %q: %w", path, err), db.Close())
	}
	s := newStore(db, opts)
	go s.write()
	return s, nil
}

// prepare makes a fresh file durable in its folder and checks what the file is.
func prepare(db *bbolt.DB, fresh bool) error {
	if fresh {
		if err := disk.SyncDir(filepath.Dir(db.Path())); err != nil {
			return err
		}
	}
	return db.Update(migrate)
}

func newStore(db *bbolt.DB, opts Options) *Store {
	return &Store{
		db: db, opts: opts, ids: newIDs(opts.Now, opts.Entropy), watch: newWatchers(),
		requests: make(chan *request, 2*maxGroup), marks: marks{wake: make(chan struct{}, 1)},
		quit: make(chan struct{}), stopped: make(chan struct{}),
	}
}

func (o Options) filled() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Entropy == nil {
		o.Entropy = rand.Reader
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = 2 * time.Second
	}
	if o.OnCommit == nil {
		o.OnCommit = func(int, time.Duration) {}
	}
	if o.commit == nil {
		o.commit = (*bbolt.Tx).Commit
	}
	if o.group == 0 {
		o.group = maxGroup
	}
	return o
}

// Close commits what is queued, refuses what comes after with [domain.ErrUnavailable],
// waits for reads to end, and lets go of the file. A second Close does nothing.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.quit)
		<-s.stopped
		err = s.db.Close()
	})
	return err
}

// NewID returns a new identity, such as "evt_01JD4Z…" for the prefix "evt". Later ones
// sort after earlier ones, also when the clock is set back while the store is open.
func (s *Store) NewID(prefix string) string { return s.ids.next(prefix) }

// Ping makes a write durable, to show that the store can.
func (s *Store) Ping(ctx context.Context) error {
	now := s.opts.Now()
	return s.update(ctx, "ping", func(t *tx) error {
		t.put(bucketMeta, keyPing, packTime(now))
		return nil
	})
}

// Stats says how the store is doing.
func (s *Store) Stats() domain.StoreStats {
	stats := domain.StoreStats{
		Pending: len(s.requests), Commits: s.commits.Load(), Writes: s.writes.Load(),
		LargestGroup: int(s.largest.Load()), Failures: s.failures.Load(),
	}
	if info, err := os.Stat(s.db.Path()); err == nil {
		stats.FileBytes = info.Size()
	}
	return stats
}

// view runs a read. What it returns must not point into the transaction.
func view[T any](ctx context.Context, s *Store, what string, read func(*tx) (T, error)) (T, error) {
	var result, none T
	if err := ctx.Err(); err != nil {
		return none, fmt.Errorf("%s: %w", what, err)
	}
	err := s.db.View(func(b *bbolt.Tx) (err error) {
		result, err = read(&tx{bolt: b})
		return err
	})
	if err != nil {
		return none, fmt.Errorf("%s: %w", what, available(err))
	}
	return result, nil
}

// available tells a store that cannot answer from an answer.
func available(err error) error {
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) || errors.Is(err, bolterrors.ErrInvalidMapping) {
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	return err
}
