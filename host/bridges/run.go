package bridges

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/failpoint"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	// batch is how many events are dealt with in one transaction.
	batch = 128
	// settle is how long a workspace must be quiet until a cursor is kept that only passed by
	// events that do not concern the bridge; stride is how many may be passed by without.
	settle = time.Second
	stride = 1024
	// firstWait and longestWait bound the wait after something failed; it doubles.
	firstWait, longestWait = 100 * time.Millisecond, 30 * time.Second
)

// pump carries what the bridges of one workspace carry, one bridge after the other: so
// what one of them keeps about a conversation, the next one sees.
type pump struct {
	room *Room
	ws   contract.WorkspaceID
	wake chan struct{} // capacity 1: a bridge was made or changed

	// What follows is touched by run alone. all is the bridges as they were read, with the
	// cursors moved on since; stale tells that they must be read again. read is up to where
	// events were read, by bridge, beyond the cursor that is kept.
	all   []domain.BridgeStatus
	stale bool
	read  map[domain.BridgeID]uint64
	page  page
}

func (r *Room) newPump(ws contract.WorkspaceID) *pump {
	return &pump{room: r, ws: ws, wake: make(chan struct{}, 1), stale: true}
}

// Run carries until ctx ends, and returns when nothing is under way any more. It is called
// once.
func (r *Room) Run(ctx context.Context) {
	var pumps sync.WaitGroup
	defer pumps.Wait()
	r.mu.Lock()
	r.start = func(ws contract.WorkspaceID) *pump {
		p := r.newPump(ws)
		pumps.Go(func() { p.run(ctx) })
		return p
	}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.start = nil
	}()
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		workspaces, err := r.opts.Store.BridgedWorkspaces(ctx)
		if err == nil {
			for _, ws := range workspaces {
				r.changed(ws)
			}
			<-ctx.Done()
			return
		}
		r.opts.Log.Error("the bridges cannot be read; this is tried again", "error", err)
		if !sleep(ctx, wait) {
			return
		}
	}
}

// sleep waits; it returns false if ctx ended first.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// changed has a workspace's bridges looked at again.
func (r *Room) changed(ws contract.WorkspaceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.start == nil {
		return
	}
	if r.pumps[ws] == nil {
		r.pumps[ws] = r.start(ws)
		return
	}
	select {
	case r.pumps[ws].wake <- struct{}{}:
	default: // it has been told and has not looked yet
	}
}

func (p *pump) run(ctx context.Context) {
	news, cancel := p.room.opts.Store.WatchEvents(p.ws)
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for wait := time.Duration(0); ; {
		unkept, err := p.round(ctx, wait == settle)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait = min(max(2*wait, firstWait), longestWait)
			p.room.opts.Log.Error("bridges wait for the store", "workspace", p.ws, "wait", wait, "error", err)
		case unkept:
			wait = settle
		default:
			wait = 0
		}
		timer.Stop()
		var due <-chan time.Time
		if wait > 0 {
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-news:
			wait = 0
		case <-p.wake:
			wait, p.stale = 0, true
		case <-due:
		}
	}
}

// round carries each bridge of the workspace up to the newest event. With keep, a cursor
// that only passed by events is kept, too; otherwise unkept tells that there is one.
func (p *pump) round(ctx context.Context, keep bool) (unkept bool, err error) {
	if err := p.refresh(ctx); err != nil {
		return false, err
	}
	var errs []error
	for i := range p.all {
		b := &p.all[i]
		if b.State != domain.BridgeActive {
			continue
		}
		passed, err := p.guarded(ctx, b, keep)
		if err != nil {
			p.stale = true
		}
		if err != nil && !errors.Is(err, domain.ErrConflict) && !errors.Is(err, domain.ErrNotFound) {
			errs = append(errs, fmt.Errorf("bridge %s: %w", b.ID, err))
			p.room.opts.Metrics.Bridged("failed", 1)
		}
		unkept = unkept || passed
	}
	p.page = page{} // what comes next is news
	return unkept, errors.Join(errs...)
}

// refresh reads the bridges of the workspace, if they may have changed.
func (p *pump) refresh(ctx context.Context) error {
	if !p.stale {
		return nil
	}
	p.all = nil
	for at := (domain.Page{Limit: 1000}); ; {
		items, next, err := p.room.opts.Store.Bridges(ctx, p.ws, at)
		if err != nil {
			return err
		}
		p.all = append(p.all, items...)
		if at.After = next; next == "" {
			break
		}
	}
	read := map[domain.BridgeID]uint64{}
	for _, b := range p.all {
		if at, ok := p.read[b.ID]; ok && b.State == domain.BridgeActive {
			read[b.ID] = at
		}
	}
	p.read, p.stale = read, false
	return nil
}

// page is a run of events. Bridges that stand at the same place read it once.
type page struct {
	after  uint64
	events []domain.Event
}

// events returns what comes after an event, at most a batch.
func (p *pump) events(ctx context.Context, after uint64) ([]domain.Event, error) {
	if len(p.page.events) > 0 && p.page.after == after {
		return p.page.events, nil
	}
	events, err := p.room.opts.Store.Events(ctx, p.ws, after, batch)
	if err == nil && len(events) > 0 {
		p.page = page{after, events}
	}
	return events, err
}

// guarded is carry, and makes an error of a panic: one bridge stands still then, and not
// the host.
func (p *pump) guarded(ctx context.Context, b *domain.BridgeStatus, keep bool) (unkept bool, err error) {
	defer func() {
		if bug := recover(); bug != nil {
			err = fmt.Errorf("BUG: it panicked behind event %d: %v\n%s", b.Progress.Cursor, bug, debug.Stack())
		}
	}()
	return p.carry(ctx, b, keep)
}

// carry brings one bridge up to the newest event. A bridge that was changed meanwhile is
// left for the next round, which its change has asked for.
func (p *pump) carry(ctx context.Context, b *domain.BridgeStatus, keep bool) (unkept bool, err error) {
	for {
		after := max(b.Progress.Cursor, p.read[b.ID])
		events, err := p.events(ctx, after)
		if err != nil {
			return false, err
		}
		if len(events) == 0 && (!keep || after == b.Progress.Cursor) {
			return after > b.Progress.Cursor, nil
		}
		last := after
		if len(events) > 0 {
			last = events[len(events)-1].Seq
		}
		if len(events) > 0 && last-b.Progress.Cursor < stride && !concern(b.Bridge, events) {
			p.read[b.ID] = last
			continue
		}
		if err := p.step(ctx, b, events, last); err != nil {
			return false, err
		}
	}
}

// concern tells whether any of the events is of a connection of the bridge.
func concern(b domain.Bridge, events []domain.Event) bool {
	return slices.ContainsFunc(events, func(e domain.Event) bool {
		_, ok := b.Side(e.Connection)
		return ok
	})
}

// step decides what becomes of a run of events, and keeps it. Where that is nothing, only
// the place is remembered.
func (p *pump) step(ctx context.Context, b *domain.BridgeStatus, events []domain.Event, last uint64) error {
	d, err := p.room.newDraft(ctx, *b, p.all)
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := d.take(ctx, e); err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
	}
	if len(events) > 0 && d.idle() && last-b.Progress.Cursor < stride {
		p.read[b.ID] = last
		return nil
	}
	if err := p.commit(ctx, d, last); err != nil {
		return err
	}
	b.Progress.Cursor, b.Progress.NoticedAt = last, d.noticedAt
	delete(p.read, b.ID)
	return nil
}

// commit makes a step durable and has its commands run.
func (p *pump) commit(ctx context.Context, d *draft, cursor uint64) error {
	step := d.finish(cursor)
	failpoint.Hit(failpoint.BridgesBeforeCommit)
	jobs, err := p.room.opts.Store.StepBridge(ctx, step)
	if err != nil {
		return err
	}
	p.room.opts.OnJobs(jobs...)
	for outcome, n := range map[string]uint64{
		"forwarded": step.Counts.Forwarded, "edited": step.Counts.Edited, "deleted": step.Counts.Deleted, "typing": step.Counts.Typing,
		"receipt": step.Counts.Receipts, "echo": step.Counts.Echoes, "skipped": step.Counts.Skipped,
	} {
		if n > 0 {
			p.room.opts.Metrics.Bridged(outcome, n)
		}
	}
	return nil
}
