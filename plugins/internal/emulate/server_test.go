package emulate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen starts a server for one test.
func listen(t *testing.T, h http.Handler) *Server {
	t.Helper()
	s, err := Listen(Options{Platform: "Test", Names: []string{"api.acme.test"}, Now: time.Now(), Client: Client(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if h != nil {
		s.Serve(h)
	}
	return s
}

// browse makes a client that finds the server by one of its names, and the URL to call.
func browse(t *testing.T, s *Server, name string) (*http.Client, string) {
	t.Helper()
	client := Trusting(s.CAPEM(), s.Addr(), name)
	t.Cleanup(client.CloseIdleConnections)
	return client, "https://" + name + "/"
}

func TestServerAnswersByItsNamesOnly(t *testing.T) {
	s := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	for _, tt := range []struct {
		name string
		ok   bool
	}{{"api.acme.test", true}, {"127.0.0.1", true}, {"localhost", true}, {"api.other.test", false}} {
		t.Run(tt.name, func(t *testing.T) {
			client, url := browse(t, s, tt.name)
			status, body, err := Get(t.Context(), client, url, 4)
			if ok := err == nil; ok != tt.ok {
				t.Fatalf("by %s: %d %q, %v; want success %t", tt.name, status, body, err, tt.ok)
			}
			if tt.ok && (status != http.StatusOK || string(body) != "here") {
				t.Errorf("answered %d %q", status, body)
			}
		})
	}
}

func TestGetTakesNoMoreThanItsLimit(t *testing.T) {
	s := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "12345") }))
	client, url := browse(t, s, "localhost")
	if _, _, err := Get(t.Context(), client, url, 4); err == nil {
		t.Error("a file of 5 bytes passed the limit of 4")
	}
}

func TestGetSaysWhichStatusWasNot200(t *testing.T) {
	s := listen(t, http.NotFoundHandler())
	client, url := browse(t, s, "localhost")
	status, _, err := Get(t.Context(), client, url, 4)
	if status != http.StatusNotFound || err == nil {
		t.Errorf("got %d and %v, want 404 and an error", status, err)
	}
}

func TestClientFollowsNoRedirect(t *testing.T) {
	s := listen(t, http.RedirectHandler("https://elsewhere.test/", http.StatusFound))
	client := Client(time.Second)
	trusting, url := browse(t, s, "localhost")
	client.Transport = trusting.Transport
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := Do(client, r)
	if err != nil || answer.Status != http.StatusFound || answer.Header.Get("Location") == "" {
		t.Errorf("got %+v and %v, want the redirect itself", answer, err)
	}
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	s := listen(t, http.NotFoundHandler())
	done := make(chan bool, 1)
	s.Later(func() { done <- s.Pause(context.Background(), make(chan struct{})) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if <-done {
		t.Error("a gate opened that nobody opened")
	}
	s.Later(func() { t.Error("work began after Close") })
	if _, _, err := s.Bind(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Bind after Close: %v, want ErrClosed", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestCloseFreesTheAddressOfAServerThatNeverServed(t *testing.T) {
	s := listen(t, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.listener.Accept(); err == nil {
		t.Error("the listener still listens")
	}
}

func TestBindEndsWithTheServer(t *testing.T) {
	s := listen(t, http.NotFoundHandler())
	ctx, cancel, err := s.Bind(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-t.Context().Done():
		t.Error("the context outlived the server")
	}
}

func TestPausePassesAnOpenGate(t *testing.T) {
	s := listen(t, nil)
	gate := make(chan struct{})
	close(gate)
	if !s.Pause(t.Context(), nil) || !s.Pause(t.Context(), gate) {
		t.Error("an open gate held something back")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if s.Pause(ended, make(chan struct{})) {
		t.Error("a shut gate let through what had ended")
	}
}
