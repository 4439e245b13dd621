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

// Options says how the platform behaves beside what a [Step] says. The zero value plays
// by the documented rules.
type Options struct {
	// Client reaches the messenger, for webhooks and files. Nil makes one that trusts the
	// system's authorities, follows no redirects and waits 30 seconds.
	Client *http.Client
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Rand makes ids; nil is crypto/rand.
	Rand io.Reader
	// Hosts are further host names for the certificate, besides 127.0.0.1 and localhost.
	Hosts []string
	// MessengerCode stands in callback URLs; empty means "other".
	MessengerCode string
	// Prefix stands before /api in callback URLs, as an installation's settings may have
	// it, such as "/portal"; empty means none.
	Prefix string
	// FileKey is the key of a file's link in an inbound message; empty means "URL".
	FileKey string
	// ChannelIDEverywhere puts channelId into the types whose samples lack it.
	ChannelIDEverywhere bool
	// AskNewUsers asks userInfo of a person's first message before answering it.
	AskNewUsers bool
	// NoUserInfo refuses the outbound userInfo, as some versions may, with status 500.
	NoUserInfo bool
	// Users answers the outbound userInfo, by user id.
	Users map[string]User
	// MaxFileBytes bounds a file that the platform downloads; 0 means 50 MiB.
	MaxFileBytes int64
	// KeepExchanges bounds what is recorded; 0 means 10,000. Older ones are forgotten.
	KeepExchanges int
}

// User is somebody whom the platform knows.
type User struct {
	FullName string `json:"fullName"`
	Login    string `json:"login"`
	Phone    string `json:"phone,omitempty"`
	Email    string `json:"email,omitempty"`
	Position string `json:"position,omitempty"`
}

// Platform is one company on ELMA365. Close it.
type Platform struct {
	*record
	*script

	opts   Options
	client *http.Client
	now    func() time.Time
	url    string
	server *emulate.Server
	player *emulate.Player[Step]
	rec    *emulate.Recorder[Exchange]

	mu       sync.Mutex // guards what follows and all of Channel's and session's state
	channels map[string]*Channel
	files    map[string]*servedFile
}

// Start makes a platform that listens on 127.0.0.1.
func Start(opts Options) (*Platform, error) {
	fill(&opts)
	server, err := emulate.Listen(emulate.Options{Platform: "ELMA365", Names: opts.Hosts, Now: opts.Now(), Client: opts.Client})
	if err != nil {
		return nil, err
	}
	rec, player := newRecorder(opts.KeepExchanges), newPlayer()
	p := &Platform{
		record: &rec.Record, script: &player.Script, rec: rec, player: player,
		opts: opts, client: opts.Client, now: opts.Now, server: server, url: "https://" + server.Addr(),
		channels: map[string]*Channel{}, files: map[string]*servedFile{},
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
		o.Client = emulate.Client(30 * time.Second)
	}
	o.MessengerCode = cmp.Or(o.MessengerCode, "other")
	o.FileKey = cmp.Or(o.FileKey, "URL")
	o.MaxFileBytes = cmp.Or(o.MaxFileBytes, 50<<20)
	o.KeepExchanges = cmp.Or(o.KeepExchanges, 10_000)
}

// routes is the platform's HTTP surface.
func (p *Platform) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(p.opts.Prefix+"/api/messengers/external/{code}/webhook/{channel}", p.callback)
	mux.HandleFunc("GET /files/{id}", p.serveFile)
	return mux
}

// URL is the company's public URL: scheme, host and port.
func (p *Platform) URL() string { return p.url }

// CAPEM is the certificate of the authority that signed the platform's, in PEM.
func (p *Platform) CAPEM() []byte { return p.server.CAPEM() }

// Close stops the server, gives up what is under way and waits for it. It is safe to call
// twice.
func (p *Platform) Close() error { return p.server.Close() }

// newID makes a random id in the form of a UUID.
func (p *Platform) newID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return emulate.UUID(p.opts.Rand)
}
