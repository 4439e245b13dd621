package oauth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/oauth"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestAConsentBecomesASealedCommand(t *testing.T) {
	for id, redirect := range map[contract.ConnectionID]string{con: public + "/oauth/callback", ofApp: public + "/in/endpoint-of-app"} {
		t.Run(string(id), func(t *testing.T) {
			w := newWorld(t)
			b := w.browser()
			begun := w.begin(id)
			if !begun.ExpiresAt.Equal(noon.Add(10*time.Minute)) || !strings.HasPrefix(begun.URL, public+"/oauth/start/") {
				t.Errorf("Begin = %+v", begun)
			}
			page := b.get(b.consented(begun.URL, code("c0de")))
			if page.Status != http.StatusOK || !strings.Contains(string(page.Body), "The connection is authorised") {
				t.Errorf("the callback answered %d: %s", page.Status, page.Body)
			}
			jobs := w.exchanges()
			if len(jobs) != 1 || jobs[0].Lane != domain.ConnectionLane(id) || jobs[0].Command.By != "ann" || jobs[0].Command.Exchange.RedirectURL != redirect {
				t.Fatalf("queued %+v", jobs)
			}
			parts := strings.Split(string(jobs[0].Command.Exchange.Sealed), ":")
			sum := sha256.Sum256([]byte(parts[3]))
			if want := base64.RawURLEncoding.EncodeToString(sum[:]); parts[1] != string(id) || parts[2] != "c0de" || len(parts[3]) != 43 || w.consents[0].Challenge != want {
				t.Errorf("sealed %q, and the platform was told the challenge %q, want %q", parts, w.consents[0].Challenge, want)
			}
			if w.consents[0].RedirectURL != redirect {
				t.Errorf("the plugin was told to come back to %q, want %q", w.consents[0].RedirectURL, redirect)
			}
			if got, want := w.actions(), "oauth.begun oauth.started oauth.returned"; got != want {
				t.Errorf("audited %q, want %q", got, want)
			}
			if len(b.cookies) != 0 {
				t.Errorf("the browser still has %v", b.cookies)
			}
		})
	}
}

func TestTheCookieIsForThisHostAndNoScript(t *testing.T) {
	w := newWorld(t)
	page := w.browser().get(w.begin(con).URL)
	c := page.Cookie
	if c == nil || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || !strings.HasPrefix(c.Name, "__Host-") || !oauth.OwnCookie(c.Name) || c.Domain != "" || c.MaxAge <= 0 || c.MaxAge > 600 {
		t.Errorf("the cookie is %+v", c)
	}
	other := w.browser().get(w.begin(con).URL)
	if other.Cookie.Name == c.Name || other.Cookie.Value == c.Value {
		t.Errorf("two flows share the cookie %s", c.Name)
	}
}

func TestAStateWorksOnce(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	back := b.consented(w.begin(con).URL, code("c0de"))
	kept := map[string]string{}
	for k, v := range b.cookies {
		kept[k] = v
	}
	b.get(back)
	b.cookies = kept // a browser that gives cookies back which it was told to forget
	if page := b.get(back); page.Status != http.StatusGone || len(w.exchanges()) != 1 {
		t.Errorf("the second time it answered %d, and %d commands were queued; want 410 and 1", page.Status, len(w.exchanges()))
	}
}

func TestAnotherBrowserIsRefused(t *testing.T) {
	t.Run("on the way back", func(t *testing.T) {
		w := newWorld(t)
		victim, attacker := w.browser(), w.browser()
		back := attacker.consented(w.begin(con).URL, code("of-the-attacker"))
		if page := victim.get(back); page.Status != http.StatusForbidden || len(w.exchanges()) != 0 {
			t.Errorf("it answered %d, and %d commands were queued", page.Status, len(w.exchanges()))
		}
		if page := attacker.get(back); page.Status != http.StatusGone {
			t.Errorf("a state that another browser has seen still works: %d", page.Status)
		}
		if !strings.HasSuffix(w.actions(), "oauth.refused oauth.refused") {
			t.Errorf("audited %q", w.actions())
		}
	})
	t.Run("at the start", func(t *testing.T) {
		w := newWorld(t)
		first, second := w.browser(), w.browser()
		link := w.begin(con).URL
		first.get(link)
		if page := second.get(link); page.Status != http.StatusForbidden || page.Location != "" || page.Cookie != nil {
			t.Errorf("it answered %d to %q", page.Status, page.Location)
		}
		if page := first.get(link); page.Status != http.StatusSeeOther {
			t.Errorf("the first browser cannot reload: %d", page.Status)
		}
	})
	t.Run("that has the cookie of another flow", func(t *testing.T) {
		w := newWorld(t)
		b, other := w.browser(), w.browser()
		back := b.consented(w.begin(con).URL, code("c0de"))
		other.consented(w.begin(con).URL, code("x"))
		if page := other.get(back); page.Status != http.StatusForbidden {
			t.Errorf("it answered %d", page.Status)
		}
	})
	t.Run("with no start at all", func(t *testing.T) {
		w := newWorld(t)
		b := w.browser()
		back := b.consented(w.begin(con).URL, code("c0de"))
		b.cookies = nil
		if page := b.get(back); page.Status != http.StatusForbidden {
			t.Errorf("it answered %d", page.Status)
		}
	})
}

func TestWhatCannotBeBelievedIsRefusedAndAudited(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(back string) string
		want   int
	}{
		{"another address of the host", func(back string) string { return strings.Replace(back, "/oauth/callback", "/in/endpoint-of-app", 1) }, http.StatusForbidden},
		{"an unknown state", func(string) string { return public + "/oauth/callback?code=c&state=pbo_unknown" }, http.StatusGone},
		{"no state", func(string) string { return public + "/oauth/callback?code=c" }, http.StatusBadRequest},
		{"two states", func(back string) string { return back + "&state=pbo_x" }, http.StatusBadRequest},
		{"two codes", func(back string) string { return back + "&code=x" }, http.StatusBadRequest},
		{"a code and an error", func(back string) string { return back + "&error=x" }, http.StatusBadRequest},
		{"neither", func(back string) string { return strings.Replace(back, "code=", "cod=", 1) }, http.StatusBadRequest},
		{"an empty code", func(back string) string { return strings.Replace(back, "code=c0de", "code=", 1) }, http.StatusBadRequest},
		{"a code with a control character", func(back string) string { return strings.Replace(back, "code=c0de", "code=a%00b", 1) }, http.StatusBadRequest},
		{"a code that is too long", func(back string) string { return strings.Replace(back, "c0de", strings.Repeat("x", 5000), 1) }, http.StatusBadRequest},
		{"a broken query", func(back string) string { return back + "&%zz" }, http.StatusBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			b := w.browser()
			page := b.get(tt.change(b.consented(w.begin(con).URL, code("c0de"))))
			if page.Status != tt.want || len(w.exchanges()) != 0 || !strings.HasSuffix(w.actions(), "oauth.refused") {
				t.Errorf("it answered %d, queued %d commands and audited %q; want %d, none and a refusal", page.Status, len(w.exchanges()), w.actions(), tt.want)
			}
		})
	}
}

func TestOnlyGetUsesALinkUp(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	link := w.begin(con).URL
	for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodOptions} {
		if page := b.ask(method, link); page.Status != http.StatusMethodNotAllowed {
			t.Errorf("%s of the start answered %d", method, page.Status)
		}
	}
	back := b.consented(link, code("c0de"))
	if page := b.ask(http.MethodHead, back); page.Status != http.StatusMethodNotAllowed {
		t.Errorf("HEAD of the callback answered %d", page.Status)
	}
	if page := b.get(back); page.Status != http.StatusOK {
		t.Errorf("afterwards GET answered %d", page.Status)
	}
}

func TestAFlowEndsAfterTenMinutes(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	link := w.begin(con).URL
	back := b.consented(w.begin(con).URL, code("c0de"))
	w.tick(oauth.TTL)
	if page := b.get(link); page.Status != http.StatusGone {
		t.Errorf("the start answered %d", page.Status)
	}
	if page := b.get(back); page.Status != http.StatusGone || len(w.exchanges()) != 0 {
		t.Errorf("the callback answered %d", page.Status)
	}
}

func TestThePlatformMayDecline(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	page := b.get(b.consented(w.begin(con).URL, url.Values{"error": {"access_denied"}, "error_description": {"<script>alert(1)</script>"}}))
	if page.Status != http.StatusOK || !strings.Contains(string(page.Body), "declined") || strings.Contains(string(page.Body), "script") {
		t.Errorf("it answered %d: %s", page.Status, page.Body)
	}
	if !strings.HasSuffix(w.actions(), "oauth.declined") || len(w.exchanges()) != 0 {
		t.Errorf("audited %q", w.actions())
	}
}

func TestNothingIsReflectedUnescaped(t *testing.T) {
	evil := `"><script>alert(1)</script>`
	w := newWorld(t)
	w.run = func(j domain.Job) domain.Job {
		j.State, j.Failure = domain.JobParked, &contract.Failure{Class: contract.FailurePermanent, Code: "x", Message: evil}
		return j
	}
	b := w.browser()
	pages := []oauth.Page{
		b.get(b.consented(w.begin(con).URL, code(evil))),
		b.get(b.consented(w.begin(con).URL, url.Values{"error": {evil}})),
		b.get(public + "/oauth/callback?state=" + url.QueryEscape(evil) + "&code=" + url.QueryEscape(evil)),
		b.get(public + "/oauth/start/" + url.PathEscape(evil)),
	}
	w.consent = func(oauth.Consent) (string, error) {
		return "", &domain.Failed{Failure: contract.Failure{Class: contract.FailurePermanent, Code: "x", Message: evil}}
	}
	pages = append(pages, b.get(w.begin(con).URL))
	for i, page := range pages {
		if strings.Contains(string(page.Body), "<script") || !strings.Contains(page.Policy, "default-src 'none'") || strings.Contains(page.Policy, "unsafe") {
			t.Errorf("page %d with the policy %q says %s", i, page.Policy, page.Body)
		}
	}
}

func TestWhatThePluginOrTheHostCannotDoIsSaid(t *testing.T) {
	refusal := &domain.Failed{Failure: contract.Failure{Class: contract.FailurePermanent, Code: "no_brand", Message: "Set the brand host first."}}
	for _, tt := range []struct {
		name, says string
		err        error
		want       int
	}{
		{"the plugin refuses", "Set the brand host first.", refusal, http.StatusBadGateway},
		{"no rule covers the page", "Whoever runs this host", &contract.HostError{Code: contract.HostDenied}, http.StatusBadGateway},
		{"the store is gone", "Whoever runs this host", fmt.Errorf("read: %w", domain.ErrUnavailable), http.StatusServiceUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.consent = func(oauth.Consent) (string, error) { return "", tt.err }
			page := w.browser().get(w.begin(con).URL)
			if page.Status != tt.want || !strings.Contains(string(page.Body), tt.says) || !strings.HasSuffix(w.actions(), "oauth.failed") {
				t.Errorf("it answered %d and audited %q: %s", page.Status, w.actions(), page.Body)
			}
		})
	}
	t.Run("the code cannot be sealed", func(t *testing.T) {
		w := newWorld(t)
		b := w.browser()
		if page := b.get(b.consented(w.begin(con).URL, code("unsealable"))); page.Status != http.StatusBadGateway || len(w.exchanges()) != 0 {
			t.Errorf("it answered %d", page.Status)
		}
	})
	t.Run("the connection is removed meanwhile", func(t *testing.T) {
		w := newWorld(t)
		b := w.browser()
		back := b.consented(w.begin(con).URL, code("c0de"))
		delete(w.connections, con)
		if page := b.get(back); page.Status != http.StatusGone {
			t.Errorf("it answered %d", page.Status)
		}
	})
}

func TestOnlyAConnectionOfTheWorkspaceWithAConsentCanBegin(t *testing.T) {
	w := newWorld(t)
	if _, err := w.room.Begin(t.Context(), admin, "wsp_b", con); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("another workspace's: %v", err)
	}
	if _, err := w.room.Begin(t.Context(), admin, ws, "con_nobody"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("an unknown one: %v", err)
	}
	w.abilities = []contract.Export{contract.ExportAuthorizeURL}
	invalid := new(domain.Invalid)
	if _, err := w.room.Begin(t.Context(), admin, ws, con); !errors.As(err, &invalid) {
		t.Errorf("one whose plugin cannot exchange a code: %v", err)
	}
}

func TestWithinAnotherPageTheConsentOpensItsOwnWindow(t *testing.T) {
	w := newWorld(t)
	link := w.begin(con).URL
	path := strings.TrimPrefix(link, public)
	page := w.room.Start(t.Context(), oauth.Visit{Method: http.MethodGet, Path: path, Framed: true})
	if page.Status != http.StatusOK || page.Cookie != nil || !page.Framable || strings.Contains(page.Policy, "frame-ancestors") ||
		!strings.Contains(string(page.Body), `<a href="`+path+`" target="_blank"`) {
		t.Errorf("within another page: %+v %s", page, page.Body)
	}
	if page := w.browser().get(link); page.Status != http.StatusSeeOther {
		t.Errorf("in its own window it answered %d", page.Status)
	}
	if page := w.room.Start(t.Context(), oauth.Visit{Method: http.MethodGet, Path: "/oauth/start/unknown", Framed: true}); page.Status != http.StatusGone || page.Framable {
		t.Errorf("an unknown link answered %d within another page", page.Status)
	}
}

func TestALinkIsNotStartedForEver(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	link := w.begin(con).URL
	for range 20 {
		if page := b.get(link); page.Status != http.StatusSeeOther {
			t.Fatalf("a reload answered %d", page.Status)
		}
	}
	if page := b.get(link); page.Status != http.StatusGone || len(w.consents) != 20 {
		t.Errorf("it answered %d after the plugin was asked %d times", page.Status, len(w.consents))
	}
}

func TestFlowsAreBounded(t *testing.T) {
	w := newWorld(t)
	first := w.begin(con).URL
	for range 20 {
		w.begin(con)
	}
	if page := w.browser().get(first); page.Status != http.StatusGone {
		t.Errorf("the oldest of a connection with too many still works: %d", page.Status)
	}
	if page := w.browser().get(w.begin(con).URL); page.Status != http.StatusSeeOther {
		t.Errorf("the newest does not work: %d", page.Status)
	}
	asked := w.begin(con).URL
	for range 100 {
		if _, err := w.room.Begin(t.Context(), domain.Actor{Subject: "platform"}, ws, con); err != nil {
			t.Fatal(err)
		}
	}
	if page := w.browser().get(asked); page.Status != http.StatusSeeOther {
		t.Errorf("whoever knocks at the platform's side ends what an administrator began: %d", page.Status)
	}
	var err error
	for i := range 10_000 {
		id := contract.ConnectionID(fmt.Sprint("con_", i))
		w.connections[id] = domain.Connection{ID: id, Workspace: ws, Plugin: "acme"}
		if _, err = w.room.Begin(t.Context(), admin, ws, id); err != nil {
			break
		}
	}
	if !errors.Is(err, domain.ErrQuota) {
		t.Errorf("ten thousand connections could begin: %v", err)
	}
	w.tick(oauth.TTL)
	w.begin(con)
}

func TestStrangersFillNoAuditLog(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for range 1000 {
		b.get(public + "/oauth/callback?code=c&state=pbo_nobody")
	}
	if got := strings.Count(w.actions(), "oauth.refused"); got == 0 || got > 20 {
		t.Errorf("1000 requests of strangers left %d entries, want 1 to 20", got)
	}
}

func TestABrowserWaitsForWhatComesOfItsCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run = nil
		b := w.browser()
		pages := make(chan oauth.Page, 1)
		back := b.consented(w.begin(con).URL, code("c0de"))
		go func() { pages <- b.get(back) }()
		synctest.Wait()
		job := w.exchanges()[0]
		job.State, job.Failure = domain.JobParked, &contract.Failure{Class: contract.FailurePermanent, Code: "other_account", Message: "That is another account."}
		w.room.Ended(job)
		if page := <-pages; page.Status != http.StatusBadGateway || !strings.Contains(string(page.Body), "That is another account.") {
			t.Errorf("it answered %d: %s", page.Status, page.Body)
		}
	})
}

func TestABrowserDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run = nil
		b := w.browser()
		back := b.consented(w.begin(con).URL, code("c0de"))
		began := time.Now()
		page := b.get(back)
		if waited := time.Since(began); page.Status != http.StatusAccepted || waited != 20*time.Second {
			t.Errorf("it answered %d after %v, want 202 after 20 s", page.Status, waited)
		}
	})
}

func TestARequestIsKnownAsAReturn(t *testing.T) {
	for query, want := range map[string]bool{
		"state=pbo_x&code=y": true, "error=denied&state=pbo_x": true, "state=%70bo_x&code=y": false,
		"state=other&code=y": false, "state=pbo_x": false, "code=pbo_": false, "": false,
	} {
		if got := oauth.Returns(http.MethodGet, query); got != want {
			t.Errorf("Returns(GET, %q) = %t, want %t", query, got, want)
		}
		if oauth.Returns(http.MethodPost, query) {
			t.Errorf("Returns(POST, %q)", query)
		}
	}
}

func FuzzCallback(f *testing.F) {
	f.Add("state=pbo_x&code=y", "/oauth/callback")
	f.Add("error=<b>&state=pbo_x", "/in/x")
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, query, path string) {
		page := w.room.Callback(t.Context(), oauth.Visit{Method: http.MethodGet, Path: path, Query: query})
		if page.Status < 400 || page.Location != "" || strings.Contains(string(page.Body), "<b>") || len(w.exchanges()) != 0 {
			t.Errorf("%q at %q was answered %d to %q: %s", query, path, page.Status, page.Location, page.Body)
		}
	})
}
