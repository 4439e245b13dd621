package emulator

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Options says how the platform behaves beside what a [Step] says. The zero value plays by
// what is documented, and elsewhere by the protocol's defaults.
type Options struct {
	// Client reaches the channel, for webhooks and files. Nil makes one that trusts the
	// system's authorities, follows no redirects and waits 30 seconds.
	Client *http.Client
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Rand makes codes; nil is crypto/rand.
	Rand io.Reader

	// PartnerHost, BotHost and ResellerHost are the names of hosts; empty means
	// www.uchat.com.au, bot.dfktv2.com and api.nicochat.example.
	PartnerHost, BotHost, ResellerHost string

	// Workspace is the id of the first workspace; empty means "4711".
	Workspace string
	// PartnerKey, FlowKey and ResellerKey are its keys; empty means "pk_emulator", "fk_emulator"
	// and "ck_emulator".
	PartnerKey, FlowKey, ResellerKey string

	// Paths says which paths the partner API has: "current", "v1" or both; empty means current.
	Paths string
	// NoHandshake sets a webhook without asking for its challenge, and leaves it unverified.
	NoHandshake bool
	// Handshake says how its parameters are encoded: "form", "dots" (a form with dots), "json",
	// "query" or "get"; empty means form.
	Handshake string

	// Signature says how messages are signed.
	Signature Signature
	// Family says how messages are written: "chatwoot" or "messenger"; empty means chatwoot.
	Family string
	// Echo says which identifiers messages carry: "both", "number" or "recipient"; empty means
	// the family's own.
	Echo string
	// NoIDs leaves out the ids of messages.
	NoIDs bool

	// Bot answers each customer's message; nil answers nothing.
	Bot func(Incoming) []Message
	// BotFirst has the bot answer before the channel's call returns.
	BotFirst bool

	// MaxFileBytes bounds a file that the platform downloads; 0 means 50 MiB.
	MaxFileBytes int64
	// KeepExchanges bounds what is recorded; 0 means 10,000. Older ones are forgotten.
	KeepExchanges int
}

// Platform is UChat. Close it.
type Platform struct {
	opts   Options
	client *http.Client
	now    func() time.Time
	addr   string
	ca     *authority
	server *http.Server
	script script
	rec    *recorder

	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	work   sync.WaitGroup // the server, and what happens after an answer

	mu         sync.Mutex // guards what follows and all of Workspace's state
	closed     bool
	signature  Signature
	workspaces map[string]*Workspace
	files      map[string]File
	serial     int
}

// Start makes a platform that listens on 127.0.0.1, with one workspace.
func Start(opts Options) (*Platform, error) {
	fill(&opts)
	names := []string{opts.PartnerHost, opts.BotHost, opts.ResellerHost}
	ca, err := newAuthority(opts.Now(), names)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("emulator: listen: %w", err)
	}
	p := &Platform{
		opts: opts, client: opts.Client, now: opts.Now, ca: ca, addr: listener.Addr().String(),
		rec: newRecorder(opts.KeepExchanges), signature: opts.Signature,
		workspaces: map[string]*Workspace{}, files: map[string]File{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.AddWorkspace(opts.Workspace)
	p.server = &http.Server{
		Handler:           p.routes(),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{ca.server}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // a refused handshake of TLS is the channel's to report
	}
	p.work.Go(func() { _ = p.server.ServeTLS(listener, "", "") }) // ends with ErrServerClosed
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
		o.Client = &http.Client{
			Transport:     http.DefaultTransport.(*http.Transport).Clone(),
			Timeout:       30 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	for _, text := range []struct {
		field    *string
		fallback string
	}{
		{&o.PartnerHost, "www.uchat.com.au"}, {&o.BotHost, "bot.dfktv2.com"}, {&o.ResellerHost, "api.nicochat.example"},
		{&o.Workspace, "4711"}, {&o.PartnerKey, "pk_emulator"}, {&o.FlowKey, "fk_emulator"}, {&o.ResellerKey, "ck_emulator"},
		{&o.Paths, "current"}, {&o.Handshake, "form"}, {&o.Family, "chatwoot"},
	} {
		*text.field = cmp.Or(*text.field, text.fallback)
	}
	o.MaxFileBytes = cmp.Or(o.MaxFileBytes, 50<<20)
	o.KeepExchanges = cmp.Or(o.KeepExchanges, 10_000)
}

// routes is the platform's HTTP surface.
func (p *Platform) routes() http.Handler {
	mux := http.NewServeMux()
	for _, route := range []struct{ method, path, op string }{
		{"GET", "/apichat-webhook", OpGet},
		{"POST", "/set-apichat-webhook", OpSet}, {"DELETE", "/remove-apichat-webhook", OpRemove},
		{"POST", "/apichat-webhook", opSetV1}, {"DELETE", "/apichat-webhook", opRemoveV1},
	} {
		pattern := route.method + " " + p.opts.PartnerHost + "/api/partner/workspace/{workspace}" + route.path
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { p.partner(w, r, route.op) })
	}
	mux.HandleFunc("POST "+p.opts.ResellerHost+"/api/webhook", p.reseller)
	mux.HandleFunc("POST "+p.opts.BotHost+"/api/apichat/{code}", p.post)
	mux.HandleFunc("GET "+p.opts.BotHost+"/files/{id}/{name}", p.serveFile)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { // what the platform does not have
		p.rec.add(Exchange{Way: FromChannel, URL: r.Host + r.URL.Path, Header: r.Header.Clone(), Status: http.StatusNotFound, Began: p.now()})
		http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
	})
	return mux
}

// Addr is where the platform listens, as "ip:port".
func (p *Platform) Addr() string { return p.addr }

// Names lists the host names that the platform answers for, all with its certificate.
func (p *Platform) Names() []string {
	return []string{p.opts.PartnerHost, p.opts.BotHost, p.opts.ResellerHost}
}

// ResellerURL is a reseller's endpoint, for partner_api_style nicochat.
func (p *Platform) ResellerURL() string { return "https://" + p.opts.ResellerHost + "/api/webhook" }

// CAPEM is the certificate of the authority that signed the platform's, in PEM.
func (p *Platform) CAPEM() []byte { return p.ca.pem }

// Sign changes how messages are signed from now on.
func (p *Platform) Sign(s Signature) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signature = s
}

// closeTimeout bounds how long Close waits for calls under way.
const closeTimeout = 5 * time.Second

// Close stops the server, gives up what is under way and waits for it. It is safe to call
// twice.
func (p *Platform) Close() error {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	p.mu.Unlock()
	if again {
		return nil
	}
	p.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := p.server.Shutdown(ctx) // handlers end by p.ctx
	p.work.Wait()
	p.client.CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("emulator: close: %w", err)
	}
	return nil
}

// later runs what happens after an answer. It does nothing once the platform is closed.
func (p *Platform) later(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.work.Go(f) // under mu, so that Close does not start to wait in between
	}
}

// pause waits until gate is closed; nil does not wait. It returns false if the platform or
// ctx ended first.
func (p *Platform) pause(ctx context.Context, gate <-chan struct{}) bool {
	if gate == nil {
		return true
	}
	select {
	case <-gate:
		return true
	case <-ctx.Done():
	case <-p.ctx.Done():
	}
	return false
}

// newCode makes 32 random hex characters. The caller holds p.mu.
func (p *Platform) newCode() string {
	var b [16]byte
	if _, err := io.ReadFull(p.opts.Rand, b[:]); err != nil {
		panic(fmt.Sprintf("emulator: Options.Rand: %v", err)) // a test's own reader ran dry
	}
	return hex.EncodeToString(b[:])
}
