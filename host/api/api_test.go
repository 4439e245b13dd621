package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/api"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	// fasthttp keeps one goroutine for the Date header, for as long as the process lives, and
	// one of each server sleeps for up to 10 s after it was stopped.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// Limits of the tests' host.
const (
	maxBody  = 8 << 10
	maxMedia = 64 << 10
)

// host is an API on a real listener, in front of a fake.
type host struct {
	*fake
	t      *testing.T
	base   string
	server *api.Server
	client *http.Client
	log    *logBuffer
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.String()
}

func open(t *testing.T, change ...func(*api.Options)) *host {
	t.Helper()
	h := &host{fake: newFake(), t: t, log: new(logBuffer), client: &http.Client{Transport: &http.Transport{}}}
	opts := api.Options{
		Identity: h, Tenant: h, Reviewer: h, Replayer: h, Bridges: h, Upkeep: h, Subscribers: h, Recordings: h, Store: h, Metrics: h, Authorizer: h, Prober: h, Credentials: h,
		MetricsHandler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "patchbay_up 1\n") }),
		Ready:          func(context.Context) error { return nil },
		MaxBodyBytes:   maxBody, MediaMaxBytes: maxMedia,
		NewTicker: func(time.Duration) (<-chan time.Time, func()) { return h.ticks, func() {} },
		Gate: gate.Options{Now: func() time.Time { return now }, NewID: func() string { return "req_1" },
			Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))},
	}
	for _, f := range change {
		f(&opts)
	}
	var err error
	if h.server, err = api.New(opts); err != nil {
		t.Fatal(err)
	}
	h.serve()
	return h
}

func (h *host) serve() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.base = "http://" + l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(l) }()
	h.t.Cleanup(func() {
		h.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(h.server.Shutdown(ctx), <-served); err != nil {
			h.t.Errorf("Shutdown: %v", err)
		}
	})
}

// response is an answer that was read to its end.
type response struct {
	status int
	header http.Header
	body   string
}

// do makes a request as who ("" for nobody) and reads the answer. fields are names and
// values of header fields.
func (h *host) do(who, method, path, body string, fields ...string) response {
	h.t.Helper()
	answer := h.start(who, method, path, strings.NewReader(body), fields...)
	defer func() { _ = answer.Body.Close() }()
	read, err := io.ReadAll(answer.Body)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	return response{answer.StatusCode, answer.Header, string(read)}
}

func (h *host) start(who, method, path string, body io.Reader, fields ...string) *http.Response {
	h.t.Helper()
	req, err := http.NewRequest(method, h.base+path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	if who != "" {
		req.Header.Set("Authorization", "Bearer "+who)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	answer, err := h.client.Do(req)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer
}

// problem is what a refusal says.
type problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	ID     string `json:"request_id"`
	Errors []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
		Value    any    `json:"value"`
	} `json:"errors"`
}

// problem reads a refusal, and checks that it is a whole one.
func (r response) problem(t *testing.T, status int) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		t.Fatalf("got %d %q, want a problem with status %d", r.status, r.body, status)
	}
	if r.status != status || p.Status != status || r.header.Get("Content-Type") != gate.ProblemType ||
		p.Title == "" || p.Detail == "" || p.ID != "req_1" {
		t.Fatalf("got %d %s %s, want a whole problem with status %d", r.status, r.header.Get("Content-Type"), r.body, status)
	}
	return p
}

// golden compares with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; if that is meant, run go test -update\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}
