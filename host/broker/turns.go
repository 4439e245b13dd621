package broker

import (
	"runtime"
	"sync"
	"time"
)

// turns lets no more plugins take deliveries at once than there are processors: more would
// finish none of them sooner, and would have the store's writer, on which all of them wait,
// queue for a processor behind them. Who comes first goes first.
//
// A turn is lent for turnTime. An invocation that needs longer goes on without one, so
// that a plugin that computes for seconds holds nobody else up.
type turns chan struct{}

// turnTime is some ten times what a webhook takes.
const turnTime = 5 * time.Millisecond

func newTurns() turns { return make(turns, runtime.GOMAXPROCS(0)) }

// take waits for a turn. done gives it back and must be called once.
func (t turns) take() (done func()) {
	t <- struct{}{}
	giveBack := sync.OnceFunc(func() { <-t })
	timer := time.AfterFunc(turnTime, giveBack)
	return func() {
		timer.Stop()
		giveBack()
	}
}
