package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/api"
)

const streamPath = "/v1/workspaces/wsp_1/events/stream"

// listener reads an event stream.
type listener struct {
	t      *testing.T
	answer *http.Response
	lines  *bufio.Scanner
}

func (h *host) listen(who, query string, fields ...string) *listener {
	h.t.Helper()
	answer := h.start(who, "GET", streamPath+query, nil, fields...)
	h.t.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" {
		h.t.Fatalf("got %d %q", answer.StatusCode, answer.Header.Get("Content-Type"))
	}
	return &listener{h.t, answer, bufio.NewScanner(answer.Body)}
}

// frame reads the next frame, as its lines; nil at the end of the stream.
func (l *listener) frame() (lines []string) {
	for l.lines.Scan() && l.lines.Text() != "" {
		lines = append(lines, l.lines.Text())
	}
	if err := l.lines.Err(); err != nil {
		l.t.Fatalf("the stream broke: %v", err)
	}
	return lines
}

// want reads events and checks that they are the ones with these sequence numbers.
func (l *listener) want(seqs ...uint64) {
	l.t.Helper()
	for _, seq := range seqs {
		lines := l.frame()
		var event struct{ Sequence, ID string }
		if len(lines) != 3 || lines[0] != fmt.Sprintf("id: %d", seq) || lines[1] != "event: patchbay.message.created" ||
			json.Unmarshal([]byte(strings.TrimPrefix(lines[2], "data: ")), &event) != nil || event.ID != fmt.Sprintf("evt_%d", seq) {
			l.t.Fatalf("got %q, want event %d", lines, seq)
		}
	}
}

// begins checks the first frame: where the stream begins.
func (l *listener) begins(after uint64) {
	l.t.Helper()
	if got, want := l.frame(), []string{"retry: 2000", fmt.Sprintf("id: %d", after)}; !slices.Equal(got, want) {
		l.t.Fatalf("began with %q, want %q", got, want)
	}
}

func (l *listener) ends() {
	l.t.Helper()
	if lines := l.frame(); lines != nil {
		l.t.Fatalf("got %q, want the end of the stream", lines)
	}
}

// waitFor takes from a channel that something must come from.
func waitFor[T any](t *testing.T, c <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(5 * time.Second):
		t.Fatal("waited 5 s in vain")
	}
	return got
}

// tick beats once; it returns when the stream waits for news, and so has sent all.
func (h *host) tick() {
	h.t.Helper()
	select {
	case h.ticks <- now:
	case <-time.After(5 * time.Second):
		h.t.Fatal("no stream waits for news")
	}
}

func TestAStreamBeginsWhereItIsAskedTo(t *testing.T) {
	for _, tt := range []struct {
		name, query string
		fields      []string
		after       uint64
		want        []uint64
	}{
		{"with the next event, if nothing is asked", "", nil, 3, nil},
		{"after an event", "?after=1", nil, 1, []uint64{2, 3}},
		{"with the oldest", "?after=0", nil, 0, []uint64{1, 2, 3}},
		{"after the last event that was seen", "", []string{"Last-Event-ID", "2"}, 2, []uint64{3}},
		{"where it broke off, whatever its address says", "?after=0", []string{"Last-Event-ID", "2"}, 2, []uint64{3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t)
			h.publish(1, 2, 3)
			l := h.listen("reader", tt.query, tt.fields...)
			l.begins(tt.after)
			l.want(tt.want...)
			h.publish(4)
			l.want(4)
		})
	}
}

func TestAStreamThatBreaksOffIsResumedWithoutLossOrRepeat(t *testing.T) {
	h := open(t)
	var all, got []uint64
	for seq := uint64(1); seq <= 450; seq += 3 { // more than a page, with gaps
		all = append(all, seq)
	}
	h.publish(all...)
	last := "0"
	for len(got) < len(all) {
		l := h.listen("reader", "", "Last-Event-ID", last)
		l.frame()
		for range min(40, len(all)-len(got)) {
			l.want(all[len(got)])
			last = fmt.Sprint(all[len(got)])
			got = append(got, all[len(got)])
		}
		_ = l.answer.Body.Close()
	}
	if !slices.Equal(got, all) {
		t.Errorf("got %v", got)
	}
}

func TestAStreamBeatsWhileNothingHappens(t *testing.T) {
	h := open(t)
	l := h.listen("reader", "")
	l.begins(0)
	for range 3 {
		h.tick()
		if got := l.frame(); !slices.Equal(got, []string{": still here"}) {
			t.Fatalf("got %q", got)
		}
	}
	h.publish(1)
	l.want(1)
}

func TestAStreamThatWaitsIsNotCutByTheTimeouts(t *testing.T) {
	const timeout = 30 * time.Millisecond
	h := open(t, func(o *api.Options) {
		o.Gate.WriteTimeout, o.Gate.ReadTimeout, o.Gate.IdleTimeout = timeout, timeout, timeout
	})
	c := h.dial()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer reader\r\n\r\n", streamPath)
	h.tick() // everything before the heartbeat was sent
	from := bufio.NewReader(c)
	readUntil(t, from, ": still here\n")
	if err := c.SetReadDeadline(time.Now().Add(5 * timeout)); err != nil {
		t.Fatal(err)
	}
	if rest, err := from.ReadString('#'); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("several timeouts long came %q and %v, want nothing", rest, err)
	}
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	h.publish(1)
	readUntil(t, from, "id: 1\n")
}

func (h *host) dial() *net.TCPConn {
	h.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(h.base, "http://"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

func readUntil(t *testing.T, from *bufio.Reader, line string) {
	t.Helper()
	for {
		got, err := from.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %q: %v", line, err)
		}
		if got == line {
			return
		}
	}
}

func TestAStreamEndsWithItsToken(t *testing.T) {
	h := open(t)
	l := h.listen("reader", "")
	l.begins(0)
	h.publish(1)
	l.want(1)
	h.revoke("reader")
	h.publish(2)
	l.ends()
	if waitFor(t, h.streams) != "open" || waitFor(t, h.streams) != "closed" {
		t.Error("the stream was not counted in and out")
	}
}

func TestAStreamEndsWithTheHost(t *testing.T) {
	h := open(t)
	l := h.listen("reader", "")
	l.begins(0)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	shut := make(chan error, 1)
	go func() { shut <- h.server.Shutdown(ctx) }()
	l.ends()
	if err := waitFor(t, shut); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestAStreamThatNobodyReadsIsClosed(t *testing.T) {
	h := open(t, func(o *api.Options) { o.Gate.WriteTimeout = 50 * time.Millisecond })
	var seqs []uint64
	for seq := range uint64(50_000) {
		seqs = append(seqs, seq+1)
	}
	h.publish(seqs...) // more than any buffer on the way holds
	h.listen("reader", "?after=0")
	waitFor(t, h.streams)
	if waitFor(t, h.streams) != "closed" {
		t.Error("the stream goes on")
	}
}

func TestAStreamWhoseClientIsGoneIsClosedAtTheNextBeats(t *testing.T) {
	h := open(t)
	l := h.listen("reader", "")
	l.begins(0)
	waitFor(t, h.streams)
	_ = l.answer.Body.Close()
	for {
		select {
		case h.ticks <- now: // the first write may still seem to work
		case state := <-h.streams:
			if state != "closed" {
				t.Errorf("got %q", state)
			}
			return
		case <-time.After(5 * time.Second):
			t.Fatal("the stream goes on")
		}
	}
}

func TestStreamsOfAWorkspaceAreBounded(t *testing.T) {
	h := open(t, func(o *api.Options) { o.MaxStreams = 2 })
	first := h.listen("reader", "")
	h.listen("reader", "")
	h.do("reader", "GET", streamPath, "").problem(t, http.StatusTooManyRequests)
	if h.do("stranger", "GET", "/v1/workspaces/wsp_2/events", "").status != 200 {
		t.Error("another workspace suffers")
	}
	first.begins(0)
	h.revoke("member") // not this one
	_ = first.answer.Body.Close()
	for range 2 {
		waitFor(t, h.streams)
	}
	for closed := false; !closed; {
		select {
		case h.ticks <- now:
		case <-h.streams:
			closed = true
		case <-time.After(5 * time.Second):
			t.Fatal("the stream goes on")
		}
	}
	h.listen("reader", "").begins(0)
}

func TestACursorOfAnotherTimeIsRefused(t *testing.T) {
	h := open(t)
	h.publish(1, 2)
	for _, path := range []string{streamPath, "/v1/workspaces/wsp_1/events"} {
		if p := h.do("reader", "GET", path+"?after=3", "").problem(t, http.StatusConflict); p.Code != "cursor_ahead" {
			t.Errorf("%s: %+v", path, p)
		}
	}
	p := h.do("reader", "GET", streamPath, "", "Last-Event-ID", "02").problem(t, http.StatusUnprocessableEntity)
	if p.Errors[0].Location != "header.Last-Event-ID" {
		t.Errorf("%+v", p)
	}
}

func TestEventPages(t *testing.T) {
	h := open(t)
	h.publish(1, 2, 5, 9)
	for _, tt := range []struct{ query, ids, next string }{
		{"", "evt_1 evt_2 evt_5 evt_9", ""},
		{"?limit=2", "evt_1 evt_2", "2"},
		{"?limit=2&after=2", "evt_5 evt_9", ""},
		{"?after=9", "", ""},
	} {
		var page struct {
			Items []struct{ ID string }
			Next  string
		}
		if err := json.Unmarshal([]byte(h.do("reader", "GET", "/v1/workspaces/wsp_1/events"+tt.query, "").body), &page); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, e := range page.Items {
			ids = append(ids, e.ID)
		}
		if got := strings.Join(ids, " "); got != tt.ids || page.Next != tt.next || page.Items == nil {
			t.Errorf("%q gave %q, next %q; want %q, %q", tt.query, got, page.Next, tt.ids, tt.next)
		}
	}
}

// A proxy or a client that hangs up hard must not keep anything alive.
func TestAStreamWhoseConnectionIsResetIsClosed(t *testing.T) {
	h := open(t)
	c := h.dial()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer reader\r\n\r\n", streamPath)
	waitFor(t, h.streams)
	h.tick()
	if err := errors.Join(c.SetLinger(0), c.Close()); err != nil {
		t.Fatal(err)
	}
	h.publish(1)
	if waitFor(t, h.streams) != "closed" {
		t.Error("the stream goes on")
	}
}
