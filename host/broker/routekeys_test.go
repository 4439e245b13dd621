package broker_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// reconcile accepts a command for a connection.
func (w *appWorld) reconcile(t *testing.T, c domain.Connection) domain.Job {
	t.Helper()
	job, _, err := w.store.AcceptCommand(t.Context(), domain.NewCommand{Workspace: c.Workspace, Connection: c.ID, At: w.opts.Now(),
		Command: domain.Command{Export: contract.ExportReconcile, By: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// registers is a guest whose commands register a key, and then ask the platform something.
func registers(key string, codes *[]string) guest {
	return func(ctx context.Context, g *call) ([]byte, error) {
		if g.Export != string(contract.ExportReconcile) {
			return sorter(ctx, g)
		}
		code := "ok"
		if done := ask[contract.Done](g, contract.HostRoutePut, &contract.RouteKey{Key: key}); done.Error != nil {
			code = done.Error.Code
		}
		*codes = append(*codes, code)
		ask[contract.HTTPResult](g, contract.HostHTTPSend, &contract.HTTPRequest{Method: "POST", URL: "https://files.test/", Body: "set", Idempotent: true})
		return contract.Marshal(&contract.CommandOutput{}), nil
	}
}

// TestACommandThatWasCutOffStillRegistersItsKey: the call is answered from the journal then.
func TestACommandThatWasCutOffStillRegistersItsKey(t *testing.T) {
	var codes []string
	w := newAppWorld(t, registers("k", &codes))
	w.send(t, "k/waits")
	w.platform("set")
	job := w.reconcile(t, w.a)
	w.runCut(t, job)
	if _, _, err := w.store.RouteOf(t.Context(), w.app.ID, "k"); err == nil {
		t.Fatal("the key is registered before the commit")
	}
	if after := w.run(t, job); after.State != domain.JobDone {
		t.Fatalf("the job is %s: %+v", after.State, after.Failure)
	}
	if holder, behind, err := w.store.RouteOf(t.Context(), w.app.ID, "k"); err != nil || holder != w.a.ID || !behind {
		t.Errorf("RouteOf = %q, %t, %v", holder, behind, err)
	}
	w.runClaims(t)
	if got := w.eventsOf(t, "wsp_1"); !slices.Equal(got, []string{"waits"}) {
		t.Errorf("events %q", got)
	}
}

// TestOfTwoCommandsThatRegisterAKeyOneHasIt: the other is run again, and told so.
func TestOfTwoCommandsThatRegisterAKeyOneHasIt(t *testing.T) {
	var codes []string
	w := newAppWorld(t, nil)
	w.platform()
	between := func() {}
	w.plugins.set(func(ctx context.Context, g *call) ([]byte, error) {
		out, err := registers("k", &codes)(ctx, g)
		between()
		return out, err
	}, nil)
	job := w.reconcile(t, w.b)
	between = func() {
		between = func() {}
		w.assign(t, "k", w.a.ID)
	}
	if after := w.run(t, job); after.State != domain.JobDone {
		t.Errorf("the job is %s: %+v", after.State, after.Failure)
	}
	if !slices.Equal(codes, []string{"ok", contract.HostConflict}) {
		t.Errorf("the plugin was answered %q", codes)
	}
	if holder, _, err := w.store.RouteOf(t.Context(), w.app.ID, "k"); err != nil || holder != w.a.ID {
		t.Errorf("RouteOf = %q, %v", holder, err)
	}
}

// TestWhatAnInvocationIsToldOfItsApp: a connection sees its own settings and the app's apart, and
// the app only its own.
func TestWhatAnInvocationIsToldOfItsApp(t *testing.T) {
	told := map[contract.ConnectionID]contract.Connection{}
	w := newAppWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		var in contract.ReconcileInput
		if err := contract.Unmarshal(g.Input, &in); err != nil {
			return nil, err
		}
		told[in.Connection.ID] = in.Connection
		return contract.Marshal(&contract.CommandOutput{}), nil
	})
	if _, err := w.store.UpdateConnection(t.Context(), w.a.ID, func(c *domain.Connection) error {
		c.Settings = map[string]string{"base": "https://a.test", "region": "forged"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []domain.Connection{w.app, w.a} {
		if after := w.run(t, w.reconcile(t, c)); after.State != domain.JobDone {
			t.Fatalf("the job of %s is %s: %+v", c.ID, after.State, after.Failure)
		}
	}
	app, a := told[w.app.ID], told[w.a.ID]
	if !app.IsApp || app.App != nil || len(app.Settings) != 1 || app.Settings["region"] != "us" {
		t.Errorf("the app was told %+v", app)
	}
	if a.IsApp || a.App == nil || a.App.ID != w.app.ID || a.App.Settings["region"] != "us" || a.Settings["base"] != "https://a.test" || a.Settings["region"] != "" {
		t.Errorf("the connection was told %+v", a)
	}
}

// TestATenantOverItsLimitIsToldToWait: and no other tenant of the app.
func TestATenantOverItsLimitIsToldToWait(t *testing.T) {
	w := newAppWorld(t, sorter)
	w.assign(t, "k1", w.a.ID)
	w.assign(t, "k2", w.b.ID)
	full := &perWorkspace{limits: &w.limits, full: w.a.Workspace, open: map[contract.WorkspaceID]int{}}
	w.opts.Limits = full
	w.restart()
	if answer := w.send(t, "k1/x"); answer.Status != 429 {
		t.Errorf("answered %d", answer.Status)
	}
	if answer := w.send(t, "k2/x"); answer.Status != 200 {
		t.Errorf("the other tenant was answered %d", answer.Status)
	}
	if n := w.counts.deliveries["limited"]; n != 1 {
		t.Errorf("%d were counted as limited", n)
	}
	for ws, n := range full.open {
		if n != 0 {
			t.Errorf("%d places of %s were not given back", n, ws)
		}
	}
}

// perWorkspace refuses the deliveries of one workspace.
type perWorkspace struct {
	*limits
	full contract.WorkspaceID
	open map[contract.WorkspaceID]int
	// charged is who paid for fuel.
	charged []contract.WorkspaceID
}

func (l *perWorkspace) ChargeFuel(ws contract.WorkspaceID, _ int64) {
	l.charged = append(l.charged, ws)
}

func (l *perWorkspace) AdmitDelivery(ws contract.WorkspaceID, bytes int64) (func(), error) {
	if ws == l.full {
		return nil, over{}
	}
	l.open[ws]++
	return func() { l.open[ws]-- }, nil
}

type over struct{}

func (over) Error() string          { return "too many" }
func (over) RetryAfterSeconds() int { return 3 }

// TestABrowserIsSentToTheConsentPage: if somebody has the key, and the host can do that.
func TestABrowserIsSentToTheConsentPage(t *testing.T) {
	w := newAppWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		var in contract.RouteInput
		if err := contract.Unmarshal(g.Input, &in); err != nil {
			return nil, err
		}
		return contract.Marshal(&contract.RouteOutput{Key: strings.TrimPrefix(in.Delivery.Path, "/"), Authorize: true, Response: contract.Response{Status: 404}}), nil
	})
	w.assign(t, "k", w.a.ID)
	get := func(key string) broker.Answer {
		return w.Receive(t.Context(), broker.Request{Endpoint: appEndpoint, Method: "GET", Path: "/" + key})
	}
	if answer := get("k"); answer.Status != 404 {
		t.Errorf("a host that cannot do it answered %d", answer.Status)
	}
	w.opts.Authorize = func(_ context.Context, app, c contract.ConnectionID) (string, error) {
		return "https://host.test/oauth/start/" + string(app) + "/" + string(c), nil
	}
	w.restart()
	answer := get("k")
	if answer.Status != 303 || answer.Headers[0] != (contract.Header{Name: "Location", Value: "https://host.test/oauth/start/app_1/con_a"}) {
		t.Errorf("answered %d %v", answer.Status, answer.Headers)
	}
	if answer := get("unknown"); answer.Status != 404 {
		t.Errorf("a key that nobody has: answered %d", answer.Status)
	}
	kept, _, err := w.store.Deliveries(t.Context(), domain.DeliveryFilter{}, domain.Page{})
	if err != nil || len(kept) != 0 {
		t.Errorf("kept %+v, %v", kept, err)
	}
}

// TestAFloodThatComesToOneAppIsPaidByThatApp: the others, which are in the same workspace, go on.
func TestAFloodThatComesToOneAppIsPaidByThatApp(t *testing.T) {
	w := newAppWorld(t, sorter)
	full := &perWorkspace{limits: &w.limits, full: w.app.Budget(), open: map[contract.WorkspaceID]int{}}
	w.opts.Limits = full
	w.restart()
	second := w.app
	second.ID, second.Endpoint = "app_2", "other-end-point"
	if err := w.store.CreateConnection(t.Context(), second, nil); err != nil {
		t.Fatal(err)
	}
	if answer := w.send(t, "k1/x"); answer.Status != 429 {
		t.Errorf("the app over its limit answered %d", answer.Status)
	}
	answer := w.Receive(t.Context(), broker.Request{Endpoint: second.Endpoint, Method: "POST", Body: []byte("k1/x")})
	if answer.Status != 202 || !slices.Equal(full.charged, []contract.WorkspaceID{second.Budget()}) {
		t.Errorf("the other app answered %d, and %q paid", answer.Status, full.charged)
	}
	if second.Budget() == w.app.Budget() || domain.BudgetWorkspace(second.Budget()) != domain.HostWorkspace || w.a.Budget() != w.a.Workspace {
		t.Errorf("budgets %q, %q and %q", w.app.Budget(), second.Budget(), w.a.Budget())
	}
}

// TestAKeyThatWasRefusedIsNotRegisteredWhenTheCommandGoesOn: what was answered once is answered
// so again, whoever has the key by then.
func TestAKeyThatWasRefusedIsNotRegisteredWhenTheCommandGoesOn(t *testing.T) {
	var codes []string
	w := newAppWorld(t, registers("k", &codes))
	w.platform("set")
	w.assign(t, "k", w.a.ID)
	job := w.reconcile(t, w.b)
	w.runCut(t, job)
	if after := w.run(t, job); after.State != domain.JobDone || after.Attempts != 1 {
		t.Errorf("the job is %s after %d attempts: %+v", after.State, after.Attempts, after.Failure)
	}
	if holder, _, err := w.store.RouteOf(t.Context(), w.app.ID, "k"); err != nil || holder != w.a.ID {
		t.Errorf("the key is %q's, %v", holder, err)
	}
	if len(codes) < 2 || codes[len(codes)-1] != contract.HostConflict {
		t.Errorf("the plugin was told %q", codes)
	}
}

// TestAClaimThatRepeatsAnotherDeliveryEnds: the platform sent it twice while nobody had the key,
// in two guises, which only receive knows for one.
func TestAClaimThatRepeatsAnotherDeliveryEnds(t *testing.T) {
	w := newAppWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		text := body(g)
		if g.Export == string(contract.ExportRoute) {
			return contract.Marshal(&contract.RouteOutput{Key: "k", DedupeKey: text, Park: &contract.Parking{Seconds: 600},
				Response: contract.Response{Status: 200}}), nil
		}
		out := said("chat", text)
		out.DedupeKey = "the same"
		return contract.Marshal(out), nil
	})
	first, second := w.send(t, "one").Delivery, w.send(t, "two").Delivery
	jobs := w.assign(t, "k", w.a.ID)
	if ran := w.runClaims(t); ran != 2 {
		t.Errorf("%d claims ran", ran)
	}
	for i, want := range []struct {
		id    contract.DeliveryID
		state domain.DeliveryState
	}{{first, domain.DeliveryAccepted}, {second, domain.DeliverySuperseded}} {
		d, err := w.store.Delivery(t.Context(), want.id)
		job, jobErr := w.store.Job(t.Context(), jobs[i].ID)
		if err != nil || jobErr != nil || d.State != want.state || job.State != domain.JobDone {
			t.Errorf("delivery %d is %s and its job %s, %v, %v", i+1, d.State, job.State, err, jobErr)
		}
	}
	if _, behind, err := w.store.RouteOf(t.Context(), w.app.ID, "k"); err != nil || behind {
		t.Errorf("something still waits: %t, %v", behind, err)
	}
}
