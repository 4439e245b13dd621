package broker_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

func TestAJWTIsVerifiedWithEveryAcceptedValueAndSignedWithTheNewest(t *testing.T) {
	w := newWorld(t, nil)
	w.vault["token before"] = "the value before the rotation"
	signed := func(key string) string {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "acme", "exp": w.now.Load() + 60}).SignedString([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	verify := func(token string) func(*call) string {
		return raw(contract.HostJWTVerify, fmt.Sprintf(`{"name":"token","algorithm":"HS256","token":%q}`, token))
	}
	got := transcript(t, w, verify(signed("hunter2-hunter2")), verify(signed("the value before the rotation")), verify(signed("a guess")),
		func(g *call) string {
			made := ask[contract.JWTSignResult](g, contract.HostJWTSign, &contract.JWTSign{Name: "token", Algorithm: "HS256", Claims: contract.RawJSON(`{"b":2,"a":1}`)})
			return made.Token
		})
	for i, want := range []string{`"claims":{"exp":1800000060,"sub":"acme"}`, `"claims":{"exp":1800000060,"sub":"acme"}`, `"code":"refused"`} {
		if !strings.Contains(got[i], want) {
			t.Errorf("token %d: %s, want %s", i, got[i], want)
		}
	}
	parsed, err := jwt.Parse(got[3], func(*jwt.Token) (any, error) { return []byte("hunter2-hunter2"), nil }, jwt.WithValidMethods([]string{"HS256"}))
	if err != nil || !parsed.Valid {
		t.Errorf("the token %q that was made: %v", got[3], err)
	}
	expired := signed("hunter2-hunter2")
	w.now.Add(61)
	if late := transcript(t, w, verify(expired)); !strings.Contains(late[0], "has expired") {
		t.Errorf("a delivery that comes too late: %s", late)
	}
}

func TestATokenIsJudgedByTheTimeAtWhichItsDeliveryCame(t *testing.T) {
	w := newWorld(t, nil)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"exp": w.now.Load() + 60}).SignedString([]byte("hunter2-hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	var got *contract.JWTVerifyResult
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		got = ask[contract.JWTVerifyResult](g, contract.HostJWTVerify, &contract.JWTVerify{Name: "token", Algorithm: "HS256", Token: token})
		return contract.Marshal(&contract.ReceiveOutput{Response: contract.Response{Status: 200}}), nil
	}, registry.ErrNoPlugin)
	kept := w.deliver(t, "while the plugin was missing")
	if kept.Status != 503 {
		t.Fatalf("answered %d", kept.Status)
	}
	w.now.Add(3600)
	w.plugins.set(w.plugins.version.Code.(guest), nil)
	if _, err := w.ReplayDelivery(t.Context(), domain.Actor{}, w.workspace.ID, kept.Delivery, false); err != nil {
		t.Fatal(err)
	}
	if got == nil || got.Error != nil {
		t.Errorf("replayed an hour later: %+v, want that it is genuine", got)
	}
}

// withApp gives the world's connection an app, whose secrets are kept apart.
func withApp(t *testing.T, w *world) {
	t.Helper()
	w.opts.PublicURL = "https://hooks.test"
	w.opts.Secrets = owned{"app_1": {"shared": "the app's own secret"}, "con_1": {"token": "hunter2-hunter2"}}
	p := testPlugin()
	p.Manifest.Settings["cloud"] = manifest.Setting{Type: manifest.TypeURL, Title: "Cloud", Scope: manifest.ScopeApp}
	p.Manifest.Settings["hosts"] = manifest.Setting{Type: manifest.TypeList, Title: "Hosts", Scope: manifest.ScopeApp, Default: "a.acme.test,b.acme.test"}
	p.Manifest.Egress["cloud"] = manifest.EgressRule{Setting: "cloud", Methods: []string{"GET"}, Paths: []string{"/"},
		Rates: []manifest.Rate{{Per: manifest.ScopeApp, RequestsPerSecond: 8}}, Redact: []string{"token"}}
	p.Manifest.Egress["keys"] = manifest.EgressRule{Setting: "hosts", Methods: []string{"GET"}, Paths: []string{"/"}, Cached: true}
	p.Manifest.Secrets["shared"] = manifest.Secret{Scope: manifest.ScopeApp, SendTo: []string{"cloud"}}
	p.Manifest.Secrets["own"] = manifest.Secret{Default: "shared", SendTo: []string{"cloud"}}
	p.Manifest.Credentials = map[string]manifest.Credential{"receive_url": {SendTo: []string{"cloud"}}, "access_token": {SendTo: []string{"api"}}}
	p.Grant.Egress = []string{"api", "cloud", "keys"}
	p.Grant.Secrets = []string{"credential:receive_url", "own", "shared", "token"} // credential:access_token is left out
	w.plugins.version.Plugin = p
	app := domain.Connection{ID: "app_1", Workspace: "wsp_1", Plugin: "test", Name: "app", IsApp: true, State: contract.StateConnected,
		Endpoint: "app-end-point", Settings: map[string]string{"cloud": "https://Cloud.Test", "base": "https://other.test"}, CreatedAt: w.opts.Now(), UpdatedAt: w.opts.Now()}
	if err := w.store.CreateConnection(t.Context(), app, nil); err != nil {
		t.Fatal(err)
	}
	w.opts.Store = inApp{w.store}
	w.restart()
}

// inApp is a store in which the world's connection belongs to the app.
type inApp struct{ broker.Store }

func (s inApp) Connection(ctx context.Context, id contract.ConnectionID) (domain.Connection, error) {
	return belonging(s.Store.Connection(ctx, id))
}

func (s inApp) ConnectionByEndpoint(ctx context.Context, endpoint string) (domain.Connection, error) {
	return belonging(s.Store.ConnectionByEndpoint(ctx, endpoint))
}

func belonging(c domain.Connection, err error) (domain.Connection, error) {
	if !c.IsApp {
		c.App = "app_1"
	}
	return c, err
}

// owned holds secrets by their owner.
type owned map[contract.ConnectionID]vault

func (o owned) Reveal(ctx context.Context, c contract.ConnectionID, name string) (secret.Text, error) {
	return o[c].Reveal(ctx, c, name)
}

func (o owned) Values(ctx context.Context, c contract.ConnectionID, name string) ([]secret.Text, error) {
	return o[c].Values(ctx, c, name)
}

func (o owned) Equal(ctx context.Context, c contract.ConnectionID, name, candidate string) (bool, error) {
	return o[c].Equal(ctx, c, name, candidate)
}

func (o owned) HMACVerify(ctx context.Context, c contract.ConnectionID, name, algorithm string, message, mac []byte) (bool, error) {
	return o[c].HMACVerify(ctx, c, name, algorithm, message, mac)
}

func (o owned) HMACSign(ctx context.Context, c contract.ConnectionID, name, algorithm string, message []byte) ([]byte, error) {
	return o[c].HMACSign(ctx, c, name, algorithm, message)
}

func TestASecretOfTheAppWorksForItsConnectionsInEveryFunction(t *testing.T) {
	w := newWorld(t, nil)
	withApp(t, w)
	token, err := jwt.New(jwt.SigningMethodHS256).SignedString([]byte("the app's own secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shared", "own"} { // the second stands in for the first
		got := transcript(t, w,
			raw(contract.HostSecretEqual, fmt.Sprintf(`{"name":%q,"value":"the app's own secret"}`, name)),
			raw(contract.HostHMACSign, fmt.Sprintf(`{"name":%q,"algorithm":"sha256","message":"aGk="}`, name)),
			raw(contract.HostHMACVerify, fmt.Sprintf(`{"name":%q,"algorithm":"sha256","message":"aGk=","mac":"c2hhMjU2L3RoZSBhcHAncyBvd24gc2VjcmV0L2hp"}`, name)),
			raw(contract.HostJWTVerify, fmt.Sprintf(`{"name":%q,"algorithm":"HS256","token":%q}`, name, token)),
			raw(contract.HostJWTSign, fmt.Sprintf(`{"name":%q,"algorithm":"HS256","claims":{}}`, name)))
		for i, want := range []string{`"ok":true`, `"mac":"c2hhMjU2L3RoZSBhcHAncyBvd24gc2VjcmV0L2hp"`, `"ok":true`, `"claims":{}`, `"token":"ey`} {
			if !strings.Contains(got[i], want) {
				t.Errorf("%s, call %d: %s, want %s", name, i, got[i], want)
			}
		}
	}
	w.plugins.version.Grant.Secrets = []string{"own", "token"}
	if got := transcript(t, w, raw(contract.HostSecretEqual, `{"name":"own","value":"the app's own secret"}`)); !strings.Contains(got[0], contract.HostNotFound) {
		t.Errorf("a secret that stands in and is not granted: %s", got)
	}
	if got := transcript(t, w, raw(contract.HostSecretEqual, `{"name":"token","value":"hunter2-hunter2"}`)); !strings.Contains(got[0], `"ok":true`) {
		t.Errorf("the connection's own secret: %s", got)
	}
}

func TestThePolicyTakesHostsFromTheAppAndFillsInCredentialsThatAreGranted(t *testing.T) {
	w := newWorld(t, nil)
	withApp(t, w)
	var policy domain.EgressPolicy
	var filled []string
	w.outside.send = func(p domain.EgressPolicy, reveal secret.Reveal, _ contract.HTTPRequest) *contract.HTTPResult {
		policy = p
		for _, name := range []string{"shared", "credential:receive_url"} {
			value, err := reveal(t.Context(), name)
			filled = append(filled, fmt.Sprint(value.Reveal(), " ", err))
		}
		return &contract.HTTPResult{Status: 204}
	}
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		ask[contract.HTTPResult](g, contract.HostHTTPSend, &contract.HTTPRequest{Method: "GET", URL: "https://cloud.test/"})
		return contract.Marshal(&contract.CommandOutput{}), nil
	}, nil)
	w.run(t, w.send(t, "chat", "hi"))
	var rules []string
	for _, r := range policy.Rules {
		rules = append(rules, fmt.Sprint(r.Name, " ", r.Scheme, "://", r.Host, ":", r.Port, " ", r.Secrets, " cached ", r.Cached, " rates ", len(r.Rates), " redact ", r.Redact))
	}
	want := []string{
		"api https://acme.test:8443 [token] cached false rates 0 redact []",
		"cloud https://cloud.test:443 [credential:receive_url own shared] cached false rates 1 redact [token]",
		"keys https://a.acme.test:443 [] cached true rates 0 redact []", "keys https://b.acme.test:443 [] cached true rates 0 redact []",
	}
	if !slices.Equal(rules, want) || policy.App != "app_1" || policy.Sender != "con_1" {
		t.Errorf("rules\n%s, want\n%s; app %q, sender %q", strings.Join(rules, "\n"), strings.Join(want, "\n"), policy.App, policy.Sender)
	}
	if want := []string{"the app's own secret <nil>", "https://hooks.test/in/" + endpoint + " <nil>"}; !slices.Equal(filled, want) {
		t.Errorf("filled %q, want %q", filled, want)
	}
}

func TestEveryFunctionThatIsOfferedIsCarriedOut(t *testing.T) {
	w := newWorld(t, nil)
	w.outside.send = func(domain.EgressPolicy, secret.Reveal, contract.HTTPRequest) *contract.HTTPResult {
		return &contract.HTTPResult{Status: 200}
	}
	for _, name := range broker.Offered() {
		if !slices.Contains(contract.HostFunctions(), contract.HostFunction(name)) {
			t.Errorf("%s is offered and is not in the contract", name)
		}
		if got := transcript(t, w, raw(contract.HostFunction(name), `{}`)); strings.HasPrefix(got[0], "fault") {
			t.Errorf("%s: %s", name, got[0])
		}
	}
}

func TestACachedGetIsAllowedWhileThePlatformWaits(t *testing.T) {
	w := newWorld(t, nil)
	w.outside.send = func(_ domain.EgressPolicy, reveal secret.Reveal, r contract.HTTPRequest) *contract.HTTPResult {
		if reveal != nil {
			t.Error("a cached request could have secrets filled in")
		}
		return &contract.HTTPResult{Status: 200, Body: r.Method + " " + r.URL}
	}
	got := transcript(t, w, raw(contract.HostHTTPCachedGet, `{"url":"https://files.test/cert.pem"}`))
	if want := `{"status":200,"body":"CACHED https://files.test/cert.pem"}`; got[0] != want {
		t.Errorf("answered %s, want %s", got[0], want)
	}
}

func TestMediaIsFetchedOnceAndKeepsItsHandle(t *testing.T) {
	w := newWorld(t, nil)
	var fetched []string
	w.outside.fetch = func(url string) (string, error) {
		fetched = append(fetched, url)
		return "the bytes", nil
	}
	w.outside.send = func(domain.EgressPolicy, secret.Reveal, contract.HTTPRequest) *contract.HTTPResult {
		return &contract.HTTPResult{Status: 200}
	}
	var handles []contract.MediaHandle
	var first *contract.Media
	runs := 0
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		runs++
		version := ask[contract.KVGetResult](g, contract.HostKVGet, &contract.KVGet{Key: "k"}).Version
		got := ask[contract.MediaFetchResult](g, contract.HostMediaFetch, &contract.MediaFetch{URL: "https://files.test/a",
			Headers: []contract.Header{{Name: "Authorization", Value: "{{secret:token}}"}}})
		if got.Error != nil {
			return nil, got.Error
		}
		handles = append(handles, got.Media.Handle)
		first = got.Media
		ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "k", Value: "v", CheckVersion: true, ExpectedVersion: version})
		if runs == 1 { // somebody else writes meanwhile, so that the commit is refused and the plugin runs again
			w.put(t, "k", "theirs")
		}
		return contract.Marshal(&contract.CommandOutput{}), nil
	}, nil)
	w.run(t, w.send(t, "chat", "hi"))
	if len(handles) != 2 || handles[0] != handles[1] || len(fetched) != 1 || !strings.Contains(fetched[0], "Authorization=hunter2-hunter2") {
		t.Errorf("handles %q, fetched %q", handles, fetched)
	}
	if first.Kind != contract.MediaFile || first.MIME != "text/plain" || first.SizeBytes != 9 || first.Name != "platform.txt" {
		t.Errorf("media %+v", first)
	}
	kept, err := w.store.Media(t.Context(), handles[0])
	if err != nil || kept.Workspace != "wsp_1" || kept.SizeBytes != 9 {
		t.Errorf("kept %+v, %v", kept, err)
	}
}

func TestAMediaFetchThatIsRefusedSaysWhy(t *testing.T) {
	w := newWorld(t, nil)
	for _, tt := range []struct {
		name string
		in   contract.MediaFetch
		err  error
		want string
	}{
		{"the platform has it no more", contract.MediaFetch{URL: "https://files.test/a"}, &contract.HostError{Code: contract.HostNotFound}, contract.HostNotFound},
		{"too long for the plugin", contract.MediaFetch{URL: "https://files.test/a", MaxBytes: -1}, nil, contract.HostInvalid},
		{"a name without end", contract.MediaFetch{URL: "https://files.test/a", Name: strings.Repeat("n", 1025)}, nil, contract.HostInvalid},
		{"a platform that wants a pause", contract.MediaFetch{URL: "https://files.test/a"},
			&contract.HostError{Code: contract.HostUnavailable, RetryAfterMillis: 5000, Certain: true}, contract.HostUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.outside.fetch = func(string) (string, error) { return "", tt.err }
			var got *contract.HostError
			w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
				got = ask[contract.MediaFetchResult](g, contract.HostMediaFetch, &tt.in).Error
				return contract.Marshal(&contract.CommandOutput{}), nil
			}, nil)
			w.run(t, w.send(t, "chat", tt.name))
			if got == nil || got.Code != tt.want {
				t.Errorf("answered %v, want %s", got, tt.want)
			}
		})
	}
}

func TestHeaderFieldsOfAnAttachmentAreSentAndThenForgotten(t *testing.T) {
	w := newWorld(t, nil)
	var fetched []string
	w.outside.fetch = func(url string) (string, error) {
		fetched = append(fetched, url)
		return "a picture", nil
	}
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		out := said("chat", "look")
		out.Events[0].Message.Parts = append(out.Events[0].Message.Parts, contract.Part{Kind: contract.PartMedia, Fallback: "a picture", Media: &contract.Media{
			Kind: contract.MediaImage, SourceURL: "https://files.test/a.png", SourceHeaders: []contract.Header{{Name: "Authorization", Value: "{{secret:token}}"}}}})
		return contract.Marshal(out), nil
	}, nil)
	w.deliverAnswered(t, "one")
	var queued []domain.Job
	if err := w.store.QueuedJobs(t.Context(), func(j domain.Job) error { queued = append(queued, j); return nil }); err != nil || len(queued) != 1 {
		t.Fatalf("queued %v, %v", queued, err)
	}
	if after := w.run(t, queued[0]); after.State != domain.JobDone {
		t.Fatalf("the job is %+v", after)
	}
	if want := []string{"https://files.test/a.png Authorization=hunter2-hunter2"}; !slices.Equal(fetched, want) {
		t.Fatalf("fetched %q, want %q", fetched, want)
	}
	events, err := w.store.Events(t.Context(), w.workspace.ID, 0, 10)
	if err != nil || len(events) != 1 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if m := events[0].Data.Message.Parts[1].Media; m.Handle == "" || m.SourceHeaders != nil || m.Name != "platform.txt" {
		t.Errorf("the event has %+v, want a handle, and no header fields", m)
	}
}

// onlyJob is the one job that waits.
func (w *world) onlyJob(t *testing.T) domain.Job {
	t.Helper()
	var queued []domain.Job
	err := w.store.QueuedJobs(t.Context(), func(j domain.Job) error { queued = append(queued, j); return nil })
	if err != nil || len(queued) != 1 {
		t.Fatalf("queued %+v, %v, want one", queued, err)
	}
	return queued[0]
}

func TestAnEventWaitsAsLongAsItsAttachmentIsHeldBackAndNoLonger(t *testing.T) {
	for _, tt := range []struct {
		name    string
		refuses int // how often it is held back
		want    string
	}{
		{"for a while", 8, "message.created see: [text/plain]"},
		{"for ever", 1000, "message.created see: [The platform did not hand the attachment out in time.]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(context.Context, *call) ([]byte, error) {
				return contract.Marshal(withFile("https://files.test/a")), nil
			})
			tries := 0
			w.outside.fetch = func(string) (string, error) {
				if tries++; tries <= tt.refuses {
					return "", &contract.HostError{Code: contract.HostUnavailable, Certain: true, RetryAfterMillis: 30_000}
				}
				return "the bytes", nil
			}
			w.deliver(t, "x")
			began := w.now.Load()
			for len(w.events(t)) == 0 {
				job := w.onlyJob(t)
				w.now.Store(max(w.now.Load(), job.NotBefore.Unix()))
				w.run(t, job)
				if waited := w.now.Load() - began; waited > 15*60 {
					t.Fatalf("the event waits for %d s", waited)
				}
			}
			if got := w.events(t); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("events %q, want %q after %d tries", got, tt.want, tries)
			}
		})
	}
}

func TestATokenThatAnAttachmentIsRefusedWithIsRenewedFirst(t *testing.T) {
	w, p := newTokenWorld(t, manifest.TokenRule{})
	p.install(t)
	var shown []string
	w.outside.reveal = func(reveal secret.Reveal) error {
		value, err := reveal(t.Context(), "credential:access_token")
		shown = append(shown, value.Reveal())
		return err
	}
	w.outside.fetch = func(string) (string, error) {
		if shown[len(shown)-1] != p.access {
			return "", &contract.HostError{Code: contract.HostUnauthorised}
		}
		return "the bytes", nil
	}
	p.access = "access-token-of-somebody-who-renewed-it"
	w.plugins.set(func(ctx context.Context, g *call) ([]byte, error) {
		if g.Export == string(contract.ExportReceive) {
			return contract.Marshal(withFile("https://files.test/a")), nil
		}
		return tokenGuest(ctx, g)
	}, nil)
	before := len(w.events(t))
	w.deliver(t, "a file")
	job := w.onlyJob(t)
	if after := w.run(t, job); after.State != domain.JobQueued {
		t.Fatalf("after a 401 the job is %+v", after)
	}
	if set, err := w.store.Tokens(t.Context(), "con_1"); err != nil || set.StaleAt.IsZero() {
		t.Errorf("the token set is %+v, %v, want that it is to be renewed", set, err)
	}
	if len(w.events(t)) != before {
		t.Error("the event went out without its attachment")
	}
}
