package subscribers

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	// maxAhead is how far a pump reads beyond the oldest event that is not settled: after a
	// crash at most so many are sent again.
	maxAhead = 4096
	// maxHeld is how often one event is tried while the subscriber as a whole fails, before
	// it becomes a job and makes room.
	maxHeld = 5
	// saveEvery is how often the cursor is kept while events are taken, and skipEvery while
	// events only pass by.
	saveEvery = 100 * time.Millisecond
	skipEvery = 5 * time.Second
	// tryAgain is how long to wait when the store cannot answer.
	tryAgain = time.Second
	// lastSave bounds the last commit of a pump.
	lastSave = 5 * time.Second
)

// pump sends the events of a workspace to one subscriber, from the cursor on. Everything in
// it belongs to its own goroutine, but for what the attempts are handed.
type pump struct {
	room   *Room
	sub    domain.Subscriber // as it was when the pump began: a change begins another
	health *health
	round  uint64

	read  uint64           // the newest event looked at
	stale bool             // there may be events after it
	open  []uint64         // events that are not settled, in order
	flows map[string]*flow // conversations with open events, by lane
	ready []*flow          // those whose first event may be tried
	tries int              // attempts under way

	saved    uint64    // the cursor as the store has it
	savedAt  time.Time // when it was last tried to keep it
	taken    time.Time // when an event was last taken that the store does not know of
	saving   bool
	attempts chan tried
	saves    chan error

	ctx    context.Context
	cancel context.CancelFunc // gives up what is under way
	quit   chan struct{}      // closed: begin nothing more
	once   sync.Once
	done   chan struct{} // closed once all has ended
}

// flow is the open events of one conversation. Its first may be under way.
type flow struct {
	lane   string
	events []domain.Event
	held   int // attempts of the first that said nothing about it
}

// tried is an attempt that ended.
type tried struct {
	flow    *flow
	outcome outcome
}

func newPump(r *Room, s domain.Subscriber, h *health) *pump {
	p := &pump{room: r, sub: s, health: h, stale: true, flows: map[string]*flow{},
		attempts: make(chan tried, r.opts.Window), saves: make(chan error, 1),
		quit: make(chan struct{}), done: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(r.ending)
	return p
}

// stop begins nothing more, and lets what is under way come to its end.
func (p *pump) stop() { p.once.Do(func() { close(p.quit) }) }

// run sends until it is stopped, cancelled, or its subscriber ends.
func (p *pump) run() {
	defer close(p.done)
	defer p.cancel()
	news, unwatch := p.room.opts.Store.WatchEvents(p.sub.Workspace)
	defer unwatch()
	if err := p.insist("read the progress of a subscriber", p.recall); err != nil {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for p.turn(news, timer) {
	}
	p.finish()
}

// recall begins where the store says.
func (p *pump) recall() error {
	progress, err := p.room.opts.Store.SubscriberProgress(p.ctx, p.sub.ID)
	if err != nil {
		return err
	}
	p.read, p.saved, p.round = progress.Cursor, progress.Cursor, progress.Round
	p.health.recall(progress.Failures)
	return nil
}

// turn does what can be done and waits for more. It returns false at the end.
func (p *pump) turn(news <-chan struct{}, timer *time.Timer) bool {
	if p.stale && p.hasRoom() && p.insist("read events for a subscriber", p.fill) != nil {
		return false
	}
	wait := min(p.dispatch(), p.save())
	if p.stale && p.hasRoom() {
		wait = 0
	}
	timer.Reset(wait)
	select {
	case a := <-p.attempts:
		p.tries--
		return p.settle(a.flow, a.outcome)
	case err := <-p.saves:
		if p.saving = false; err != nil {
			p.saved = 0 // not known: it is kept again
		}
		return !errors.Is(err, domain.ErrNotFound)
	case <-news:
		p.stale = true
	case <-p.health.changed:
	case <-timer.C:
	case <-p.quit:
		return false
	case <-p.ctx.Done():
		return false
	}
	return true
}

// insist does what the store has to, again and again until it can. It fails if the pump
// ends meanwhile, or the subscriber is gone.
func (p *pump) insist(what string, do func() error) error {
	for {
		err := do()
		if err == nil || errors.Is(err, domain.ErrNotFound) || p.ctx.Err() != nil {
			return err
		}
		p.room.opts.Log.Error("a subscriber waits for the store", "subscriber", p.sub.ID, "to", what, "error", err)
		timer := time.NewTimer(tryAgain)
		select {
		case <-timer.C:
		case <-p.quit:
			timer.Stop()
			return err
		case <-p.ctx.Done():
			timer.Stop()
			return err
		}
	}
}

func (p *pump) hasRoom() bool {
	return len(p.open) < p.room.opts.Window && p.read-p.watermark() < maxAhead
}

// watermark returns the newest event up to which all are settled.
func (p *pump) watermark() uint64 {
	if len(p.open) > 0 {
		return p.open[0] - 1
	}
	return p.read
}

// fill reads events, as many as there is room for.
func (p *pump) fill() error {
	limit := p.room.opts.Window - len(p.open)
	events, err := p.room.opts.Store.Events(p.ctx, p.sub.Workspace, p.read, limit)
	if err != nil {
		return err
	}
	behind, err := p.admit(events)
	if err == nil {
		p.stale = len(events) == limit
	}
	if deferral := p.fallBehind(behind); deferral != nil {
		return deferral // the pump ends
	}
	return err
}

// admit begins events, in order, and returns those that have to wait behind jobs.
func (p *pump) admit(events []domain.Event) (behind []domain.Event, err error) {
	waits := map[string]bool{}
	for _, e := range events {
		lane := domain.NotifyLane(p.sub.ID, e.Connection, e.ConversationID())
		switch f := p.flows[lane]; {
		case !p.sub.Wants(e):
		case f != nil:
			f.events = append(f.events, e)
			p.open = append(p.open, e.Seq)
		case waits[lane]:
			behind = append(behind, e)
			p.open = append(p.open, e.Seq)
		default:
			known, busy, err := p.room.opts.Store.NotificationLane(p.ctx, p.sub.ID, p.round, e)
			switch {
			case err != nil:
				return behind, err
			case known: // from before a crash
			case busy:
				behind, waits[lane] = append(behind, e), true
				p.open = append(p.open, e.Seq)
			default:
				p.open = append(p.open, e.Seq)
				p.start(lane, e)
			}
		}
		p.read = e.Seq
	}
	return behind, nil
}

// start opens a flow with its first event.
func (p *pump) start(lane string, e domain.Event) {
	f := p.flows[lane]
	if f == nil {
		f = &flow{lane: lane}
		p.flows[lane] = f
		p.ready = append(p.ready, f)
	}
	f.events = append(f.events, e)
}

// fallBehind makes jobs of events whose conversation has some. The store decides: where
// the last one ended meanwhile, the event is sent like any other.
func (p *pump) fallBehind(events []domain.Event) error {
	if len(events) == 0 {
		return nil
	}
	done, err := p.deferAll(domain.Deferral{Events: events, OnlyBehind: true})
	if err != nil {
		return err
	}
	for _, e := range events {
		if slices.Contains(done.Free, e.Seq) {
			p.start(domain.NotifyLane(p.sub.ID, e.Connection, e.ConversationID()), e)
		} else {
			p.shut(e.Seq)
		}
	}
	return nil
}

// deferAll makes jobs, durably, and tells the scheduler. It does not give up half-way when
// the pump is cancelled: jobs that are committed and that the scheduler does not know of
// would wait for the next start of the host.
func (p *pump) deferAll(d domain.Deferral) (done domain.Deferred, err error) {
	d.Subscriber, d.At = p.sub.ID, p.room.opts.Now()
	err = p.insist("queue events of a subscriber", func() (err error) {
		done, err = p.room.opts.Store.DeferNotifications(context.WithoutCancel(p.ctx), p.sub.Workspace, d)
		return err
	})
	p.room.opts.Jobs.Add(done.Jobs...)
	return done, err
}

// shut settles an event.
func (p *pump) shut(seq uint64) {
	if i, found := slices.BinarySearch(p.open, seq); found {
		p.open = slices.Delete(p.open, i, i+1)
	}
}

// forever is a wait that something else ends.
const forever = time.Hour

// dispatch begins the attempts that may begin. It returns how long to wait for more.
func (p *pump) dispatch() time.Duration {
	most, wait := p.health.gate(p.room.opts.Now(), p.room.opts.Window)
	for p.tries < most && len(p.ready) > 0 {
		f := p.ready[0]
		p.ready = p.ready[1:]
		p.tries++
		go p.try(f, f.events[0])
	}
	if wait > 0 && len(p.ready) > 0 {
		return wait
	}
	return forever
}

func (p *pump) try(f *flow, e domain.Event) {
	lag := p.room.opts.Now().Sub(e.CommittedAt)
	if f.held > 0 {
		lag = -1
	}
	o := p.room.attempt(p.ctx, p.sub, e)
	p.room.opts.Metrics.Notification(o.name(), lag, o.took)
	p.attempts <- tried{f, o} // there is room for every attempt of a window
}

// settle acts on what came of the first event of a flow. It returns false if the pump must
// end.
func (p *pump) settle(f *flow, o outcome) bool {
	now := p.room.opts.Now()
	switch {
	case o.cut:
		p.ready = append(p.ready, f)
		return p.ctx.Err() == nil
	case o.failure == nil:
		p.took(f, now)
		return true
	case o.gone:
		return p.gone(o)
	}
	p.health.failed(now, o.holds, o.wait)
	if o.holds && f.held < maxHeld {
		f.held++
		p.ready = append(p.ready, f) // at the end: others may fare better
		return p.report(*o.failure, now)
	}
	return p.postpone(f, *o.failure, now)
}

// took settles the first event of a flow.
func (p *pump) took(f *flow, now time.Time) {
	if p.health.took() {
		p.room.hasten(p.sub)
	}
	p.taken = now
	p.shut(f.events[0].Seq)
	if f.events, f.held = f.events[1:], 0; len(f.events) > 0 {
		p.ready = append(p.ready, f)
		return
	}
	delete(p.flows, f.lane)
}

// gone ends what a subscriber gets that answered that it is gone. The event stays before
// the cursor, for the day it is enabled again.
func (p *pump) gone(o outcome) bool {
	err := p.insist("disable a subscriber", func() error {
		return p.room.disable(p.ctx, p.sub, "It answered 410 Gone: "+orNothing(o.excerpt))
	})
	if err != nil && p.ctx.Err() == nil {
		p.room.opts.Log.Error("a subscriber that is gone could not be disabled", "subscriber", p.sub.ID, "error", err)
	}
	return false
}

func orNothing(text string) string {
	if text == "" {
		return "and said nothing."
	}
	return text
}

// report keeps a failure that is about the subscriber as a whole.
func (p *pump) report(why contract.Failure, now time.Time) bool {
	var progress domain.SubscriberProgress
	err := p.insist("keep a failure of a subscriber", func() (err error) {
		progress, err = p.room.opts.Store.ReportSubscriber(p.ctx, p.sub.ID, domain.SubscriberReport{Failure: &why, FailedAt: now})
		return err
	})
	return err == nil && p.judge(progress)
}

func (p *pump) judge(progress domain.SubscriberProgress) bool {
	disabled, err := p.room.judge(p.ctx, p.sub, progress)
	if err != nil && p.ctx.Err() == nil {
		p.room.opts.Log.Error("it could not be kept that a subscriber fails", "subscriber", p.sub.ID, "error", err)
	}
	return !disabled
}

// postpone makes jobs of the open events of a conversation, the first with its failure.
func (p *pump) postpone(f *flow, why contract.Failure, now time.Time) bool {
	state, at := p.room.opts.Policy.Next(domain.Job{CreatedAt: now}, why, now)
	if state == domain.JobParked {
		at = now // one more run parks it, with all that belongs to that
	}
	done, err := p.deferAll(domain.Deferral{Events: f.events, Failure: &why, NotBefore: at})
	if err != nil {
		return false
	}
	for _, e := range f.events {
		p.shut(e.Seq)
	}
	delete(p.flows, f.lane)
	return p.judge(done.Progress)
}

// save keeps the cursor if it is time to. It returns how long to wait until it is.
func (p *pump) save() time.Duration {
	mark := p.watermark()
	if p.saving || mark == p.saved && p.taken.IsZero() {
		return forever
	}
	every, now := saveEvery, p.room.opts.Now()
	if p.taken.IsZero() {
		every = skipEvery
	}
	if wait := every - now.Sub(p.savedAt); wait > 0 && wait <= every {
		return wait
	}
	report := domain.SubscriberReport{Cursor: mark, TakenAt: p.taken}
	p.saving, p.saved, p.savedAt, p.taken = true, mark, now, time.Time{}
	go func() {
		_, err := p.room.opts.Store.ReportSubscriber(p.ctx, p.sub.ID, report)
		p.saves <- err
	}()
	return forever
}

// finish waits for what is under way and keeps the cursor.
func (p *pump) finish() {
	for ; p.tries > 0; p.tries-- {
		if a := <-p.attempts; a.outcome.failure == nil && !a.outcome.cut {
			p.taken = p.room.opts.Now()
			p.shut(a.flow.events[0].Seq)
		}
	}
	if p.saving {
		<-p.saves
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), lastSave)
	defer cancel()
	_, err := p.room.opts.Store.ReportSubscriber(ctx, p.sub.ID, domain.SubscriberReport{Cursor: p.watermark(), TakenAt: p.taken})
	if err != nil && !errors.Is(err, domain.ErrNotFound) {
		p.room.opts.Log.Warn("the cursor of a subscriber was not kept; it gets some events again", "subscriber", p.sub.ID, "error", err)
	}
}
