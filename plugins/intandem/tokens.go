package main

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// AuthorizeURL is the platform's consent page (protocol section 2).
func (connector) AuthorizeURL(_ pdk.Host, in *contract.AuthorizeURLInput) (*contract.CommandOutput, error) {
	set := settingsOf(&in.Connection)
	if problem := set.problem(); problem != "" {
		return failed(permanent("setting_invalid", problem)), nil
	}
	pairs := []string{"response_type", "code", "client_id", set.clientID(), "redirect_uri", in.RedirectURL, "scope", set.scopes(), "state", in.State}
	if in.CodeChallenge != "" {
		pairs = append(pairs, "code_challenge", in.CodeChallenge, "code_challenge_method", "S256")
	}
	return &contract.CommandOutput{URL: set.url("brand_url") + "/app/oauth/authorize?" + query(pairs...)}, nil
}

// ExchangeCode turns a code, which is good for 30 seconds and once, into the business's
// token. The token is kept only if the platform says that it is of the business which the
// connection claims to be.
func (connector) ExchangeCode(h pdk.Host, in *contract.ExchangeCodeInput) (*contract.CommandOutput, error) {
	c := &api{h: h, set: settingsOf(&in.Connection)}
	if f, err := c.authorised(); err != nil || f != nil && f.Class == contract.FailurePermanent {
		return failed(f), err
	}
	body := payload.New().Text("grant_type", "authorization_code").Words("client_id", c.set.clientID()).
		Text("client_secret", pdk.Secret("client_secret")).Words("code", in.Code).Text("redirect_uri", in.RedirectURL)
	if in.CodeVerifier != "" {
		body.Words("code_verifier", in.CodeVerifier)
	}
	a, f := c.call(request{method: "POST", base: "token_url", path: "/oauth/token", body: body.End()})
	if f != nil {
		return failed(codeRefused(a, f)), nil
	}
	tokens, ok := tokensOf(a.doc)
	if !ok {
		return failed(reauthorise("platform_unreadable", "inTandem answered the code without a token; begin again.")), nil
	}
	info, f := c.call(request{method: "GET", path: "/oauth/userinfo", raw: tokens.AccessToken})
	if f != nil {
		return failed(reauthorise("business_unknown", "inTandem did not say which business the token is of; begin again.")), nil
	}
	if businessOf(info) != c.set.businessUID() {
		c.farewell(request{method: "POST", path: "/platform/v1/tokens/revoke", raw: tokens.AccessToken, repeatable: true,
			body: payload.New().Words("token", tokens.AccessToken).End()})
		return failed(reauthorise("business_mismatch", "The app was allowed for another business than business_uid names; "+
			"the token was not kept. Sign in to the right business, or correct business_uid.")), nil
	}
	if err := h.CredentialsPut(tokens); err != nil {
		return nil, err
	}
	return c.begin()
}

// begin is what follows consent: the landing page finds the connection, and a command of its
// own sees to the channel, because the code cannot be used again.
func (c *api) begin() (*contract.CommandOutput, error) {
	if err := c.h.RoutePut(routeBusiness + c.set.businessUID()); err != nil && contract.HostErrorCode(err) != contract.HostConflict {
		return nil, err // another connection of the business has the landing page; nothing depends on it
	}
	if err := saveText(c.h, keyBusiness, c.set.businessUID()); err != nil {
		return nil, err
	}
	return &contract.CommandOutput{Commands: []contract.CommandRequest{*channelWork(workChannelSetup, 0)}}, nil
}

func reauthorise(code, message string) *contract.Failure {
	return &contract.Failure{Class: contract.FailureReauthorise, Code: code, Message: message}
}

// codeRefused says what it means that a code brought no token. It cannot be used again,
// unless the call is certain not to have arrived.
func codeRefused(a *answer, f *contract.Failure) *contract.Failure {
	if !a.lost && a.status == 0 || a.status == 429 {
		return f
	}
	if a.status == 401 || a.text("error") == "invalid_client" {
		return permanent("client_refused", "inTandem does not know the app's client_id and client_secret.")
	}
	return reauthorise("code_refused", "inTandem did not take the code, which is good for 30 seconds and once; begin again.")
}

// businessOf is the business that a token is of.
func businessOf(info *answer) string {
	if uid := info.doc.Identifier("business_uid"); uid != "" {
		return uid
	}
	return info.doc.Object("data").Identifier("business_uid")
}

// RefreshCredentials gets the app's service token, or renews the business's token where
// the platform gave a refresh token.
func (connector) RefreshCredentials(h pdk.Host, in *contract.RefreshCredentialsInput) (*contract.CommandOutput, error) {
	c := &api{h: h, set: settingsOf(&in.Connection)}
	if in.Connection.IsApp {
		return c.serviceToken()
	}
	body := payload.New().Text("grant_type", "refresh_token").Words("client_id", c.set.clientID()).
		Text("client_secret", pdk.Secret("client_secret")).Text("refresh_token", pdk.Credential(contract.CredentialRefreshToken)).End()
	a, f := c.call(request{method: "POST", base: "token_url", path: "/oauth/token", body: body})
	switch {
	case f == nil:
		return c.keep(a)
	case a.lost:
		return failed(&contract.Failure{Class: contract.FailureUncertain, Code: "refresh_unanswered", Message: "inTandem did not answer the refresh."}), nil
	case a.status == 400 || a.status == 401:
		return failed(reauthorise("refresh_refused", "inTandem does not renew the token: let a person of the business allow the app again.")), nil
	}
	return failed(f), nil
}

// serviceToken exchanges the app's id and secret for its token. Doing so twice is no harm.
func (c *api) serviceToken() (*contract.CommandOutput, error) {
	body := payload.New().Words("service_id", c.set.clientID()).Text("service_secret", pdk.Secret("client_secret")).End()
	a, f := c.call(request{method: "POST", base: "token_url", path: "/oauth/service/token", body: body, repeatable: true})
	switch {
	case f == nil:
		return c.keep(a)
	case a.status == 400 || a.status == 401:
		return failed(reauthorise("client_refused", "inTandem does not know the app's client_id and client_secret.")), nil
	}
	return failed(f), nil
}

// keep hands over the tokens of an answer.
func (c *api) keep(a *answer) (*contract.CommandOutput, error) {
	tokens, ok := tokensOf(a.doc)
	if !ok {
		return failed(retry("platform_unreadable", "inTandem answered without a token.")), nil
	}
	return nil, c.h.CredentialsPut(tokens)
}

// tokensOf reads a token answer. Its life counts from now: created_at comes in two forms,
// and from the platform's clock.
func tokensOf(doc payload.Object) (contract.CredentialsPut, bool) {
	t := contract.CredentialsPut{
		AccessToken: doc.String("access_token"), RefreshToken: doc.String("refresh_token"), Scope: plain.Clip(doc.String("scope"), 512),
	}
	if seconds := doc.Int("expires_in"); seconds > 0 && seconds < maxTokenSeconds {
		t.ExpiresAt = now().UTC().Add(time.Duration(seconds) * time.Second)
	} else if seconds := expiryOf(t.AccessToken); seconds > 0 && seconds < now().Unix()+maxTokenSeconds {
		t.ExpiresAt = time.Unix(seconds, 0).UTC()
	}
	return t, t.AccessToken != ""
}

// maxTokenSeconds bounds the life of a token that is believed: 100 years.
const maxTokenSeconds = 100 * 366 * 24 * 3600

// expiryOf reads exp of a token in the form of a JWT, in Unix seconds; 0 if it has none. It
// came from the platform itself, so that nothing has to be verified.
func expiryOf(token string) int64 {
	fields := strings.Split(token, ".")
	if len(fields) != 3 {
		return 0
	}
	claims, err := base64.RawURLEncoding.DecodeString(fields[1])
	if err != nil {
		return 0
	}
	doc, err := payload.Parse(claims, payload.Limits{})
	if err != nil {
		return 0
	}
	return doc.Int("exp")
}
