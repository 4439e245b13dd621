package ingress_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/ingress"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestMain(m *testing.M) {
	// fasthttp keeps one goroutine for the Date header, for as long as the process lives, and
	// one of each server sleeps for up to 10 s after it was stopped.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

const limit = 64 << 10

// fakeBroker answers as it is told and keeps what it was given.
type fakeBroker struct {
	answer   func(broker.Request) broker.Answer
	received chan broker.Request
	times    chan time.Time // the deadline of each delivery, if somebody asks
}

func (b *fakeBroker) Receive(ctx context.Context, r broker.Request) broker.Answer {
	if deadline, ok := ctx.Deadline(); ok && b.times != nil {
		b.times <- deadline
	}
	a := b.answer(r)
	if a.Answered == nil {
		a.Answered = func() {}
	}
	b.received <- r
	return a
}

// fakeMedia has one file, behind one link.
type fakeMedia struct{ err error }

func (fakeMedia) Verify(_ contract.MediaHandle, expires, signature string, _ time.Time) error {
	if expires != "123" || signature != "sig/nature" {
		return errors.New("forged")
	}
	return nil
}

func (m fakeMedia) Media(_ context.Context, h contract.MediaHandle) (domain.Media, error) {
	if h != "med_1" {
		return domain.Media{}, fmt.Errorf("media: %w", domain.ErrNotFound)
	}
	return domain.Media{Name: "a.png", MIME: "image/png", SizeBytes: 4, SHA256: "abcd"}, m.err
}

func (fakeMedia) Open(string) (io.ReadSeekCloser, error) {
	return content{strings.NewReader("0123")}, nil
}

type noMetrics struct{}

func (noMetrics) Request(string, string, int) {}

type content struct{ io.ReadSeeker }

func (content) Close() error { return nil }

// world is an ingress on a real listener.
type world struct {
	t      *testing.T
	broker *fakeBroker
	addr   string
	log    *bytes.Buffer
	server *ingress.Server
}

func open(t *testing.T, answer broker.Answer) *world {
	t.Helper()
	return openWith(t, func(broker.Request) broker.Answer { return answer }, fakeMedia{})
}

func openWith(t *testing.T, answer func(broker.Request) broker.Answer, media fakeMedia) *world {
	t.Helper()
	return openShedding(t, ingress.Shedding{}, answer, media)
}

func openShedding(t *testing.T, shedding ingress.Shedding, answer func(broker.Request) broker.Answer, media fakeMedia) *world {
	t.Helper()
	return openOptions(t, ingress.Options{Shedding: shedding, Links: media, Media: media, Files: media}, answer)
}

func openFor(t *testing.T, visitors ingress.OAuth, answer func(broker.Request) broker.Answer) *world {
	t.Helper()
	return openOptions(t, ingress.Options{OAuth: visitors, Links: fakeMedia{}, Media: fakeMedia{}, Files: fakeMedia{}}, answer)
}

func openOptions(t *testing.T, o ingress.Options, answer func(broker.Request) broker.Answer) *world {
	t.Helper()
	w := &world{t: t, log: new(bytes.Buffer), broker: &fakeBroker{answer: answer, received: make(chan broker.Request, 10)}}
	w.server = ingress.New(ingress.Options{
		MaxBodyBytes: limit, Shedding: o.Shedding, Broker: w.broker, Links: o.Links, Media: o.Media, Files: o.Files, OAuth: o.OAuth,
		Gate: gate.Options{Now: time.Now, Metrics: noMetrics{}, NewID: func() string { return "req_1" },
			Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(l) }()
	t.Cleanup(func() { w.close(served) })
	return w
}

func (w *world) close(served chan error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := errors.Join(w.server.Shutdown(ctx), <-served); err != nil {
		w.t.Errorf("Shutdown: %v", err)
	}
	// The log is complete now.
	if strings.Contains(w.log.String(), "secret-endpoint") || strings.Contains(w.log.String(), "sig/nature") {
		w.t.Errorf("the log holds an endpoint or a signature: %s", w.log)
	}
}

// exchange sends raw bytes and reads one answer.
func (w *world) exchange(raw string) (*http.Response, string) {
	w.t.Helper()
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		w.t.Fatal(err)
	}
	_, _ = io.WriteString(c, raw) // what cannot be sent shows in the answer
	answer, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: raw[:strings.IndexByte(raw, ' ')]})
	if err != nil {
		w.t.Fatalf("no answer to %q: %v", raw[:min(len(raw), 80)], err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer, string(body)
}

func TestADeliveryArrivesAsItWasSent(t *testing.T) {
	w := open(t, broker.Answer{Status: 200})
	w.exchange("PUT /in/secret-endpoint/a%2Fb//c%25d?x=%41&y HTTP/1.1\r\n" +
		"Host: example.test\r\nx-sIGNATURE:  abc \r\nX-Twice: 1\r\nCookie: a=b\r\nX-Twice: 2\r\n" +
		"X-Latin: caf\xe9\r\nContent-Type: text/plain\r\nX-Empty:\r\nContent-Length: 4\r\n\r\n\x00\xff\r\n")
	want := broker.Request{
		Endpoint: "secret-endpoint", Method: "PUT", Path: "/a/b//c%d", Query: "x=%41&y", Body: []byte("\x00\xff\r\n"),
		Headers: []contract.Header{
			{Name: "Host", Value: "example.test"}, {Name: "X-Signature", Value: "abc"}, {Name: "X-Twice", Value: "1"},
			{Name: "Cookie", Value: "a=b"}, {Name: "X-Twice", Value: "2"}, {Name: "X-Latin", Value: "café"},
			{Name: "Content-Type", Value: "text/plain"}, {Name: "X-Empty", Value: ""}, {Name: "Content-Length", Value: "4"},
		},
	}
	if got := <-w.broker.received; !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
}

func TestEveryMethodAndPathBelowAnEndpointArrives(t *testing.T) {
	w := open(t, broker.Answer{Status: 204})
	for _, tt := range []struct{ line, endpoint, path string }{
		{"GET /in/secret-endpoint", "secret-endpoint", ""},
		{"POST /in/secret-endpoint/", "secret-endpoint", "/"},
		{"HEAD /in/secret-endpoint/x", "secret-endpoint", "/x"},
		{"DELETE /in/secret-endpoint?q", "secret-endpoint", ""},
		{"OPTIONS /in/secret-endpoint/%D0%B6", "secret-endpoint", "/ж"},
		{"PATCH /in/secret-endpoint/../x", "secret-endpoint", "/../x"},
		{"GET http://example.test/in/secret-endpoint/x", "secret-endpoint", "/x"},
		{"GET /in/", "", ""},
	} {
		t.Run(tt.line, func(t *testing.T) {
			answer, _ := w.exchange(tt.line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			got := <-w.broker.received
			if answer.StatusCode != 204 || got.Endpoint != tt.endpoint || got.Path != tt.path {
				t.Errorf("got %d, endpoint %q, path %q", answer.StatusCode, got.Endpoint, got.Path)
			}
		})
	}
}

func TestTheAnswerGoesOutWithoutWhatIsOurs(t *testing.T) {
	w := open(t, broker.Answer{Status: 201, Body: []byte("<b>hello</b>"), Headers: []contract.Header{
		{Name: "content-type", Value: "text/html"}, {Name: "X-Twice", Value: "1"}, {Name: "X-Twice", Value: "2"},
		{Name: "Connection", Value: "X-Hop"}, {Name: "X-Hop", Value: "gone"}, {Name: "Transfer-Encoding", Value: "gzip"},
		{Name: "Content-Length", Value: "999"}, {Name: "X-Split", Value: "a\r\nX-Injected: b"}, {Name: "X Bad", Value: "c"},
	}})
	answer, body := w.exchange("POST /in/secret-endpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	if answer.StatusCode != 201 || body != "<b>hello</b>" {
		t.Errorf("got %d %q", answer.StatusCode, body)
	}
	for name, want := range map[string][]string{
		"Content-Type": {"text/html"}, "X-Twice": {"1", "2"}, "X-Content-Type-Options": {"nosniff"},
		"Content-Security-Policy": {"default-src 'none'; sandbox"}, "Content-Length": {"12"},
		"X-Hop": nil, "X-Split": nil, "X-Injected": nil, "X Bad": nil, "Transfer-Encoding": nil, "Server": nil,
	} {
		if got := answer.Header.Values(name); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestAnsweredIsCalledOnceTheAnswerIsOut(t *testing.T) {
	answered := make(chan struct{}, 2)
	w := open(t, broker.Answer{Status: 200, Answered: func() { answered <- struct{}{} }})
	w.exchange("POST /in/secret-endpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	select {
	case <-answered:
	case <-time.After(5 * time.Second):
		t.Fatal("Answered was not called")
	}
	if len(answered) > 0 {
		t.Error("Answered was called twice")
	}
}

func TestWhatTheBrokerNeverSees(t *testing.T) {
	w := open(t, broker.Answer{Status: 200})
	for _, tt := range []struct {
		name, request string
		status        int
	}{
		{"twice the largest body", fmt.Sprintf("POST /in/e HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 2*limit, strings.Repeat("x", 2*limit)), 413},
		{"a hundred times the largest body", fmt.Sprintf("POST /in/e HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 100*limit, strings.Repeat("x", 100*limit)), 413},
		{"a zip bomb", "POST /in/e HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n" + bomb(t), 415},
		{"more fields than the contract allows", "POST /in/e HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: b\r\n", 101) + "\r\n", 431},
		{"a path that is not UTF-8", "GET /in/e/%FF HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"a path that is not escaped right", "GET /in/e/%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"a path with a NUL", "GET /in/e/%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"a query that is not UTF-8", "GET /in/e?\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"a path elsewhere", "GET /inn HTTP/1.1\r\nHost: x\r\n\r\n", 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, body := w.exchange(tt.request)
			if answer.StatusCode != tt.status || answer.Header.Get("Content-Type") != gate.ProblemType {
				t.Errorf("got %d %s, want a problem with status %d", answer.StatusCode, body, tt.status)
			}
		})
	}
	if len(w.broker.received) > 0 {
		t.Error("the broker got a request")
	}
}

// bomb is the length and the body of 16 MiB of zeros, compressed to fewer than limit bytes.
func bomb(t *testing.T) string {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(make([]byte, 16<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if out.Len() > limit {
		t.Fatalf("the bomb has %d bytes", out.Len())
	}
	return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", out.Len(), out.String())
}

func TestAPanicIsAnswered503SoThatThePlatformTriesAgain(t *testing.T) {
	w := openWith(t, func(broker.Request) broker.Answer { panic("the broker broke") }, fakeMedia{})
	answer, body := w.exchange("POST /in/secret-endpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	if answer.StatusCode != 503 || answer.Header.Get("Content-Type") != gate.ProblemType || strings.Contains(body, "broke") {
		t.Errorf("got %d %s", answer.StatusCode, body)
	}
}

func TestSignedLinks(t *testing.T) {
	w := open(t, broker.Answer{})
	for _, tt := range []struct {
		name, target string
		status       int
	}{
		{"a valid one", "/media/med_1?exp=123&sig=sig%2Fnature", 200},
		{"another handle", "/media/med_2?exp=123&sig=sig%2Fnature", 404},
		{"no signature", "/media/med_1", 404},
		{"nothing named", "/media/", 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, body := w.exchange("GET " + tt.target + " HTTP/1.1\r\nHost: x\r\n\r\n")
			if answer.StatusCode != tt.status || tt.status == 200 && body != "0123" {
				t.Errorf("got %d %q", answer.StatusCode, body)
			}
		})
	}
	answer, body := w.exchange("GET /media/med_1?exp=123&sig=sig%2Fnature HTTP/1.1\r\nHost: x\r\nRange: bytes=1-2\r\n\r\n")
	if answer.StatusCode != 206 || body != "12" || !strings.HasPrefix(answer.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("a part: got %d %q %q", answer.StatusCode, body, answer.Header.Get("Content-Disposition"))
	}
}

func TestAMediaStoreThatFailsIsNotANotFound(t *testing.T) {
	w := openWith(t, nil, fakeMedia{err: errors.New("the disk is on fire")})
	answer, body := w.exchange("GET /media/med_1?exp=123&sig=sig%2Fnature HTTP/1.1\r\nHost: x\r\n\r\n")
	if answer.StatusCode != 500 || strings.Contains(body, "fire") {
		t.Errorf("got %d %s", answer.StatusCode, body)
	}
}

func TestHealth(t *testing.T) {
	w := open(t, broker.Answer{})
	for _, method := range []string{"GET", "HEAD"} {
		if answer, _ := w.exchange(method + " /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); answer.StatusCode != 200 {
			t.Errorf("%s gave %d", method, answer.StatusCode)
		}
	}
}
