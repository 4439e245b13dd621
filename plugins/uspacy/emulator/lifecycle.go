package emulator

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The operations of the marketplace.
const (
	OpInstall   = "install"
	OpUninstall = "uninstall"
)

// Register tells Uspacy the app's URLs, which its support would be told: callback_url, and
// sns_subscription_url.
func (p *Platform) Register(callbackURL, subscriptionURL string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.callbackURL, p.sns.url = callbackURL, subscriptionURL
}

// Lifecycle says how an install or uninstall goes out. The zero value plays by the rules.
type Lifecycle struct {
	// Method and Path replace the request's: "POST" and "/portals/install", or "DELETE" and
	// "/portals/uninstall".
	Method, Path string
	// Bearer replaces the integration token.
	Bearer string
	// Body replaces the body of an install.
	Body string
	// Issued is the integration token's iat; zero means now.
	Issued time.Time
	// Again sends the tokens that the portal has, and makes no new ones.
	Again bool
}

// IntegrationToken makes the token by which Uspacy proves itself to the app, for an hour.
func (o *Portal) IntegrationToken(issued time.Time) string {
	options := o.auth.options()
	claims := jwt.MapClaims{"iat": issued.Unix(), "nbf": issued.Unix(), "exp": issued.Add(time.Hour).Unix()}
	return mustSign(claims, map[string]any{"domain": o.domain}, options.ClientSecret)
}

// Install installs the app in the portal.
func (o *Portal) Install(ctx context.Context, l Lifecycle) (Answer, error) {
	o.p.mu.Lock()
	o.auth.installed = true
	pair := o.auth.last
	if !l.Again {
		pair = o.auth.issue()
	}
	o.p.mu.Unlock()
	body := cmp.Or(l.Body, string(encode(map[string]any{
		"token": pair.Access, "refresh_token": pair.Refresh, "expiry_date": pair.Expires.Unix(),
	})))
	l.Method, l.Path = cmp.Or(l.Method, "POST"), cmp.Or(l.Path, "/portals/install")
	return o.tell(ctx, OpInstall, l, body)
}

// Uninstall removes the app from the portal: its tokens are dead from then on.
func (o *Portal) Uninstall(ctx context.Context, l Lifecycle) (Answer, error) {
	o.p.mu.Lock()
	o.auth.installed = false
	o.p.mu.Unlock()
	l.Method, l.Path = cmp.Or(l.Method, "DELETE"), cmp.Or(l.Path, "/portals/uninstall")
	return o.tell(ctx, OpUninstall, l, "")
}

// tell sends a lifecycle webhook.
func (o *Portal) tell(ctx context.Context, op string, l Lifecycle, body string) (Answer, error) {
	o.p.mu.Lock()
	base := o.p.callbackURL
	issued := l.Issued
	if issued.IsZero() {
		issued = o.p.now()
	}
	o.p.mu.Unlock()
	if base == "" {
		return Answer{}, errors.New("emulator: the app has no callback_url; call Register first")
	}
	r, err := http.NewRequest(l.Method, strings.TrimSuffix(base, "/")+l.Path, strings.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("emulator: %s: %w", op, err)
	}
	r.Header.Set("Authorization", "Bearer "+cmp.Or(l.Bearer, o.IntegrationToken(issued)))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return o.p.send(ctx, op, r, []byte(body))
}

// Tokens returns the portal's latest pair.
func (o *Portal) Tokens() Tokens {
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	return o.auth.last
}

// Preinstall installs the app without telling it, and returns the pair, for tests that begin
// after the install.
func (o *Portal) Preinstall() Tokens {
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	o.auth.installed = true
	return o.auth.issue()
}

// ExpireAccess has every access token of the portal expire now.
func (o *Portal) ExpireAccess() {
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	clear(o.auth.access)
}

// RevokeRefresh has every refresh token of the portal die now.
func (o *Portal) RevokeRefresh() {
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	clear(o.auth.refresh)
}

// decode reads JSON, and tells whether it could.
func decode(body []byte, v any) bool {
	return json.NewDecoder(bytes.NewReader(body)).Decode(v) == nil
}
