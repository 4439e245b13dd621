package domain

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// PluginState says whether a plugin version may run.
type PluginState string

// The states of a plugin version.
const (
	// PluginSubmitted means that it waits for a reviewer.
	PluginSubmitted PluginState = "submitted"
	// PluginApproved means that a reviewer granted what it may do.
	PluginApproved PluginState = "approved"
	// PluginRevoked means that a reviewer took the grant back.
	PluginRevoked PluginState = "revoked"
)

// Plugin is one version of a plugin, as it is kept. Its bytes are kept outside the store,
// by digest.
type Plugin struct {
	// Digest is "sha256:" and 64 hex digits of the whole file.
	Digest      string            `json:"digest"`
	Manifest    manifest.Manifest `json:"manifest"`
	State       PluginState       `json:"state"`
	SizeBytes   int64             `json:"size_bytes"`
	File        string            `json:"file"`
	SubmittedAt time.Time         `json:"submitted_at"`
	// HostFunctions and Exports are read from the binary, sorted.
	HostFunctions []string `json:"host_functions"`
	Exports       []string `json:"exports"`
	Grant         *Grant   `json:"grant,omitempty"`
	// Active tells that connections of this plugin run this version.
	Active bool `json:"active"`
}

// Grant is what a reviewer allowed one plugin digest to do. What it leaves out is denied.
type Grant struct {
	Digest string `json:"digest"`
	// Egress names the manifest's egress rules that are granted.
	Egress []string `json:"egress,omitempty"`
	// Hosts narrows granted egress rules by name: the host must also match one of these
	// patterns ("api.acme.test", "*.acme.test"). A rule without an entry is not narrowed.
	Hosts map[string][]string `json:"hosts,omitempty"`
	// Secrets names the manifest's secrets that are granted, and its credentials as
	// "credential:NAME".
	Secrets []string `json:"secrets,omitempty"`
	// HostFunctions names the host functions that are granted.
	HostFunctions []string  `json:"host_functions,omitempty"`
	GrantedBy     string    `json:"granted_by"`
	GrantedAt     time.Time `json:"granted_at"`
	Note          string    `json:"note,omitempty"`
}

// Refusal is a file in the plugin folder that could not become a plugin.
type Refusal struct {
	File   string    `json:"file"`
	Digest string    `json:"digest,omitempty"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}
