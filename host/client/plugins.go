package client

import (
	"context"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// Plugins is every plugin version that the host knows, and the files it refused.
type Plugins struct {
	Items    []domain.Plugin  `json:"items"`
	Refusals []domain.Refusal `json:"refusals"`
}

// Approval is what a reviewer grants. All stands for whatever the manifest asks for, and
// excludes Egress, Secrets and HostFunctions.
type Approval struct {
	All bool `json:"all,omitempty"`
	// Egress and Secrets name rules and secrets of the manifest, and its credentials as
	// "credential:NAME".
	Egress  []string `json:"egress,omitempty"`
	Secrets []string `json:"secrets,omitempty"`
	// Hosts narrows egress rules, by name, to hosts that match one of the patterns.
	Hosts         map[string][]string `json:"hosts,omitempty"`
	HostFunctions []string            `json:"host_functions,omitempty"`
	Note          string              `json:"note,omitempty"`
}

// Plugins lists the plugin versions and the refused files.
func (c *Client) Plugins(ctx context.Context) (Plugins, error) {
	return get[Plugins](ctx, c, at("plugins"))
}

// Plugin reads one plugin version by its digest.
func (c *Client) Plugin(ctx context.Context, digest string) (domain.Plugin, error) {
	return get[domain.Plugin](ctx, c, at("plugins", digest))
}

// ApprovePlugin grants a plugin version what a says, and makes it the one that runs.
func (c *Client) ApprovePlugin(ctx context.Context, digest string, a Approval) (domain.Plugin, error) {
	return post[domain.Plugin](ctx, c, at("plugins", digest, "approve"), a)
}

// RevokePlugin takes the grant back: the next call is not made.
func (c *Client) RevokePlugin(ctx context.Context, digest, note string) (domain.Plugin, error) {
	return post[domain.Plugin](ctx, c, at("plugins", digest, "revoke"), map[string]string{"note": note})
}
