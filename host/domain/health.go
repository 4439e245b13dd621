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
