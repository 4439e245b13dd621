package emulator

import (
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// The names of the platform's hosts.
const (
	APIHost   = "api.vcita.biz"
	BrandHost = "app.vcita.com"
)

// Options says how the platform behaves beside what a [Step] says. The zero value plays by
// the documented rules.
type Options struct {
	// Client reaches the apps, for callbacks. Nil makes one that follows no redirects and waits
	// 5 seconds.
	Client *http.Client
	// Now is the clock, by which codes and tokens expire; nil is time.Now.
	Now func() time.Time
	// Rand makes ids and tokens; nil is crypto/rand.
	Rand io.Reader
	// Hosts are further host names for the certificate, besides [APIHost], [BrandHost],
	// 127.0.0.1 and localhost.
	Hosts []string
	// TypingV1 has the typing call at the path with v1 only.
	TypingV1 bool
	// PlainFilters takes the plain form of the parameters of the list of sessions only, and
	// refuses filter[...] with 400.
	PlainFilters bool
	// RefreshTokens gives businesses' tokens of an hour, with refresh tokens that rotate.
	RefreshTokens bool
	// RequestsPerSecond refuses more calls with one token in a second with 429; 0 means any
	// number.
	RequestsPerSecond int
	// TypingAtRoot tells apps of typing at {base}/{session}/typing, as the guide has it;
	// otherwise below sessions.
	TypingAtRoot bool
}

// Platform is inTandem. Close it.
type Platform struct {
	*record
	*script

	opts   Options
	client *http.Client
	now    func() time.Time
	server *emulate.Server
	player *emulate.Player[Step]
	rec    *emulate.Recorder[Exchange]

	mu         sync.Mutex           // guards what follows, and the state of apps and businesses
	owed       int                  // rounds of callbacks that are due or under way
	apps       map[string]*App      // by client id
	businesses map[string]*Business // by uid
	signedIn   *Business            // who sits before the consent page
	codes      map[string]*code
	tokens     map[string]*token // by access token
	refresh    map[string]*token // by refresh token
	channels   map[string]*Channel
	sessions   map[string]*Session
	calls      map[string][]time.Time // within the last second, by token
	files      map[string]file        // by path
}

// Start makes a platform that listens on 127.0.0.1.
func Start(opts Options) (*Platform, error) {
	fill(&opts)
	server, err := emulate.Listen(emulate.Options{
		Platform: "inTandem", Names: append([]string{APIHost, BrandHost}, opts.Hosts...), Client: opts.Client,
		Now: time.Now(), // certificates go by the machine's clock, as whoever verifies them does
	})
	if err != nil {
		return nil, err
	}
	rec, player := newRecorder(), newPlayer()
	p := &Platform{
		record: &rec.Record, script: &player.Script, rec: rec, player: player,
		opts: opts, client: opts.Client, now: opts.Now, server: server,
		apps: map[string]*App{}, businesses: map[string]*Business{}, codes: map[string]*code{}, tokens: map[string]*token{},
		refresh: map[string]*token{}, channels: map[string]*Channel{}, sessions: map[string]*Session{}, calls: map[string][]time.Time{},
		files: map[string]file{},
	}
	server.Serve(p.routes())
	return p, nil
}

// fill puts the defaults in.
func fill(o *Options) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Client == nil {
		o.Client = emulate.Client(callbackDeadline)
	}
}

// Addr is where the platform listens: address and port.
func (p *Platform) Addr() string { return p.server.Addr() }

// Names are the host names that the platform answers to.
func (p *Platform) Names() []string {
	return slices.Concat([]string{APIHost, BrandHost}, p.opts.Hosts)
}

// CAPEM is the certificate of the authority that signed the platform's, in PEM.
func (p *Platform) CAPEM() []byte { return p.server.CAPEM() }

// Close stops the server, gives up what is under way and waits for it. It is safe to call
// twice.
func (p *Platform) Close() error { return p.server.Close() }

// later runs f, which sends callbacks. owe was called for it. It does nothing once the
// platform is closed.
func (p *Platform) later(f func()) {
	p.server.Later(func() {
		f()
		p.mu.Lock()
		p.owed--
		p.mu.Unlock()
		p.rec.Wake()
	})
}

// owe notes a round of callbacks before the call that brings it about is answered.
func (p *Platform) owe() {
	p.mu.Lock()
	p.owed++
	p.mu.Unlock()
}

// Settle waits until every callback that a call brought about has been answered.
func (p *Platform) Settle(ctx context.Context) error {
	return p.WaitUntil(ctx, "no callback is due", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.owed == 0
	})
}

// random makes n random bytes in hex. mu is held.
func (p *Platform) random(n int) string { return emulate.Hex(p.opts.Rand, n) }

// uuid makes a uid of 36 characters. mu is held.
func (p *Platform) uuid() string { return emulate.UUID(p.opts.Rand) }

// App is a communication app that is registered with the platform.
type App struct {
	p *Platform
	// ClientID, Secret and CodeName are as the platform showed them when the app was created.
	ClientID, Secret, CodeName string
	open                       bool
	base                       string
}

// AppOptions says how an app is registered. What is empty is made up.
type AppOptions struct {
	ClientID, Secret, CodeName string
	// Base is redirect_uri and api_uri.
	Base string
	// Open registers an app of open channels.
	Open bool
}

// AddApp registers an app.
func (p *Platform) AddApp(o AppOptions) *App {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &App{
		p: p, ClientID: cmp.Or(o.ClientID, p.random(32)), Secret: cmp.Or(o.Secret, p.random(32)),
		CodeName: cmp.Or(o.CodeName, "patchbay"+p.random(2)), open: o.Open, base: o.Base,
	}
	p.apps[a.ClientID] = a
	return a
}

// Register changes the app's redirect_uri and api_uri.
func (a *App) Register(base string) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.base = base
}

// Client is somebody whom a business knows.
type Client struct {
	// ID is contact_uid; empty is made up.
	ID                                string
	FirstName, LastName, Email, Phone string
	Status, SourceName                string
}

// Business is one business with its clients.
type Business struct {
	p *Platform
	// UID is business_uid, 16 characters.
	UID     string
	clients []*Client
}

// AddBusiness adds a business; an empty uid is made up. The first one sits before the
// consent page.
func (p *Platform) AddBusiness(uid string, clients ...Client) *Business {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := &Business{p: p, UID: cmp.Or(uid, p.random(8))}
	p.businesses[b.UID] = b
	if p.signedIn == nil {
		p.signedIn = b
	}
	for _, c := range clients {
		b.add(c)
	}
	return b
}

// add adds a client. mu is held.
func (b *Business) add(c Client) *Client {
	c.ID = cmp.Or(c.ID, b.p.random(8))
	b.clients = append(b.clients, &c)
	return &c
}

// AddClient adds a client.
func (b *Business) AddClient(c Client) Client {
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	return *b.add(c)
}

// SignIn has a person of the business sit before the consent page.
func (b *Business) SignIn() {
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	b.p.signedIn = b
}

// Clients lists the business's clients, in the order they came.
func (b *Business) Clients() []Client {
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	var list []Client
	for _, c := range b.clients {
		list = append(list, *c)
	}
	return list
}
