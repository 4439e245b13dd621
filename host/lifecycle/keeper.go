// Package lifecycle keeps a host's data from growing for ever, and tells whether it is
// sound.
//
// A [Keeper] goes through the store now and then and removes what is older than its
// workspace wants it kept, in steps so small that nobody who waits for the store notices,
// and attachments that nothing names any more. [Examine] looks at a data folder, or at the
// one of a running host, and explains what is wrong with it.
package lifecycle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/media"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Store is what retention goes through.
type Store interface {
	PlanSweep(ctx context.Context, defaults domain.Retention) (*domain.SweepPlan, error)
	Sweep(ctx context.Context, plan *domain.SweepPlan, room domain.SweepRoom, after string, most int) (domain.Swept, error)
	SweepMark(ctx context.Context, room domain.SweepRoom) (string, error)
	MarkSweep(ctx context.Context, room domain.SweepRoom, next string) error
	AllMedia(ctx context.Context, p domain.Page) ([]domain.Media, string, error)
	Workspace(ctx context.Context, id contract.WorkspaceID) (domain.Workspace, error)
	UpdateWorkspace(ctx context.Context, id contract.WorkspaceID, change func(*domain.Workspace) error) (domain.Workspace, error)
	Usage(ctx context.Context, ws contract.WorkspaceID) (domain.Usage, error)
	// ExpireParked gives up at most so many deliveries that no connection claimed in time.
	ExpireParked(ctx context.Context, now time.Time, most int) ([]domain.Parked, error)
	Audit(ctx context.Context, e domain.AuditEntry) error
	Stats() domain.StoreStats
}

// Files is the bytes of attachments.
type Files interface {
	Walk(ctx context.Context, visit func(media.Stored) error) error
	Remove(sum string, before time.Time) (bool, error)
}

// Metrics counts what is removed. All methods may be called at once.
type Metrics interface {
	// Swept counts records of a room, or files, and the bytes of payload that went with them.
	Swept(room string, removed int, bytes int64)
	// RetentionPass counts a pass that came to its end, or did not.
	RetentionPass(complete bool)
}

// Options says how a keeper works. The zero value of a field means what stands beside it,
// if anything does.
type Options struct {
	Store   Store
	Files   Files
	Metrics Metrics
	// Defaults is how long data is kept whose workspace does not say.
	Defaults domain.Retention
	// Interval is the time between two passes; 15 minutes.
	Interval time.Duration
	// Batch is the most records that one transaction removes; 100.
	Batch int
	// ExpireInterval is how often deliveries are given up that nobody claimed in time; 30 s.
	ExpireInterval time.Duration
	Now            func() time.Time
	Log            *slog.Logger
}

// Keeper removes what is too old. It is safe for concurrent use.
type Keeper struct {
	opts Options
	pass sync.Mutex // held by the one pass there is
}

// New makes a keeper. It does nothing before Run.
func New(opts Options) *Keeper {
	if opts.Interval == 0 {
		opts.Interval = 15 * time.Minute
	}
	if opts.Batch == 0 {
		opts.Batch = 100
	}
	if opts.ExpireInterval == 0 {
		opts.ExpireInterval = 30 * time.Second
	}
	return &Keeper{opts: opts}
}

// Run makes a pass every Interval until ctx ends, the first one an Interval from now, and gives
// up what nobody claimed in time.
func (k *Keeper) Run(ctx context.Context) {
	ticks, expiries := time.NewTicker(k.opts.Interval), time.NewTicker(k.opts.ExpireInterval)
	defer ticks.Stop()
	defer expiries.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			if _, err := k.Pass(ctx); err != nil && !errors.Is(err, ErrUnderWay) && ctx.Err() == nil {
				k.opts.Log.Error("retention did not come to its end; it goes on at the next pass", "error", err)
			}
		case <-expiries.C:
			if _, err := k.Expire(ctx); err != nil && ctx.Err() == nil {
				k.opts.Log.Error("what nobody claimed could not be given up; it is tried again", "error", err)
			}
		}
	}
}

// Removed is what a pass removed of one kind.
type Removed struct {
	Room string `json:"room" example:"payload" doc:"The kind of record."`
	// Removed counts records, Bytes payload or the bytes of files, and Damaged the records
	// that cannot be read and were left alone.
	Removed int   `json:"removed"`
	Bytes   int64 `json:"bytes"`
	Damaged int   `json:"damaged,omitempty" doc:"Records that could not be read and were left alone."`
}

// Report is what a pass came to. A room that nothing was removed from is left out.
type Report struct {
	StartedAt time.Time     `json:"started_at"`
	Took      time.Duration `json:"took_ns"`
	Removed   []Removed     `json:"removed"`
}

// ErrUnderWay means that another pass is under way. Match with errors.Is.
var ErrUnderWay = errors.New("a pass of retention is under way")

// slowLook is how many records of a slow room one pass looks at.
const slowLook = 100_000

// Pass goes through everything once and removes what is too old. It stops at the first
// error; what was removed by then stays so. ErrUnderWay if another one is under way.
func (k *Keeper) Pass(ctx context.Context) (Report, error) {
	report := Report{StartedAt: k.opts.Now(), Removed: []Removed{}}
	if !k.pass.TryLock() {
		return report, ErrUnderWay
	}
	defer k.pass.Unlock()
	err := k.passThrough(ctx, &report)
	report.Took = k.opts.Now().Sub(report.StartedAt)
	k.opts.Metrics.RetentionPass(err == nil)
	for _, r := range report.Removed {
		k.opts.Metrics.Swept(r.Room, r.Removed, r.Bytes)
		k.opts.Log.Info("retention removed what was too old", "room", r.Room, "records", r.Removed, "bytes", r.Bytes, "damaged", r.Damaged)
	}
	return report, err
}

func (k *Keeper) passThrough(ctx context.Context, report *Report) error {
	plan, err := k.opts.Store.PlanSweep(ctx, k.opts.Defaults)
	if err != nil {
		return err
	}
	for _, room := range domain.SweepRooms() {
		removed, err := k.sweep(ctx, plan, room)
		report.add(removed)
		if err != nil {
			return fmt.Errorf("retention of %s: %w", room, err)
		}
	}
	removed, err := k.sweepFiles(ctx)
	report.add(removed)
	if err != nil {
		return fmt.Errorf("retention of files: %w", err)
	}
	return nil
}

func (r *Report) add(removed Removed) {
	if removed.Removed > 0 || removed.Damaged > 0 {
		r.Removed = append(r.Removed, removed)
	}
}

// sweep goes through one room; of a slow one, through a part, and the next pass goes on.
func (k *Keeper) sweep(ctx context.Context, plan *domain.SweepPlan, room domain.SweepRoom) (sum Removed, err error) {
	sum.Room = string(room)
	next := ""
	if room.Slow() {
		if next, err = k.opts.Store.SweepMark(ctx, room); err != nil {
			return sum, err
		}
	}
	for seen := 0; ; {
		began := time.Now()
		swept, err := k.opts.Store.Sweep(ctx, plan, room, next, k.opts.Batch)
		if err != nil {
			return sum, err
		}
		sum.Removed, sum.Bytes, sum.Damaged = sum.Removed+swept.Removed, sum.Bytes+swept.Bytes, sum.Damaged+swept.Damaged
		seen += swept.Seen
		next = swept.Next
		if next == "" || room.Slow() && seen >= slowLook {
			break
		}
		if err := k.rest(ctx, time.Since(began)); err != nil {
			return sum, err
		}
	}
	if room.Slow() {
		return sum, k.opts.Store.MarkSweep(ctx, room, next)
	}
	return sum, nil
}

const (
	// leisure is how many times the length of a step is rested after it.
	leisure = 4
	// busyQueue is how many requests that wait for the store mean that it is busy, and
	// busyRest and busyPatience how long a step waits for that to pass, each time and at
	// most.
	busyQueue    = 64
	busyRest     = 50 * time.Millisecond
	busyPatience = 2 * time.Second
)

// rest leaves the store to others after a step that took so long, and longer while it has
// much to do; but retention must come on under any load, or the disk fills.
func (k *Keeper) rest(ctx context.Context, took time.Duration) error {
	if err := wait(ctx, min(leisure*took, time.Second)); err != nil {
		return err
	}
	for waited := time.Duration(0); waited < busyPatience && k.opts.Store.Stats().Pending > busyQueue; waited += busyRest {
		if err := wait(ctx, busyRest); err != nil {
			return err
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fileGrace is how long a file that nothing names is kept: an upload writes the file first,
// and then what is known of it.
const fileGrace = 24 * time.Hour

// sweepFiles removes the files that no record names: those of records that are gone, and
// what a crash between file and record has left.
func (k *Keeper) sweepFiles(ctx context.Context) (Removed, error) {
	sum := Removed{Room: "files"}
	before := k.opts.Now().Add(-fileGrace)
	var idle []media.Stored
	err := k.opts.Files.Walk(ctx, func(f media.Stored) error {
		if f.PutAt.Before(before) {
			idle = append(idle, f)
		}
		return nil
	})
	if err != nil || len(idle) == 0 {
		return sum, err
	}
	named, err := namedSums(ctx, k.opts.Store)
	if err != nil {
		return sum, err
	}
	for _, f := range idle {
		if named[sumKey(f.Sum)] {
			continue
		}
		gone, err := k.opts.Files.Remove(f.Sum, before)
		if err != nil {
			return sum, err
		}
		if gone {
			sum.Removed++
			sum.Bytes += f.SizeBytes
		}
	}
	return sum, nil
}

// sumKey is a hash in half the room; all zero for what is no hash.
func sumKey(sum string) (k [sha256.Size]byte) {
	if raw, err := hex.DecodeString(sum); err == nil && len(raw) == len(k) {
		copy(k[:], raw)
	}
	return k
}

// mediaLister lists what is known of attachments.
type mediaLister interface {
	AllMedia(ctx context.Context, p domain.Page) ([]domain.Media, string, error)
}

// namedSums returns the hashes of all attachments that are known.
func namedSums(ctx context.Context, store mediaLister) (map[[sha256.Size]byte]bool, error) {
	named := map[[sha256.Size]byte]bool{}
	err := eachMedia(ctx, store, func(m domain.Media) error {
		named[sumKey(m.SHA256)] = true
		return nil
	})
	return named, err
}

func eachMedia(ctx context.Context, store mediaLister, visit func(domain.Media) error) error {
	for page := (domain.Page{Limit: 1000}); ; {
		items, next, err := store.AllMedia(ctx, page)
		if err != nil {
			return err
		}
		for _, m := range items {
			if err := visit(m); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		page.After = next
	}
}
