package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/registry"
)

// Plugins reads plugin versions and the files that could not become one.
type Plugins interface {
	Plugin(ctx context.Context, digest string) (domain.Plugin, error)
	Plugins(ctx context.Context) ([]domain.Plugin, error)
	Refusals(ctx context.Context) ([]domain.Refusal, error)
}

// Reviewer grants and takes back what plugins may do.
type Reviewer interface {
	Approve(ctx context.Context, by domain.Actor, digest string, a registry.Approval) (domain.Plugin, error)
	Revoke(ctx context.Context, by domain.Actor, digest, note string) (domain.Plugin, error)
}

type pluginList struct {
	Items    []domain.Plugin  `json:"items" doc:"Every plugin version that the host has seen."`
	Refusals []domain.Refusal `json:"refusals" doc:"Files in the plugin folder that could not become a plugin."`
}

// PluginDigest is the part of a request that names a plugin version.
type PluginDigest struct {
	Digest string `path:"digest" example:"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" doc:"The SHA-256 of the file."`
}

type approval struct {
	All           bool                `json:"all,omitempty" doc:"Grants whatever the manifest asks for; the lists must then be empty."`
	Egress        []string            `json:"egress,omitempty" maxItems:"1000" example:"[\"api\"]" doc:"Names of egress rules of the manifest to grant."`
	Hosts         map[string][]string `json:"hosts,omitempty" doc:"Narrows egress rules, by name, to hosts that match one of these patterns."`
	Secrets       []string            `json:"secrets,omitempty" maxItems:"1000" doc:"Names of secrets of the manifest to grant, and of credentials as credential:NAME."`
	HostFunctions []string            `json:"host_functions,omitempty" maxItems:"1000" doc:"Host functions to grant."`
	Note          string              `json:"note,omitempty" maxLength:"2000" doc:"For the audit log."`
}

type revocation struct {
	Note string `json:"note,omitempty" maxLength:"2000" example:"sends data elsewhere" doc:"For the audit log."`
}

func (s *Server) addPlugins() {
	register(s, route{
		id: "list-plugins", method: http.MethodGet, path: "/v1/plugins", tag: "plugins", allow: access(identity.PluginRead),
		summary:     "List plugin versions and refused files",
		description: "Workspace roles see the versions that run, without file names and grants.",
	}, s.listPlugins)
	register(s, route{
		id: "get-plugin", method: http.MethodGet, path: "/v1/plugins/{digest}", tag: "plugins", allow: access(identity.PluginRead),
		summary: "Read a plugin version", description: "Tells what its manifest asks for, what its binary contains, and what was granted.",
	}, s.getPlugin)
	register(s, route{
		id: "approve-plugin", method: http.MethodPost, path: "/v1/plugins/{digest}/approve", tag: "plugins", allow: access(identity.PluginReview),
		summary: "Approve a plugin version", description: "Grants what is listed, or all that the manifest asks for, and makes it the version that runs.",
		example: approval{Egress: []string{"api"}, Secrets: []string{"token"}, HostFunctions: []string{"http_send", "secret_equal"}, Note: "TICKET-12"},
	}, s.approvePlugin)
	register(s, route{
		id: "revoke-plugin", method: http.MethodPost, path: "/v1/plugins/{digest}/revoke", tag: "plugins", allow: access(identity.PluginReview),
		summary: "Take a grant back", description: "The next call is not made. Deliveries are kept for replay meanwhile.",
		example: revocation{Note: "sends data elsewhere"},
	}, s.revokePlugin)
}

func (s *Server) listPlugins(ctx context.Context, _ *struct{}) (*answer[pluginList], error) {
	who := caller(ctx)
	plugins, err := s.opts.Store.Plugins(ctx)
	if err != nil {
		return nil, err
	}
	if bound(who) {
		plugins = slices.DeleteFunc(slices.Clone(plugins), func(p domain.Plugin) bool { return !runs(p) })
		return &answer[pluginList]{pluginList{Items: pluginViews(plugins, who), Refusals: []domain.Refusal{}}}, nil
	}
	refusals, err := s.opts.Store.Refusals(ctx)
	return &answer[pluginList]{pluginList{Items: pluginViews(plugins, who), Refusals: orEmpty(refusals)}}, err
}

func pluginViews(plugins []domain.Plugin, who identity.Principal) []domain.Plugin {
	return mapped(plugins, func(p domain.Plugin) domain.Plugin { return pluginView(p, who) })
}

// runs tells whether tenants can connect with the version.
func runs(p domain.Plugin) bool { return p.Active && p.State == domain.PluginApproved }

func (s *Server) getPlugin(ctx context.Context, in *PluginDigest) (*answer[domain.Plugin], error) {
	who := caller(ctx)
	p, err := s.opts.Store.Plugin(ctx, in.Digest)
	if err == nil && bound(who) && !runs(p) {
		return nil, notFound()
	}
	return &answer[domain.Plugin]{pluginView(p, who)}, err
}

func (s *Server) approvePlugin(ctx context.Context, in *struct {
	PluginDigest
	Body approval
}) (*answer[domain.Plugin], error) {
	who := caller(ctx)
	p, err := s.opts.Reviewer.Approve(ctx, who.Actor(), in.Digest, registry.Approval(in.Body))
	return &answer[domain.Plugin]{pluginView(p, who)}, err
}

func (s *Server) revokePlugin(ctx context.Context, in *struct {
	PluginDigest
	Body revocation
}) (*answer[domain.Plugin], error) {
	who := caller(ctx)
	p, err := s.opts.Reviewer.Revoke(ctx, who.Actor(), in.Digest, in.Body.Note)
	return &answer[domain.Plugin]{pluginView(p, who)}, err
}
