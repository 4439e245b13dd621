package main

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// The states of an installation.
const (
	installActive   = "active"
	installUnproven = "unproven" // waits for the call that proves it, in mode proof_call
	installRefused  = "refused"  // that call failed
	installGone     = "gone"     // the portal uninstalled the app
)

// installation is the portal that installed the app and is this connection's. It stays when
// the portal uninstalls the app, so that line and chats are found again after a new install.
type installation struct {
	domain string
	state  string
	issued int64  // iat of the last install or uninstall that was believed, Unix seconds
	since  int64  // when the last install came, Unix seconds
	sum    string // of the last install's body
}

func (i installation) encode() string {
	return payload.New().Text("domain", i.domain).Text("state", i.state).Number("iat", i.issued).
		Number("since", i.since).Text("sum", i.sum).End()
}

// loadInstallation reads the installation, with the version of its entry.
func loadInstallation(h pdk.Host) (record installation, version int64, found bool, err error) {
	value, version, found, err := h.KVGet(keyInstallation)
	if err != nil || !found {
		return installation{}, version, false, err
	}
	doc, err := payload.Parse([]byte(value), payload.Limits{})
	if err != nil {
		return installation{}, version, false, err
	}
	record = installation{
		domain: doc.String("domain"), state: doc.String("state"),
		issued: doc.Int("iat"), since: doc.Int("since"), sum: doc.String("sum"),
	}
	return record, version, true, doc.Err()
}

func (i installation) save(h pdk.Host) error {
	return h.KVPut(contract.KVPut{Key: keyInstallation, Value: i.encode()})
}

// portalOf returns the domain to call: the one that the install proved, not the one that
// portal_url names, which is the tenant's word only. The failure says why there is none.
func portalOf(h pdk.Host, set settings) (domain string, failure *contract.Failure, err error) {
	record, _, found, err := loadInstallation(h)
	if err != nil {
		return "", nil, err
	}
	switch {
	case !found:
		failure = failed(contract.FailureReauthorise, "not_installed", "The portal has not installed the app yet.")
	case record.state == installUnproven:
		failure = failed(contract.FailureRetry, "install_unproven", "The install is being proved by a call to the portal.")
	case record.state == installRefused:
		failure = failed(contract.FailureReauthorise, "install_refused", "The portal did not take the tokens of the install; install the app there again.")
	case record.state == installGone:
		failure = failed(contract.FailurePermanent, "uninstalled", "The portal uninstalled the app.")
	case record.domain != set.portalHost():
		failure = failed(contract.FailurePermanent, "portal_mismatch", "The app is installed at "+record.domain+", and portal_url names another portal.")
	}
	return record.domain, failure, nil
}

func failed(class contract.FailureClass, code, message string) *contract.Failure {
	return &contract.Failure{Class: class, Code: code, Message: message}
}

// receivePortal carries out an install or uninstall that route believed and whose portal an
// operator gave to this connection.
func receivePortal(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	l, err := decodeLifecycle(in.Routed.Payload)
	if err != nil {
		return disbelieved(&refusal{400, "malformed", "What route handed over cannot be read."}), nil
	}
	record, _, found, err := loadInstallation(h)
	if err != nil {
		return nil, err
	}
	if l.do == doUninstall {
		return uninstall(h, in, l, record, found)
	}
	if set := settings(in.Connection.Settings); set.portalHost() != l.proof.domain {
		return elsewhere(h, l, record, set), nil
	}
	return install(h, in, l, record, found)
}

// elsewhere answers an install of a portal that is not the one of portal_url. Its tokens are
// not kept: they would be sent to the other portal.
func elsewhere(h pdk.Host, l lifecycle, record installation, set settings) *contract.ReceiveOutput {
	h.Log(pdk.LogWarn, "an install of another portal was left at that", "portal", l.proof.domain)
	out := &contract.ReceiveOutput{Response: installed()}
	if record.state == installActive && record.domain == set.portalHost() {
		return out // the connection's own portal works all the same
	}
	return withState(out, contract.StateChange{
		State: contract.StateNeedsAction, Code: "portal_mismatch",
		Reason: "The portal " + l.proof.domain + " was given to this connection, and portal_url names another one.",
		Action: "Set portal_url to https://" + l.proof.domain + ", and have the app installed in the portal again.",
	})
}

var (
	staleToken      = &refusal{403, "token_stale", "The bearer token is older than what this portal did last, so it is replayed."}
	replayedInstall = &refusal{403, "install_replayed", "The install was carried out before, and the portal uninstalled the app since."}
)

// install keeps the tokens of an install. A repeat changes nothing: the pair that it brings
// may have been renewed since, and its refresh token would be dead.
func install(h pdk.Host, in *contract.ReceiveInput, l lifecycle, record installation, found bool) (*contract.ReceiveOutput, error) {
	known := found && record.domain == l.proof.domain
	out := &contract.ReceiveOutput{Response: installed()}
	switch {
	case known && l.proof.signed && l.proof.issued < record.issued:
		return disbelieved(staleToken), nil
	case known && record.sum == l.sum && record.state == installGone:
		return disbelieved(replayedInstall), nil
	case known && record.sum == l.sum:
		return out, nil
	case known && record.state == installActive && !l.proof.signed:
		h.Log(pdk.LogWarn, "an install that nobody signed was left at that, since the portal's tokens work", "portal", l.proof.domain)
		return out, nil
	case known && record.state == installActive:
		h.Log(pdk.LogWarn, "the portal installed the app again, with other tokens, while it was installed", "portal", l.proof.domain)
	}
	body, err := h.DeliveryBody()
	if err != nil {
		return nil, err
	}
	pair, ok := readPair(body)
	if !ok {
		return disbelieved(badInstall), nil
	}
	err = h.CredentialsPut(contract.CredentialsPut{
		AccessToken: pair.access, RefreshToken: pair.refresh, ExpiresAt: time.Unix(pair.expiry, 0).UTC(),
		RefreshExpiresAt: in.Delivery.ReceivedAt.Add(refreshTokenLife),
	})
	if err != nil {
		return nil, err
	}
	next := installation{
		domain: l.proof.domain, state: installActive, issued: l.proof.issued,
		since: in.Delivery.ReceivedAt.Unix(), sum: l.sum,
	}
	if !l.proof.signed {
		next.state = installUnproven
	}
	if err := next.save(h); err != nil {
		return nil, err
	}
	return begun(out, in.Connection.State, l.proof.signed), nil
}

// begun asks for what follows an install.
func begun(out *contract.ReceiveOutput, state contract.ConnectionState, signed bool) *contract.ReceiveOutput {
	if !signed {
		out.Commands = append(out.Commands, proveWork())
		return withState(out, contract.StateChange{State: contract.StateConnecting, Code: "install_unproven",
			Reason: "The portal installed the app; a call to it is to prove that."})
	}
	out.Commands = append(out.Commands, lineWork())
	if state == contract.StateConnected {
		return out
	}
	return withState(out, installedState())
}

func installedState() contract.StateChange {
	return contract.StateChange{State: contract.StateConnecting, Code: "installed",
		Reason: "The portal installed the app; its external line comes next."}
}

// uninstall stops the connection. The token set stays with the host, which cannot be told to
// forget it, and is of no use: the portal refuses it, and no call goes out any more.
func uninstall(h pdk.Host, in *contract.ReceiveInput, l lifecycle, record installation, found bool) (*contract.ReceiveOutput, error) {
	out := &contract.ReceiveOutput{Response: contract.Response{Status: 204}}
	if !found || record.domain != l.proof.domain || record.state == installGone {
		return out, nil
	}
	if !l.proof.signed {
		out.Commands = append(out.Commands, proveWork())
		return out, nil
	}
	if l.proof.issued < record.since-appSettings(&in.Connection).skewSeconds() {
		return disbelieved(staleToken), nil
	}
	record.state, record.issued = installGone, l.proof.issued
	if err := record.save(h); err != nil {
		return nil, err
	}
	return withState(out, goneState()), nil
}

func goneState() contract.StateChange {
	return contract.StateChange{State: contract.StateDisconnected, Code: "uninstalled",
		Reason: "The portal uninstalled the app."}
}

func withState(out *contract.ReceiveOutput, change contract.StateChange) *contract.ReceiveOutput {
	out.Events = append(out.Events, contract.Event{Kind: contract.EventConnectionState, State: &change})
	return out
}

// appSettings are the settings of a connection's app, or of the app itself.
func appSettings(c *contract.Connection) settings {
	switch {
	case c.IsApp:
		return c.Settings
	case c.App != nil:
		return c.App.Settings
	}
	return nil
}
