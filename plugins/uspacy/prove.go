package main

import (
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// prove asks the portal whether the access token works, where nobody vouches for installs:
// an install is believed if it does, an uninstall if it does not any more.
func prove(h pdk.Host, c *contract.Connection) (*contract.CommandOutput, error) {
	record, version, found, err := loadInstallation(h)
	if err != nil {
		return nil, err
	}
	if !found || record.state != installUnproven && record.state != installActive {
		return new(contract.CommandOutput), nil
	}
	if host := settings(c.Settings).portalHost(); record.domain != host {
		return failing(failed(contract.FailurePermanent, "portal_mismatch", "The app is installed at "+record.domain+", and portal_url names another portal.")), nil
	}
	result, err := h.HTTPSend(contract.HTTPRequest{
		Method: "GET", URL: "https://" + record.domain + "/messenger/v1/external-lines", Idempotent: true,
		Headers: []contract.Header{
			{Name: "Authorization", Value: "Bearer " + pdk.Credential(contract.CredentialAccessToken)},
			{Name: "Accept", Value: "application/json"},
		},
	})
	switch {
	case contract.HostErrorCode(err) == contract.HostUnauthorised:
		return judged(h, record, version, false)
	case err != nil:
		return failing(failed(contract.FailureRetry, "portal_unreachable", "The portal could not be reached.")), nil
	case result.Status == 200:
		return judged(h, record, version, true)
	case result.Status == 401 && record.state == installActive:
		return failing(tokenRefused()), nil // the host renews the pair, and asks again
	case result.Status == 401 || result.Status == 403:
		return judged(h, record, version, false)
	}
	return failing(failed(contract.FailureRetry, "portal_unavailable", "The portal answered with status "+strconv.FormatInt(result.Status, 10)+".")), nil
}

// judged keeps what the call told, and says so.
func judged(h pdk.Host, record installation, version int64, works bool) (*contract.CommandOutput, error) {
	out := new(contract.CommandOutput)
	change := installedState()
	switch {
	case works && record.state == installActive:
		return out, nil
	case works:
		record.state = installActive
		out.Commands = []contract.CommandRequest{lineWork()}
	case record.state == installActive:
		record.state, change = installGone, goneState()
	default:
		record.state = installRefused
		change = contract.StateChange{State: contract.StateNeedsAction, Code: "install_refused",
			Reason: "The portal did not take the tokens that came with the install.",
			Action: "Install the app in the portal again."}
	}
	out.Events = []contract.Event{{Kind: contract.EventConnectionState, State: &change}}
	err := h.KVPut(contract.KVPut{Key: keyInstallation, Value: record.encode(), CheckVersion: true, ExpectedVersion: version})
	if contract.HostErrorCode(err) == contract.HostConflict {
		return failing(failed(contract.FailureRetry, "overtaken", "Another install came meanwhile.")), nil
	}
	return out, err
}
