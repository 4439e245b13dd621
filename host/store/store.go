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
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
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
	// OnJobs is told of the jobs that came into the queue, once they are durable, in their
	// order, and before whoever queued them is answered: that one may have stopped waiting. It
	// is called by the writer, which waits for it, and must not call the store.
	OnJobs func(queued ...domain.Job)

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
	aside    aside
	quit     chan struct{} // closed by Close: no more requests
	stopped  chan struct{} // closed by the writer: all that were queued are answered
	closing  sync.Once

	// The writer's own.
	room arena
	last struct {
		group int
		took  time.Duration
	}

	harm  harm // what was found to be damaged
	memos memos

	commits, writes, failures atomic.Uint64
	largest                   atomic.Int64
}

// The address space to reserve. Within it the file grows without being mapped anew, which
// would make the writer wait for every read, and a backup is a long one. Addresses cost
// nothing where there are enough of them.
const (
	mapBytes     = 1 << 30
	wideMapBytes = mapBytes << (6 * (strconv.IntSize / 64)) // 64 GiB if addresses have 64 bits
)

// openMapped opens a file with as much address space as there is.
func openMapped(path string, timeout time.Duration) (*bbolt.DB, error) {
	opts := bbolt.Options{
		Timeout: timeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoStatistics: true, InitialMmapSize: mapBytes,
	}
	if runtime.GOOS == "linux" { // elsewhere a file may grow to the size of its map
		wide := opts
		wide.InitialMmapSize = wideMapBytes
		db, err := bbolt.Open(path, 0o600, &wide)
		if !errors.Is(err, syscall.ENOMEM) {
			return db, err
		}
	}
	return bbolt.Open(path, 0o600, &opts)
}

// Open opens the file at path and creates it if there is none. The folder must exist.
// Only one process can have a file open.
func Open(path string, opts Options) (*Store, error) {
	opts = opts.filled()
	_, err := os.Stat(path)
	fresh := errors.Is(err, os.ErrNotExist)
	torn, err := preflight(path, opts.LockTimeout)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	db, err := openFile(path, fresh, opts)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	s := newStore(db, opts)
	go s.write()
	if torn {
		s.tellTorn()
	}
	return s, nil
}

// openFile opens a file and brings it up to date.
func openFile(path string, fresh bool, opts Options) (*bbolt.DB, error) {
	db, err := openMapped(path, opts.LockTimeout)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("another process has it open; stop that one, or use another data folder: %w", err)
	}
	if err != nil {
		return nil, noStore(err)
	}
	current, err := prepare(db, fresh)
	if err == nil && current {
		err = removeIfThere(path + rewriting) // a crash may have left one
		return db, err
	}
	if err == nil {
		opts.Log.Info("the store is brought up to date", "path", path, "schema", schemaVersion)
		if err = upgrade(db); err != nil {
			err = fmt.Errorf("bring it up to schema %d, for which the disk must have room for a second file; it is as it was: %w", schemaVersion, err)
		}
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return openFile(path, false, opts)
}

// prepare makes a fresh file durable in its folder and checks what the file is. It returns
// false for one with an older layout.
func prepare(db *bbolt.DB, fresh bool) (current bool, err error) {
	if fresh {
		if err := disk.SyncDir(filepath.Dir(db.Path())); err != nil {
			return false, err
		}
	}
	var schema uint64
	if err := db.View(func(b *bbolt.Tx) (err error) {
		schema, err = schemaOf(b)
		return err
	}); err != nil {
		return false, err
	}
	if schema == 0 {
		return true, db.Update(create)
	}
	return schema == schemaVersion, nil
}

func newStore(db *bbolt.DB, opts Options) *Store {
	return &Store{
		db: db, opts: opts, ids: newIDs(opts.Now, opts.Entropy), watch: newWatchers(),
		requests: make(chan *request, 2*maxGroup), aside: aside{wake: make(chan struct{}, 1)},
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
	if o.OnJobs == nil {
		o.OnJobs = func(...domain.Job) {}
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
	err := s.look(func(t *tx) (err error) {
		result, err = read(t)
		return err
	})
	if err != nil {
		return none, fmt.Errorf("%s: %w", what, available(err))
	}
	return result, nil
}

// look runs a read. What is wrong with the file is an error, whatever shape it takes.
func (s *Store) look(read func(*tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = s.broken("a read", p)
		}
	}()
	return s.db.View(func(b *bbolt.Tx) error {
		t := &tx{bolt: b}
		err := read(t)
		if t.damage != nil {
			s.tellDamage(t.damage)
			return t.damage
		}
		return err
	})
}

// available tells a store that cannot answer from an answer.
func available(err error) error {
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) || errors.Is(err, bolterrors.ErrInvalidMapping) {
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	return err
}
