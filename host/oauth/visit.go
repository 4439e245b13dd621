package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Visit is a request of a browser.
type Visit struct {
	// Method is the request's; only GET is understood: what merely looks whether a link works
	// must not use it up.
	Method string
	// Path is the request's as it came, and Query its raw query.
	Path, Query string
	// Cookies holds what the browser brought, by name.
	Cookies map[string]string
	// Framed tells that the page is to stand within another, as the browser says.
	Framed bool
}

// Page is what a browser is answered.
type Page struct {
	Status int
	// Location is where the browser is led; empty if it is shown Body.
	Location string
	// Cookie is to be set; nil if none.
	Cookie *http.Cookie
	// Body is a whole HTML document, and Policy its Content-Security-Policy.
	Body   []byte
	Policy string
	// Framable tells that the page may stand within another.
	Framable bool
}

// maxCode bounds an authorisation code, and maxError the word for why there is none; both in
// bytes.
const maxCode, maxError = 4096, 64

// Start leads a browser from the link of [Room.Begin] to the consent page of the platform.
func (r *Room) Start(ctx context.Context, v Visit) Page {
	if v.Method != http.MethodGet {
		return notGet()
	}
	ticket := strings.TrimPrefix(v.Path, startPath)
	if v.Framed && r.flows.waits(ticket) { // within another's page the browser would keep no cookie
		return Page{Status: http.StatusOK, Policy: framedPolicy, Framable: true, Body: breakOut(startPath + ticket)}
	}
	f, why := r.flows.start(ticket, v.Cookies, r.opts.Now())
	if why != "" {
		return r.refuse(ctx, &f, why)
	}
	c, err := r.opts.Store.Connection(ctx, f.connection)
	if err != nil {
		return r.failed(ctx, &f, err)
	}
	page, err := r.opts.Plugins.AuthorizeURL(ctx, c, Consent{RedirectURL: f.redirect, State: f.state, Challenge: challengeOf(f.verifier)})
	if err != nil {
		return r.failed(ctx, &f, err)
	}
	r.audit(ctx, &f, "oauth.started", "sent to "+originOf(page))
	return Page{Status: http.StatusSeeOther, Location: page, Cookie: r.cookie(&f), Policy: policy, Body: document(http.StatusSeeOther, "Going on", "")}
}

// cookie binds a browser to a flow.
func (r *Room) cookie(f *flow) *http.Cookie {
	return &http.Cookie{Name: f.cookie, Value: f.browser, Path: "/", MaxAge: max(1, int(f.expires.Sub(r.opts.Now())/time.Second)),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.secure()}
}

// spent takes the cookie of a flow back.
func (r *Room) spent(f *flow) *http.Cookie {
	if f.cookie == "" {
		return nil
	}
	return &http.Cookie{Name: f.cookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.secure()}
}

// Returns tells whether a request to an app's address is a browser that comes back from a
// consent: it brings a state of this host, with a code or an error.
func Returns(method, query string) bool {
	if method != http.MethodGet || !strings.Contains(query, StatePrefix) {
		return false
	}
	q, err := url.ParseQuery(query)
	return err == nil && strings.HasPrefix(q.Get("state"), StatePrefix) && (q.Has("code") || q.Has("error"))
}

// Callback takes a browser that comes back from the platform. If it brings a code, that
// becomes a command; the page says what came of it, as far as that is known in time.
func (r *Room) Callback(ctx context.Context, v Visit) Page {
	if v.Method != http.MethodGet {
		return notGet()
	}
	q, err := url.ParseQuery(v.Query)
	if err != nil || len(q["state"]) != 1 || len(q["code"])+len(q["error"]) != 1 {
		return r.refuse(ctx, &flow{}, whyMalformed)
	}
	f, why := r.flows.take(q.Get("state"), v.Cookies, r.opts.Now())
	switch {
	case why != "":
	case r.opts.PublicURL+v.Path != f.redirect:
		why = whyElsewhere
	case !wellFormed(q.Get("code"), q.Has("code"), maxCode) || !wellFormed(q.Get("error"), q.Has("error"), maxError):
		why = whyMalformed
	}
	if why != "" {
		return r.refuse(ctx, &f, why)
	}
	if q.Has("error") {
		return r.declined(ctx, &f, q.Get("error"))
	}
	return r.exchange(ctx, &f, q.Get("code"))
}

// wellFormed tells whether a parameter that is there is short, printable text.
func wellFormed(value string, there bool, most int) bool {
	if !there {
		return true
	}
	return value != "" && len(value) <= most && utf8.ValidString(value) &&
		!strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f })
}

// exchange makes a command of a code and waits for what comes of it.
func (r *Room) exchange(ctx context.Context, f *flow, code string) Page {
	sealed, err := r.opts.Sealer.SealCode(f.connection, secret.New(code), secret.New(f.verifier))
	if err != nil {
		return r.failed(ctx, f, fmt.Errorf("seal a code: %w", err))
	}
	job, _, err := r.opts.Store.AcceptCommand(ctx, domain.NewCommand{
		Workspace: f.workspace, Connection: f.connection, Lane: domain.ConnectionLane(f.connection), At: r.opts.Now(),
		Command: domain.Command{Export: contract.ExportExchangeCode, By: f.by, Exchange: &domain.Exchange{Sealed: sealed, RedirectURL: f.redirect}},
	})
	if err != nil {
		return r.failed(ctx, f, fmt.Errorf("queue the exchange of a code: %w", err))
	}
	r.audit(ctx, f, "oauth.returned", "the code is exchanged by "+job.ID)
	ended := r.waits.on(job.ID)
	defer r.waits.forget(job.ID)
	r.opts.Queued(job)
	return r.result(ctx, f, job, ended)
}

// result says what came of a code.
func (r *Room) result(ctx context.Context, f *flow, job domain.Job, ended <-chan domain.Job) Page {
	waiting, cancel := context.WithTimeout(ctx, waitForResult)
	defer cancel()
	if now, err := r.opts.Store.Job(ctx, job.ID); err == nil && now.State.Ended() {
		return r.told(f, now) // it ended before anybody waited
	}
	select {
	case job = <-ended:
		return r.told(f, job)
	case <-waiting.Done():
		return r.page(f, http.StatusAccepted, "Not finished yet",
			"The platform has not confirmed the authorisation yet. You can close this page; the state of the connection tells how it went.")
	}
}

func (r *Room) told(f *flow, job domain.Job) Page {
	if job.State == domain.JobDone && job.Failure == nil {
		return r.page(f, http.StatusOK, "Authorised", "The connection is authorised. You can close this page.")
	}
	detail := "The platform did not accept the authorisation."
	if job.Failure != nil && job.Failure.Message != "" {
		detail = job.Failure.Message
	}
	return r.page(f, http.StatusBadGateway, "Not authorised", detail+" Begin again, or ask whoever set the connection up.")
}

// Ended is to be told of each command that has ended, so that the browser that waits for it
// learns so.
func (r *Room) Ended(job domain.Job) {
	if job.Command != nil && job.Command.Export == contract.ExportExchangeCode && job.State.Ended() {
		r.waits.tell(job)
	}
}

// declined says that the person or the platform did not consent. What the platform calls that
// is kept for the operator and not shown: it is anybody's text.
func (r *Room) declined(ctx context.Context, f *flow, code string) Page {
	r.audit(ctx, f, "oauth.declined", fmt.Sprintf("the platform says %q", code))
	detail := "The platform did not authorise the connection. Begin again, or ask whoever set the connection up."
	if code == "access_denied" { // RFC 6749 section 4.1.2.1
		detail = "The authorisation was declined. Nothing has changed."
	}
	return r.page(f, http.StatusOK, "Not authorised", detail)
}

// refuse answers a request that cannot be believed, or comes too late.
func (r *Room) refuse(ctx context.Context, f *flow, why string) Page {
	if f.connection == "" {
		r.stranger(ctx, why)
	} else {
		r.audit(ctx, f, "oauth.refused", why)
	}
	switch why {
	case whyUnknown, whyExpired, whyTooOften:
		return r.page(f, http.StatusGone, "This link does not work any more", "It was used already, or it is older than ten minutes. Begin again.")
	case whyMalformed:
		return r.page(f, http.StatusBadRequest, "This is no answer of the platform", "Begin again, and follow the link in this very browser.")
	}
	return r.page(nil, http.StatusForbidden, "Not in this browser", "The authorisation was begun in another browser. Begin again, and stay in one browser until the end.")
}

// failed answers a request that the host or the plugin could not carry out.
func (r *Room) failed(ctx context.Context, f *flow, err error) Page {
	r.audit(ctx, f, "oauth.failed", bounded(err.Error()))
	r.opts.Log.Warn("somebody could not be taken through a consent", "connection", f.connection, "error", err)
	if errors.Is(err, domain.ErrNotFound) {
		return r.page(f, http.StatusGone, "The connection is gone", "It was removed meanwhile.")
	}
	status := http.StatusBadGateway
	if errors.Is(err, domain.ErrUnavailable) {
		status = http.StatusServiceUnavailable
	}
	return r.page(f, status, "It did not work", refusalOf(err))
}

// page answers with a document, and takes the cookie of the flow back, if there is one.
func (r *Room) page(f *flow, status int, title, detail string) Page {
	p := Page{Status: status, Policy: policy, Body: document(status, title, detail)}
	if f != nil && f.taken {
		p.Cookie = r.spent(f)
	}
	return p
}

func notGet() Page {
	return Page{Status: http.StatusMethodNotAllowed, Policy: policy, Body: document(http.StatusMethodNotAllowed, "Open this link in a browser", "")}
}

// bounded cuts a text that others had a hand in.
func bounded(s string) string {
	const most = 500
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
