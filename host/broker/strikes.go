package broker

import (
	"context"
	"sync"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// strikes counts the deliveries of connections that were rejected one after the other with
// one code. It is in memory: a restart only delays what too many of them lead to, and a
// forger should not make the host write more than a genuine platform does.
type strikes struct {
	mu     sync.Mutex
	counts map[contract.ConnectionID]strike
}

type strike struct {
	code string
	n    int64
}

// add counts one more and returns how many there were in a row.
func (s *strikes) add(c contract.ConnectionID, code string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = make(map[contract.ConnectionID]strike)
	}
	was := s.counts[c]
	if was.code != code {
		was = strike{code: code}
	}
	was.n++
	s.counts[c] = was
	return was.n
}

// clear forgets a connection, of which a delivery was accepted.
func (s *strikes) clear(c contract.ConnectionID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.counts, c)
}

// strike counts a rejection that has a limit, and gives the connection the state that the
// plugin names once the limit is reached.
func (b *Broker) strike(ctx context.Context, c domain.Connection, r *contract.Rejection) {
	if r.Limit == 0 || b.strikes.add(c.ID, r.Code) != r.Limit {
		return
	}
	err := b.opts.Store.CommitProbe(ctx, domain.Effects{
		Workspace: c.Workspace, Connection: c.ID, At: b.opts.Now(),
		Events: []contract.Event{{Kind: contract.EventConnectionState, State: r.TooMany}},
	}, nil)
	if err != nil {
		b.opts.Log.Error("too many deliveries in a row were rejected, and that could not be told", "connection", c.ID, "code", r.Code, "error", err)
	}
}
