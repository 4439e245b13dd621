package emulator

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
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
	opts   Options
	client *http.Client
	now    func() time.Time
	url    string
	ca     *authority
	server *http.Server
	script script
	rec    *recorder

	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	work   sync.WaitGroup // the server, and what happens after an answer

	mu       sync.Mutex // guards what follows and all of Channel's and session's state
	closed   bool
	channels map[string]*Channel
	files    map[string]*servedFile
}

// Start makes a platform that listens on 127.0.0.1.
func Start(opts Options) (*Platform, error) {
	fill(&opts)
	ca, err := newAuthority(opts.Now(), opts.Hosts)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("emulator: listen: %w", err)
	}
	p := &Platform{
		opts: opts, client: opts.Client, now: opts.Now, ca: ca,
		url: "https://" + listener.Addr().String(), rec: newRecorder(opts.KeepExchanges),
		channels: map[string]*Channel{}, files: map[string]*servedFile{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.server = &http.Server{
		Handler:           p.routes(),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{ca.server}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // a refused handshake is the messenger's to report
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
func (p *Platform) CAPEM() []byte { return p.ca.pem }

// closeTimeout bounds how long Close waits for callbacks under way.
const closeTimeout = 5 * time.Second

// Close stops the server, gives up what is under way and waits for it. It is safe to
// call twice.
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

// errClosed is what a closed platform answers.
var errClosed = errors.New("emulator: the platform is closed")

// later runs what happens after an answer. It does nothing once the platform is closed.
func (p *Platform) later(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.work.Go(f) // under mu, so that Close does not start to wait in between
	}
}

// pause waits until gate is closed; nil does not wait. It returns false if the platform
// or ctx ended first.
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

// newID makes a random id in the form of a UUID.
func (p *Platform) newID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b [16]byte
	if _, err := io.ReadFull(p.opts.Rand, b[:]); err != nil {
		panic(fmt.Sprintf("emulator: Options.Rand: %v", err)) // a test's own reader ran dry
	}
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
