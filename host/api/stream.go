package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"

	"github.com/seed75a60ee1/patchbay/host/cloudevents"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	// streamPage is how many events are read at a time.
	streamPage = 100
	// streamRetry is how long a client is asked to wait before it connects again, in
	// milliseconds.
	streamRetry = 2000
)

// stream is the body of an endless answer. The connection's own goroutine reads it, so
// there is none to leak: it ends by returning io.EOF, and Close is called whatever
// happens.
type stream struct {
	server *Server
	ws     contract.WorkspaceID
	token  string
	after  uint64
	filter domain.EventFilter
	// told is the newest id that the client was sent.
	told uint64

	ctx    context.Context
	cancel context.CancelFunc
	news   <-chan struct{}
	ticks  <-chan time.Time
	closes []func()
	once   sync.Once

	ready bytes.Buffer // what is to be sent next
}

func (s *Server) streamEvents(ctx context.Context, in *streamStart) (*streamed, error) {
	after, err := s.streamFrom(ctx, in)
	if err != nil {
		return nil, err
	}
	release, ok := s.streams.take(string(in.Workspace), s.opts.MaxStreams)
	if !ok {
		return nil, coded(http.StatusTooManyRequests, "too_many_streams",
			fmt.Sprintf("the workspace has %d event streams open already; close one", s.opts.MaxStreams), nil)
	}
	body := s.newStream(in.Workspace, exchangeOf(ctx).token, after)
	body.filter = in.EventFilter.domain()
	body.closes = append(body.closes, release)
	return &streamed{func(c huma.Context) { body.answer(c) }}, nil
}

// streamFrom returns the sequence number after which the stream begins.
func (s *Server) streamFrom(ctx context.Context, in *streamStart) (uint64, error) {
	location, cursor := "query.after", in.After
	if in.LastEventID != "" {
		location, cursor = "header.Last-Event-ID", in.LastEventID
	}
	after, err := parseSequence(location, cursor)
	if err != nil {
		return 0, err
	}
	if err := s.exists(ctx, in.Workspace); err != nil {
		return 0, err
	}
	last, err := s.lastEvent(ctx, in.Workspace, after)
	if cursor == "" {
		return last, err
	}
	return after, err
}

// newStream begins to watch before anything is read, so that nothing falls between.
func (s *Server) newStream(ws contract.WorkspaceID, token string, after uint64) *stream {
	b := &stream{server: s, ws: ws, token: token, after: after, told: after}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	news, unwatch := s.opts.Store.WatchEvents(ws)
	ticks, stop := s.opts.NewTicker(s.opts.Heartbeat)
	b.news, b.ticks = news, ticks
	b.closes = []func(){b.cancel, unwatch, stop, s.opts.Metrics.Stream()}
	// The id alone is no event, but makes a client that breaks off now resume from here.
	fmt.Fprintf(&b.ready, "retry: %d\nid: %d\n\n", streamRetry, after)
	return b
}

func (b *stream) answer(c huma.Context) {
	c.SetHeader("Content-Type", "text/event-stream")
	c.SetHeader("X-Accel-Buffering", "no") // else nginx holds events back
	response := &humafiber.Unwrap(c).Context().Response
	response.ImmediateHeaderFlush = true
	response.SetBodyStream(b, -1)
}

// Read waits until there is something to send. Each write to the network is timed by the
// gate, so a client that does not keep up is cut off, and one that merely waits is not.
func (b *stream) Read(p []byte) (int, error) {
	for b.ready.Len() == 0 {
		if err := b.fill(); err != nil {
			b.note(err)
			return 0, io.EOF
		}
	}
	return b.ready.Read(p)
}

var (
	errShutdown = errors.New("the host shuts down")
	errToken    = errors.New("the token has ended")
)

// fill reads the next events, or waits for news. Before anything is sent the token is
// verified again: it may have expired or been revoked meanwhile.
func (b *stream) fill() error {
	if b.isShutdown() {
		return errShutdown
	}
	if _, err := b.server.opts.Identity.Verify(b.ctx, b.token); err != nil {
		return fmt.Errorf("%w: %w", errToken, err)
	}
	events, err := b.server.opts.Store.Events(b.ctx, b.ws, b.after, streamPage)
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	if len(events) == 0 {
		return b.wait()
	}
	for _, e := range events {
		if b.after = e.Seq; !b.filter.Selects(e) {
			continue
		}
		if err := appendFrame(&b.ready, cloudevents.New(e)); err != nil {
			return err
		}
		b.told = e.Seq
	}
	if b.after-b.told >= streamPage {
		b.tell()
	}
	return nil
}

// tell sends how far the stream is, if the client does not know: an id alone is no event,
// and the place to go on from all the same. So a client that filters is not sent back to
// an event that is not kept any more.
func (b *stream) tell() {
	if b.told < b.after {
		b.told = b.after
		fmt.Fprintf(&b.ready, "id: %d\n\n", b.told)
	}
}

// wait returns when there may be events, or with a heartbeat to send.
func (b *stream) wait() error {
	select {
	case <-b.news:
	case <-b.ticks:
		b.ready.WriteString(": still here\n\n")
		b.tell()
	case <-b.server.gate.Closing():
	}
	return nil
}

func (b *stream) isShutdown() bool {
	select {
	case <-b.server.gate.Closing():
		return true
	default:
		return false
	}
}

func (b *stream) note(err error) {
	log := b.server.opts.Gate.Log.With("workspace", b.ws, "after", b.after, "reason", err)
	if errors.Is(err, errShutdown) || errors.Is(err, errToken) {
		log.Debug("an event stream ended")
		return
	}
	log.Error("an event stream broke off")
}

// Close is called once the stream was sent or could not be.
func (b *stream) Close() error {
	b.once.Do(func() {
		for _, f := range b.closes {
			f()
		}
	})
	return nil
}

// streamCount counts the open streams of each workspace.
type streamCount struct {
	mu   sync.Mutex
	open map[string]int
}

// take counts one in, unless there are most already; release counts it out.
func (n *streamCount) take(ws string, most int) (release func(), ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open[ws] >= most {
		return nil, false
	}
	n.open[ws]++
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.open[ws]--; n.open[ws] == 0 {
			delete(n.open, ws)
		}
	}, true
}
