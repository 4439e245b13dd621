package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// parkedModel is what must be known of what was sent to an app: where each delivery is.
type parkedModel struct {
	s      *store.Store
	at     time.Time
	holder map[string]contract.ConnectionID // key → who has it
	waits  map[string][]domain.Parked       // key → what is parked, in order
	queued map[string][]contract.DeliveryID // key → what was claimed and has not run, in order
	ended  map[contract.DeliveryID]domain.DeliveryState
}

var (
	modelKeys    = []string{"a", "b", "a/b"}
	modelHolders = []contract.ConnectionID{"con_1", "con_2"}
)

func newParkedModel(t *rapid.T, dir string) *parkedModel {
	folder, err := os.MkdirTemp(dir, "*")
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(filepath.Join(folder, "patchbay.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	err = errors.Join(s.CreateWorkspace(ctx, domain.Workspace{ID: domain.HostWorkspace}), s.CreateWorkspace(ctx, domain.Workspace{ID: "wsp_1"}),
		s.CreateConnection(ctx, domain.Connection{ID: "app_1", Workspace: domain.HostWorkspace, Plugin: "acme", IsApp: true, Endpoint: "app"}, nil))
	for _, c := range modelHolders {
		err = errors.Join(err, s.CreateConnection(ctx, domain.Connection{ID: c, Workspace: "wsp_1", Plugin: "acme", App: "app_1", Endpoint: string(c)}, nil))
	}
	if err != nil {
		t.Fatal(err)
	}
	return &parkedModel{s: s, at: time.Unix(1_800_000_000, 0), holder: map[string]contract.ConnectionID{}, waits: map[string][]domain.Parked{},
		queued: map[string][]contract.DeliveryID{}, ended: map[contract.DeliveryID]domain.DeliveryState{}}
}

// park sends a delivery for some key.
func (m *parkedModel) park(t *rapid.T) {
	k := rapid.SampledFrom(modelKeys).Draw(t, "key")
	body := []byte(rapid.StringN(0, 20, 20).Draw(t, "body"))
	p := domain.Parked{Delivery: contract.DeliveryID(m.s.NewID("dlv")), App: "app_1", Key: k, At: m.at,
		ExpiresAt: m.at.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds")) * time.Second)}
	kept := domain.Delivery{Delivery: contract.Delivery{ID: p.Delivery, ReceivedAt: m.at, BodyBytes: int64(len(body))}, Body: body,
		Routed: &domain.Routed{App: "app_1", Key: k, Payload: string(body), Parked: true}}
	got, err := m.s.ParkDelivery(t.Context(), domain.NewParked{Parked: p, Kept: kept})
	if err != nil {
		t.Fatal(err)
	}
	switch holder := m.holder[k]; {
	case holder == "":
		m.waits[k] = append(m.waits[k], p)
	case len(m.queued[k]) > 0:
		if got.Job == nil || got.Job.Connection != holder {
			t.Fatalf("%q is %s's and deliveries are to run for it, and parking answered %+v", k, holder, got)
		}
		m.queued[k] = append(m.queued[k], p.Delivery)
	case got.Connection != holder:
		t.Fatalf("%q is %s's, and parking answered %+v", k, holder, got)
	}
}

// assign gives some key to some connection.
func (m *parkedModel) assign(t *rapid.T) {
	k, c := rapid.SampledFrom(modelKeys).Draw(t, "key"), rapid.SampledFrom(modelHolders).Draw(t, "connection")
	jobs, err := m.s.AssignRoute(t.Context(), "app_1", k, c, m.at)
	if holder := m.holder[k]; holder != "" && holder != c {
		if !errors.Is(err, domain.ErrConflict) {
			t.Fatalf("%q is %s's, and %s got it: %v", k, holder, c, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	m.holder[k] = c
	var rest []domain.Parked
	for _, p := range m.waits[k] {
		if !p.ExpiresAt.After(m.at) {
			rest = append(rest, p)
			continue
		}
		if len(jobs) == 0 || jobs[0].Claim.Delivery != p.Delivery {
			t.Fatalf("%s is not the next that was claimed of %q: %+v", p.Delivery, k, jobs)
		}
		jobs, m.queued[k] = jobs[1:], append(m.queued[k], p.Delivery)
	}
	if m.waits[k] = rest; len(jobs) > 0 {
		t.Fatalf("%d jobs too many", len(jobs))
	}
}

// run runs the next delivery that was claimed of some key.
func (m *parkedModel) run(t *rapid.T) {
	k := rapid.SampledFrom(modelKeys).Draw(t, "key")
	if len(m.queued[k]) == 0 {
		return
	}
	var job *domain.Job
	if err := m.s.QueuedJobs(t.Context(), func(j domain.Job) error {
		if job == nil && j.Claim != nil && j.Claim.Key == k {
			job = &j
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if job == nil || job.Claim.Delivery != m.queued[k][0] {
		t.Fatalf("the first to run for %q is %+v, want %s", k, job, m.queued[k][0])
	}
	m.queued[k] = m.queued[k][1:]
	d, err := m.s.Delivery(t.Context(), job.Claim.Delivery)
	if err == nil {
		_, err = m.s.CommitDelivery(t.Context(), domain.DeliveryEffects{ClaimJob: job.ID, Delivery: d,
			Effects: domain.Effects{Workspace: job.Workspace, Connection: job.Connection, At: m.at}})
	}
	if err != nil {
		t.Fatal(err)
	}
	m.ended[d.ID] = domain.DeliveryAccepted
}

// expire lets time pass.
func (m *parkedModel) expire(t *rapid.T) {
	m.at = m.at.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "seconds")) * time.Second)
	if !rapid.Bool().Draw(t, "upkeep") {
		return
	}
	if _, err := m.s.ExpireParked(t.Context(), m.at, 1000); err != nil {
		t.Fatal(err)
	}
	for k, waiting := range m.waits {
		var rest []domain.Parked
		for _, p := range waiting {
			if p.ExpiresAt.After(m.at) {
				rest = append(rest, p)
			} else {
				m.ended[p.Delivery] = domain.DeliveryExpired
			}
		}
		m.waits[k] = rest
	}
}

// discard gives up what waits for some key.
func (m *parkedModel) discard(t *rapid.T) {
	k := rapid.SampledFrom(modelKeys).Draw(t, "key")
	gone, err := m.s.DiscardParked(t.Context(), "app_1", k)
	if len(gone) != len(m.waits[k]) || len(gone) > 0 && err != nil {
		t.Fatalf("discarded %d of %d: %v", len(gone), len(m.waits[k]), err)
	}
	for _, p := range gone {
		m.ended[p.Delivery] = domain.DeliveryExpired
	}
	delete(m.waits, k)
}

// remove removes a connection and makes it anew.
func (m *parkedModel) remove(t *rapid.T) {
	c := rapid.SampledFrom(modelHolders).Draw(t, "connection")
	err := errors.Join(m.s.DeleteConnection(t.Context(), c),
		m.s.CreateConnection(t.Context(), domain.Connection{ID: c, Workspace: "wsp_1", Plugin: "acme", App: "app_1", Endpoint: string(c)}, nil))
	if err != nil {
		t.Fatal(err)
	}
	for k, holder := range m.holder {
		if holder != c {
			continue
		}
		for _, id := range m.queued[k] {
			m.ended[id] = domain.DeliveryFailed
		}
		delete(m.holder, k)
		delete(m.queued, k)
	}
}

// agrees holds the store against the model.
func (m *parkedModel) agrees(t *rapid.T) {
	if problems := m.s.Check(t.Context()); len(problems) > 0 {
		t.Fatalf("the store is inconsistent: %q", problems)
	}
	for id, want := range m.ended {
		if d, err := m.s.Delivery(t.Context(), id); err != nil || d.State != want {
			t.Fatalf("%s is %s, want %s: %v", id, d.State, want, err)
		}
	}
	for k, waiting := range m.waits {
		for _, p := range waiting {
			if d, err := m.s.Delivery(t.Context(), p.Delivery); err != nil || d.State != domain.DeliveryParked || d.Connection != "app_1" {
				t.Fatalf("%s for %q is %s at %s: %v", p.Delivery, k, d.State, d.Connection, err)
			}
		}
	}
}

// TestWhatWaitsIsNeverLostOrTakenTwice: whatever order deliveries, claims, removals and time come
// in, each delivery is where it must be, and those of one key keep their order.
func TestWhatWaitsIsNeverLostOrTakenTwice(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		m := newParkedModel(t, dir)
		defer func() {
			if err := m.s.Close(); err != nil {
				t.Error(err)
			}
		}()
		t.Repeat(map[string]func(*rapid.T){"park": m.park, "park more": m.park, "assign": m.assign, "run": m.run,
			"expire": m.expire, "discard": m.discard, "remove": m.remove, "": m.agrees})
	})
}
