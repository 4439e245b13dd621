package emulator

import (
	"cmp"
	"crypto/rand"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
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
	*record
	*script

	opts   Options
	client *http.Client
	now    func() time.Time
	server *emulate.Server
	player *emulate.Player[Step]
	rec    *emulate.Recorder[Exchange]

	mu         sync.Mutex // guards what follows and all of Workspace's state
	signature  Signature
	workspaces map[string]*Workspace
	files      map[string]File
	serial     int
}

// Start makes a platform that listens on 127.0.0.1, with one workspace.
func Start(opts Options) (*Platform, error) {
	fill(&opts)
	server, err := emulate.Listen(emulate.Options{
		Platform: "UChat", Names: []string{opts.PartnerHost, opts.BotHost, opts.ResellerHost}, Now: opts.Now(), Client: opts.Client,
	})
	if err != nil {
		return nil, err
	}
	rec, player := newRecorder(opts.KeepExchanges), newPlayer()
	p := &Platform{
		record: &rec.Record, script: &player.Script, rec: rec, player: player,
		opts: opts, client: opts.Client, now: opts.Now, server: server, signature: opts.Signature,
		workspaces: map[string]*Workspace{}, files: map[string]File{},
	}
	p.AddWorkspace(opts.Workspace)
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
		o.Client = emulate.Client(30 * time.Second)
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
		p.rec.Add(Exchange{Way: FromChannel, URL: r.Host + r.URL.Path, Header: r.Header.Clone(), Status: http.StatusNotFound, Began: p.now()})
		http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
	})
	return mux
}

// Addr is where the platform listens, as "ip:port".
func (p *Platform) Addr() string { return p.server.Addr() }

// Names lists the host names that the platform answers for, all with its certificate.
func (p *Platform) Names() []string {
	return []string{p.opts.PartnerHost, p.opts.BotHost, p.opts.ResellerHost}
}

// ResellerURL is a reseller's endpoint, for partner_api_style nicochat.
func (p *Platform) ResellerURL() string { return "https://" + p.opts.ResellerHost + "/api/webhook" }

// CAPEM is the certificate of the authority that signed the platform's, in PEM.
func (p *Platform) CAPEM() []byte { return p.server.CAPEM() }

// Sign changes how messages are signed from now on.
func (p *Platform) Sign(s Signature) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signature = s
}

// Close stops the server, gives up what is under way and waits for it. It is safe to call
// twice.
func (p *Platform) Close() error { return p.server.Close() }

// newCode makes 32 random hex characters. The caller holds p.mu.
func (p *Platform) newCode() string { return emulate.Hex(p.opts.Rand, 16) }
