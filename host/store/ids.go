package store

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// ids mints identities: a prefix, an underscore and a ULID.
type ids struct {
	now func() time.Time

	mu      sync.Mutex
	entropy *ulid.MonotonicEntropy
	last    uint64 // ms; ids never go back behind it
}

func newIDs(now func() time.Time, entropy io.Reader) *ids {
	return &ids{now: now, entropy: ulid.Monotonic(entropy, 0)}
}

func (g *ids) next(prefix string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = max(g.last, ulid.Timestamp(g.now()))
	id, err := ulid.New(g.last, g.entropy)
	if err == ulid.ErrMonotonicOverflow { // 2^80 random bits have run over: borrow the next millisecond
		g.last++
		id, err = ulid.New(g.last, g.entropy)
	}
	if err != nil {
		panic(fmt.Sprintf("store: no identity can be made: %v", err))
	}
	return strings.TrimSuffix(prefix, "_") + "_" + id.String()
}
