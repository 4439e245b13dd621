// Package manifest describes a plugin: what it is called, what it can do, and the most
// it will ever ask for. A vendor writes plugin.yaml; "patchbay plugin build" checks it
// and puts it into the .wasm as the custom section [Section], in JSON.
package manifest

import (
	"cmp"
	"slices"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Section is the name of the custom section that holds the manifest as JSON.
const Section = "patchbay.manifest"

// Manifest is what a vendor says of a plugin. The host checks each claim against the
// binary, and what is not claimed here is never granted.
type Manifest struct {
	// Contract is the contract's version, such as "patchbay/1".
	Contract string `json:"contract" jsonschema:"pattern=^patchbay/[0-9]+$"`
	// Name identifies the plugin across versions: 2 to 40 of a-z, 0-9 and hyphen, starting
	// with a letter.
	Name string `json:"name"`
	// Version is a semantic version without "v", such as "1.4.0".
	Version string `json:"version" jsonschema:"maxLength=64"`
	// Title is what people see, at most 60 characters.
	Title string `json:"title"`
	// Description says in a few sentences what the plugin connects.
	Description string `json:"description,omitempty"`
	// Vendor is who answers for it.
	Vendor Vendor `json:"vendor"`
	// Licence is an SPDX expression.
	Licence string `json:"licence,omitempty"`
	// Abilities lists every export of the contract that the plugin has.
	Abilities []contract.Export `json:"abilities"`
	// Egress holds, by name, where the plugin may send requests. Names are 1 to 40 of a-z,
	// 0-9 and underscore.
	Egress map[string]EgressRule `json:"egress,omitempty"`
	// Secrets holds, by name, what the plugin may compare, sign with or have sent.
	Secrets map[string]Secret `json:"secrets,omitempty"`
	// Credentials holds, by name, which values of token sets the plugin may have sent; the names
	// are the Credential... constants of the contract.
	Credentials map[string]Credential `json:"credentials,omitempty"`
	// Tokens says how token sets are kept fresh, by whose they are: "connection" or "app".
	Tokens map[string]TokenRule `json:"tokens,omitempty"`
	// Settings holds, by name, what a tenant can set on a connection.
	Settings map[string]Setting `json:"settings,omitempty"`
	// RepeatWindowSeconds is for platforms without a delivery id: a body that was
	// committed, but whose answer was not handed to the network, counts as a repeat for
	// that many seconds. 0 never compares bodies.
	RepeatWindowSeconds int64 `json:"repeat_window_seconds,omitempty"`
	// Capabilities grades what a connection carries, as far as it is the same for all.
	Capabilities []contract.Capability `json:"capabilities,omitempty"`
}

// Vendor is who answers for a plugin.
type Vendor struct {
	// Name is a person's or a company's.
	Name string `json:"name"`
	// URL is a web page.
	URL string `json:"url,omitempty"`
	// Contact is an electronic mail address for security reports.
	Contact string `json:"contact,omitempty"`
}

// EgressRule is one place that a plugin may send requests to: exactly one of Host and
// Setting is given.
type EgressRule struct {
	// Purpose says in one sentence why.
	Purpose string `json:"purpose"`
	// Host is an exact host name.
	Host string `json:"host,omitempty"`
	// Setting names a setting of type url, whose scheme, host and port are the tenant's, or one
	// of type list: exact host names, by https and port 443.
	Setting string `json:"setting,omitempty"`
	// Port is the port for Host; 0 means 443.
	Port int64 `json:"port,omitempty"`
	// Methods lists the request methods.
	Methods []string `json:"methods"`
	// Paths lists path prefixes, each beginning with "/".
	Paths []string `json:"paths"`
	// Cached tells that the rule is for http_cached_get, which receive and route may call, and
	// for nothing else.
	Cached bool `json:"cached,omitempty"`
	// Rates bounds how often requests go out by this rule.
	Rates []Rate `json:"rates,omitempty"`
	// Redact names members of JSON answers whose values nobody shall see, such as a token of
	// somebody else's: the host replaces each by "[redacted]" before the plugin, the journal and
	// the recording get the answer.
	Redact []string `json:"redact,omitempty"`
}

// Rate is a bound that a platform sets on requests.
type Rate struct {
	// Per is whose requests count together: "connection" or "app".
	Per Scope `json:"per"`
	// RequestsPerSecond is how many may go out in a second; 0 means any number.
	RequestsPerSecond int64 `json:"requests_per_second,omitempty"`
	// Concurrent is how many may be under way at once; 0 means any number.
	Concurrent int64 `json:"concurrent,omitempty"`
}

// Scope says whose something is.
type Scope string

// The scopes.
const (
	// ScopeConnection is one account of one workspace. An empty scope means it.
	ScopeConnection Scope = "connection"
	// ScopeApp is the operator's account with the platform, shared by connections.
	ScopeApp Scope = "app"
)

// Credential is one value of a token set that may be sent.
type Credential struct {
	// Purpose says in one sentence what it is for.
	Purpose string `json:"purpose"`
	// SendTo names the egress rules toward which its placeholder is filled in.
	SendTo []string `json:"send_to"`
}

// TokenRule says how a token set is kept fresh.
type TokenRule struct {
	// RefreshAheadPercent is how much of an access token's life is left when it is renewed, 1
	// to 90; 0 means 20.
	RefreshAheadPercent int64 `json:"refresh_ahead_percent,omitempty"`
	// KeepAliveSeconds is how long at most a token set stays without renewal, whenever its access
	// token expires: refresh tokens die of disuse. 0 means that it need not be renewed.
	KeepAliveSeconds int64 `json:"keep_alive_seconds,omitempty"`
	// Obtain tells that refresh_credentials can get a first token set by itself, as with client
	// credentials (RFC 6749 section 4.4).
	Obtain bool `json:"obtain,omitempty"`
}

// Secret is one named secret of a connection.
type Secret struct {
	// Purpose says in one sentence what it is for.
	Purpose string `json:"purpose"`
	// GenerateBytes makes the host generate the secret from that many random bytes
	// (base64url) when a connection is created; 0 means that the tenant brings it.
	GenerateBytes int64 `json:"generate_bytes,omitempty"`
	// Scope says whose it is; a secret of the app is brought by the operator, and works for
	// every connection of the app.
	Scope Scope `json:"scope,omitempty"`
	// Optional tells that a connection works without it.
	Optional bool `json:"optional,omitempty"`
	// SendTo names the egress rules toward which its placeholder is filled in.
	SendTo []string `json:"send_to,omitempty"`
	// Default names another secret that stands in when this one is not set.
	Default string `json:"default,omitempty"`
}

// SettingType is the type of a setting.
type SettingType string

// The types of setting.
const (
	// TypeString is any text, within MaxLength.
	TypeString SettingType = "string"
	// TypeBoolean is "true" or "false".
	TypeBoolean SettingType = "boolean"
	// TypeInteger is a decimal integer, within Min and Max.
	TypeInteger SettingType = "integer"
	// TypeURL is an absolute https URL without user information.
	TypeURL SettingType = "url"
	// TypeEnum is one of Values.
	TypeEnum SettingType = "enum"
	// TypeMap is "key=value" pairs joined by commas.
	TypeMap SettingType = "map"
	// TypeList is texts joined by commas.
	TypeList SettingType = "list"
)

// Setting is one thing that a tenant can set on a connection.
type Setting struct {
	// Type says what values are valid.
	Type SettingType `json:"type"`
	// Scope says whose it is; a setting of the app is set by the operator.
	Scope Scope `json:"scope,omitempty"`
	// Title is what people see.
	Title string `json:"title"`
	// Help says in a sentence or two what it changes.
	Help string `json:"help,omitempty"`
	// Required refuses a connection without it.
	Required bool `json:"required,omitempty"`
	// Default is used where the tenant sets nothing.
	Default string `json:"default,omitempty"`
	// Values lists what an enum accepts.
	Values []string `json:"values,omitempty"`
	// Min and Max bound an integer, inclusive; both 0 means unbounded.
	Min int64 `json:"min,omitempty"`
	// Max is the largest valid integer.
	Max int64 `json:"max,omitempty"`
	// MaxLength bounds a text, in bytes; 0 means 4096.
	MaxLength int64 `json:"max_length,omitempty"`
}

// HasApps tells whether connections of the plugin belong to apps: it routes, or something of
// it is in app scope.
func (m *Manifest) HasApps() bool {
	if slices.Contains(m.Abilities, contract.ExportRoute) {
		return true
	}
	for _, s := range m.Secrets {
		if s.Scope == ScopeApp {
			return true
		}
	}
	for _, s := range m.Settings {
		if s.Scope == ScopeApp {
			return true
		}
	}
	return false
}

// In returns the manifest with the settings and secrets of one scope only.
func (m *Manifest) In(scope Scope) *Manifest {
	part := *m
	part.Secrets, part.Settings = map[string]Secret{}, map[string]Setting{}
	for name, s := range m.Secrets {
		if s.Scope.is(scope) {
			part.Secrets[name] = s
		}
	}
	for name, s := range m.Settings {
		if s.Scope.is(scope) {
			part.Settings[name] = s
		}
	}
	return &part
}

// is tells whether the scope is the other one; an empty scope is a connection's.
func (s Scope) is(other Scope) bool {
	return cmp.Or(s, ScopeConnection) == cmp.Or(other, ScopeConnection)
}
