package pdktest

import (
	"maps"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// Host is a [pdk.Host] in memory. It is not safe for concurrent use, as no connector runs
// concurrently with itself.
//
// What a connector writes is pending, and visible to itself, until [Host.Commit]; the
// methods that invoke a connector commit or discard as a real host does.
type Host struct {
	manifest *manifest.Manifest // nil allows everything
	settings map[string]string
	secrets  map[string]string
	without  map[string]bool // credentials that the connection lacks
	now      time.Time
	body     []byte
	export   contract.Export // "" outside an invocation

	state    state
	pending  pending
	media    map[contract.MediaHandle]contract.Media
	scripts  []*script
	replaced *answer // stands in for every script

	calls    []contract.HostFunction
	faults   map[int]*contract.HostError
	requests []contract.HTTPRequest
	lines    []Line
	problems []string
}

var _ pdk.Host = (*Host)(nil)

// Line is one line that a connector logged.
type Line struct {
	// Level says how much it matters.
	Level pdk.LogLevel
	// Message is the sentence.
	Message string
	// Fields holds what it is about.
	Fields map[string]string
}

// New returns a host that allows what a manifest asks for, for a connection with these
// settings. Every secret of the manifest has a value. Without a manifest (nil),
// everything is allowed, and no secret has a value. The time is the first of January
// 2026 until [Host.SetNow].
func New(m *manifest.Manifest, settings map[string]string) *Host {
	h := &Host{
		manifest: m, settings: settings, secrets: make(map[string]string),
		now:   time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		state: newState(), pending: newPending(),
		media:  make(map[contract.MediaHandle]contract.Media),
		faults: make(map[int]*contract.HostError),
	}
	if m != nil {
		h.settings = m.WithDefaults(settings)
		h.without = make(map[string]bool)
		for name, s := range m.Secrets {
			if s.Default == "" {
				h.secrets[name] = madeUp(name)
			}
		}
	}
	return h
}

// SetNow sets the host's clock, by which entries expire.
func (h *Host) SetNow(now time.Time) { h.now = now }

// Now returns the host's clock.
func (h *Host) Now() time.Time { return h.now }

// SetBody sets the raw body of the delivery.
func (h *Host) SetBody(body []byte) { h.body = slices.Clone(body) }

// SetSecret gives a secret a value; an empty one takes it away.
func (h *Host) SetSecret(name, value string) { h.secrets[name] = value }

// TakeCredential takes a credential away from the connection, which has each that the
// manifest names: a request that needs it fails with [contract.HostUnauthorised].
func (h *Host) TakeCredential(name string) { h.without[name] = true }

// Secret returns the value of a secret, for the platform's side of a test.
func (h *Host) Secret(name string) string { return h.secrets[h.resolved(name)] }

// SetKV writes an entry as if an invocation had committed it.
func (h *Host) SetKV(key, value string) { h.state.put(key, value, time.Time{}) }

// KV returns the committed entries that have not expired.
func (h *Host) KV() map[string]string { return h.state.values(h.now) }

// Routes lists the keys that are registered, sorted.
func (h *Host) Routes() []string { return slices.Sorted(maps.Keys(h.state.routes)) }

// Credentials returns the token set that was handed over; nil if none was.
func (h *Host) Credentials() *contract.CredentialsPut { return h.state.credentials }

// SetMedia lets the host keep an attachment; its Handle must be set.
func (h *Host) SetMedia(m contract.Media) { h.media[m.Handle] = m }

// Media returns an attachment that the host keeps.
func (h *Host) Media(handle contract.MediaHandle) (contract.Media, bool) {
	m, ok := h.media[handle]
	return m, ok
}

// Requests lists the requests that were made, in order, with placeholders unfilled.
func (h *Host) Requests() []contract.HTTPRequest { return slices.Clone(h.requests) }

// Lines lists what was logged, in order.
func (h *Host) Lines() []Line { return slices.Clone(h.lines) }

// Calls lists the host functions that were called, in order, logs left out.
func (h *Host) Calls() []contract.HostFunction { return slices.Clone(h.calls) }

// Problems lists what the connector tried and no host would allow, such as a request to a
// host that the manifest does not name. A real host would have refused it, as this one did.
func (h *Host) Problems() []string { return slices.Clone(h.problems) }

// FailCall makes the n-th host call fail, counted from 0.
func (h *Host) FailCall(n int, failure contract.HostError) { h.faults[n] = &failure }

// enter counts a call, and fails it if it shall fail.
func (h *Host) enter(function contract.HostFunction) error {
	n := len(h.calls)
	h.calls = append(h.calls, function)
	if failure := h.faults[n]; failure != nil {
		return failure
	}
	return nil
}

// refuse is the answer to something that no host would allow; it is remembered.
func (h *Host) refuse(code, message string) error {
	h.problems = append(h.problems, message)
	return &contract.HostError{Code: code, Message: message, Certain: true}
}

// failure is an answer of the usual kind.
func failure(code, message string) error {
	return &contract.HostError{Code: code, Message: message, Certain: true}
}

// outward tells whether the running export may call out.
func (h *Host) outward() bool {
	return h.export != contract.ExportReceive && h.export != contract.ExportRoute
}

// Log implements [pdk.Host].
func (h *Host) Log(level pdk.LogLevel, message string, fields ...string) {
	line := Line{Level: level, Message: message, Fields: make(map[string]string)}
	for i := 0; i+1 < len(fields); i += 2 {
		line.Fields[fields[i]] = fields[i+1]
	}
	if len(fields)%2 != 0 {
		h.problems = append(h.problems, "a log line has a field without value: "+message)
	}
	h.lines = append(h.lines, line)
}

// DeliveryBody implements [pdk.Host].
func (h *Host) DeliveryBody() ([]byte, error) {
	if err := h.enter(contract.HostDeliveryBody); err != nil {
		return nil, err
	}
	if h.export != "" && h.outward() {
		return nil, h.refuse(contract.HostInvalid, "only receive and route have a delivery")
	}
	return slices.Clone(h.body), nil
}
