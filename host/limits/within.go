package limits

import (
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Within has create make one more of something, if the workspace has fewer of it than its
// limit allows; count counts them. Whoever makes the same thing for the same workspace
// takes turns, so that two at once never share the last place. limit is Connections,
// Subscribers or Bridges. The error is an *Exceeded, ctx's, count's or create's.
func (l *Limiter) Within(ctx context.Context, ws contract.WorkspaceID, limit Name, count func(context.Context) (int64, error), create func(context.Context) error) error {
	done, err := l.turn(ctx, ws, limit)
	if err != nil {
		return fmt.Errorf("wait for a turn: %w", err)
	}
	defer done()
	if most := counted(l.Effective(ws), limit); most > 0 {
		have, err := count(ctx)
		if err != nil {
			return fmt.Errorf("count %s: %w", limit, err)
		}
		if have >= most {
			return l.refuse(ws, &Exceeded{Limit: limit, Most: float64(most)})
		}
	}
	return create(ctx)
}

// turn waits until nobody else makes such a thing. done ends the turn.
func (l *Limiter) turn(ctx context.Context, ws contract.WorkspaceID, limit Name) (done func(), err error) {
	t := l.lock(ws)
	t.holders++
	taken := t.turns[limit]
	if taken == nil {
		taken = make(chan struct{}, 1)
		t.turns[limit] = taken
	}
	l.mu.Unlock()
	select {
	case taken <- struct{}{}:
		return func() { <-taken; l.leave(t) }, nil
	case <-ctx.Done():
		l.leave(t)
		return nil, ctx.Err()
	}
}

// leave says that somebody works no longer with the tenant.
func (l *Limiter) leave(t *tenant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.holders--
}

// counted is the limit of that name; 0 if there is none.
func counted(limits domain.Limits, name Name) int64 {
	switch name {
	case Connections:
		return limits.Connections
	case Subscribers:
		return limits.Subscribers
	case Bridges:
		return limits.Bridges
	}
	return 0
}
