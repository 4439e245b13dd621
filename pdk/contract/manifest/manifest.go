// Package manifest describes a plugin: what it is called, what it can do, and the most
// it will ever ask for. A vendor writes plugin.yaml; "patchbay plugin build" checks it
// and puts it into the .wasm as the custom section [Section], in JSON.
package manifest

import "github.com/seed75a60ee1/patchbay/pdk/contract"

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
	// Setting names a setting of type url: scheme, host and port are the tenant's.
	Setting string `json:"setting,omitempty"`
	// Port is the port for Host; 0 means 443.
	Port int64 `json:"port,omitempty"`
	// Methods lists the request methods.
	Methods []string `json:"methods"`
	// Paths lists path prefixes, each beginning with "/".
	Paths []string `json:"paths"`
}

// Secret is one named secret of a connection.
type Secret struct {
	// Purpose says in one sentence what it is for.
	Purpose string `json:"purpose"`
	// GenerateBytes makes the host generate the secret from that many random bytes
	// (base64url) when a connection is created; 0 means that the tenant brings it.
	GenerateBytes int64 `json:"generate_bytes,omitempty"`
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
