// Package oauth takes a person through the consent of a platform (RFC 6749 section 4.1) and
// back, so that a connection gets its token set.
//
// A [Flow] begins when somebody who may set the connection up asks for it ([Room.Begin]), and
// ends at the latest ten minutes later. What is handed out is a link to the host itself. The
// browser that opens it first is given a cookie, and from then on the flow belongs to that
// browser: the platform sends it back with the state of the flow, and only with both together,
// once, the code is taken. The code is sealed at once and becomes a durable command in the lane
// of the connection; the plugin that carries it out is the only one that sees it.
//
// Flows are kept in memory and are few: whoever was on the way when the host stopped begins
// anew.
package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// TTL is how long a flow lasts from its beginning.
const TTL = 10 * time.Minute

// waitForResult is how long the browser waits for what came of its code.
const waitForResult = 20 * time.Second

// Store is what the room reads and writes.
type Store interface {
	Connection(ctx context.Context, id contract.ConnectionID) (domain.Connection, error)
	AcceptCommand(ctx context.Context, n domain.NewCommand) (job domain.Job, created bool, err error)
	Job(ctx context.Context, id string) (domain.Job, error)
	Audit(ctx context.Context, e domain.AuditEntry) error
}

// Consent is what the plugin is told of a flow.
type Consent struct {
	// RedirectURL is where the platform shall send the browser back.
	RedirectURL string
	// State is passed through, and Challenge is the PKCE challenge (S256).
	State, Challenge string
}

// Plugins asks the plugin of a connection.
type Plugins interface {
	// AuthorizeURL returns the consent page, if the plugin may send a browser there. A
	// *domain.Failed is the plugin's own refusal.
	AuthorizeURL(ctx context.Context, c domain.Connection, consent Consent) (string, error)
	// Abilities returns the exports of the plugin that runs under a name; false if none does.
	Abilities(plugin string) ([]contract.Export, bool)
}

// Sealer encrypts a code with its verifier, for the connection alone.
type Sealer interface {
	SealCode(owner contract.ConnectionID, code, verifier secret.Text) ([]byte, error)
}

// Options says how a room works.
type Options struct {
	Store   Store
	Plugins Plugins
	Sealer  Sealer
	// Queued is told of the job that a code became.
	Queued func(job domain.Job)
	// PublicURL is the host's own origin, without a slash at its end.
	PublicURL string
	Now       func() time.Time
	// Random gives states, tickets and verifiers; crypto/rand.Reader if nil.
	Random io.Reader
	Log    *slog.Logger
}

// Room keeps the flows that are on their way. It is safe for concurrent use.
type Room struct {
	opts  Options
	flows flows
	waits waits
	// strangers bounds what is written down about requests that belong to no flow: anybody can
	// make a million of them.
	strangers *rate.Limiter
}

// New makes a room.
func New(opts Options) *Room {
	if opts.Random == nil {
		opts.Random = rand.Reader
	}
	return &Room{opts: opts, flows: newFlows(), waits: newWaits(), strangers: rate.NewLimiter(rate.Every(time.Second), 20)}
}

// Begun is a flow that somebody can go through.
type Begun struct {
	// URL is the page of this host to open in a browser.
	URL       string
	ExpiresAt time.Time
}

// Begin begins a flow for a connection of the workspace. by has a role if a person asked for
// it; a browser that comes from the platform's side has none. domain.ErrNotFound if it is not
// there, a *domain.Invalid if its plugin has no consent, domain.ErrQuota if too many flows are
// on their way.
func (r *Room) Begin(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) (Begun, error) {
	c, err := r.opts.Store.Connection(ctx, id)
	if err == nil && c.Workspace != ws {
		err = domain.ErrNotFound
	}
	if err != nil {
		return Begun{}, fmt.Errorf("connection %s: %w", id, err)
	}
	if err := r.able(c); err != nil {
		return Begun{}, err
	}
	redirect, err := r.redirectURL(ctx, c)
	if err != nil {
		return Begun{}, err
	}
	f, err := r.newFlow(by, c, redirect)
	if err != nil {
		return Begun{}, err
	}
	if err := r.flows.add(f, r.opts.Now()); err != nil {
		return Begun{}, err
	}
	if f.asked || r.strangers.AllowN(r.opts.Now(), 1) {
		r.audit(ctx, f, "oauth.begun", "")
	}
	return Begun{URL: r.opts.PublicURL + startPath + f.ticket, ExpiresAt: f.expires}, nil
}

// able refuses a connection whose plugin cannot take somebody through a consent.
func (r *Room) able(c domain.Connection) error {
	abilities, ok := r.opts.Plugins.Abilities(c.Plugin)
	if !ok {
		return &domain.Invalid{Problems: []domain.Problem{{Field: "connection", Value: string(c.ID),
			Why: "no version of its plugin runs", Fix: "ask a reviewer to approve one"}}}
	}
	has := func(e contract.Export) bool {
		for _, a := range abilities {
			if a == e {
				return true
			}
		}
		return false
	}
	if !has(contract.ExportAuthorizeURL) || !has(contract.ExportExchangeCode) {
		return &domain.Invalid{Problems: []domain.Problem{{Field: "connection", Value: string(c.ID),
			Why: "its platform is not authorised in a browser", Fix: "read its setup steps: patchbay connection setup"}}}
	}
	return nil
}

// redirectURL is where the platform sends the browser back: the address that the operator
// registered for the app, or the host's own.
func (r *Room) redirectURL(ctx context.Context, c domain.Connection) (string, error) {
	app := c
	if c.App != "" {
		var err error
		if app, err = r.opts.Store.Connection(ctx, c.App); err != nil {
			return "", fmt.Errorf("app %s: %w", c.App, err)
		}
	}
	if app.IsApp {
		return r.opts.PublicURL + receivePath + app.Endpoint, nil
	}
	return r.opts.PublicURL + callbackPath, nil
}

// Paths below the public URL.
const (
	startPath    = "/oauth/start/"
	callbackPath = "/oauth/callback"
	receivePath  = "/in/"
)

func (r *Room) newFlow(by domain.Actor, c domain.Connection, redirect string) (*flow, error) {
	var names [5]string
	for i := range names {
		name, err := r.random()
		if err != nil {
			return nil, err
		}
		names[i] = name
	}
	return &flow{ticket: names[0], state: StatePrefix + names[1], verifier: names[2], browser: names[3], cookie: r.cookieName(names[4][:16]),
		by: by.Subject, asked: by.Role != "", workspace: c.Workspace, connection: c.ID, redirect: redirect, expires: r.opts.Now().Add(TTL)}, nil
}

// random returns 32 random bytes as 43 letters (RFC 7636 section 4.1 wants that many).
func (r *Room) random() (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(r.opts.Random, b[:]); err != nil {
		return "", fmt.Errorf("make the names of a flow: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// challengeOf is the PKCE challenge of a verifier, method S256 (RFC 7636 section 4.2).
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// secure tells whether browsers reach the host over TLS.
func (r *Room) secure() bool { return strings.HasPrefix(r.opts.PublicURL, "https://") }

// cookieName is the name of the cookie of one flow.
func (r *Room) cookieName(of string) string {
	if r.secure() {
		return hostPrefix + cookiePrefix + of
	}
	return cookiePrefix + of
}

// audit keeps what became of a flow.
func (r *Room) audit(ctx context.Context, f *flow, action, detail string) {
	r.keep(ctx, domain.AuditEntry{At: r.opts.Now(), Actor: f.by, Action: action, Workspace: f.workspace, Connection: f.connection,
		Target: string(f.connection), Detail: detail})
}

// stranger keeps, as far as there is room, that a request belonged to no flow.
func (r *Room) stranger(ctx context.Context, why string) {
	if r.strangers.AllowN(r.opts.Now(), 1) {
		r.keep(ctx, domain.AuditEntry{At: r.opts.Now(), Actor: "browser", Action: "oauth.refused", Detail: why})
	}
}

func (r *Room) keep(ctx context.Context, e domain.AuditEntry) {
	if err := r.opts.Store.Audit(ctx, e); err != nil {
		r.opts.Log.Error("an audit entry was not kept", "action", e.Action, "target", e.Target, "error", err)
	}
}

// originOf is the scheme, host and port of a URL, for the audit: its query may hold a secret.
func originOf(page string) string {
	u, err := url.Parse(page)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// refusalOf says for a person why the plugin or the host did not name a consent page.
func refusalOf(err error) string {
	var failed *domain.Failed
	if errors.As(err, &failed) && failed.Failure.Message != "" {
		return failed.Failure.Message
	}
	return "The connection cannot be authorised now. Whoever runs this host finds the reason in its log."
}
