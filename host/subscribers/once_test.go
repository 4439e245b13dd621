package subscribers_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/subscribers"
)

func TestARepeatedRequestMakesOneSubscriberAndTellsItsSecretAgain(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	ctx := domain.WithOnce(w.ctx(), domain.Once{Key: "key", RequestHash: "hash"})
	n := subscribers.NewSubscriber{Name: "CRM", URL: target}
	type made struct {
		id     domain.SubscriberID
		secret string
	}
	answers := make([]made, 16)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			status, value, err := w.room.CreateSubscriber(ctx, domain.Actor{}, "wsp_1", n)
			if err != nil {
				t.Errorf("repeat %d: %v", i, err)
				return
			}
			answers[i] = made{status.ID, value.Reveal()}
		})
	}
	all.Wait()
	for _, a := range answers {
		if a != answers[0] || a.secret == "" {
			t.Errorf("answered %s and %s, with the same secret: %t", a.id, answers[0].id, a.secret == answers[0].secret)
		}
	}
	if count, err := w.store.CountSubscribers(w.ctx(), "wsp_1"); count != 1 || err != nil {
		t.Errorf("there are %d, %v", count, err)
	}
	other := domain.WithOnce(w.ctx(), domain.Once{Key: "key", RequestHash: "another"})
	if _, _, err := w.room.CreateSubscriber(other, domain.Actor{}, "wsp_1", n); !errors.Is(err, domain.ErrIdempotencyMismatch) {
		t.Errorf("another request: %v", err)
	}
}
