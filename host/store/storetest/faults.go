package storetest

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// faulty returns the store as one that can be made to fail, or skips the claim.
func (f *fixture) faulty(t *testing.T) Faulty {
	t.Helper()
	faulty, ok := f.Store.(Faulty)
	if !ok {
		t.Skip("the store cannot be made to fail")
	}
	return faulty
}

var faultClaims = []claim{
	{"while the disk is full nothing is kept, and then all is well", func(t *testing.T, f *fixture) {
		disk := f.faulty(t)
		f.receive(f.text(chat, "before", "x"))
		disk.FailCommits(syscall.ENOSPC)
		e := f.delivery(conA, f.text(chat, "during", "x"))
		e.Delivery.DedupeKey = "key"
		_, err := f.CommitDelivery(t.Context(), e)
		f.fails("CommitDelivery", err, domain.ErrUnavailable)
		f.fails("its cause", err, syscall.ENOSPC)
		f.fails("Ping", f.Ping(t.Context()), domain.ErrUnavailable)
		_, _, err = f.AcceptCommand(t.Context(), f.sending(chat, "x"))
		f.fails("AcceptCommand", err, domain.ErrUnavailable)
		if got := f.names(wsA); !equal(got, []string{"before"}) || len(f.queue()) != 0 {
			t.Errorf("visible while it fails: %v, queued: %v", got, f.queue())
		}
		if problems := f.Check(t.Context()); len(problems) > 0 {
			t.Errorf("while it fails: %v", problems)
		}
		disk.FailCommits(nil)
		if c := f.commit(e); c.Duplicate || c.Events[0].Seq != 2 {
			t.Errorf("afterwards: %+v", c)
		}
	}},
	{"who waits with others is told so as well", func(t *testing.T, f *fixture) {
		disk := f.faulty(t)
		effects := make([]domain.DeliveryEffects, 32)
		for i := range effects {
			effects[i] = f.delivery(conA, f.text(chat, f.name("m"), "x"))
		}
		disk.FailCommits(syscall.EIO)
		var refused atomic.Int64
		together(len(effects), func(i int) {
			if _, err := f.CommitDelivery(t.Context(), effects[i]); errors.Is(err, domain.ErrUnavailable) {
				refused.Add(1)
			}
		})
		disk.FailCommits(nil)
		if refused.Load() != 32 || len(f.events(wsA)) != 0 {
			t.Errorf("%d of 32 were refused, and %d events are visible", refused.Load(), len(f.events(wsA)))
		}
	}},
	{"an answer that rests on what was not kept is not given", func(t *testing.T, f *fixture) {
		disk := f.faulty(t)
		disk.FailCommits(syscall.ENOSPC)
		outcomes := make([]error, 16)
		duplicates := make([]bool, 16)
		effects := make([]domain.DeliveryEffects, 16)
		for i := range effects {
			effects[i] = f.delivery(conA)
			effects[i].Delivery.DedupeKey = "key"
		}
		together(len(effects), func(i int) {
			c, err := f.CommitDelivery(t.Context(), effects[i])
			outcomes[i], duplicates[i] = err, c.Duplicate
		})
		disk.FailCommits(nil)
		for i, err := range outcomes {
			if !errors.Is(err, domain.ErrUnavailable) || duplicates[i] {
				t.Errorf("delivery %d was answered: duplicate %t, %v", i, duplicates[i], err)
			}
		}
		_, err := f.Delivery(t.Context(), contract.DeliveryID(effects[0].Delivery.ID))
		f.fails("Delivery", err, domain.ErrNotFound)
	}},
	{"no watcher is told of what was not kept", func(t *testing.T, f *fixture) {
		disk := f.faulty(t)
		news, cancel := f.WatchEvents(wsA)
		defer cancel()
		disk.FailCommits(syscall.ENOSPC)
		_, err := f.CommitDelivery(t.Context(), f.delivery(conA, f.text(chat, "m", "x")))
		f.fails("CommitDelivery", err, domain.ErrUnavailable)
		disk.FailCommits(nil)
		if told(news) {
			t.Error("it was told")
		}
	}},
}
