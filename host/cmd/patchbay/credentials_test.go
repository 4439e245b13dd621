package main

import (
	"net/http"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// credentialRoutes answers what is asked about tokens.
func credentialRoutes() map[string]http.HandlerFunc {
	const conn = "/v1/workspaces/{ws}/connections/{connection}"
	failing := client.Credentials{State: domain.TokensFailing, Version: 12, Scope: "chat", ObtainedAt: at, ExpiresAt: at, CanRefresh: true,
		NextRefreshAt: at, Failures: 2, FailedAt: at, LastFailure: &contract.Failure{Class: contract.FailureRetry, Code: "away", Message: "It answers 503."}}
	return map[string]http.HandlerFunc{
		"GET " + conn + "/credentials":              answers(200, failing),
		"POST " + conn + "/credentials/refresh":     answers(202, commandOf("refresh_credentials")),
		"GET /v1/apps/{app}/credentials":            answers(200, failing),
		"POST /v1/apps/{app}/credentials/refresh":   answers(202, commandOf("refresh_credentials")),
		"POST /v1/apps/app_old/credentials/refresh": refuses(http.StatusUnprocessableEntity, "its plugin cannot renew tokens"),
	}
}
