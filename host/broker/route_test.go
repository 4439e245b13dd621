package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox"
)

const appEndpoint = "app-end-point"

// appWorld is a world with an app and a connection of it in each of two workspaces.
type appWorld struct {
	*world
	app  domain.Connection
	a, b domain.Connection
}

func newAppWorld(t *testing.T, g guest) *appWorld {
	t.Helper()
	w := &appWorld{world: newWorld(t, g)}
	version := *w.plugins.version
	version.Manifest.Abilities = append(slices.Clone(version.Manifest.Abilities), contract.ExportRoute)
	version.Manifest.Settings = map[string]manifest.Setting{
		"base":   {Type: manifest.TypeURL, Title: "Base"},
		"region": {Type: manifest.TypeString, Title: "Region", Scope: manifest.ScopeApp, Default: "eu"},
	}
	w.plugins.version = &version
	at := w.workspace.CreatedAt
	w.app = domain.Connection{ID: "app_1", Workspace: domain.HostWorkspace, Plugin: "test", Name: "our app", IsApp: true, Endpoint: appEndpoint,
		Settings: map[string]string{"region": "us"}, CreatedAt: at, UpdatedAt: at, State: contract.StateConnected}
	w.a = domain.Connection{ID: "con_a", Workspace: "wsp_1", Plugin: "test", App: "app_1", Endpoint: "end-a", CreatedAt: at, UpdatedAt: at, State: contract.StateConnected}
	w.b = domain.Connection{ID: "con_b", Workspace: "wsp_2", Plugin: "test", App: "app_1", Endpoint: "end-b", CreatedAt: at, UpdatedAt: at, State: contract.StateConnected}
	err := errors.Join(
		w.store.CreateWorkspace(t.Context(), domain.Workspace{ID: domain.HostWorkspace, Name: "Host", Enabled: []string{"test"}, CreatedAt: at}),
		w.store.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_2", Name: "Other", Enabled: []string{"test"}, CreatedAt: at}),
		w.store.CreateConnection(t.Context(), w.app, nil), w.store.CreateConnection(t.Context(), w.a, nil), w.store.CreateConnection(t.Context(), w.b, nil))
	if err != nil {
		t.Fatal(err)
	}
	w.opts.Parking = domain.ParkBounds{Deliveries: 10, Bytes: 1 << 20, KeyDeliveries: 5, KeyBytes: 1 << 20}
	w.opts.MaxParkTime = 24 * time.Hour
	w.restart()
	return w
}

// send is a delivery to the app. Its body is "key/text".
func (w *appWorld) send(t *testing.T, body string) broker.Answer {
	t.Helper()
	return w.Receive(t.Context(), broker.Request{Endpoint: appEndpoint, Method: "POST", Path: "/hook", Body: []byte(body)})
}

// sorter routes "key/text" by the key and says what receive was told.
func sorter(_ context.Context, g *call) ([]byte, error) {
	key, text, _ := strings.Cut(body(g), "/")
	if g.Export == string(contract.ExportRoute) {
		out := &contract.RouteOutput{Key: key, Payload: "p:" + text, DedupeKey: "d:" + key + "/" + text,
			Park: &contract.Parking{Seconds: 600, Title: "Account " + key, Install: text == "install"}, Response: contract.Response{Status: 202, Body: "parked"}}
		switch key {
		case "forged":
			out = &contract.RouteOutput{Rejected: &contract.Rejection{Code: "forged", Reason: "no"}, Response: contract.Response{Status: 403}}
		case "challenge":
			ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "challenged", Value: text})
			out = &contract.RouteOutput{Answered: true, Response: contract.Response{Status: 200, Body: text}, DedupeKey: text,
				Commands: []contract.CommandRequest{{Payload: "go on"}}}
		case "stranger":
			out.Park, out.Response = nil, contract.Response{Status: 404, Body: "who?"}
		case "nobody":
			out = &contract.RouteOutput{}
		case "trap":
			return nil, &sandbox.Trap{}
		}
		return contract.Marshal(out), nil
	}
	var in contract.ReceiveInput
	if err := contract.Unmarshal(g.Input, &in); err != nil {
		return nil, err
	}
	r := in.Routed
	if r == nil {
		r = &contract.Routed{}
	}
	out := said("chat", fmt.Sprintf("%s key=%s payload=%s parked=%t app=%s/%s", text, r.Key, r.Payload, r.Parked, in.Connection.App.ID, in.Connection.App.Settings["region"]))
	return contract.Marshal(out), nil
}

func (w *appWorld) assign(t *testing.T, key string, c contract.ConnectionID) []domain.Job {
	t.Helper()
	jobs, err := w.store.AssignRoute(t.Context(), w.app.ID, key, c, w.opts.Now())
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

// runClaims runs the queued claims in their order, until none is due.
func (w *appWorld) runClaims(t *testing.T) (ran int) {
	t.Helper()
	for {
		var next *domain.Job
		err := w.store.QueuedJobs(t.Context(), func(job domain.Job) error {
			if next == nil && job.Kind == domain.JobClaim && !job.NotBefore.After(w.opts.Now()) {
				next = &job
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if next == nil {
			return ran
		}
		if _, _, err := w.Run(t.Context(), *next); err != nil {
			t.Fatal(err)
		}
		ran++
	}
}

func (w *appWorld) eventsOf(t *testing.T, ws contract.WorkspaceID) (texts []string) {
	t.Helper()
	events, err := w.store.Events(t.Context(), ws, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Data.Message != nil {
			text, _, _ := strings.Cut(plain(*e.Data.Message), " ")
			texts = append(texts, text)
		}
	}
	return texts
}

func TestADeliveryToAnAppFindsTheConnectionThatRegisteredItsKey(t *testing.T) {
	w := newAppWorld(t, sorter)
	w.assign(t, "k1", w.a.ID)
	w.assign(t, "k2", w.b.ID)
	answer := w.send(t, "k2/hello")
	if answer.Status != 200 || !strings.HasPrefix(string(answer.Body), "ok hello key=k2 payload=p:hello parked=false app=app_1/us") {
		t.Errorf("answered %d %q", answer.Status, answer.Body)
	}
	if a, b := w.eventsOf(t, "wsp_1"), w.eventsOf(t, "wsp_2"); len(a) != 0 || !slices.Equal(b, []string{"hello"}) {
		t.Errorf("events %q and %q", a, b)
	}
	kept, err := w.store.Delivery(t.Context(), answer.Delivery)
	if err != nil || kept.Workspace != "wsp_2" || kept.Connection != w.b.ID || kept.State != domain.DeliveryAccepted || kept.Routed != nil {
		t.Errorf("kept %+v, %v", kept, err)
	}
}

func TestWhatRouteAnswersItself(t *testing.T) {
	for _, tt := range []struct {
		body, answer string
		status       int
		state        domain.DeliveryState // empty: not kept
	}{
		{"forged/x", "", 403, domain.DeliveryRejected},
		{"challenge/echo", "echo", 200, domain.DeliveryAccepted},
		{"stranger/x", "who?", 404, ""},
		{"nobody/x", `{"error":"unknown account"}`, 404, ""},
		{"trap/x", `{"error":"temporarily unavailable, try again"}`, 503, domain.DeliveryFailed},
	} {
		t.Run(tt.body, func(t *testing.T) {
			w := newAppWorld(t, sorter)
			answer := w.send(t, tt.body)
			if answer.Status != tt.status || string(answer.Body) != tt.answer {
				t.Errorf("answered %d %q", answer.Status, answer.Body)
			}
			kept, _, err := w.store.Deliveries(t.Context(), domain.DeliveryFilter{}, domain.Page{})
			if err != nil || tt.state == "" && len(kept) > 0 || tt.state != "" && (len(kept) != 1 || kept[0].State != tt.state || kept[0].Connection != w.app.ID) {
				t.Errorf("kept %+v, %v; want %q", kept, err, tt.state)
			}
		})
	}
}

func TestAnAnsweredDeliveryTakesEffectForTheAppOnce(t *testing.T) {
	w := newAppWorld(t, sorter)
	w.send(t, "challenge/echo")
	again := w.send(t, "challenge/echo")
	value, version, _, err := w.store.KVGet(t.Context(), w.app.ID, "challenged", w.opts.Now())
	if err != nil || value != "echo" || version != 1 || string(again.Body) != "echo" {
		t.Errorf("entry %q version %d, %v; answered %q", value, version, err, again.Body)
	}
	jobs, _, err := w.store.Jobs(t.Context(), domain.JobFilter{Connection: w.app.ID}, domain.Page{})
	if err != nil || len(jobs) != 1 || jobs[0].Command.Payload != "go on" {
		t.Errorf("jobs %+v, %v", jobs, err)
	}
}

func TestWhatRouteWroteIsDroppedWithAKey(t *testing.T) {
	w := newAppWorld(t, func(ctx context.Context, g *call) ([]byte, error) {
		if g.Export == string(contract.ExportRoute) {
			ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "seen", Value: "1"})
		}
		return sorter(ctx, g)
	})
	w.assign(t, "k", w.a.ID)
	w.send(t, "k/hello")
	for _, c := range []contract.ConnectionID{w.app.ID, w.a.ID} {
		if _, _, found, err := w.store.KVGet(t.Context(), c, "seen", w.opts.Now()); found || err != nil {
			t.Errorf("%s has the entry: %v", c, err)
		}
	}
}

func TestAnUnknownKeyWaitsAndRunsInOrderWhenItIsClaimed(t *testing.T) {
	w := newAppWorld(t, sorter)
	for _, text := range []string{"install", "one", "two"} {
		if answer := w.send(t, "k/"+text); answer.Status != 202 || string(answer.Body) != "parked" {
			t.Fatalf("answered %d %q", answer.Status, answer.Body)
		}
	}
	if again := w.send(t, "k/one"); again.Status != 202 { // known by its dedupe key
		t.Errorf("a repeat was answered %d", again.Status)
	}
	keys, _, err := w.store.ParkedKeys(t.Context(), w.app.ID, domain.Page{})
	if err != nil || len(keys) != 1 || keys[0].Key != "k" || keys[0].Deliveries != 3 || !keys[0].Install || keys[0].Title != "Account k" {
		t.Fatalf("unclaimed %+v, %v", keys, err)
	}
	if jobs := w.assign(t, "k", w.b.ID); len(jobs) != 3 {
		t.Fatalf("%d jobs were queued", len(jobs))
	}
	// Newer ones must not overtake those.
	if answer := w.send(t, "k/three"); answer.Status != 202 {
		t.Errorf("answered %d", answer.Status)
	}
	if ran := w.runClaims(t); ran != 4 {
		t.Errorf("%d jobs ran", ran)
	}
	if answer := w.send(t, "k/four"); answer.Status != 200 {
		t.Errorf("with nothing waiting any more: answered %d", answer.Status)
	}
	if got := w.eventsOf(t, "wsp_2"); !slices.Equal(got, []string{"install", "one", "two", "three", "four"}) {
		t.Errorf("events %q", got)
	}
	if len(w.eventsOf(t, "wsp_1"))+len(w.eventsOf(t, domain.HostWorkspace)) > 0 {
		t.Error("another workspace saw something")
	}
	kept, _, err := w.store.Deliveries(t.Context(), domain.DeliveryFilter{Workspace: "wsp_2", State: domain.DeliveryAccepted}, domain.Page{})
	if err != nil || len(kept) != 5 {
		t.Errorf("kept %d, %v", len(kept), err)
	}
}

func TestAKeyThatThePluginRegistersClaimsWhatWaits(t *testing.T) {
	w := newAppWorld(t, func(ctx context.Context, g *call) ([]byte, error) {
		if g.Export == string(contract.ExportReceive) && strings.HasPrefix(body(g), "own/") {
			done := ask[contract.Done](g, contract.HostRoutePut, &contract.RouteKey{Key: "k"})
			if done.Error != nil {
				return nil, &sandbox.GuestError{Message: done.Error.Code}
			}
		}
		return sorter(ctx, g)
	})
	w.send(t, "k/waits")
	w.assign(t, "own", w.a.ID)
	if answer := w.send(t, "own/registers"); answer.Status != 200 {
		t.Fatalf("answered %d", answer.Status)
	}
	if ran := w.runClaims(t); ran != 1 {
		t.Errorf("%d jobs ran", ran)
	}
	if got := w.eventsOf(t, "wsp_1"); !slices.Equal(got, []string{"registers", "waits"}) {
		t.Errorf("events %q", got)
	}
}

// TestAKeyOfAnotherConnectionCannotBeTaken: neither by the plugin nor by its removal.
func TestAKeyOfAnotherConnectionCannotBeTaken(t *testing.T) {
	var answers []string
	w := newAppWorld(t, func(ctx context.Context, g *call) ([]byte, error) {
		if g.Export == string(contract.ExportReceive) && strings.HasPrefix(body(g), "thief/") {
			for _, f := range []contract.HostFunction{contract.HostRoutePut, contract.HostRouteDelete} {
				code := ""
				if done := ask[contract.Done](g, f, &contract.RouteKey{Key: "k"}); done.Error != nil {
					code = done.Error.Code
				}
				answers = append(answers, code)
			}
		}
		return sorter(ctx, g)
	})
	w.assign(t, "k", w.a.ID)
	w.assign(t, "thief", w.b.ID)
	w.send(t, "thief/x")
	w.send(t, "k/mine")
	if !slices.Equal(answers, []string{contract.HostConflict, ""}) {
		t.Errorf("the thief was answered %q", answers)
	}
	if got := w.eventsOf(t, "wsp_1"); !slices.Equal(got, []string{"mine"}) {
		t.Errorf("events %q", got)
	}
	if _, err := w.store.AssignRoute(t.Context(), w.app.ID, "k", w.b.ID, w.opts.Now()); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("assigned: %v", err)
	}
}

func TestWhoMayRegisterKeys(t *testing.T) {
	codes := map[string]string{}
	put := func(ctx context.Context, g *call) ([]byte, error) {
		for _, key := range []string{"x", "", strings.Repeat("k", 513)} {
			code := "ok"
			if done := ask[contract.Done](g, contract.HostRoutePut, &contract.RouteKey{Key: key}); done.Error != nil {
				code = done.Error.Code
			}
			codes[fmt.Sprint(g.Export, " ", len(key))] = code
		}
		if g.Export == string(contract.ExportRoute) {
			return contract.Marshal(&contract.RouteOutput{Answered: true, Response: contract.Response{Status: 200}}), nil
		}
		return contract.Marshal(said("chat", "x")), nil
	}
	w := newAppWorld(t, put)
	w.send(t, "k/x")
	w.deliver(t, "to a connection without app")
	for what, want := range map[string]string{"route 1": contract.HostDenied, "receive 1": contract.HostDenied} {
		if codes[what] != want {
			t.Errorf("%s: %q, want %q", what, codes[what], want)
		}
	}
	w.assign(t, "k", w.a.ID)
	w.Receive(t.Context(), broker.Request{Endpoint: "end-a", Method: "POST", Body: []byte("x")})
	for what, want := range map[string]string{"receive 1": "ok", "receive 0": contract.HostInvalid, "receive 513": contract.HostInvalid} {
		if codes[what] != want {
			t.Errorf("of an app: %s: %q, want %q", what, codes[what], want)
		}
	}
}

func TestAClaimThatFailsHoldsTheOnesBehindItAndThenFails(t *testing.T) {
	broken := true
	w := newAppWorld(t, nil)
	w.plugins.set(func(ctx context.Context, g *call) ([]byte, error) {
		if broken && g.Export == string(contract.ExportReceive) && strings.HasSuffix(body(g), "/one") {
			return nil, &sandbox.Trap{}
		}
		return sorter(ctx, g)
	}, nil)
	first := w.send(t, "k/one").Delivery
	w.send(t, "k/two")
	jobs := w.assign(t, "k", w.a.ID)
	for i := 1; ; i++ {
		after, _, err := w.Run(t.Context(), jobs[0])
		if err != nil {
			t.Fatal(err)
		}
		if after.State != domain.JobQueued {
			if i != 12 || after.State != domain.JobCancelled {
				t.Errorf("after %d runs it is %s", i, after.State)
			}
			break
		}
		if d, err := w.store.Delivery(t.Context(), first); err != nil || d.State != domain.DeliveryParked {
			t.Fatalf("between the runs it is %s, %v", d.State, err)
		}
		if _, err := w.ReplayDelivery(t.Context(), domain.Actor{}, "wsp_1", first, true); err == nil {
			t.Fatal("it was replayed while it waits")
		}
		jobs[0] = after
		w.now.Store(after.NotBefore.Unix() + 1)
	}
	w.runClaims(t)
	if got := w.eventsOf(t, "wsp_1"); !slices.Equal(got, []string{"two"}) {
		t.Errorf("events %q", got)
	}
	broken = false
	d, err := w.ReplayDelivery(t.Context(), domain.Actor{}, "wsp_1", first, false)
	if err != nil || d.State != domain.DeliveryAccepted {
		t.Fatalf("replayed: %+v, %v", d, err)
	}
	events, err := w.store.Events(t.Context(), "wsp_1", 0, 10)
	if err != nil || !strings.HasPrefix(plain(*events[1].Data.Message), "one key=k payload=p:one parked=true") {
		t.Errorf("what route found out was lost: %+v, %v", events, err)
	}
}

func TestAClaimIsRejectedAndTheNextGoesOn(t *testing.T) {
	w := newAppWorld(t, func(ctx context.Context, g *call) ([]byte, error) {
		if g.Export == string(contract.ExportReceive) && strings.HasSuffix(body(g), "/one") {
			return contract.Marshal(&contract.ReceiveOutput{Response: contract.Response{Status: 401}, Rejected: &contract.Rejection{Code: "stale"}}), nil
		}
		return sorter(ctx, g)
	})
	first := w.send(t, "k/one").Delivery
	w.send(t, "k/two")
	w.assign(t, "k", w.a.ID)
	if ran := w.runClaims(t); ran != 2 {
		t.Errorf("%d ran", ran)
	}
	d, err := w.store.Delivery(t.Context(), first)
	if got := w.eventsOf(t, "wsp_1"); err != nil || d.State != domain.DeliveryRejected || d.Body != nil || !slices.Equal(got, []string{"two"}) {
		t.Errorf("%+v, %v; events %q", d, err, got)
	}
}

func TestAFullParkingSpaceIs503AndToldOnce(t *testing.T) {
	w := newAppWorld(t, sorter)
	for i := range 5 {
		if answer := w.send(t, fmt.Sprint("k/", i)); answer.Status != 202 {
			t.Fatalf("%d was answered %d", i, answer.Status)
		}
	}
	for range 2 {
		if answer := w.send(t, "k/more"); answer.Status != 503 {
			t.Errorf("answered %d", answer.Status)
		}
	}
	if answer := w.send(t, "other/x"); answer.Status != 202 {
		t.Errorf("another key: answered %d", answer.Status)
	}
	notices, _, err := w.store.Notices(t.Context(), domain.NoticeFilter{Kind: domain.NoticeParkingFull}, domain.Page{})
	if err != nil || len(notices) != 1 {
		t.Errorf("notices %+v, %v", notices, err)
	}
	kept, _, err := w.store.Deliveries(t.Context(), domain.DeliveryFilter{Workspace: domain.HostWorkspace}, domain.Page{})
	if err != nil || len(kept) != 6 {
		t.Errorf("kept %d, %v", len(kept), err)
	}
	for range 7 { // it is told again once an hour, however often it happens
		w.now.Add(600)
		w.send(t, "k/more")
	}
	if notices, _, err = w.store.Notices(t.Context(), domain.NoticeFilter{Kind: domain.NoticeParkingFull}, domain.Page{}); err != nil || len(notices) != 2 {
		t.Errorf("after an hour notices %+v, %v", notices, err)
	}
}

func TestADeliveryThatRouteFailsOnIsReplayedThroughRoute(t *testing.T) {
	w := newAppWorld(t, sorter)
	w.assign(t, "k", w.a.ID)
	w.plugins.set(nil, registry.ErrNoPlugin)
	answer := w.send(t, "k/hello")
	if answer.Status != 503 {
		t.Fatalf("answered %d", answer.Status)
	}
	parks := w.send(t, "later/hello").Delivery
	var told time.Time
	w.plugins.set(func(ctx context.Context, g *call) ([]byte, error) {
		if g.Export == string(contract.ExportRoute) {
			told = g.Now
		}
		return sorter(ctx, g)
	}, nil)
	came := w.opts.Now()
	w.now.Add(86400)
	if _, err := w.ReplayDelivery(t.Context(), domain.Actor{}, "wsp_1", answer.Delivery, false); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("a tenant replays what is the app's: %v", err)
	}
	d, err := w.ReplayDelivery(t.Context(), domain.Actor{}, domain.HostWorkspace, answer.Delivery, false)
	if err != nil || d.State != domain.DeliveryAccepted || d.Connection != w.a.ID || d.Workspace != "wsp_1" || d.Attempts != 2 || d.ReplayedAt.IsZero() {
		t.Errorf("replayed: %+v, %v", d, err)
	}
	if !told.Equal(came) {
		t.Errorf("route was told that it is %s, and the delivery came at %s", told, came)
	}
	if got := w.eventsOf(t, "wsp_1"); !slices.Equal(got, []string{"hello"}) {
		t.Errorf("events %q", got)
	}
	if d, err := w.ReplayDelivery(t.Context(), domain.Actor{}, domain.HostWorkspace, parks, false); err != nil || d.State != domain.DeliveryParked {
		t.Errorf("replayed, it waits: %s, %v", d.State, err)
	}
}

func TestADeliveryThatReceiveFailsOnIsTheConnections(t *testing.T) {
	w := newAppWorld(t, nil)
	w.plugins.set(func(ctx context.Context, g *call) ([]byte, error) {
		if g.Export == string(contract.ExportReceive) {
			return nil, &sandbox.Trap{}
		}
		return sorter(ctx, g)
	}, nil)
	w.assign(t, "k", w.a.ID)
	answer := w.send(t, "k/hello")
	kept, err := w.store.Delivery(t.Context(), answer.Delivery)
	if err != nil || answer.Status != 503 || kept.Workspace != "wsp_1" || kept.State != domain.DeliveryFailed || kept.Routed == nil || kept.Routed.Payload != "p:hello" {
		t.Fatalf("answered %d, kept %+v, %v", answer.Status, kept, err)
	}
	w.plugins.set(sorter, nil)
	if d, err := w.ReplayDelivery(t.Context(), domain.Actor{}, "wsp_1", answer.Delivery, false); err != nil || d.State != domain.DeliveryAccepted || d.Routed != nil {
		t.Errorf("replayed: %+v, %v", d, err)
	}
}

// TestParkingAndClaimingAtOnce: deliveries come while the key is registered. None is lost, none
// is taken twice, and they run in the order in which they were answered.
func TestParkingAndClaimingAtOnce(t *testing.T) {
	w := newAppWorld(t, sorter)
	w.opts.Parking = domain.ParkBounds{}
	w.restart()
	var sent []string
	var group sync.WaitGroup
	half, done := make(chan struct{}), make(chan struct{})
	group.Go(func() {
		defer close(done)
		for i := range 60 {
			text := fmt.Sprint("m", i)
			if answer := w.send(t, "k/"+text); answer.Status >= 300 {
				t.Errorf("%s was answered %d", text, answer.Status)
			}
			sent = append(sent, text)
			if i == 20 {
				close(half)
			}
		}
	})
	<-half
	w.assign(t, "k", w.a.ID)
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		w.runClaims(t)
	}
	group.Wait()
	w.runClaims(t)
	if got := w.eventsOf(t, "wsp_1"); !slices.Equal(got, sent) {
		t.Errorf("sent %q\nkept %q", sent, got)
	}
}

// TestAnInstallThatWaitsIsEncrypted: it carries tokens, and may wait for a month.
func TestAnInstallThatWaitsIsEncrypted(t *testing.T) {
	w := newAppWorld(t, nil)
	broken := false
	w.plugins.set(func(ctx context.Context, g *call) ([]byte, error) {
		text := body(g)
		if g.Export == string(contract.ExportReceive) {
			if broken {
				return nil, &sandbox.Trap{}
			}
			return sorter(ctx, g)
		}
		return contract.Marshal(&contract.RouteOutput{Key: "k", Payload: "verified " + text, Response: contract.Response{Status: 200},
			Park: &contract.Parking{Seconds: 600, Install: true}}), nil
	}, nil)
	install := w.send(t, "k/topsecret").Delivery
	sealed := func() {
		t.Helper()
		d, err := w.store.Delivery(t.Context(), install)
		if err != nil || strings.Contains(string(d.Body)+d.Routed.Payload, "topsecret") || !d.Routed.Sealed || len(d.Body) == 0 {
			t.Errorf("kept %+v, %v", d, err)
		}
		if runs, err := w.store.Recordings(t.Context(), string(install)); err != nil || len(runs) > 0 {
			t.Errorf("recordings %v, %v", runs, err)
		}
	}
	sealed()
	jobs := w.assign(t, "k", w.a.ID)
	broken = true
	for after := jobs[0]; after.State == domain.JobQueued; {
		w.now.Store(after.NotBefore.Unix() + 1)
		after = w.run(t, after)
		sealed()
	}
	broken = false
	d, err := w.ReplayDelivery(t.Context(), domain.Actor{}, "wsp_1", install, false)
	if err != nil || d.State != domain.DeliveryAccepted {
		t.Fatalf("replayed: %s, %v", d.State, err)
	}
	events, err := w.store.Events(t.Context(), "wsp_1", 0, 10)
	if err != nil || len(events) != 1 || !strings.HasPrefix(plain(*events[0].Data.Message), "topsecret key=k payload=verified k/topsecret parked=true") {
		t.Errorf("events %+v, %v", events, err)
	}
}
