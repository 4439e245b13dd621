package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
)

const (
	// visitPace is how soon one visit follows another.
	visitPace = 150 * time.Millisecond
	// mostBefore and mostAfter are how many deliveries of a visit come before anybody has its
	// key, and from then on.
	mostBefore, mostAfter = 5, 6
)

// visit is an account that writes to the app before anybody has told whose it is: what comes
// first waits, what comes while that is worked off waits behind it, and what comes later does
// not wait. Its key is given to the branch by an operator, or taken by the branch's plugin.
func (l *load) visit(rnd *rand.Rand, series string, n int) {
	key := fmt.Sprintf("%s.%d", series, n)
	before, after := rnd.IntN(mostBefore+1), 1+rnd.IntN(mostAfter)
	var given sync.WaitGroup
	defer given.Wait()
	for i := range before + after {
		if i == before {
			given.Go(func() { l.give(key, series, n) })
		}
		l.deliver(rnd, l.app, &delivery{Conversation: key, Index: i, Routed: true})
	}
}

// give makes a key the branch's, in one of the two ways in turn, until that is acknowledged.
func (l *load) give(key, series string, n int) {
	if n%2 == 1 {
		d := &delivery{Conversation: "t" + series[1:], Index: n / 2, Take: key}
		l.deliver(rand.New(rand.NewPCG(l.seed, uint64(n))), l.branch, d)
		return
	}
	l.until(func() bool {
		_, err := l.people.Operator.Assign(l.ctx, l.app.ID, client.Assignment{Key: key, Workspace: l.tenantID(), Connection: l.branch.ID})
		if problem := new(client.Problem); errors.As(err, &problem) && problem.Status < 500 && problem.Status != http.StatusTooManyRequests {
			l.seen.refuse("key %s could not be assigned: %v", key, err)
			return true
		}
		return err == nil
	})
}
