package gate_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
)

func TestWhatWaitsForTheAnswerRunsAfterIt(t *testing.T) {
	for _, connection := range []string{"keep-alive", "close"} {
		t.Run(connection, func(t *testing.T) {
			written := make(chan struct{})
			d := open(t, gate.Options{}, func(app *fiber.App) {
				app.Get("/", func(c *fiber.Ctx) error {
					gate.OnWritten(c, func() { close(written) })
					return c.SendString(strings.Repeat("x", 100_000)) // several writes
				})
			})
			d.exchange("GET / HTTP/1.1\r\nHost: x\r\nConnection: " + connection + "\r\n\r\n")
			wait(t, written, "the answer to be told of")
		})
	}
}

func wait[T any](t *testing.T, c <-chan T, what string) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(5 * time.Second):
		t.Fatalf("waited 5 s for %s", what)
	}
	return got
}

func TestWhatWaitsForTheAnswerDoesNotRunIfThePeerIsGone(t *testing.T) {
	entered, gone := make(chan struct{}), make(chan struct{})
	d := open(t, gate.Options{}, func(app *fiber.App) {
		app.Get("/", func(c *fiber.Ctx) error {
			gate.OnWritten(c, func() { t.Error("an answer that nobody got was told of") })
			close(entered)
			<-gone
			return c.SendString("too late")
		})
	})
	c := d.dial()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	wait(t, entered, "the handler")
	if err := errors.Join(c.SetLinger(0), c.Close()); err != nil { // a reset, not a farewell
		t.Fatal(err)
	}
	close(gone)
}

func TestAPanicAfterTheAnswerCostsNothing(t *testing.T) {
	d := open(t, gate.Options{}, func(app *fiber.App) {
		app.Get("/", func(c *fiber.Ctx) error {
			gate.OnWritten(c, func() { panic("late") })
			return c.SendString("fine")
		})
	})
	c := d.dial()
	from := bufio.NewReader(c)
	for range 2 {
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, body := read(t, from); body != "fine" {
			t.Errorf("got %q", body)
		}
	}
}

func TestShutdownWaitsForWhatRunsAndForNothingElse(t *testing.T) {
	entered, finish := make(chan struct{}), make(chan struct{})
	d := open(t, gate.Options{ReadTimeout: time.Hour, IdleTimeout: time.Hour}, func(app *fiber.App) {
		echoBody(app)
		app.Get("/slow", func(c *fiber.Ctx) error {
			close(entered)
			<-finish
			return c.SendString("done")
		})
	})
	d.dial() // never sends a byte
	idle := d.dial()
	fmt.Fprint(idle, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
	read(t, bufio.NewReader(idle))
	running := d.dial()
	fmt.Fprint(running, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	wait(t, entered, "the handler")

	shut := make(chan error, 1)
	go func() { shut <- d.Shutdown(t.Context()) }()
	wait(t, d.Closing(), "the shutdown to begin")
	select {
	case err := <-shut:
		t.Fatalf("Shutdown did not wait: %v", err)
	default:
	}
	close(finish)
	if _, body := read(t, bufio.NewReader(running)); body != "done" {
		t.Errorf("got %q, want the whole answer", body)
	}
	if err := wait(t, shut, "Shutdown"); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if c, err := net.Dial("tcp", d.addr); err == nil {
		_ = c.Close()
		t.Error("a connection was taken after Shutdown")
	}
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	finish := make(chan struct{})
	entered := make(chan struct{})
	d := open(t, gate.Options{}, func(app *fiber.App) {
		app.Get("/slow", func(*fiber.Ctx) error {
			close(entered)
			<-finish
			return nil
		})
	})
	fmt.Fprint(d.dial(), "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	wait(t, entered, "the handler")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v, want context.Canceled", err)
	}
	close(finish)
}

func TestALingeringConnectionDoesNotHoldUpShutdown(t *testing.T) {
	d := open(t, gate.Options{LingerTimeout: time.Hour}, echoBody)
	c := d.dial()
	fmt.Fprintf(c, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 2*limit, strings.Repeat("x", 9000))
	answer, body := read(t, bufio.NewReader(c))
	wantProblem(t, answer, body, http.StatusRequestEntityTooLarge)
	// c stays open and silent: the cleanup of open fails if Shutdown waits for it.
}

func TestAReaderThatStallsIsCutByTheWriteTimeout(t *testing.T) {
	ended := make(chan struct{})
	d := open(t, gate.Options{WriteTimeout: 50 * time.Millisecond}, func(app *fiber.App) {
		app.Get("/endless", func(c *fiber.Ctx) error {
			c.Context().Response.SetBodyStream(&section{Reader: zeros{}, closed: ended}, -1)
			return nil
		})
	})
	fmt.Fprint(d.dial(), "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n") // and reads nothing
	wait(t, ended, "the stream to be cut")
}

// section is an endless body that tells when it is closed.
type section struct {
	io.Reader
	closed chan struct{}
}

func (s *section) Close() error {
	close(s.closed)
	return nil
}

// A host may be told to stop in the very moment in which it begins to listen.
func TestAShutdownBeforeOrBesideServeIsNoFailure(t *testing.T) {
	for i := range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := gate.New(gate.Options{Name: "test", Metrics: &door{t: t}, Log: slog.New(slog.DiscardHandler), Now: time.Now, NewID: func() string { return "req" }})
		served := make(chan error, 1)
		serve := func() { served <- s.Serve(l) }
		if i%2 == 0 {
			go serve()
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		if i%2 == 1 {
			go serve()
		}
		if err := wait(t, served, "Serve to end"); err != nil {
			t.Errorf("round %d: Serve = %v, want nil", i, err)
		}
	}
}
