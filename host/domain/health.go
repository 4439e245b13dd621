package domain

import "github.com/seed75a60ee1/patchbay/pdk/contract"

// Health is what is known of how well a connection works, by who knows it. The state of a
// connection is the worst of it; see [Health.State].
type Health struct {
	// Said is what the plugin said last.
	Said contract.StateChange `json:"said,omitzero"`
	// Credentials is set while something is wrong with its token set.
	Credentials *contract.StateChange `json:"credentials,omitempty"`
	// Probe is set while the plugin's check_health fails.
	Probe *contract.StateChange `json:"probe,omitempty"`
}

// HealthCause says who knows it.
type HealthCause string

// The causes of a connection's state.
const (
	// CausePlugin is what the plugin says with a connection.state event.
	CausePlugin HealthCause = "plugin"
	// CauseCredentials is the host's keeping of the token set.
	CauseCredentials HealthCause = "credentials"
	// CauseProbe is the host's regular check_health.
	CauseProbe HealthCause = "probe"
)

// badness orders states, worst last. Disconnected is the worst: somebody ended the
// connection, and nothing that is wrong with its token matters any more. Needs action comes
// before degraded, for time will not mend it; and both before what a connection that is
// being set up says, for it will not be set up like that.
func badness(s contract.ConnectionState) int {
	switch s {
	case contract.StateConnected:
		return 0
	case contract.StateConnecting:
		return 1
	case contract.StateDegraded:
		return 3
	case contract.StateNeedsAction:
		return 4
	case contract.StateDisconnected:
		return 5
	default: // pending, and a connection of which nothing has been said
		return 2
	}
}

// State returns the state of the connection: the worst of what is known. Of two equally bad
// the credentials' comes first, since without a token nothing else can be mended, then what
// the plugin said, which knows more than a probe.
func (h Health) State() contract.StateChange {
	worst := h.Said
	if worst.State == "" {
		worst.State = contract.StatePending
	}
	if h.Credentials != nil && badness(h.Credentials.State) >= badness(worst.State) {
		worst = *h.Credentials
	}
	if h.Probe != nil && badness(h.Probe.State) > badness(worst.State) {
		worst = *h.Probe
	}
	return worst
}

// With returns the health after one more thing is known of it; nil clears what the cause
// knew. What h points to stays as it is.
func (h Health) With(cause HealthCause, change *contract.StateChange) Health {
	if change != nil {
		own := *change
		change = &own
	}
	switch cause {
	case CauseCredentials:
		h.Credentials = change
	case CauseProbe:
		h.Probe = change
	case CausePlugin:
		h.Said = contract.StateChange{}
		if change != nil {
			h.Said = *change
		}
	}
	return h
}

// Clone returns the health with nothing shared.
func (h Health) Clone() Health {
	return h.With(CauseCredentials, h.Credentials).With(CauseProbe, h.Probe)
}

// Equal tells whether the same is known.
func (h Health) Equal(other Health) bool {
	return h.Said == other.Said && same(h.Credentials, other.Credentials) && same(h.Probe, other.Probe)
}

func same(a, b *contract.StateChange) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// Known tells whether there is such a cause.
func (c HealthCause) Known() bool {
	return c == CausePlugin || c == CauseCredentials || c == CauseProbe
}

// StateChange is the connection's state as it would be reported.
func (c Connection) StateChange() contract.StateChange {
	return contract.StateChange{State: c.State, Code: c.StateCode, Reason: c.StateReason, Action: c.StateAction}
}

// Learn returns the connection after one more thing is known of its health, and whether its
// state is another one now.
func (c Connection) Learn(cause HealthCause, change *contract.StateChange) (after Connection, changed bool) {
	before := c.StateChange()
	if c.Health.Said.State == "" { // kept before its health was, or fresh: what it is in, the plugin said
		c.Health.Said = before
	}
	c.Health = c.Health.With(cause, change)
	now := c.Health.State()
	c.State, c.StateCode, c.StateReason, c.StateAction = now.State, now.Code, now.Reason, now.Action
	return c, now != before
}
