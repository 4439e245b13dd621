package broker_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
)

// slowReplay has a delivery fail, and replays it with a plugin whose first run waits until
// between has returned. It returns the delivery and what the replay answered.
func slowReplay(t *testing.T, w *world, between func(failed contract.DeliveryID)) (contract.DeliveryID, error) {
	t.Helper()
	w.plugins.set(func(context.Context, *call) ([]byte, error) { return nil, &sandbox.Trap{} }, nil)
	failed := w.deliver(t, "hello").Delivery
	entered, goOn := make(chan struct{}), make(chan struct{})
	var runs atomic.Int64
	w.plugins.set(func(ctx context.Context, g *call) ([]byte, error) {
		if runs.Add(1) == 1 {
			close(entered)
			<-goOn
		}
		return echo(ctx, g)
	}, nil)
	replayed := make(chan error, 1)
	go func() {
		_, err := w.ReplayDelivery(t.Context(), domain.Actor{Subject: "op"}, "wsp_1", failed, false)
		replayed <- err
	}()
	<-entered
	between(failed)
	close(goOn)
	return failed, <-replayed
}

// TestTwoReplaysAtOnceTakeEffectOnce: both see a delivery that failed.
func TestTwoReplaysAtOnceTakeEffectOnce(t *testing.T) {
	w := newWorld(t, nil)
	_, err := slowReplay(t, w, func(failed contract.DeliveryID) {
		_, err := w.ReplayDelivery(t.Context(), domain.Actor{Subject: "op"}, "wsp_1", failed, false)
		if invalid := (*domain.Invalid)(nil); !errors.As(err, &invalid) {
			t.Errorf("the second replay answered %v", err)
		}
	})
	if got := w.events(t); err != nil || !slices.Equal(got, []string{"message.created hello"}) {
		t.Errorf("events %q, %v", got, err)
	}
}

// TestAReplayThatThePlatformsRepeatOvertakesHasNoEffect: the repeat took its place, and was
// answered, while the plugin had it.
func TestAReplayThatThePlatformsRepeatOvertakesHasNoEffect(t *testing.T) {
	w := newWorld(t, nil)
	failed, err := slowReplay(t, w, func(contract.DeliveryID) {
		if answer := w.deliverAnswered(t, "hello"); answer.Status != 200 {
			t.Errorf("the repeat was answered %d", answer.Status)
		}
	})
	if got := w.events(t); err != nil || !slices.Equal(got, []string{"message.created hello"}) {
		t.Errorf("events %q, %v", got, err)
	}
	if d, err := w.store.Delivery(t.Context(), failed); err != nil || d.State != domain.DeliverySuperseded {
		t.Errorf("the delivery is %v, %v", d.State, err)
	}
}

// TestARepeatLeavesNoRecordOfItsOwn: it is the first delivery that counts.
func TestARepeatLeavesNoRecordOfItsOwn(t *testing.T) {
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		out := said("chat", body(g))
		out.DedupeKey = "key"
		return contract.Marshal(out), nil
	})
	first := w.deliver(t, "hello")
	w.deliver(t, "hello again")
	kept, _, err := w.store.Deliveries(t.Context(), domain.DeliveryFilter{Workspace: "wsp_1"}, domain.Page{})
	if err != nil || len(kept) != 1 || kept[0].ID != first.Delivery {
		t.Errorf("kept %+v, %v", kept, err)
	}
}

// TestAReplayThatEndedMayBeFollowedByAnother: one that failed again is as good as before.
func TestAReplayThatEndedMayBeFollowedByAnother(t *testing.T) {
	w := newWorld(t, func(context.Context, *call) ([]byte, error) { return nil, &sandbox.Trap{} })
	failed := w.deliver(t, "hello").Delivery
	for range 2 {
		if d, err := w.ReplayDelivery(t.Context(), domain.Actor{Subject: "op"}, "wsp_1", failed, false); err != nil || d.State != domain.DeliveryFailed {
			t.Errorf("replayed: %v, %v", d.State, err)
		}
	}
}
