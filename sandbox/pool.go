package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ErrBusy means that the memory for all instances together was in use until the call's
// time had passed.
var ErrBusy = errors.New("all memory for plugins is in use")

// What an instance takes beside its memory, about: what wazero keeps for each, for each
// global, and for each entry of a table.
const (
	instanceBytes = 128 << 10
	globalBytes   = 96
	entryBytes    = 8
)

// sweepEvery is how often the pool looks for instances that nobody needs.
const sweepEvery = 10 * time.Second

// pool bounds the memory of all instances of an engine, and keeps those that nobody uses
// for the next call. Calls that have to wait for memory are served in turn by tenant,
// so that one with a thousand calls waiting does not delay another's first.
type pool struct {
	mu      sync.Mutex
	most    int64
	used    int64
	queue   fairQueue
	keepers []*keeper
	clock   uint64
	timer   *time.Timer
	closed  bool
}

func newPool(most int64) *pool {
	return &pool{most: most, queue: fairQueue{lines: map[string][]*waiter{}}}
}

// reservation is memory that is counted for an instance.
type reservation struct {
	pool  *pool
	bytes int64
}

// reserve counts memory for an instance, and waits for it if it must.
func (p *pool) reserve(c *call, bytes int64) (*reservation, error) {
	bytes += c.plugin.besides
	if bytes > p.most {
		return nil, &HostFault{Function: "memory", Err: fmt.Errorf("%w: the plugin wants %d bytes, and the engine has %d in all", ErrBusy, bytes, p.most)}
	}
	p.mu.Lock()
	if p.queue.empty() && p.take(bytes) {
		p.mu.Unlock()
		return &reservation{p, bytes}, nil
	}
	w := &waiter{tenant: c.invocation.Tenant, bytes: bytes, ready: make(chan struct{})}
	p.queue.push(w)
	p.grant()
	p.mu.Unlock()
	return p.wait(c, w)
}

func (p *pool) wait(c *call, w *waiter) (*reservation, error) {
	ctx := c.timed()
	select {
	case <-w.ready:
		return &reservation{p, w.bytes}, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-w.ready: // granted meanwhile
		p.put(w.bytes)
	default:
		p.queue.remove(w)
		p.grant() // it may have stood before one that wants less
	}
	if c.parent.Err() != nil {
		return nil, c.ended()
	}
	return nil, &HostFault{Function: "memory", Err: ErrBusy}
}

// take counts bytes if there is room, for which it throws away what nobody uses.
func (p *pool) take(bytes int64) bool {
	for p.used+bytes > p.most {
		i := p.oldest()
		if i == nil {
			return false
		}
		i.discardLocked()
	}
	p.used += bytes
	return true
}

// put counts bytes no more, and serves who waits for them.
func (p *pool) put(bytes int64) {
	p.used -= bytes
	p.grant()
}

// grant serves those who wait, in turn, for as long as there is room.
func (p *pool) grant() {
	for !p.queue.empty() && p.take(p.queue.head().bytes) {
		close(p.queue.pop().ready)
	}
}

// grow counts more for an instance that is in use. It does not wait: whoever runs
// already holds what others wait for.
func (r *reservation) grow(bytes int64) bool {
	r.pool.mu.Lock()
	defer r.pool.mu.Unlock()
	if !r.pool.take(bytes) {
		return false
	}
	r.bytes += bytes
	return true
}

// free gives it back.
func (r *reservation) free() {
	r.pool.mu.Lock()
	defer r.pool.mu.Unlock()
	r.freeLocked()
}

func (r *reservation) freeLocked() {
	bytes := r.bytes
	r.bytes = 0
	r.pool.put(bytes)
}

// shrinkLocked counts only so many bytes.
func (r *reservation) shrinkLocked(to int64) {
	less := r.bytes - min(r.bytes, to)
	r.bytes -= less
	r.pool.put(less)
}

// keeper holds the idle instances of one plugin. It is guarded by the pool.
type keeper struct {
	pool *pool
	idle []*instance // the most recently used one last
	busy int
	peak int // of busy, since the last sweep
}

func (p *pool) newKeeper() *keeper {
	k := &keeper{pool: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keepers = append(p.keepers, k)
	return k
}

// borrow returns an idle instance, or nil. It is counted by reserved from now on.
func (k *keeper) borrow(reserved *reservation) *instance {
	k.pool.mu.Lock()
	defer k.pool.mu.Unlock()
	k.busy++
	k.peak = max(k.peak, k.busy)
	n := len(k.idle)
	if n == 0 {
		return nil
	}
	i := k.idle[n-1]
	k.idle[n-1] = nil
	k.idle = k.idle[:n-1]
	i.reserved.freeLocked()
	i.reserved = reserved
	return i
}

// giveBack keeps an instance that is as if new. Nil says that there is none any more.
func (k *keeper) giveBack(i *instance) {
	p := k.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	k.busy--
	if i == nil {
		return
	}
	p.clock++
	i.idleSince = p.clock
	k.idle = append(k.idle, i)
	i.reserved.shrinkLocked(i.idleBytes())
	if p.timer == nil && !p.closed {
		p.timer = time.AfterFunc(sweepEvery, p.sweep)
	}
}

// idleBytes is what an instance takes that nobody uses.
func (i *instance) idleBytes() int64 {
	bytes := i.besides
	if i.memory != nil {
		bytes += int64(i.memory.Private())
	}
	return bytes
}

// discardLocked is discard for who holds the pool.
func (i *instance) discardLocked() {
	i.closeModule()
	i.reserved.pool.used -= i.reserved.bytes
	i.reserved.bytes = 0
}

// oldest takes the instance that has been idle for longest, or nil.
func (p *pool) oldest() *instance {
	var from *keeper
	for _, k := range p.keepers {
		if len(k.idle) > 0 && (from == nil || k.idle[0].idleSince < from.idle[0].idleSince) {
			from = k
		}
	}
	if from == nil {
		return nil
	}
	i := from.idle[0]
	from.idle = slices.Delete(from.idle, 0, 1)
	return i
}

// sweep throws away instances beyond what was used at a time since the last sweep, and
// gives back the memory of those that were not used at all: they are the image again.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	left := 0
	for _, k := range p.keepers {
		spare := min(len(k.idle), max(0, len(k.idle)+k.busy-max(k.peak, 1)))
		for _, i := range k.idle[:spare] {
			i.discardLocked()
		}
		k.idle = slices.Delete(k.idle, 0, spare)
		unused := k.peak == k.busy
		for n := 0; n < len(k.idle); n++ {
			if unused && !p.trim(k.idle[n]) {
				k.idle[n].discardLocked()
				k.idle = slices.Delete(k.idle, n, n+1)
				n--
			}
		}
		k.peak = k.busy
		left += len(k.idle)
	}
	p.grant()
	p.timer = nil
	if left > 0 {
		p.timer = time.AfterFunc(sweepEvery, p.sweep)
	}
}

// trim gives back an idle instance's own memory.
func (p *pool) trim(i *instance) bool {
	if i.memory == nil || i.memory.Private() == 0 {
		return true
	}
	if err := i.memory.Trim(); err != nil {
		return false
	}
	i.reserved.shrinkLocked(i.idleBytes())
	return true
}

// close throws away a plugin's idle instances, and forgets the plugin.
func (k *keeper) close() {
	p := k.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range k.idle {
		i.discardLocked()
	}
	k.idle = nil
	p.keepers = slices.DeleteFunc(p.keepers, func(other *keeper) bool { return other == k })
	p.grant()
}

// close ends the sweeping. There are no plugins any more.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// waiter is a call that waits for memory.
type waiter struct {
	tenant string
	bytes  int64
	ready  chan struct{}
}

// fairQueue serves tenants in turn, and each tenant's calls in order.
type fairQueue struct {
	lines map[string][]*waiter
	turns []string // tenants that wait, the next one first
}

func (q *fairQueue) empty() bool { return len(q.turns) == 0 }

func (q *fairQueue) push(w *waiter) {
	line := q.lines[w.tenant]
	if len(line) == 0 {
		q.turns = append(q.turns, w.tenant)
	}
	q.lines[w.tenant] = append(line, w)
}

func (q *fairQueue) head() *waiter { return q.lines[q.turns[0]][0] }

// pop takes the head; its tenant has the last turn now.
func (q *fairQueue) pop() *waiter {
	w := q.head()
	q.turns = q.turns[1:]
	if line := q.lines[w.tenant][1:]; len(line) > 0 {
		q.lines[w.tenant] = line
		q.turns = append(q.turns, w.tenant)
	} else {
		delete(q.lines, w.tenant)
	}
	return w
}

// remove takes out one that has given up.
func (q *fairQueue) remove(w *waiter) {
	line := slices.DeleteFunc(q.lines[w.tenant], func(other *waiter) bool { return other == w })
	if len(line) > 0 {
		q.lines[w.tenant] = line
		return
	}
	delete(q.lines, w.tenant)
	q.turns = slices.DeleteFunc(q.turns, func(tenant string) bool { return tenant == w.tenant })
}
