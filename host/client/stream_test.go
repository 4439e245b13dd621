package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// peer is the host's side of one connection of a stream, in memory.
type peer struct {
	request *http.Request
	*io.PipeWriter
}

// send writes one event with that sequence.
func (p peer) send(seq string) {
	fmt.Fprintf(p, "id: %s\nevent: patchbay.postback\ndata: {\"id\":\"evt_%s\",\ndata: \"sequence\":%q}\n\n", seq, seq, seq)
}

// transport answers each request with the next of its turns, and keeps the requests.
type transport struct {
	turns    []func(r *http.Request) (*http.Response, error)
	requests []*http.Request
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.requests = append(t.requests, r)
	turn := t.turns[0]
	t.turns = t.turns[1:]
	return turn(r)
}

// talks is a turn that opens a stream on which talk says what the host says. The stream
// breaks when talk returns.
func talks(talk func(p peer)) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		reader, writer := io.Pipe()
		stop := context.AfterFunc(r.Context(), func() { _ = writer.CloseWithError(r.Context().Err()) })
		go func() {
			talk(peer{r, writer})
			stop()
			_ = writer.Close()
		}()
		return &http.Response{StatusCode: http.StatusOK, Body: reader, Header: http.Header{}}, nil
	}
}

// refuses is a turn that answers with a problem.
func refuses(status int, header http.Header) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		header := header.Clone()
		header.Set("Content-Type", "application/problem+json")
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(`{"detail":"no"}`))}, nil
	}
}

// streamed follows a stream over t until it ends or n events came, and returns their
// sequences, the waits between its connections and how it ended.
func streamed(t *transport, after string, n int) (seqs []string, waits []time.Duration, end error) {
	c := New("http://host.test", "")
	c.http.Transport, c.jitter = t, func() float64 { return 1 }
	opts := Stream{After: after, OnReconnect: func(_ error, wait time.Duration) { waits = append(waits, wait) }}
	for e, err := range c.StreamEvents(context.Background(), "ws_1", opts) {
		if err != nil {
			return seqs, waits, err
		}
		if seqs = append(seqs, e.Sequence); len(seqs) == n {
			break
		}
	}
	return seqs, waits, nil
}

func TestStreamResumesAfterTheLastEventItYielded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &transport{turns: []func(*http.Request) (*http.Response, error){
			talks(func(p peer) { p.send("8"); p.send("9"); fmt.Fprint(p, "id: 10\ndata: {cut o") }),
			func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
			talks(func(p peer) { p.send("10") }),
		}}
		seqs, waits, end := streamed(host, "7", 3)
		if want := []string{"8", "9", "10"}; end != nil || !slices.Equal(seqs, want) {
			t.Errorf("got events %v and error %v, want %v", seqs, end, want)
		}
		if want := []time.Duration{firstWait, 2 * firstWait}; !slices.Equal(waits, want) {
			t.Errorf("waited %v, want %v", waits, want)
		}
		for i, want := range []string{"7", "9", "9"} {
			r := host.requests[i]
			if got := r.Header.Get("Last-Event-ID"); got != want || r.URL.Query().Get("after") != want {
				t.Errorf("connection %d asked for what comes after %q (%s), want %q", i, got, r.URL, want)
			}
		}
	})
}

func TestStreamResumesFromAnIDThatCameAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &transport{turns: []func(*http.Request) (*http.Response, error){
			talks(func(p peer) { fmt.Fprint(p, "retry: 2000\nid: 7\n\n") }),
			talks(func(p peer) { p.send("8") }),
		}}
		_, _, end := streamed(host, "", 1)
		if got := host.requests[1].Header.Get("Last-Event-ID"); end != nil || got != "7" {
			t.Errorf("the second connection asked for what comes after %q, error %v; want 7", got, end)
		}
	})
}

func TestStreamForgetsFailuresOnceItWorked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }
		host := &transport{turns: []func(*http.Request) (*http.Response, error){
			broken, broken,
			talks(func(p peer) { <-time.After(longestWait + time.Second) }), // quiet, and up
			talks(func(p peer) { p.send("1") }),
		}}
		_, waits, end := streamed(host, "", 1)
		if want := []time.Duration{firstWait, 2 * firstWait, firstWait}; end != nil || !slices.Equal(waits, want) {
			t.Errorf("waited %v, error %v; want %v", waits, end, want)
		}
	})
}

func TestStreamDropsAConnectionThatFellSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		host := &transport{turns: []func(*http.Request) (*http.Response, error){
			talks(func(p peer) {
				p.send("1")
				for range 3 { // heartbeats keep it alive
					<-time.After(streamSilence - time.Second)
					fmt.Fprint(p, ": heartbeat\n\n")
				}
				<-p.request.Context().Done() // cut off: nothing more comes
			}),
			talks(func(p peer) { p.send("2") }),
		}}
		seqs, _, end := streamed(host, "", 2)
		if want := []string{"1", "2"}; end != nil || !slices.Equal(seqs, want) {
			t.Errorf("got events %v and error %v, want %v", seqs, end, want)
		}
		if got, want := time.Since(start), 3*(streamSilence-time.Second)+streamSilence+firstWait; got != want {
			t.Errorf("the second event came after %v, want %v", got, want)
		}
	})
}

func TestStreamWaitsAsLongAsTheHostAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &transport{turns: []func(*http.Request) (*http.Response, error){
			refuses(http.StatusServiceUnavailable, http.Header{"Retry-After": {"30"}}),
			talks(func(p peer) { fmt.Fprint(p, "retry: 2000\n\n") }),
			talks(func(p peer) { p.send("1") }),
			talks(func(p peer) { p.send("2") }),
		}}
		_, waits, end := streamed(host, "", 2)
		want := []time.Duration{30 * time.Second, 4 * time.Second, 2 * time.Second}
		if end != nil || !slices.Equal(waits, want) {
			t.Errorf("waited %v, error %v; want %v: asked for, doubled, and from the start after an event", waits, end, want)
		}
	})
}

func TestStreamWaitsNoLongerThanItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &transport{turns: slices.Repeat([]func(*http.Request) (*http.Response, error){
			refuses(http.StatusInternalServerError, http.Header{}),
		}, 40)}
		host.turns = append(host.turns, talks(func(p peer) { p.send("1") }))
		_, waits, end := streamed(host, "", 1)
		if end != nil || slices.Max(waits) != longestWait || waits[39] != longestWait {
			t.Errorf("waited %v, error %v; want the waits to grow to %v and stay there", waits, end, longestWait)
		}
	})
}

func TestStreamEndsWhenTheHostRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound} {
			host := &transport{turns: []func(*http.Request) (*http.Response, error){refuses(status, http.Header{})}}
			_, _, end := streamed(host, "", 1)
			if p := new(Problem); !errors.As(end, &p) || p.Status != status {
				t.Errorf("HTTP %d ended the stream with %v, want a Problem of that status", status, end)
			}
		}
	})
}

func TestStreamEndsAtAnEventItCannotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &transport{turns: []func(*http.Request) (*http.Response, error){
			talks(func(p peer) { fmt.Fprint(p, "id: 5\ndata: nonsense\n\n") }),
		}}
		if _, _, end := streamed(host, "", 1); end == nil || !strings.Contains(end.Error(), `event "5"`) {
			t.Errorf("the stream ended with %v, want an error that names event 5", end)
		}
	})
}

func TestStreamStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := New("http://host.test", "")
		c.http.Transport = &transport{turns: []func(*http.Request) (*http.Response, error){
			talks(func(p peer) { p.send("1"); <-p.request.Context().Done() }),
		}}
		var got []string
		for e, err := range c.StreamEvents(ctx, "ws_1", Stream{}) {
			if err != nil {
				t.Errorf("the stream yielded %v, want nothing once its context ended", err)
			}
			got = append(got, e.Sequence)
			cancel()
		}
		if len(got) != 1 {
			t.Errorf("got events %v, want one", got)
		}
	})
}

func TestFrames(t *testing.T) {
	for _, tt := range []struct {
		name, stream string
		want         []frame
		end          error
	}{
		{"an event", "id: 1\nevent: a\ndata: x\n\n", []frame{{id: "1", event: "a", data: "x"}}, io.EOF},
		{"lines that end in CR LF", "id: 1\r\ndata: x\r\n\r\n", []frame{{id: "1", data: "x"}}, io.EOF},
		{"data of several lines", "data: x\ndata:\ndata:  y\n\n", []frame{{data: "x\n\n y"}}, io.EOF},
		{"no space after the colon", "data:x\n\n", []frame{{data: "x"}}, io.EOF},
		{"comments and empty lines", ": hello\n\n\n:\n\ndata: x\n\n", []frame{{data: "x"}}, io.EOF},
		{"a field from later", "colour: red\ndata: x\n\n", []frame{{data: "x"}}, io.EOF},
		{"a wait asked for", "retry: 1500\n\n", []frame{{retry: 1500 * time.Millisecond}}, io.EOF},
		{"a wait that is no number", "retry: soon\nretry: -4\ndata: x\n\n", []frame{{data: "x"}}, io.EOF},
		{"an id with a zero byte", "id: 1\x00\ndata: x\n\n", []frame{{data: "x"}}, io.EOF},
		{"cut off in a line", "data: x\n\ndata: y", []frame{{data: "x"}}, io.ErrUnexpectedEOF},
		{"cut off between lines", "data: x\n\ndata: y\n", []frame{{data: "x"}}, io.EOF},
		{"a line without an end", "data: " + strings.Repeat("x", maxFrameBytes), nil, errFrameTooLarge},
		{"lines without an end", strings.Repeat("data: "+strings.Repeat("x", 1<<20)+"\n", 17), nil, errFrameTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &frames{lines: bufio.NewReader(strings.NewReader(tt.stream)), heard: func() {}}
			var got []frame
			next, err := f.next()
			for ; err == nil; next, err = f.next() {
				got = append(got, next)
			}
			if !reflect.DeepEqual(got, tt.want) || !errors.Is(err, tt.end) {
				t.Errorf("read %+v and then %v, want %+v and %v", got, err, tt.want, tt.end)
			}
		})
	}
}

// FuzzFrames holds that whatever was read comes back the same when it is written out.
func FuzzFrames(f *testing.F) {
	f.Add("id: 1\nevent: a\ndata: x\ndata: y\nretry: 5\n\n")
	f.Add(": heartbeat\r\n\r\ndata\n\nid\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		got, err := (&frames{lines: bufio.NewReader(strings.NewReader(stream)), heard: func() {}}).next()
		if err != nil {
			return
		}
		again, err := (&frames{lines: bufio.NewReader(strings.NewReader(write(got))), heard: func() {}}).next()
		if err != nil || again != got {
			t.Errorf("%q was read as %+v, and written and read again as %+v, %v", stream, got, again, err)
		}
	})
}

// write writes a frame with lines that end in CR LF, since a value may end in CR.
func write(f frame) string {
	var out strings.Builder
	fmt.Fprintf(&out, "id: %s\r\nevent: %s\r\n", f.id, f.event)
	if f.retry > 0 {
		fmt.Fprintf(&out, "retry: %d\r\n", f.retry.Milliseconds())
	}
	for line := range strings.SplitSeq(f.data, "\n") {
		fmt.Fprintf(&out, "data: %s\r\n", line)
	}
	return out.String() + "\r\n"
}
