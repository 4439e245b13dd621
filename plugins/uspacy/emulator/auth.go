package emulator

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The operations of the token service.
const (
	OpRefresh = "auth.refresh"
	OpSignIn  = "auth.sign_in"
)

// AuthOptions says how tokens behave.
type AuthOptions struct {
	// ClientID and ClientSecret are the app's; empty means "app-1" and "uspacy-client-secret".
	ClientID, ClientSecret string
	// AccessLife and RefreshLife are how long tokens live; 0 means a day and 30 days.
	AccessLife, RefreshLife time.Duration
	// OldRefreshWorks keeps a refresh token alive that was used.
	OldRefreshWorks bool
	// NoSignIn refuses the app's sign-in, as a portal may.
	NoSignIn bool
	// Life spells how long the access token lives: "expireInSeconds" (or empty),
	// "expiresInSeconds", "text" for a number in quotation marks, or "none".
	Life string
}

// auth is the token service of one portal. Its state is guarded by the platform's mu.
type auth struct {
	p      *Platform
	domain string

	installed bool
	access    map[string]time.Time // until when each is taken
	refresh   map[string]time.Time
	last      Tokens
}

// Tokens is a pair of a portal's.
type Tokens struct {
	Access, Refresh string
	// Expires is when the access token does.
	Expires time.Time
}

func newAuth(p *Platform, domain string) *auth {
	return &auth{p: p, domain: domain, access: map[string]time.Time{}, refresh: map[string]time.Time{}}
}

func (o *AuthOptions) fill() {
	o.ClientID = cmp.Or(o.ClientID, "app-1")
	o.ClientSecret = cmp.Or(o.ClientSecret, "uspacy-client-secret")
	o.AccessLife = cmp.Or(o.AccessLife, 24*time.Hour)
	o.RefreshLife = cmp.Or(o.RefreshLife, 30*24*time.Hour)
}

// options are the platform's, defaults filled in.
func (a *auth) options() AuthOptions {
	o := a.p.opts.Auth
	o.fill()
	return o
}

// issue makes a new pair. The caller holds mu.
func (a *auth) issue() Tokens {
	o, now := a.options(), a.p.now()
	pair := Tokens{Expires: now.Add(o.AccessLife), Refresh: "refresh-" + a.p.random(16)}
	claims := jwt.MapClaims{"iat": now.Unix(), "exp": pair.Expires.Unix(), "jti": a.p.random(8), "domain": a.domain}
	pair.Access = mustSign(claims, nil, "portal of "+a.domain)
	a.access[pair.Access], a.refresh[pair.Refresh] = pair.Expires, now.Add(o.RefreshLife)
	a.last = pair
	return pair
}

// mustSign makes a token.
func mustSign(claims jwt.MapClaims, header map[string]any, key string) string {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	for name, value := range header {
		token.Header[name] = value
	}
	text, err := token.SignedString([]byte(key))
	if err != nil {
		panic("emulator: " + err.Error()) // HMAC signs whatever it is given
	}
	return text
}

// bearer tells whether an access token passes: 0, or the status and body to answer.
func (a *auth) bearer(token string) (status int, body string) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	switch until, known := a.access[token]; {
	case token == "":
		a.p.rec.Violation("a call to %s has no bearer token", a.domain)
	case a.refresh[token] != time.Time{}:
		a.p.rec.Violation("a call to %s has the refresh token for a bearer", a.domain)
	case known && a.installed && a.p.now().Before(until):
		return 0, ""
	}
	return http.StatusUnauthorized, string(encode(nestError(401, "Unauthorized")))
}

// ServeHTTP is the token service.
func (a *auth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "POST /auth/v1/auth/refresh_token":
		a.p.play(w, r, OpRefresh, func(body []byte) answer { return a.renew(r, body) })
	case "POST /auth/v1/auth/app_sign_in":
		a.p.play(w, r, OpSignIn, func(body []byte) answer { return a.signIn(body) })
	default:
		a.p.rec.Violation("%s %s is no call of the token service", r.Method, r.URL.Path)
		a.p.play(w, r, "unknown", func([]byte) answer { return jsonAnswer(404, laravelError("path", "Not found.")) })
	}
}

// renew answers a refresh: the bearer is the refresh token, and dies by it.
func (a *auth) renew(r *http.Request, body []byte) answer {
	if text := strings.TrimSpace(string(body)); text != "" && text != "{}" {
		a.p.rec.Violation("a refresh has a body: %s", text)
	}
	token := bearerOf(r)
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if _, ok := a.access[token]; ok {
		a.p.rec.Violation("a refresh at %s has the access token for a bearer", a.domain)
	}
	until, known := a.refresh[token]
	if !known || !a.installed || !a.p.now().Before(until) {
		return jsonAnswer(http.StatusUnauthorized, laravelError("token", "Unauthenticated."))
	}
	if !a.options().OldRefreshWorks {
		delete(a.refresh, token)
	}
	return a.triple()
}

// signIn answers a sign-in with the app's credentials.
func (a *auth) signIn(body []byte) answer {
	var in struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	o := a.options()
	fine := decode(body, &in) && in.ID == o.ClientID && in.Secret == o.ClientSecret
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if !fine || o.NoSignIn || !a.installed {
		return jsonAnswer(http.StatusForbidden, laravelError("client_id", "Forbidden."))
	}
	return a.triple()
}

// triple answers with a new pair. The caller holds mu.
func (a *auth) triple() answer {
	pair := a.issue()
	seconds := int64(a.options().AccessLife / time.Second)
	value := map[string]any{"jwt": pair.Access, "refreshToken": pair.Refresh}
	switch a.options().Life {
	case "none":
	case "text":
		value["expireInSeconds"] = strconv.FormatInt(seconds, 10)
	case "expiresInSeconds":
		value["expiresInSeconds"] = seconds
	default:
		value["expireInSeconds"] = seconds
	}
	return jsonAnswer(http.StatusOK, value)
}
