package api

import (
	"context"
	"net/http"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// AppKey is an account of an app that leads to a connection, as it is shown.
type AppKey struct {
	Key        string                `json:"key" example:"portal:acme.example" doc:"What the plugin calls the account, or a part of it."`
	Workspace  contract.WorkspaceID  `json:"workspace" example:"wsp_01JD5Z6T9Q" doc:"The workspace of the connection."`
	Connection contract.ConnectionID `json:"connection" example:"con_01JD5Z6T9Q" doc:"The connection that its deliveries are for."`
}

func (s *Server) addAppKeys() {
	register(s, route{
		id: "list-app-keys", method: http.MethodGet, path: appPath + "/keys", tag: "apps", allow: manageApps,
		summary: "List which accounts lead where", description: "The keys that plugins registered and operators assigned, with their connections, shorter keys first.",
	}, func(ctx context.Context, in *struct {
		InApp
		Page
	}) (*answer[list[AppKey]], error) {
		items, next, err := s.opts.Tenant.AppKeys(ctx, in.App, in.Page.domain())
		return listed(mapped(items, func(r domain.HeldRoute) AppKey { return AppKey(r) }), next), err
	})
	register(s, route{
		id: "release-app-key", method: http.MethodDelete, path: appPath + "/keys/{key}", tag: "apps", allow: manageApps,
		summary: "Take an account from its connection", description: "What comes for it from now on is unclaimed, until it is assigned anew or a plugin registers it. Answers who had it.",
	}, func(ctx context.Context, in *struct {
		InApp
		Key string `path:"key" minLength:"1" maxLength:"512" example:"portal:acme.example" doc:"The key, as the listing shows it, escaped."`
	}) (*answer[AppKey], error) {
		held, err := s.opts.Tenant.ReleaseKey(ctx, caller(ctx).Actor(), in.App, in.Key)
		return &answer[AppKey]{AppKey(held)}, err
	})
}
