package egress

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// cachedPolicy lets the platform be asked for what is kept, and for nothing else.
func (p *platform) cachedPolicy() domain.EgressPolicy {
	policy := p.policy()
	policy.Rules[0].Cached, policy.Rules[0].Methods = true, []string{"GET"}
	return policy
}

func TestWhatNeverChangesIsFetchedOnce(t *testing.T) {
	var asked atomic.Int32
	release := make(chan struct{})
	p := newPlatform(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1); r.URL.Path == "/slow.pem" {
			<-release
		}
		_, _ = io.WriteString(w, "certificate of "+r.URL.Path)
	})
	c := newClient(t, p, Options{})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			got := c.CachedGet(context.Background(), p.cachedPolicy(), p.URL+"/slow.pem")
			if got.Status != 200 || got.Body != "certificate of /slow.pem" {
				t.Errorf("got %+v", got)
			}
		})
	}
	close(release)
	wg.Wait()
	again := c.CachedGet(t.Context(), p.cachedPolicy(), p.URL+"/slow.pem")
	again.Body, again.Headers[0].Value = "changed", "changed" // a copy of one's own
	if kept := c.CachedGet(t.Context(), p.cachedPolicy(), p.URL+"/slow.pem"); kept.Body != "certificate of /slow.pem" || kept.Headers[0].Value == "changed" {
		t.Errorf("somebody else's change shows: %+v", kept)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the platform was asked %d times, want once", n)
	}
}

func TestACachedGetIsAnsweredOrRefusedByWhatItAsksFor(t *testing.T) {
	p := newPlatform(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/long":
			_, _ = io.WriteString(w, strings.Repeat("x", 16<<10+1))
		case "/fits":
			_, _ = io.WriteString(w, strings.Repeat("x", 16<<10))
		case "/moved":
			http.Redirect(w, r, "/fits", http.StatusFound)
		case "/gone":
			http.NotFound(w, r)
		}
	})
	c := newClient(t, p, Options{})
	plain := p.policy()
	for _, tt := range []struct {
		name, url string
		policy    domain.EgressPolicy
		status    int64
		code      string
	}{
		{"just short enough", p.URL + "/fits", p.cachedPolicy(), 200, ""},
		{"a byte too long", p.URL + "/long", p.cachedPolicy(), 0, contract.HostQuota},
		{"a redirect is not followed", p.URL + "/moved", p.cachedPolicy(), 302, ""},
		{"what is not there", p.URL + "/gone", p.cachedPolicy(), 404, ""},
		{"a rule for other requests", p.URL + "/fits", plain, 0, contract.HostDenied},
		{"no https", strings.Replace(p.URL, "https", "http", 1) + "/fits", p.cachedPolicy(), 0, contract.HostDenied},
		{"a placeholder", p.URL + "/fits?a={{secret:token}}", p.cachedPolicy(), 0, contract.HostDenied},
		{"no URL", "certificate.pem", p.cachedPolicy(), 0, contract.HostInvalid},
		{"a policy that may not dial there", p.URL + "/fits", domain.EgressPolicy{Plugin: "acme", Rules: p.cachedPolicy().Rules}, 0, contract.HostDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := c.CachedGet(t.Context(), tt.policy, tt.url)
			if got.Status != tt.status || tt.code != "" && (got.Error == nil || got.Error.Code != tt.code) || tt.code == "" && got.Error != nil {
				t.Errorf("got %d %v, want %d %s", got.Status, got.Error, tt.status, tt.code)
			}
		})
	}
	if got := c.Send(t.Context(), p.cachedPolicy(), nil, contract.HTTPRequest{Method: "GET", URL: p.URL + "/fits"}); got.Error == nil || got.Error.Code != contract.HostDenied {
		t.Errorf("http_send by a rule for cached requests: %+v, want denied", got)
	}
	if _, err := c.Download(t.Context(), p.cachedPolicy(), nil, p.URL+"/fits", nil, 1<<20, io.Discard); contract.HostErrorCode(err) != contract.HostDenied {
		t.Errorf("a download by a rule for cached requests: %v, want denied", err)
	}
}

func TestAPluginMayHaveAHostAskedTenTimesAMinute(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{})
	codes := map[string]int{}
	for i := range 15 {
		got := c.CachedGet(t.Context(), p.cachedPolicy(), fmt.Sprintf("%s/%d", p.URL, i))
		if got.Error != nil {
			codes[got.Error.Code]++
			if got.Error.RetryAfterMillis <= 0 || !got.Error.Certain {
				t.Errorf("refused with %+v, want when to come back", got.Error)
			}
		}
	}
	if p.reached() != 10 || codes[contract.HostQuota] != 5 {
		t.Errorf("%d requests, refusals %v, want 10 and 5", p.reached(), codes)
	}
	if got := c.CachedGet(t.Context(), p.cachedPolicy(), p.URL+"/3"); got.Error != nil {
		t.Errorf("what is kept: %v", got.Error)
	}
	other := p.cachedPolicy()
	other.Plugin = "another"
	wantStatus(t, c.CachedGet(t.Context(), other, p.URL+"/3"), 200)
}

func TestAnAnswerIsKeptForADayOrForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCache(CacheOptions{})
		k.put("good", &contract.HTTPResult{Status: 200})
		k.put("gone", &contract.HTTPResult{Status: 404})
		k.put("down", &contract.HTTPResult{Error: &contract.HostError{Code: contract.HostTimeout}})
		kept := func() string {
			var names []string
			for _, name := range []string{"good", "gone", "down"} {
				if k.get(name) != nil {
					names = append(names, name)
				}
			}
			return strings.Join(names, " ")
		}
		for _, tt := range []struct {
			after time.Duration
			want  string
		}{{0, "good gone"}, {59 * time.Second, "good gone"}, {time.Second, "good"}, {24*time.Hour - 61*time.Second, "good"}, {time.Second, ""}} {
			time.Sleep(tt.after)
			if got := kept(); got != tt.want {
				t.Errorf("kept %q, want %q", got, tt.want)
			}
		}
		if k.bytes != 0 || len(k.entries) != 0 {
			t.Errorf("%d bytes in %d entries are left", k.bytes, len(k.entries))
		}
	})
}

func TestWhatWasUsedLongestAgoMakesRoom(t *testing.T) {
	k := newCache(CacheOptions{TotalBytes: 64 << 10})
	body := strings.Repeat("x", 10<<10)
	for i := range 20 {
		k.put(fmt.Sprint("key ", i), &contract.HTTPResult{Status: 200, Body: body})
		if k.get("key 0") == nil { // used all the time
			t.Fatalf("after %d more, what is in use is gone", i)
		}
		if k.bytes > 64<<10 || k.order.Len() != len(k.entries) {
			t.Fatalf("%d bytes, %d in order and %d entries", k.bytes, k.order.Len(), len(k.entries))
		}
	}
	if k.get("key 19") == nil || k.get("key 5") != nil {
		t.Error("what was used last is gone, or what was not is there")
	}
}

// TestSoManyHostsAsAreCountedAtOnce: those that nobody asked for a minute make room, and while
// all are being asked another one is not.
func TestSoManyHostsAsAreCountedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCache(CacheOptions{})
		for i := range maxMeters {
			if wait := k.meter(fmt.Sprint("host ", i)); wait != 0 {
				t.Fatalf("host %d has to wait %v", i, wait)
			}
			if i == maxMeters/2 {
				time.Sleep(30 * time.Second)
			}
		}
		if wait := k.meter("one more"); wait != time.Minute {
			t.Errorf("one more has to wait %v", wait)
		}
		if wait := k.meter("host 1"); wait != 0 {
			t.Errorf("one that is counted has to wait %v", wait)
		}
		time.Sleep(30 * time.Second)
		if wait := k.meter("one more"); wait != 0 {
			t.Errorf("when half were not asked for a minute it has to wait %v", wait)
		}
		if n := len(k.meters); n > maxMeters/2+2 || n < maxMeters/2-2 {
			t.Errorf("%d hosts are counted", n)
		}
	})
}
