package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed75a60ee1/patchbay/host/failpoint"
)

// death is how one life of the host ends: at the hit-th time that it reaches point, or, if
// point is empty, after a time that counts from its start or from when it was ready.
type death struct {
	point failpoint.Name
	hit   int
	after time.Duration
	ready bool
}

func (d death) String() string {
	switch {
	case d.point != "":
		return failpoint.Setting(d.point, d.hit)
	case d.ready:
		return fmt.Sprintf("%v after it was ready", d.after.Round(time.Millisecond))
	}
	return fmt.Sprintf("%v after its start", d.after.Round(time.Millisecond))
}

// setting arms the failpoint; empty if there is none.
func (d death) setting() string {
	if d.point == "" {
		return ""
	}
	return failpoint.Setting(d.point, d.hit)
}

// fates deals deaths: every failpoint once and as many random moments as half of them, in
// an order of its own, and then all of it again with other counts.
type fates struct {
	rnd  *rand.Rand
	deck []death
}

// hits is how often a failpoint may be passed before it kills: the first times a host
// begins, later ones when it is busy.
var hits = []int{1, 2, 3, 7, 20, 60}

// most is how many of hits are for a failpoint: those that few things pass are not passed
// often in one life.
func most(name failpoint.Name) int {
	switch name {
	case failpoint.CredentialsAfterAnswer, failpoint.CredentialsAfterSave:
		return 1
	case failpoint.RetentionMid, failpoint.BridgesBeforeCommit, failpoint.RouteAfterAssign:
		return 3
	case failpoint.RouteAfterPark, failpoint.ClaimBeforeCommit:
		return 5
	}
	return len(hits)
}

func (f *fates) next() death {
	if len(f.deck) == 0 {
		f.shuffle()
	}
	d := f.deck[0]
	f.deck = f.deck[1:]
	return d
}

func (f *fates) shuffle() {
	names := failpoint.Names()
	for _, name := range names {
		f.deck = append(f.deck, death{point: name, hit: hits[f.rnd.IntN(most(name))]})
	}
	for i := range (len(names) + 1) / 2 {
		d := death{after: time.Duration(f.rnd.IntN(900)) * time.Millisecond, ready: i%3 != 0}
		if !d.ready {
			d.after /= 2 // within the start, mostly
		}
		f.deck = append(f.deck, d)
	}
	f.rnd.Shuffle(len(f.deck), func(i, j int) { f.deck[i], f.deck[j] = f.deck[j], f.deck[i] })
}
