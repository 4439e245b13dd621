package egress

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// changes is what a client said about its breakers.
type changes struct {
	mu   sync.Mutex
	seen []string
}

func (c *changes) add(change BreakerChange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what := "closed"
	if change.Open {
		what = "opened"
	}
	if change.Again {
		what = "stays open"
	}
	c.seen = append(c.seen, what+" for "+change.Plugin+"/"+change.Sender)
}

func (c *changes) want(t *testing.T, want ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.seen, want) {
		t.Errorf("breakers %q, want %q", c.seen, want)
	}
}

// scene is breakers with a clock of the test's own, in a synctest bubble.
type scene struct {
	*breakers
	changes
	t *testing.T
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t}
	s.breakers = newBreakers(Options{BreakerFailures: 4, BreakerDelay: 10 * time.Second, MaxPause: time.Minute, OnBreaker: s.add})
	return s
}

var target, _ = ParseURL("https://api.acme.test/send")

func from(sender string) domain.EgressPolicy {
	return domain.EgressPolicy{Plugin: "acme", Sender: sender}
}

func answered(status int, header ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		r := &http.Response{StatusCode: status, Header: http.Header{}}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return r, nil
	}
}

func broken() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

// try makes one request if it may, and returns for how long it may not.
func (s *scene) try(sender string, outcome func() (*http.Response, error)) time.Duration {
	leave, err := s.admit(from(sender), target)
	if err != nil {
		fault := asFault(err)
		if fault.Code != contract.HostUnavailable || !fault.Certain || fault.RetryAfterMillis <= 0 {
			s.t.Errorf("a destination that is left alone answers %+v", fault.HostError)
		}
		return time.Duration(fault.RetryAfterMillis) * time.Millisecond
	}
	response, err := outcome()
	leave.done(context.Background(), response, err)
	return 0
}

func (s *scene) wantWait(sender string, want time.Duration) {
	s.t.Helper()
	if got := s.try(sender, answered(200)); got != want {
		s.t.Errorf("%s must wait %v, want %v", sender, got, want)
	}
}

func TestAPlatformThatFailsOneSenderIsLeftAloneByThatOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		for range 4 {
			s.try("con_1", answered(500))
		}
		s.wantWait("con_1", 10*time.Second)
		s.wantWait("con_2", 0)
		s.want(t, "opened for acme/con_1")
	})
}

func TestAPlatformThatCannotBeReachedIsLeftAloneByAllSendersOfThePlugin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		for i := range 4 {
			s.try(fmt.Sprint("con_", i), broken)
		}
		s.wantWait("con_9", 10*time.Second)
		if _, err := s.admit(domain.EgressPolicy{Plugin: "another", Sender: "con_9"}, target); err != nil {
			t.Errorf("another plugin may not send: %v", err)
		}
		s.want(t, "opened for acme/")
	})
}

func TestWhatFailsNowAndThenIsNotLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		for i := range 100 {
			outcome := answered(200)
			if i%2 == 0 {
				outcome = answered(502)
			}
			if wait := s.try("con_1", outcome); wait > 0 {
				t.Fatalf("request %d must wait %v", i, wait)
			}
		}
		for range 5 {
			s.try("con_1", answered(404)) // the platform works; the request is wrong
		}
		if n := len(s.known); n != 0 {
			t.Errorf("%d destinations are remembered after they recovered", n)
		}
		s.want(t)
	})
}

func TestProbesFindOutWhetherAPlatformIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		for range 4 {
			s.try("con_1", answered(503))
		}
		time.Sleep(9 * time.Second)
		s.wantWait("con_1", time.Second)
		time.Sleep(time.Second)
		if wait := s.try("con_1", answered(503)); wait > 0 {
			t.Fatalf("a probe must wait %v", wait)
		}
		s.wantWait("con_1", 10*time.Second)
		time.Sleep(10 * time.Second)
		for range 20 {
			s.wantWait("con_1", 0)
		}
		s.want(t, "opened for acme/con_1", "stays open for acme/con_1", "closed for acme/con_1")
		if n := len(s.known); n != 0 {
			t.Errorf("%d destinations are remembered after they recovered", n)
		}
	})
}

func TestNoMoreThanTheProbesGoThroughAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		for range 4 {
			s.try("con_1", broken)
		}
		time.Sleep(10 * time.Second)
		var leaves []*permit
		for range 10 {
			if leave, err := s.admit(from("con_1"), target); err == nil {
				leaves = append(leaves, leave)
			}
		}
		if len(leaves) != probes {
			t.Fatalf("%d requests went through, want %d", len(leaves), probes)
		}
		// A probe whose caller gave up says nothing, and must not hold the place for ever.
		given, up := context.WithCancel(context.Background())
		up()
		for _, leave := range leaves {
			leave.done(given, nil, context.Canceled)
		}
		time.Sleep(10 * time.Second)
		s.wantWait("con_1", 0)
	})
}

func TestAPlatformThatAsksForAPauseGetsIt(t *testing.T) {
	beginning := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of time in a bubble
	for _, tt := range []struct {
		name, field string
		status      int
		wait        time.Duration
	}{
		{"in seconds", "30", 429, 30 * time.Second},
		{"until a time", beginning.Add(20 * time.Second).Format(http.TimeFormat), 503, 20 * time.Second},
		{"not for ever", "31536000", 429, time.Minute},
		{"which is over", "Mon, 01 Jan 1990 00:00:00 GMT", 503, 0},
		{"in words", "soon", 503, 0},
		{"negative", "-5", 429, 0},
		{"with an answer that is none of the kind", "30", 200, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.try("con_1", answered(tt.status, "Retry-After", tt.field))
				s.wantWait("con_1", tt.wait)
				s.wantWait("con_2", 0)
				time.Sleep(tt.wait)
				s.wantWait("con_1", 0)
			})
		})
	}
}

func TestImpatienceSaysNothingAboutAPlatform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		for _, limit := range []time.Duration{time.Millisecond, 3 * time.Second} {
			for range 4 {
				leave, err := s.admit(from("con_1"), target)
				if err != nil {
					t.Fatalf("with a limit of %v: %v", limit, err)
				}
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				<-ctx.Done()
				leave.done(ctx, nil, ctx.Err())
				cancel()
			}
		}
		s.wantWait("con_1", 10*time.Second)
		s.want(t, "opened for acme/")
	})
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		for i := range maxBreakers + 100 {
			s.try(fmt.Sprint("con_", i), answered(500))
		}
		if n := len(s.known); n > maxBreakers {
			t.Errorf("%d destinations are remembered, want at most %d", n, maxBreakers)
		}
	})
}

// A plugin learns that nothing was sent, and when to come back.
func TestARequestToADestinationThatIsLeftAloneIsNotMade(t *testing.T) {
	p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	c := newClient(t, p, Options{BreakerFailures: 3})
	for range 3 {
		wantStatus(t, c.Send(t.Context(), p.policy(), nil, contract.HTTPRequest{Method: "GET", URL: p.URL + "/"}), 502)
	}
	got := c.Send(t.Context(), p.policy(), nil, contract.HTTPRequest{Method: "GET", URL: p.URL + "/"})
	wantFault(t, got, contract.HostUnavailable, true)
	if got.Error.RetryAfterMillis <= 0 || p.reached() != 3 {
		t.Errorf("the error is %+v, and %d requests reached the platform, want 3", got.Error, p.reached())
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "0", "120", "-1", "99999999999999999999", "Sun, 22 Nov 2026 12:00:00 GMT", " 5 "} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, field string) {
		if wait := retryAfter(field, now); wait < 0 {
			t.Errorf("Retry-After %q asks for %v", field, wait)
		}
	})
}
