package limits_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Whatever comes and whenever: in no span of time are more deliveries taken than come at
// once and at the rate, those who wait as long as they were told are taken, and what one
// workspace does changes nothing for another.
func TestNoSpanOfTimeHasMoreThanTheLimit(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		perSecond := rapid.Float64Range(0.01, 100).Draw(r, "rate")
		w := open(t, domain.Limits{DeliveriesPerSecond: perSecond, CommandsPerSecond: 1}, 0)
		most := float64(max(1, int(2*perSecond+0.9999999)))
		taken := map[contract.WorkspaceID][]time.Time{}
		for range rapid.IntRange(1, 200).Draw(r, "steps") {
			ws := rapid.SampledFrom([]contract.WorkspaceID{acme, rival}).Draw(r, "workspace")
			switch rapid.IntRange(0, 3).Draw(r, "what") {
			case 0:
				w.now = w.now.Add(time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(r, "pause")))
			case 1:
				_ = w.AdmitCommand(ws, 0) // must not matter
			default:
				if w.deliver(ws, 0) == nil {
					taken[ws] = append(taken[ws], w.now)
				}
			}
		}
		for ws, times := range taken {
			for i := range times {
				for j := i; j < len(times); j++ {
					if n, span := float64(j-i+1), times[j].Sub(times[i]).Seconds(); n > most+perSecond*span+1e-3 {
						r.Fatalf("%s: %v deliveries in %v s, at %v per second", ws, n, span, perSecond)
					}
				}
			}
		}
		w.mustTakeAfterWaiting(r)
	})
}

// mustTakeAfterWaiting drains both budgets, waits as told, and expects to be served.
func (w *world) mustTakeAfterWaiting(r *rapid.T) {
	for _, ws := range []contract.WorkspaceID{acme, rival} {
		for w.deliver(ws, 0) == nil {
		}
		err := w.deliver(ws, 0)
		w.now = w.now.Add(w.exceeds("a drained budget", err, "deliveries_per_second").RetryAfter)
		if err := w.deliver(ws, 0); err != nil {
			r.Fatalf("%s waited as it was told, and got %v", ws, err)
		}
	}
}
