package client

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// How StreamEvents keeps a stream alive.
const (
	// streamSilence is how long a stream may say nothing before it counts as dead: three
	// heartbeats.
	streamSilence = 45 * time.Second
	// firstWait and longestWait bound the wait before a reconnect, which doubles from one to
	// the other while no event comes.
	firstWait   = 500 * time.Millisecond
	longestWait = 15 * time.Second
)

// Stream says where a stream of events begins and what to tell while it lasts.
type Stream struct {
	// After is the sequence of the last event already seen: "0" means from the first event
	// that the host still keeps, and empty only what comes from now on.
	After string
	// Filter selects events; the zero value selects all.
	Filter domain.EventFilter
	// OnConnect is called each time the host began to answer; may be nil.
	OnConnect func()
	// OnReconnect is called before each wait to connect again; may be nil.
	OnReconnect func(why error, wait time.Duration)
}

// StreamEvents yields the events of a workspace as they come, each once and in order,
// until ctx ends or the caller stops. A stream that breaks is resumed after the last event
// that was yielded. It ends with an error only if the host refuses: what may pass (no
// answer, 429, 5xx) is tried again for ever. When ctx ends, nothing more is yielded.
func (c *Client) StreamEvents(ctx context.Context, ws contract.WorkspaceID, opts Stream) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := stream{client: c, path: at("workspaces", string(ws), "events", "stream"), opts: opts, last: opts.After, first: firstWait}
		for ctx.Err() == nil {
			began := time.Now()
			err := s.run(ctx, yield)
			if time.Since(began) > longestWait {
				s.tries = 0 // it worked for a while
			}
			switch {
			case errors.Is(err, errStopped) || ctx.Err() != nil:
				return
			case !passing(err):
				yield(Event{}, err)
				return
			case s.wait(ctx, err) != nil:
				return
			}
		}
	}
}

// errStopped means that the caller of an iterator wants no more.
var errStopped = errors.New("stopped")

// stream is a stream over all its connections.
type stream struct {
	client *Client
	path   string
	opts   Stream
	// last is the sequence of the last event yielded.
	last string
	// first is the wait after the first failure; tries counts failures since it worked.
	first time.Duration
	tries int
}

// run connects once and yields what comes. It returns why the connection ended, never nil.
func (s *stream) run(ctx context.Context, yield func(Event, error) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(streamSilence, func() { cancel(fmt.Errorf("%w: silent for %v", ErrUnreachable, streamSilence)) })
	defer silence.Stop()

	header := http.Header{"Accept": {"text/event-stream"}}
	query := url.Values{}
	if s.last != "" {
		header.Set("Last-Event-ID", s.last)
		query.Set("after", s.last)
	}
	selecting(query, s.opts.Filter)
	answer, err := s.client.send(ctx, request{method: http.MethodGet, path: s.path, query: query, header: header})
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if s.opts.OnConnect != nil {
		s.opts.OnConnect()
	}
	heard := func() { silence.Reset(streamSilence) }
	return s.read(&frames{lines: bufio.NewReaderSize(answer.Body, 64<<10), heard: heard}, yield)
}

// read yields the events of one connection.
func (s *stream) read(f *frames, yield func(Event, error) bool) error {
	for {
		got, err := f.next()
		switch {
		case errors.Is(err, errFrameTooLarge):
			return err
		case err != nil:
			return fmt.Errorf("GET %s: %w: %w", s.path, ErrUnreachable, err)
		}
		if got.retry > 0 {
			s.first = min(got.retry, longestWait)
		}
		if got.data == "" {
			s.last = cmp.Or(got.id, s.last) // an id alone says where to resume
			continue
		}
		var e Event
		if err := json.Unmarshal([]byte(got.data), &e); err != nil {
			return fmt.Errorf("GET %s: event %q is not what this client knows: %w", s.path, got.id, err)
		}
		s.tries = 0
		if !yield(e, nil) {
			return errStopped
		}
		s.last = cmp.Or(got.id, e.Sequence)
	}
}

// wait waits before the next connection: longer each time, less by chance, and never
// shorter than the host asked for.
func (s *stream) wait(ctx context.Context, why error) error {
	d := min(s.first<<min(s.tries, 10), longestWait)
	d = time.Duration(float64(d) * s.client.jitter())
	if p := new(Problem); errors.As(why, &p) {
		d = max(d, p.RetryAfter)
	}
	s.tries++
	if s.opts.OnReconnect != nil {
		s.opts.OnReconnect(why, d)
	}
	return sleep(ctx, d)
}

// passing tells whether an error may go away by itself.
func passing(err error) bool {
	if p := new(Problem); errors.As(err, &p) {
		return p.Status == http.StatusTooManyRequests || p.Status >= 500
	}
	return errors.Is(err, ErrUnreachable) || errors.Is(err, io.EOF)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
