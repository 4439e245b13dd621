package gate_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
)

func TestMain(m *testing.M) {
	// fasthttp keeps one goroutine for the Date header, for as long as the process lives, and
	// one of each server sleeps for up to 10 s after it was stopped.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// limit is the largest body that the test's /body takes.
const limit = 64 << 10

// door is a server on a real listener.
type door struct {
	*gate.Server
	t    *testing.T
	addr string

	mu   sync.Mutex
	seen []string
	log  bytes.Buffer
}

// open starts a server with the routes that add adds; it is shut down with the test.
func open(t *testing.T, opts gate.Options, add func(*fiber.App)) *door {
	t.Helper()
	d := &door{t: t}
	opts.Name, opts.Now = "test", time.Now
	opts.NewID = func() string { return "req_made_up" }
	opts.Log = slog.New(slog.NewTextHandler(&locked{d: d}, nil))
	opts.Metrics = d
	d.Server = gate.New(opts)
	add(d.App())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- d.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := d.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return d
}

// Request notes what was counted.
func (d *door) Request(app, route string, status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = append(d.seen, fmt.Sprintf("%s %s %d", app, route, status))
}

// locked lets the log be read while it is written.
type locked struct{ d *door }

func (l *locked) Write(p []byte) (int, error) {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	return l.d.log.Write(p)
}

func (d *door) logged() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

// dial connects; reads that take longer than 5 s fail.
func (d *door) dial() *net.TCPConn {
	d.t.Helper()
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		d.t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// exchange sends raw bytes and reads one answer, whatever the sending came to.
func (d *door) exchange(raw string) (*http.Response, string) {
	d.t.Helper()
	c := d.dial()
	_, _ = io.WriteString(c, raw)
	return read(d.t, bufio.NewReader(c))
}

func read(t *testing.T, from *bufio.Reader) (*http.Response, string) {
	t.Helper()
	answer, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("no whole answer: %v", err)
	}
	return answer, string(body)
}

// echoBody answers how many bytes came.
func echoBody(app *fiber.App) {
	app.Post("/body", func(c *fiber.Ctx) error {
		b, err := gate.ReadBody(c, limit)
		if err != nil {
			return err
		}
		return c.SendString(fmt.Sprint(len(b)))
	})
}

func wantProblem(t *testing.T, answer *http.Response, body string, status int) {
	t.Helper()
	if answer.StatusCode != status || answer.Header.Get("Content-Type") != gate.ProblemType ||
		!strings.Contains(body, fmt.Sprintf(`"status":%d`, status)) || !strings.Contains(body, `"detail":"`) {
		t.Errorf("got %d %q %s, want a problem with status %d", answer.StatusCode, answer.Header.Get("Content-Type"), body, status)
	}
}

func TestBodiesUpToTheLimitAreTaken(t *testing.T) {
	d := open(t, gate.Options{}, echoBody)
	for _, n := range []int{0, 1, 8 << 10, 8<<10 + 1, limit - 1, limit} {
		body := strings.Repeat("x", n)
		for name, reader := range map[string]io.Reader{"with length": strings.NewReader(body), "chunked": io.MultiReader(strings.NewReader(body))} {
			answer, err := http.Post("http://"+d.addr+"/body", "text/plain", reader)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if err != nil || string(got) != fmt.Sprint(n) {
				t.Errorf("%d bytes %s: got %d %q %v", n, name, answer.StatusCode, got, err)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// Each of these senders behaves badly in its own way, and each must get to read the 413.
func TestSendersOfTooMuchReadTheRefusal(t *testing.T) {
	d := open(t, gate.Options{}, echoBody)
	senders := map[string]func(n int) (*http.Response, string){
		"writes all, then reads": func(n int) (*http.Response, string) {
			return d.exchange(fmt.Sprintf("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("x", n)))
		},
		"writes all in chunks, then reads": func(n int) (*http.Response, string) {
			chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<10, strings.Repeat("x", 1<<10))
			return d.exchange("POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
				strings.Repeat(chunk, n>>10) + "0\r\n\r\n")
		},
		"net/http": func(n int) (*http.Response, string) { return d.post(bytes.NewReader(make([]byte, n)), "") },
		"net/http, chunked": func(n int) (*http.Response, string) {
			return d.post(io.LimitReader(zeros{}, int64(n)), "")
		},
		"net/http, asks before it sends": func(n int) (*http.Response, string) {
			return d.post(bytes.NewReader(make([]byte, n)), "100-continue")
		},
	}
	for name, send := range senders {
		for _, times := range []int{2, 100} {
			t.Run(fmt.Sprintf("%s, %d times the limit", name, times), func(t *testing.T) {
				for range 5 { // a reset would only sometimes be faster than the answer
					answer, body := send(times * limit)
					wantProblem(t, answer, body, http.StatusRequestEntityTooLarge)
				}
			})
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func (d *door) post(body io.Reader, expect string) (*http.Response, string) {
	d.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+d.addr+"/body", body)
	if err != nil {
		d.t.Fatal(err)
	}
	if expect != "" {
		req.Header.Set("Expect", expect)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Second}}
	answer, err := client.Do(req)
	if err != nil {
		d.t.Fatalf("no answer: %v", err)
	}
	defer func() { _ = answer.Body.Close() }()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer, string(got)
}

func TestRefusals(t *testing.T) {
	d := open(t, gate.Options{MaxHeaderBytes: 4 << 10}, func(app *fiber.App) {
		echoBody(app)
		app.Get("/panic", func(*fiber.Ctx) error { panic("no way") })
		app.Get("/fail", func(*fiber.Ctx) error { return errors.New("the disk said a secret") })
	})
	for _, tt := range []struct {
		name, request string
		status        int
	}{
		{"a path without route", "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404},
		{"a method that the path does not take", "GET /body HTTP/1.1\r\nHost: x\r\n\r\n", 405},
		{"a method that nobody knows", "BREW /body HTTP/1.1\r\nHost: x\r\n\r\n", 501},
		{"an encoded body", "POST /body HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 415},
		{"a header that is too large", "GET /body HTTP/1.1\r\nHost: x\r\nX-Much: " + strings.Repeat("m", 64<<10) + "\r\n\r\n", 431},
		{"no HTTP at all", "hello there\r\n\r\n", 400},
		{"two different lengths", "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
		{"a length beside chunks", "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"a chunk that is no chunk", "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		{"a handler that panics", "GET /panic HTTP/1.1\r\nHost: x\r\n\r\n", 500},
		{"a handler that fails", "GET /fail HTTP/1.1\r\nHost: x\r\n\r\n", 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, body := d.exchange(tt.request)
			wantProblem(t, answer, body, tt.status)
			if strings.Contains(body, "secret") || strings.Contains(body, "no way") {
				t.Errorf("the answer tells too much: %s", body)
			}
		})
	}
	if log := d.logged(); !strings.Contains(log, "no way") || !strings.Contains(log, "the disk said") || !strings.Contains(log, "req_made_up") {
		t.Errorf("the log does not tell of the failures: %s", log)
	}
}

func TestPausesAreCutByTheReadTimeout(t *testing.T) {
	d := open(t, gate.Options{ReadTimeout: 50 * time.Millisecond}, echoBody)
	for _, tt := range []struct{ name, request string }{
		{"in the header", "POST /body HTTP/1.1\r\nHost: x\r\nX-Slow"},
		{"in the first bytes of the body", "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"},
		{"late in the body", fmt.Sprintf("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", limit, strings.Repeat("x", limit-1))},
		{"in a chunk", "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, body := d.exchange(tt.request)
			wantProblem(t, answer, body, http.StatusRequestTimeout)
			if !answer.Close {
				t.Error("the connection stays open")
			}
		})
	}
}

// A handler that answers without reading the body must not make the body the next request.
func TestAnUnreadBodyNeverBecomesARequest(t *testing.T) {
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	d := open(t, gate.Options{}, func(app *fiber.App) {
		app.Post("/ignores", func(c *fiber.Ctx) error { return c.SendString("ignored") })
		app.Get("/smuggled", func(c *fiber.Ctx) error { t.Error("the body was taken for a request"); return nil })
	})
	padding := strings.Repeat("x", 8<<10)
	for name, request := range map[string]string{
		"with length": fmt.Sprintf("POST /ignores HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s%s", len(padding)+len(smuggled), padding, smuggled),
		"chunked":     "POST /ignores HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + smuggled,
	} {
		t.Run(name, func(t *testing.T) {
			answer, body := d.exchange(request)
			if body != "ignored" || !answer.Close {
				t.Errorf("got %q, close %v; want the handler's answer and a closed connection", body, answer.Close)
			}
		})
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	d := open(t, gate.Options{}, echoBody)
	c := d.dial()
	for _, n := range []int{5, 0, 9000} {
		fmt.Fprintf(c, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("x", n))
	}
	from := bufio.NewReader(c)
	for _, want := range []string{"5", "0", "9000"} {
		if _, got := read(t, from); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	d := open(t, gate.Options{}, echoBody)
	for _, tt := range []struct{ name, brought, want string }{
		{"one that is brought is kept", "abc-1.2_3", "abc-1.2_3"},
		{"none is made up for", "", "req_made_up"},
		{"one that is too long is replaced", strings.Repeat("a", 65), "req_made_up"},
		{"one that could forge a log line is replaced", "a status=200", "req_made_up"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, body := d.exchange("GET /x HTTP/1.1\r\nHost: x\r\nX-Request-Id: " + tt.brought + "\r\n\r\n")
			if got := answer.Header.Get("X-Request-Id"); got != tt.want || !strings.Contains(body, `"request_id":"`+tt.want+`"`) {
				t.Errorf("X-Request-Id %q gave %q and %s, want %q", tt.brought, got, body, tt.want)
			}
		})
	}
}

func TestMetricsAndLogHoldPatternsOnly(t *testing.T) {
	d := open(t, gate.Options{}, func(app *fiber.App) {
		app.Get("/secret/:key", func(c *fiber.Ctx) error { return c.SendStatus(http.StatusTeapot) })
	})
	d.exchange("GET /secret/hunter2 HTTP/1.1\r\nHost: x\r\n\r\n")
	d.exchange("BREW /secret/hunter2 HTTP/1.1\r\nHost: x\r\n\r\n")
	d.exchange("junk\r\n\r\n")
	d.mu.Lock()
	defer d.mu.Unlock()
	want := []string{"test /secret/:key 418", "test none 501", "test malformed 400"}
	if !slices.Equal(d.seen, want) {
		t.Errorf("counted %q, want %q", d.seen, want)
	}
	if strings.Contains(d.log.String(), "hunter2") {
		t.Errorf("the log holds a path: %s", d.log.String())
	}
}
