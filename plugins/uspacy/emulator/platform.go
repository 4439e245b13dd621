package emulator

import (
	"cmp"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// Options says how the platform behaves beside what a [Step] says. The zero value plays by the
// documented rules, and by the likeliest answer where the documents have none.
type Options struct {
	// Portals are the domains of the portals; none means "acme.uspacy.ua".
	Portals []string
	// Client reaches the app, for installs and SNS. Nil makes one that trusts the system's
	// authorities, follows no redirects and waits 15 seconds, as SNS does.
	Client *http.Client
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Rand makes ids; nil is crypto/rand.
	Rand io.Reader
	// KeepExchanges bounds what is recorded; 0 means 10,000. Older ones are forgotten.
	KeepExchanges int

	// Chat says how the messenger and the files behave.
	Chat ChatOptions
	// Auth says how tokens behave.
	Auth AuthOptions
	// SNS says how events are published.
	SNS SNSOptions
}

// ChatOptions says how the messenger and the file service behave where the documents leave it
// open.
type ChatOptions struct {
	// DuplicateStatus answers a message whose externalId is known; 0 means 500.
	DuplicateStatus int
	// HideExternalID leaves externalId out of messages that are read back.
	HideExternalID bool
	// NeedMembers refuses a chat without members, with 400.
	NeedMembers bool
	// NeedText refuses a message with an empty text, with 400.
	NeedText bool
	// EntityType is the only entityType that the file service takes for attachments; empty
	// takes any.
	EntityType string
	// FileField is the name of the form field that files come in; empty means "files[]" and
	// "files[0]".
	FileField string
	// FileHost serves attachments; empty means the portal itself.
	FileHost string
	// FilesNeedToken refuses a download without the portal's bearer.
	FilesNeedToken bool
	// MaxFileBytes bounds an upload; 0 means 25 MiB. Beyond it is 413.
	MaxFileBytes int64
	// NoEcho keeps messages that the app created out of the events.
	NoEcho bool
	// LineAsID writes externalLine as the line's id, not as an object.
	LineAsID bool
	// Wrapper says where the message stands in an event: "payload" (or empty), "payload.data",
	// "data.entity", "data", "message" or "root".
	Wrapper string
}

// Platform is Uspacy and the SNS it publishes by. Close it.
type Platform struct {
	*record
	*script

	opts   Options
	client *http.Client
	now    func() time.Time
	server *emulate.Server
	player *emulate.Player[Step]
	rec    *emulate.Recorder[Exchange]
	sns    *sns

	mu        sync.Mutex // guards what follows, and all state of portals and of auth
	hosts     map[string]http.Handler
	portals   map[string]*Portal
	listeners []func(event string)
	// callbackURL is the app's.
	callbackURL string
}

// Start makes a platform that listens on 127.0.0.1.
func Start(opts Options) (*Platform, error) {
	fill(&opts)
	rec, player := newRecorder(opts.KeepExchanges), newPlayer()
	p := &Platform{
		record: &rec.Record, script: &player.Script, rec: rec, player: player,
		opts: opts, client: opts.Client, now: opts.Now,
		hosts: map[string]http.Handler{}, portals: map[string]*Portal{},
	}
	for _, domain := range opts.Portals {
		portal := newPortal(p, domain)
		p.portals[domain] = portal
		p.handle(domain, portal)
	}
	if host := opts.Chat.FileHost; host != "" {
		p.handle(host, http.HandlerFunc(p.serveFile))
	}
	var err error
	if p.sns, err = newSNS(p); err != nil {
		return nil, err
	}
	p.server, err = emulate.Listen(emulate.Options{
		Platform: "Uspacy", Names: p.Names(), Client: opts.Client,
		Now: time.Now(), // certificates go by the machine's clock, as whoever verifies them does
	})
	if err != nil {
		return nil, err
	}
	p.server.Serve(http.HandlerFunc(p.dispatch))
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
		o.Client = emulate.Client(15 * time.Second)
	}
	if len(o.Portals) == 0 {
		o.Portals = []string{"acme.uspacy.ua"}
	}
	o.KeepExchanges = cmp.Or(o.KeepExchanges, 10_000)
	o.Chat.DuplicateStatus = cmp.Or(o.Chat.DuplicateStatus, http.StatusInternalServerError)
	o.Chat.MaxFileBytes = cmp.Or(o.Chat.MaxFileBytes, 25<<20)
}

// handle has a handler answer for a host name. It is called before Start returns.
func (p *Platform) handle(host string, h http.Handler) { p.hosts[host] = h }

// dispatch finds who answers for the name that was called.
func (p *Platform) dispatch(w http.ResponseWriter, r *http.Request) {
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	h, ok := p.hosts[name]
	if !ok {
		p.rec.Violation("a request for %q, which is nobody's name here", name)
		http.Error(w, "misdirected", http.StatusMisdirectedRequest)
		return
	}
	h.ServeHTTP(w, r)
}

// Addr is where the platform listens: "127.0.0.1:port".
func (p *Platform) Addr() string { return p.server.Addr() }

// Names are the host names that the platform answers for, by https and port 443.
func (p *Platform) Names() []string {
	names := make([]string, 0, len(p.hosts))
	for name := range p.hosts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// CAPEM is the certificate of the authority that signed the platform's, in PEM.
func (p *Platform) CAPEM() []byte { return p.server.CAPEM() }

// Portal returns a portal by its domain; empty means the first one. It panics if there is none:
// the name is a test's own.
func (p *Platform) Portal(domain string) *Portal {
	portal := p.portals[cmp.Or(domain, p.opts.Portals[0])]
	if portal == nil {
		panic("emulator: there is no portal " + domain)
	}
	return portal
}

// listen has f told of every event, as the text that is published. It is called before Start
// returns, or through [Platform.OnEvent].
func (p *Platform) listen(f func(event string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listeners = append(p.listeners, f)
}

// OnEvent has f told of every event from now on, besides the subscribers of the topic. Events
// of one portal come in the order they happened.
func (p *Platform) OnEvent(f func(event string)) { p.listen(f) }

// publish tells everybody of an event.
func (p *Platform) publish(event string) {
	p.mu.Lock()
	listeners := slices.Clone(p.listeners)
	p.mu.Unlock()
	for _, f := range listeners {
		f(event)
	}
}

// Close stops the server, gives up what is under way and waits for it. It is safe to call
// twice.
func (p *Platform) Close() error { return p.server.Close() }

// random makes n random bytes in hex. The caller holds mu.
func (p *Platform) random(n int) string { return emulate.Hex(p.opts.Rand, n) }

// newID makes an id as the messenger's database does: 24 hexadecimal digits. The caller holds mu.
func (p *Platform) newID() string { return p.random(12) }

// newUUID makes a random UUID. The caller holds mu.
func (p *Platform) newUUID() string { return emulate.UUID(p.opts.Rand) }
