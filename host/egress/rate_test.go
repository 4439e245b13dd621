package egress

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

func rated(bounds ...manifest.Rate) []domain.EgressRule {
	return []domain.EgressRule{{Name: "api", Rates: bounds}}
}

func sender(connection, app string) domain.EgressPolicy {
	return domain.EgressPolicy{Plugin: "acme", Sender: connection, App: app}
}

func perSecond(n int64) manifest.Rate {
	return manifest.Rate{Per: manifest.ScopeConnection, RequestsPerSecond: n}
}

func TestInNoSecondDoMoreRequestsGoOutThanTheRateSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.IntRange(1, 6).Draw(rt, "most")
		gaps := rapid.SliceOfN(rapid.IntRange(0, 400), 1, 60).Draw(rt, "gaps in ms")
		var mu sync.Mutex
		var sent []time.Time
		synctest.Test(t, func(*testing.T) {
			r := newRates()
			var wg sync.WaitGroup
			for _, gap := range gaps {
				time.Sleep(time.Duration(gap) * time.Millisecond)
				wg.Go(func() {
					free, err := r.take(context.Background(), sender("con_1", "app"), rated(perSecond(int64(most))))
					if err != nil {
						return
					}
					mu.Lock()
					sent = append(sent, time.Now())
					mu.Unlock()
					free()
				})
			}
			wg.Wait()
		})
		for i := most; i < len(sent); i++ {
			if apart := sent[i].Sub(sent[i-most]); apart < time.Second {
				rt.Fatalf("%d requests within %v, where %d a second are allowed", most+1, apart, most)
			}
		}
		if len(sent) < min(most, len(gaps)) {
			rt.Fatalf("%d of %d requests went out", len(sent), len(gaps))
		}
	})
}

func TestThoseWhoHaveToComeBackAreToldDifferentTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rules := newRates(), rated(perSecond(5))
		var told []time.Duration
		out := 0
		line := make(chan error, maxInLine)
		for range 5 {
			if _, err := r.take(t.Context(), sender("con_1", ""), rules); err == nil {
				out++
			}
		}
		for range maxInLine {
			go func() { _, err := r.take(t.Context(), sender("con_1", ""), rules); line <- err }()
		}
		synctest.Wait()
		began := time.Now()
		for range 400 {
			_, err := r.take(t.Context(), sender("con_1", ""), rules)
			fault := asFault(err)
			if fault.Code != contract.HostUnavailable || !fault.Certain {
				t.Fatalf("refused with %+v", fault.HostError)
			}
			told = append(told, time.Duration(fault.RetryAfterMillis)*time.Millisecond)
		}
		if time.Since(began) > 0 {
			t.Errorf("refusing took %v", time.Since(began))
		}
		for i, wait := range told {
			if wait < soon || wait > maxTurn || i > 0 && i < 200 && wait <= told[i-1] {
				t.Errorf("number %d was told %v, after %v", i, wait, told[max(0, i-1)])
			}
		}
		for range maxInLine {
			if err := <-line; err != nil {
				t.Errorf("one that waited on the spot: %v", err)
			}
		}
		if out != 5 {
			t.Errorf("%d went out at once, want 5", out)
		}
	})
}

func TestRatesCountByConnectionOrByApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRates()
		rules := rated(perSecond(2), manifest.Rate{Per: manifest.ScopeApp, RequestsPerSecond: 3})
		ended, cancel := context.WithCancel(t.Context())
		cancel() // so that nobody waits
		try := func(connection, app string) bool {
			_, err := r.take(ended, sender(connection, app), rules)
			return err == nil
		}
		for i, tt := range []struct {
			connection, app string
			want            bool
		}{
			{"con_1", "app_1", true}, {"con_1", "app_1", true}, {"con_1", "app_1", false}, // its own two
			{"con_2", "app_1", true}, {"con_2", "app_1", false}, // the third of the app
			{"con_3", "app_2", true}, // of another app
		} {
			if got := try(tt.connection, tt.app); got != tt.want {
				t.Errorf("request %d of %s: %v, want %v", i, tt.connection, got, tt.want)
			}
		}
	})
}

func TestNoMoreRequestsAreUnderWayThanTheRuleSays(t *testing.T) {
	var now, most atomic.Int32
	p := newPlatform(t, func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		now.Add(-1)
	})
	c := newClient(t, p, Options{})
	policy := p.policy()
	policy.Rules[0].Rates = []manifest.Rate{{Per: manifest.ScopeConnection, Concurrent: 3}}
	var sent, refused atomic.Int32
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			got := c.Send(context.Background(), policy, nil, contract.HTTPRequest{Method: "GET", URL: p.URL})
			if got.Error == nil {
				sent.Add(1)
			} else if refused.Add(1); got.Error.Code != contract.HostUnavailable || !got.Error.Certain || got.Error.RetryAfterMillis < 1000 {
				t.Errorf("refused with %+v", got.Error)
			}
		})
	}
	wg.Wait()
	if most.Load() > 3 || sent.Load() < 3 || int(sent.Load()) != p.reached() {
		t.Errorf("%d at once, %d sent, %d refused, %d reached", most.Load(), sent.Load(), refused.Load(), p.reached())
	}
	for range 10 { // every place was given back
		wantStatus(t, c.Send(context.Background(), policy, nil, contract.HTTPRequest{Method: "GET", URL: p.URL}), 200)
	}
}

func TestPlacesComeBackWhateverBecomesOfARequest(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{})
	policy := p.policy()
	policy.Rules[0].Rates = []manifest.Rate{{Per: manifest.ScopeConnection, Concurrent: 1}}
	broken := policy
	broken.PrivateTargets = nil // the same sender and rule, which now may not dial
	for range 3 {
		wantFault(t, c.Send(t.Context(), broken, nil, contract.HTTPRequest{Method: "GET", URL: p.URL}), contract.HostDenied, true)
		wantStatus(t, c.Send(t.Context(), policy, nil, contract.HTTPRequest{Method: "GET", URL: p.URL}), 200)
		if _, err := c.Download(t.Context(), policy, nil, p.URL, nil, 10, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnusedRatesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rules := newRates(), rated(perSecond(1))
		name := func(i int) string { return string(rune('a'+i%26)) + time.Duration(i).String() }
		for i := range maxGauges {
			if free, err := r.take(t.Context(), sender(name(i), ""), rules); err == nil {
				free()
			}
		}
		time.Sleep(2 * maxTurn)
		free, err := r.take(t.Context(), sender("another", ""), rules)
		if err != nil || len(r.gauges) != 1 {
			t.Errorf("%d are kept, %v; want the one in use", len(r.gauges), err)
		}
		free()
	})
}

// TestAConnectionThatIsHeldBackUsesNothingOfItsApp: in whatever order the manifest says it, a
// tenant that floods takes no more of the app's rate than its own share.
func TestAConnectionThatIsHeldBackUsesNothingOfItsApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRates()
		rules := rated(manifest.Rate{Per: manifest.ScopeApp, RequestsPerSecond: 4}, perSecond(1))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if free, err := r.take(t.Context(), sender("con_loud", "app"), rules); err == nil {
					free()
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		free, err := r.take(t.Context(), sender("con_quiet", "app"), rules)
		if err != nil {
			t.Fatalf("the quiet one was told %v", err)
		}
		free()
		if waited := time.Since(began); waited > 0 {
			t.Errorf("the quiet one waited %v", waited)
		}
		wg.Wait()
	})
}
