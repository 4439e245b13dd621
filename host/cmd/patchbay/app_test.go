package main

import (
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// appRoutes answers with one app, at which an install waits. What an account is called comes
// from outside, and is no more than text.
func appRoutes() map[string]http.HandlerFunc {
	const app = "/v1/apps/{app}"
	made := client.Connection{ID: "app_1", Workspace: domain.HostWorkspace, Plugin: "uspacy", Name: "Marketplace", State: contract.StateConnected,
		ReceiveURL: "https://in.test/in/a", CreatedAt: at, UpdatedAt: at}
	of := connected
	of.App = "app_1"
	return map[string]http.HandlerFunc{
		"POST /v1/apps":                          answers(201, made),
		"GET /v1/apps":                           answers(200, client.Page[client.Connection]{Items: []client.Connection{made}}),
		"GET " + app:                             answers(200, made),
		"PATCH " + app:                           answers(200, made),
		"DELETE " + app:                          answers(204, nil),
		"DELETE /v1/apps/app_busy":               refuses(http.StatusUnprocessableEntity, "it has connections"),
		"GET " + app + "/setup":                  answers(200, map[string]any{"steps": []contract.SetupStep{{Label: "Install URL", Value: "https://in.test/in/a/install", Help: "Your app, Settings"}}}),
		"POST " + app + "/secrets/{name}/rotate": answers(204, nil),
		"GET " + app + "/connections":            answers(200, client.Page[client.Connection]{Items: []client.Connection{of}}),
		"GET " + app + "/unclaimed": answers(200, client.Page[client.Unclaimed]{Items: []client.Unclaimed{{Key: "portal:acme.example", Title: "acme\x1b[2J", Install: true,
			Deliveries: 2, OldestAt: at, ExpiresAt: at.Add(24 * time.Hour)}}}),
		"POST " + app + "/unclaimed/assign":  answers(200, map[string]int{"queued": 2}),
		"DELETE " + app + "/unclaimed/{key}": answers(200, map[string]int{"discarded": 2}),
		"GET " + app + "/keys":               answers(200, client.Page[client.AppKey]{Items: []client.AppKey{{Key: "portal:acme.example", Workspace: "ws_1", Connection: "con_1"}}}),
		"DELETE " + app + "/keys/{key}":      answers(200, client.AppKey{Key: "portal:a/b", Workspace: "ws_1", Connection: "con_1"}),
	}
}
