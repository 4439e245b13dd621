package emulate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// ErrClosed is what a platform answers that is closed.
var ErrClosed = errors.New("emulator: the platform is closed")

// closeTimeout bounds how long Close waits for requests under way.
const closeTimeout = 5 * time.Second

// Options says what a [Server] is.
type Options struct {
	// Platform stands in the names of its certificates.
	Platform string
	// Names are the host names that it answers to, besides localhost and 127.0.0.1.
	Names []string
	// Now is about when its certificates are valid: a day to both sides.
	Now time.Time
	// Client is what the platform calls others with. Its idle connections are closed with
	// the server.
	Client *http.Client
}

// Server is a platform's HTTPS server on 127.0.0.1, and what goes on behind its answers.
// Close it.
type Server struct {
	listener net.Listener
	ca       *authority
	client   *http.Client
	http     *http.Server

	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	work   sync.WaitGroup // the server, and what happens after an answer

	mu     sync.Mutex
	closed bool
}

// Listen makes a server. Its address is known from now on, and it answers from
// [Server.Serve] on.
func Listen(o Options) (*Server, error) {
	ca, err := newAuthority(o.Platform, o.Now, o.Names)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("emulator: listen: %w", err)
	}
	s := &Server{listener: listener, ca: ca, client: o.Client}
	s.http = &http.Server{
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{ca.server}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // a refused handshake is the caller's to report
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Serve begins to answer, with h. It is called once.
func (s *Server) Serve(h http.Handler) {
	s.http.Handler = h
	s.work.Go(func() { _ = s.http.ServeTLS(s.listener, "", "") }) // ends with ErrServerClosed
}

// Addr is where the server listens: address and port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// CAPEM is the certificate of the authority that signed the server's, in PEM.
func (s *Server) CAPEM() []byte { return s.ca.pem }

// Context ends when the server is closed.
func (s *Server) Context() context.Context { return s.ctx }

// Bind returns a context that ends with ctx or with the server; cancel it. It fails with
// [ErrClosed] if the server is closed.
func (s *Server) Bind(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if s.ctx.Err() != nil {
		return nil, nil, ErrClosed
	}
	bound, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return bound, func() { stop(); cancel() }, nil
}

// Later runs what happens after an answer. It does nothing once the server is closed.
func (s *Server) Later(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.work.Go(f) // under mu, so that Close does not start to wait in between
	}
}

// Pause waits until gate is closed; nil does not wait. It returns false if the server or
// ctx ended first.
func (s *Server) Pause(ctx context.Context, gate <-chan struct{}) bool {
	if gate == nil {
		return true
	}
	select {
	case <-gate:
		return true
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	return false
}

// Close stops the server, gives up what is under way and waits for it. It is safe to call
// twice.
func (s *Server) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	s.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx) // handlers end by s.ctx
	_ = s.listener.Close()      // it is closed already, unless nothing was served
	s.work.Wait()
	s.client.CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("emulator: close: %w", err)
	}
	return nil
}
