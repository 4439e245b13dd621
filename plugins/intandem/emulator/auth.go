package emulator

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// How long codes and tokens are good.
const (
	CodeLife     = 30 * time.Second
	ServiceLife  = time.Hour
	BusinessLife = 631139040 * time.Second
)

// code is an authorisation code.
type code struct {
	app       *App
	business  *Business
	redirect  string
	challenge string
	expires   time.Time
}

// token is an access token: of an app, or of a business for an app.
type token struct {
	app      *App
	business *Business // nil for a service token
	access   string
	refresh  string
	expires  time.Time
}

// issue makes a token. mu is held.
func (p *Platform) issue(a *App, b *Business, life time.Duration) *token {
	t := &token{app: a, business: b, access: p.random(32), expires: p.now().Add(life)}
	p.tokens[t.access] = t
	if b != nil && p.opts.RefreshTokens {
		t.refresh = p.random(32)
		p.refresh[t.refresh] = t
	}
	return t
}

// oauthError is an error as OAuth has it.
func oauthError(status int, code, description string) reply {
	return reply{status: status, body: map[string]any{"error": code, "error_description": description}}
}

// serviceToken is POST /oauth/service/token.
func (c *call) serviceToken() reply {
	if c.r.Header.Get("Authorization") != "" {
		c.p.rec.Violation("the exchange of the service token came with an Authorization header")
	}
	app := c.p.apps[c.text("service_id")]
	if app == nil || app.Secret != c.text("service_secret") {
		return oauthError(400, "invalid_request", "invalid credentials")
	}
	t := c.p.issue(app, nil, ServiceLife)
	return reply{status: 200, body: map[string]any{
		"access_token": t.access, "created_at": c.p.now().UTC().Format("2006-01-02T15:04:05.000Z"),
		"expires_in": int(ServiceLife / time.Second), "token_type": "Bearer",
	}}
}

// consent is the page on which a person allows an app. Whoever sits before it does, at once.
func (c *call) consent() reply {
	q := c.r.URL.Query()
	app := c.p.apps[q.Get("client_id")]
	switch {
	case app == nil || q.Get("response_type") != "code":
		return oauthError(400, "invalid_request", "no such client")
	case q.Get("redirect_uri") != app.base:
		c.p.rec.Violation("the redirect_uri %q is not the registered one, %q", q.Get("redirect_uri"), app.base)
		return oauthError(400, "invalid_request", "redirect_uri mismatch")
	case q.Get("code_challenge") != "" && q.Get("code_challenge_method") != "S256":
		return oauthError(400, "invalid_request", "code_challenge_method must be S256")
	case c.p.signedIn == nil:
		return oauthError(403, "access_denied", "nobody is signed in")
	}
	if c.step.Outcome != "" { // the person says no
		back := url.Values{"error": {c.step.Outcome}, "state": {q.Get("state")}}.Encode()
		return reply{status: http.StatusFound, header: http.Header{"Location": {app.base + "?" + back}}}
	}
	value := c.p.random(16)
	c.p.codes[value] = &code{
		app: app, business: c.p.signedIn, redirect: q.Get("redirect_uri"), challenge: q.Get("code_challenge"),
		expires: c.p.now().Add(CodeLife),
	}
	back := url.Values{"code": {value}, "state": {q.Get("state")}}.Encode()
	return reply{status: http.StatusFound, header: http.Header{"Location": {app.base + "?" + back}}}
}

// token is POST /oauth/token.
func (c *call) token() reply {
	app := c.p.apps[c.text("client_id")]
	if app == nil || app.Secret != c.text("client_secret") {
		return oauthError(401, "invalid_client", "client authentication failed")
	}
	switch c.text("grant_type") {
	case "authorization_code":
		return c.exchange(app)
	case "refresh_token":
		return c.renew(app)
	}
	return oauthError(400, "unsupported_grant_type", "there is no such grant")
}

// exchange turns a code into a token, once.
func (c *call) exchange(app *App) reply {
	found := c.p.codes[c.text("code")]
	delete(c.p.codes, c.text("code"))
	switch {
	case found == nil || found.app != app || !c.p.now().Before(found.expires):
		return oauthError(400, "invalid_grant", "the code is unknown, used or expired")
	case found.redirect != c.text("redirect_uri"):
		return oauthError(400, "invalid_grant", "redirect_uri mismatch")
	case found.challenge != "" && found.challenge != challenge(c.text("code_verifier")):
		return oauthError(400, "invalid_grant", "the code verifier does not fit")
	}
	return c.granted(app, found.business)
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// renew turns a refresh token into a new pair; the old one is dead.
func (c *call) renew(app *App) reply {
	old := c.p.refresh[c.text("refresh_token")]
	if old == nil || old.app != app {
		return oauthError(400, "invalid_grant", "the refresh token is unknown or used")
	}
	delete(c.p.refresh, old.refresh)
	delete(c.p.tokens, old.access)
	return c.granted(app, old.business)
}

func (c *call) granted(app *App, b *Business) reply {
	life := BusinessLife
	if c.p.opts.RefreshTokens {
		life = time.Hour
	}
	t := c.p.issue(app, b, life)
	body := map[string]any{
		"access_token": t.access, "created_at": c.p.now().Unix(), "expires_in": int64(life / time.Second), "token_type": "Bearer",
	}
	if t.refresh != "" {
		body["refresh_token"] = t.refresh
	}
	return reply{status: 200, body: body}
}

// userinfo is GET /oauth/userinfo.
func (c *call) userinfo() reply {
	if c.who.business == nil {
		return refuse(401, "unauthorized", "Unauthorized")
	}
	return reply{status: 200, body: map[string]any{
		"business_uid": c.who.business.UID, "business_name": "Business " + c.who.business.UID, "directory_uid": "dir0000000000001",
		"email": "owner@example.test", "role": "owner", "sub": "staff0000000001", "type": "staff",
	}}
}

// revoke is POST /platform/v1/tokens/revoke.
func (c *call) revoke() reply {
	value := c.text("token")
	t := c.p.tokens[value]
	if t == nil || t.app != c.who.app {
		return reply{status: 422, body: map[string]any{"error": "invalid token"}}
	}
	delete(c.p.tokens, value)
	delete(c.p.refresh, t.refresh)
	return reply{status: 201, body: map[string]any{"data": map[string]any{"revoked_tokens": []string{value[:4] + "…"}}, "status": "OK"}}
}

// ExpireTokens ends every token of the app and its businesses, as if their time were over;
// refresh tokens stay.
func (a *App) ExpireTokens() {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	for value, t := range a.p.tokens {
		if t.app == a {
			delete(a.p.tokens, value)
		}
	}
}

// Tokens counts the access tokens of the app that are good: service tokens, and businesses'.
func (a *App) Tokens() (service, business int) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	for _, t := range a.p.tokens {
		switch {
		case t.app != a || !a.p.now().Before(t.expires):
		case t.business == nil:
			service++
		default:
			business++
		}
	}
	return service, business
}

// url is an address below the app's base. mu is held.
func (a *App) url(path string) string { return strings.TrimRight(a.base, "/") + "/" + path }
