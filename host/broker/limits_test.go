package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// full is a limit that was reached.
type full struct{}

func (full) Error() string          { return "limit reached" }
func (full) RetryAfterSeconds() int { return 7 }

func TestADeliveryOverALimitIsNeverAcknowledged(t *testing.T) {
	w := newWorld(t, func(context.Context, *call) ([]byte, error) { return contract.Marshal(said("chat", "x")), nil })
	w.limits.full = full{}
	answer := w.deliver(t, "x")
	if answer.Status != 429 || headerOf(answer.Headers, "Retry-After") != "7" {
		t.Errorf("it was answered %d with %+v", answer.Status, answer.Headers)
	}
	if kept, _, err := w.store.Deliveries(t.Context(), domain.DeliveryFilter{Connection: "con_1"}, domain.Page{}); err != nil || len(kept) > 0 {
		t.Errorf("%d deliveries were kept, %v", len(kept), err)
	}
	w.limits.full = nil
	if answer := w.deliver(t, "x"); answer.Status != 200 || w.limits.open.Load() != 0 {
		t.Errorf("later it was answered %d, and %d deliveries were not released", answer.Status, w.limits.open.Load())
	}
}

func headerOf(headers []contract.Header, name string) string {
	for _, h := range headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

func TestACommandWaitsForTheFuelOfItsWorkspace(t *testing.T) {
	w := newWorld(t, answers(&contract.CommandOutput{Sent: &contract.Sent{PlatformID: "p", Status: contract.MessageSent}}))
	w.limits.debt = 3 * time.Second
	job := w.send(t, "chat", "hi")
	after := w.run(t, job)
	if after.State != domain.JobQueued || after.Attempts != 0 || after.NotBefore.Unix() != w.now.Load()+3 {
		t.Errorf("the job is %v after %d attempts, until %v", after.State, after.Attempts, after.NotBefore)
	}
	w.limits.debt = 0
	if after := w.run(t, job); after.State != domain.JobDone {
		t.Errorf("the job is %v with %+v", after.State, after.Failure)
	}
}

// burning is a guest that uses 42 units of fuel.
type burning struct{ guest }

func (b burning) Record(ctx context.Context, inv sandbox.Invocation) (*recording.Recording, *sandbox.Result, error) {
	r, result, err := b.guest.Record(ctx, inv)
	result.Fuel = 42
	return r, result, err
}

func TestFuelIsChargedAlsoWhereThePluginFails(t *testing.T) {
	w := newWorld(t, func(context.Context, *call) ([]byte, error) { return nil, &sandbox.Trap{} })
	w.plugins.version.Code = burning{w.plugins.version.Code.(guest)}
	w.deliver(t, "x")
	if got := w.limits.fuel.Load(); got != 42 {
		t.Errorf("%d units were charged, want 42", got)
	}
}
