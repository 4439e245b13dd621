package domain_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// byBadness are the states, best first.
var byBadness = []contract.ConnectionState{contract.StateConnected, contract.StateConnecting, contract.StatePending,
	contract.StateDegraded, contract.StateNeedsAction, contract.StateDisconnected}

func stateOf(code string) *rapid.Generator[contract.StateChange] {
	return rapid.Custom(func(t *rapid.T) contract.StateChange {
		return contract.StateChange{State: rapid.SampledFrom(byBadness).Draw(t, "state"), Code: code}
	})
}

func healthOf() *rapid.Generator[domain.Health] {
	return rapid.Custom(func(t *rapid.T) domain.Health {
		return domain.Health{
			Said:        stateOf("said").Draw(t, "said"),
			Credentials: rapid.Ptr(stateOf("credentials"), true).Draw(t, "credentials"),
			Probe:       rapid.Ptr(stateOf("probe"), true).Draw(t, "probe"),
		}
	})
}

func place(s contract.ConnectionState) int {
	for i, known := range byBadness {
		if s == known {
			return i
		}
	}
	return -1
}

func TestTheStateIsTheWorstThatIsKnown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := healthOf().Draw(t, "health")
		got := h.State()
		said := []contract.StateChange{h.Said}
		for _, c := range []*contract.StateChange{h.Credentials, h.Probe} {
			if c != nil {
				said = append(said, *c)
			}
		}
		one := false
		for _, s := range said {
			one = one || s == got
			if place(s.State) > place(got.State) {
				t.Fatalf("%+v is in %+v, and %+v is worse", h, got, s)
			}
		}
		if !one {
			t.Fatalf("%+v is in %+v, which nobody said", h, got)
		}
	})
}

func TestOfTwoEquallyBadTheRootIsNamed(t *testing.T) {
	for _, tt := range []struct {
		name string
		h    domain.Health
		want string
	}{
		{"all three", domain.Health{Said: needs("said"), Credentials: ptr(needs("credentials")), Probe: ptr(needs("probe"))}, "credentials"},
		{"the plugin and the probe", domain.Health{Said: needs("said"), Probe: ptr(needs("probe"))}, "said"},
		{"the probe alone", domain.Health{Said: contract.StateChange{State: contract.StateConnected}, Probe: ptr(needs("probe"))}, "probe"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.h.State().Code; got != tt.want {
				t.Errorf("the state is that of %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWhatIsClearedLeavesNoTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := domain.Connection{Health: healthOf().Draw(t, "health")}
		now := c.Health.State()
		c.State, c.StateCode = now.State, now.Code
		c.Health.Probe = nil
		c, _ = c.Learn(domain.CauseProbe, nil)
		news := stateOf("news").Draw(t, "news")
		with, changed := c.Learn(domain.CauseProbe, &news)
		if changed != (with.StateChange() != c.StateChange()) {
			t.Fatalf("changed is %t from %+v to %+v", changed, c.StateChange(), with.StateChange())
		}
		if again, _ := with.Learn(domain.CauseProbe, nil); !again.Health.Equal(c.Health) || again.StateChange() != c.StateChange() {
			t.Fatalf("after the probe was cleared: %+v in %+v, want %+v in %+v", again.Health, again.StateChange(), c.Health, c.StateChange())
		}
	})
}

func TestAConnectionFromBeforeHealthWasKeptStaysInItsState(t *testing.T) {
	old := domain.Connection{State: contract.StateConnected, StateReason: "All is well."}
	bad := contract.StateChange{State: contract.StateDegraded, Code: "probe_failed"}
	with, _ := old.Learn(domain.CauseProbe, &bad)
	again, changed := with.Learn(domain.CauseProbe, nil)
	if with.State != contract.StateDegraded || !changed || again.StateChange() != old.StateChange() {
		t.Errorf("it went to %+v and back to %+v, want %+v", with.StateChange(), again.StateChange(), old.StateChange())
	}
}

func TestACloneSharesNothing(t *testing.T) {
	h := domain.Health{Said: needs("said"), Probe: ptr(needs("probe"))}
	clone := h.Clone()
	clone.Probe.Code = "changed"
	if h.Probe.Code != "probe" {
		t.Errorf("the original's probe says %q, want %q", h.Probe.Code, "probe")
	}
}

func needs(code string) contract.StateChange {
	return contract.StateChange{State: contract.StateNeedsAction, Code: code, Action: "Do " + code + "."}
}

func ptr[T any](v T) *T { return &v }
