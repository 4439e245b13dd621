package gate

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
)

// listener hands out connections that their server keeps track of.
type listener struct {
	net.Listener
	server *Server
	once   sync.Once
	closed error
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := l.server.track(nc)
	if l.server.isClosing() {
		_ = c.Close() // Shutdown may have looked before it was tracked
	}
	return c, nil
}

// Close closes the listener; fasthttp does so, too.
func (l *listener) Close() error {
	l.once.Do(func() { l.closed = l.Listener.Close() })
	return l.closed
}

func (s *Server) track(nc net.Conn) *conn {
	c := &conn{Conn: nc, server: s}
	c.quiet.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	return c
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if len(s.conns) > 0 || !s.isClosing() {
		return
	}
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}

func (s *Server) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// interrupt closes connections that wait for a request and ends lingering ones. fasthttp
// would wait for those that never sent a byte until their read timeout.
func (s *Server) interrupt() {
	for _, c := range s.open() {
		switch {
		case c.lingers.Load():
			_ = c.Conn.SetReadDeadline(time.Now()) // a connection that is gone needs none
		case c.quiet.Load():
			_ = c.Close()
		}
	}
}

// cut closes every connection, whatever it is doing.
func (s *Server) cut() {
	for _, c := range s.open() {
		_ = c.Conn.Close() // its worker closes it properly, and forgets it
	}
}

func (s *Server) open() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// conn is a connection that times each write, can tell when an answer was handed to the
// network, and lets a peer that is refused finish sending.
type conn struct {
	net.Conn
	server *Server

	quiet   atomic.Bool // no byte of a next request has come
	lingers atomic.Bool // there may be unread input when it is closed
	failed  atomic.Bool // a write failed
	once    sync.Once
	closed  error

	mu      sync.Mutex
	written func() // to be called when the answer was handed over
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.quiet.Store(false)
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.server.opts.WriteTimeout)); err != nil {
		c.failed.Store(true)
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err != nil {
		c.failed.Store(true)
	}
	return n, err
}

// Close hands over what was written, lets the peer finish if it is still sending, and
// closes the connection.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.handOver()
		if c.lingers.Load() && !c.failed.Load() {
			c.drain()
		}
		c.closed = c.Conn.Close()
		c.server.forget(c)
	})
	return c.closed
}

// drain says that nothing more will be written, and reads until the peer closes. A close
// with input unread would make the kernel send a reset, and a reset makes the peer's
// kernel throw away the answer that it has not read yet.
func (c *conn) drain() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if c.Conn.SetReadDeadline(time.Now().Add(c.server.opts.LingerTimeout)) != nil || c.server.isClosing() {
		return
	}
	_, _ = io.Copy(io.Discard, c.Conn) // ends with the peer's close or with the deadline
}

// handOver calls what waits for the answer to be written, once, unless a write failed. It
// runs outside any handler, where a panic would end the process.
func (c *conn) handOver() {
	c.mu.Lock()
	written := c.written
	c.written = nil
	c.mu.Unlock()
	if written == nil || c.failed.Load() {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			c.server.opts.Log.Error("a panic after an answer was written", "server", c.server.opts.Name, "panic", r)
		}
	}()
	written()
}

// OnWritten has f called once the answer to this request was handed to the network, from
// the connection's own goroutine; it is not called if that fails.
func OnWritten(c *fiber.Ctx, f func()) {
	nc, ok := c.Context().Conn().(*conn)
	if !ok {
		f() // a test without a network: there is nothing to wait for
		return
	}
	nc.mu.Lock()
	defer nc.mu.Unlock()
	nc.written = f
}

// GiveTime lets the rest of this request take d from now, instead of the rest of the
// server's read timeout.
func GiveTime(c *fiber.Ctx, d time.Duration) error {
	return c.Context().Conn().SetReadDeadline(time.Now().Add(d))
}
