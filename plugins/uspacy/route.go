package main

import (
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Where below the app's address things come in: callback_url is the address itself, and
// sns_subscription_url has this behind it.
const (
	pathInstall = "/portals/install"
	pathPortals = "/portals/"
	pathSNS     = "/sns"
)

// Route verifies what Uspacy and Amazon SNS send to the app, and finds whose it is.
func (connector) Route(h pdk.Host, in *contract.RouteInput) (*contract.RouteOutput, error) {
	set, d := settings(in.Settings), &in.Delivery
	path := strings.TrimSuffix(d.Path, "/")
	if path == pathSNS {
		return routeSNS(h, set, d)
	}
	name, ok := strings.CutPrefix(path, pathPortals)
	switch {
	case path == pathInstall && d.Method == "POST":
		return routeInstall(h, set, d)
	case path == pathInstall:
		return turnedAway(&refusal{405, "method_refused", "An install comes by POST."}), nil
	case !ok || !slices.Contains(set.uninstallPaths(), name):
		return turnedAway(&refusal{404, "path_unknown", "Nothing is expected at this path below the app's address."}), nil
	case !slices.Contains(set.uninstallMethods(), d.Method):
		return turnedAway(&refusal{405, "method_refused", "An uninstall comes by one of uninstall_methods."}), nil
	}
	return routeUninstall(h, set, d)
}

// turnedAway rejects a delivery. Its answer tells nothing of the reason: whoever forged it would
// learn from it.
func turnedAway(r *refusal) *contract.RouteOutput {
	return &contract.RouteOutput{
		Response: jsonAnswer(r.status, `{"status":false}`),
		Rejected: &contract.Rejection{Code: r.code, Reason: r.reason},
	}
}

// answeredOK answers a delivery that concerns no connection, and that is all.
func answeredOK() *contract.RouteOutput {
	return &contract.RouteOutput{Answered: true, Response: jsonAnswer(200, "{}")}
}

func jsonAnswer(status int64, body string) contract.Response {
	return contract.Response{
		Status:  status,
		Headers: []contract.Header{{Name: "Content-Type", Value: "application/json"}},
		Body:    body,
	}
}
