// Package gate is the door that both listeners of a host share: the one that platforms
// deliver to (ingress) and the one that people manage it by (api).
//
// A [Server] is a Fiber app on a listener, made safe to stand in the open: requests are
// bounded in size and in time, bodies are handed on raw and never inflated, whoever is
// refused can read why ([Problem]), a panic costs one request, and Shutdown lets what runs
// come to its end. What an application adds are its routes, on [Server.App].
//
// Everything that a handler gets from Fiber is a copy (Immutable), except what comes from
// fasthttp directly.
package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Options says how a server works. The zero value of a field means what stands beside it.
type Options struct {
	// Name tells listeners apart in logs and metrics.
	Name string
	// MaxHeaderBytes limits the request line and the header together; 16 KiB.
	MaxHeaderBytes int
	// MaxConnections limits the connections that are open at a time; 16384.
	MaxConnections int
	// ReadTimeout limits the time to read a whole request, from its first byte; 15 s.
	ReadTimeout time.Duration
	// WriteTimeout limits the time that one write to the network may block; 15 s. A long
	// answer may take longer, as long as it is taken.
	WriteTimeout time.Duration
	// IdleTimeout limits the time that a connection waits for its next request; 60 s.
	IdleTimeout time.Duration
	// LingerTimeout limits how long the rest of a refused request is read and thrown away,
	// so that its sender gets to reading the answer; 5 s.
	LingerTimeout time.Duration
	// PanicStatus is what a request that panicked is answered; 500.
	PanicStatus int
	// NewID makes a request's id, for those that bring none.
	NewID func() string
	Now   func() time.Time
	Log   *slog.Logger
	// Metrics is told of every request once it was handled.
	Metrics Metrics
}

// Metrics counts requests.
type Metrics interface {
	// Request counts one: app is Options.Name; route is the pattern that matched, "none" if
	// none did, "malformed" if the request could not be read.
	Request(app, route string, status int)
}

func (o *Options) fill() {
	setDefault(&o.MaxHeaderBytes, 16<<10)
	setDefault(&o.MaxConnections, 16<<10)
	setDefault(&o.ReadTimeout, 15*time.Second)
	setDefault(&o.WriteTimeout, 15*time.Second)
	setDefault(&o.IdleTimeout, time.Minute)
	setDefault(&o.LingerTimeout, 5*time.Second)
	setDefault(&o.PanicStatus, http.StatusInternalServerError)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Server is an HTTP/1.1 server. It is safe for concurrent use once its routes are there.
type Server struct {
	opts    Options
	app     *fiber.App
	closing chan struct{} // closed when Shutdown begins
	once    sync.Once     // closes closing

	mu       sync.Mutex
	listener *listener
	conns    map[*conn]struct{}
	empty    chan struct{} // closed when the last connection is gone and closing is closed
}

// New makes a server without routes.
func New(opts Options) *Server {
	opts.fill()
	s := &Server{opts: opts, closing: make(chan struct{}), conns: map[*conn]struct{}{}, empty: make(chan struct{})}
	s.app = fiber.New(fiber.Config{
		DisableStartupMessage: true,
		StrictRouting:         true,
		CaseSensitive:         true,
		Immutable:             true,
		// The body is read by Body, within the limit of its route. Pre-parsed forms would be
		// written to disk without any limit.
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		ReadBufferSize:               opts.MaxHeaderBytes,
		Concurrency:                  opts.MaxConnections,
		ReadTimeout:                  opts.ReadTimeout,
		IdleTimeout:                  opts.IdleTimeout, // writes are timed by conn
		ErrorHandler:                 s.answerError,
	})
	s.app.Server().Handler = s.guard(s.app.Handler())
	s.app.Server().ConnState = connState
	s.app.Use(noteRoute)
	return s
}

// App is where routes are added, before Serve.
func (s *Server) App() *fiber.App { return s.app }

// Closing is closed when Shutdown begins: what streams without end must end then.
func (s *Server) Closing() <-chan struct{} { return s.closing }

// Serve answers requests that come to l, until Shutdown. It closes l. It is called once,
// and returns nil after a Shutdown, also after one that came before it.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	s.listener = &listener{Listener: l, server: s}
	s.mu.Unlock()
	var err error
	if s.isClosing() {
		err = l.Close()
	} else {
		err = s.app.Listener(s.listener)
	}
	if s.isClosing() && errors.Is(err, net.ErrClosed) {
		return nil // Shutdown closed it first
	}
	if err != nil {
		return fmt.Errorf("serve %s on %s: %w", s.opts.Name, l.Addr(), err)
	}
	return nil
}

// Shutdown takes no more requests and waits until those that run have been answered.
// When ctx ends first, their connections are cut and the error is ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	s.once.Do(func() { close(s.closing) })
	s.closeListener()
	s.interrupt()
	err := s.waitForConns(ctx)
	if err == nil {
		err = s.app.ShutdownWithContext(ctx) // nothing runs any more; it looks only every 100 ms
	}
	if err != nil {
		s.cut()
		return fmt.Errorf("shut %s down: %w", s.opts.Name, err)
	}
	return nil
}

func (s *Server) closeListener() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		_ = s.listener.Close() // whoever accepts is told so
	}
}

func (s *Server) waitForConns(ctx context.Context) error {
	s.mu.Lock()
	none := len(s.conns) == 0
	s.mu.Unlock()
	if none {
		return nil
	}
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// noteRoute keeps the pattern that matched, for the log and the metrics: a path may hold
// a secret.
func noteRoute(c *fiber.Ctx) error {
	own := c.Route()
	defer func() { // also if the handler panics
		if r := c.Route(); r != own {
			c.Context().SetUserValue(routeKey, r.Path)
		}
	}()
	return c.Next()
}

// connState is told by fasthttp when a request was answered and the answer written.
func connState(nc net.Conn, state fasthttp.ConnState) {
	if c, ok := nc.(*conn); ok && state == fasthttp.StateIdle {
		c.quiet.Store(true)
		c.handOver()
		if c.server.isClosing() {
			_ = c.Close() // there shall be no next request
		}
	}
}
