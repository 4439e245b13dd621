package subscribers_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/subscribers"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestASubscriberThatMakesNoSenseIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.ok(w.store.CreateWorkspace(w.ctx(), domain.Workspace{ID: "wsp_2"}))
		w.ok(w.store.CreateConnection(w.ctx(), domain.Connection{ID: "con_other", Workspace: "wsp_2", Endpoint: "other"}, nil))
		for _, tt := range []struct {
			name   string
			change func(*subscribers.NewSubscriber)
			blamed string
		}{
			{"no name", func(n *subscribers.NewSubscriber) { n.Name = "" }, "name"},
			{"no URL", func(n *subscribers.NewSubscriber) { n.URL = "crm" }, "url"},
			{"another scheme", func(n *subscribers.NewSubscriber) { n.URL = "ftp://crm.test/" }, "url"},
			{"credentials in the URL", func(n *subscribers.NewSubscriber) { n.URL = "https://a:b@crm.test/" }, "url"},
			{"a placeholder in the URL", func(n *subscribers.NewSubscriber) { n.URL = "https://crm.test/?k={{secret:token}}" }, "url"},
			{"plain http", func(n *subscribers.NewSubscriber) { n.URL = "http://crm.test/" }, "url"},
			{"plain http to an address that is not allowed", func(n *subscribers.NewSubscriber) { n.URL = "http://10.0.0.5:8080/" }, "url"},
			{"plain http to another port", func(n *subscribers.NewSubscriber) {
				n.URL, n.PrivateTargets = "http://10.0.0.5:8080/", []string{"10.0.0.5:80"}
			}, "url"},
			{"plain http to a name", func(n *subscribers.NewSubscriber) {
				n.URL, n.PrivateTargets = "http://crm.test:8080/", []string{"10.0.0.5:8080"}
			}, "url"},
			{"a kind that is none", func(n *subscribers.NewSubscriber) { n.Kinds = []contract.EventKind{"postback", "gossip"} }, "kinds.1"},
			{"another workspace's connection", func(n *subscribers.NewSubscriber) { n.Connections = []contract.ConnectionID{"con_other"} }, "connections.0"},
			{"no connection", func(n *subscribers.NewSubscriber) { n.Connections = []contract.ConnectionID{"con_1", "con_9"} }, "connections.1"},
			{"a target that is never allowed", func(n *subscribers.NewSubscriber) { n.PrivateTargets = []string{"169.254.169.254:80"} }, "private_targets.0"},
		} {
			n := subscribers.NewSubscriber{Name: "CRM", URL: target}
			tt.change(&n)
			_, _, err := w.room.CreateSubscriber(t.Context(), by, "wsp_1", n)
			invalid := new(domain.Invalid)
			if !errors.As(err, &invalid) || len(invalid.Problems) != 1 || invalid.Problems[0].Field != tt.blamed {
				t.Errorf("%s: got %v, want %s blamed", tt.name, err, tt.blamed)
			}
		}
		w.subscribe(func(n *subscribers.NewSubscriber) {
			n.URL, n.PrivateTargets = "http://10.0.0.5:8080/", []string{"10.0.0.5:8080"}
		})
	})
}

// A URL that an operator's word made acceptable is not sent to once the word is taken back.
func TestATargetThatIsTakenBackIsNotSentTo(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.subscribe(func(n *subscribers.NewSubscriber) {
			n.URL, n.PrivateTargets = "http://10.0.0.5:8080/", []string{"10.0.0.5:8080"}
		})
		if _, err := w.room.AllowSubscriberTargets(t.Context(), by, "wsp_1", s.ID, nil); err != nil {
			t.Fatal(err)
		}
		w.say("a", "1")
		settle(0)
		if got := w.status(s.ID).Progress.LastFailure; len(w.to.requests()) != 0 || got == nil || got.Code != "plain_http" {
			t.Errorf("%d requests went out; the failure is %+v", len(w.to.requests()), got)
		}
		tried, err := w.room.TestSubscriber(t.Context(), by, "wsp_1", s.ID)
		if err != nil || tried.Taken || !strings.Contains(tried.Reason, "plain http") {
			t.Errorf("the test gave %+v, %v", tried, err)
		}
	})
}

func TestATestTellsWhatHappenedAndChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		before := w.status(s.ID)
		w.to.answers(func(int, sent) *contract.HTTPResult { return &contract.HTTPResult{Status: 500, Body: "no such hook"} })
		tried, err := w.room.TestSubscriber(t.Context(), by, "wsp_1", s.ID)
		if err != nil || tried.Taken || tried.Status != 500 || tried.Excerpt != "no such hook" || tried.Reason == "" {
			t.Errorf("got %+v, %v", tried, err)
		}
		if got := w.to.requests()[0].event; got.Type != "patchbay.test" || got.ID == "" {
			t.Errorf("the event is %+v", got)
		}
		if after := w.status(s.ID); after.Progress.Failures != before.Progress.Failures || after.Queued != 0 {
			t.Errorf("the test counted: %+v", after.Progress)
		}
		w.to.wantGenuine(t)
	})
}

// What belongs to another workspace does not exist.
func TestAnothersSubscriberDoesNotExist(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.ok(w.store.CreateWorkspace(w.ctx(), domain.Workspace{ID: "wsp_2"}))
		id := w.subscribe().ID
		name := "x"
		for what, do := range map[string]func(ctx context.Context) error{
			"read": func(ctx context.Context) error { _, err := w.store.SubscriberStatus(ctx, "wsp_2", id); return err },
			"list what waits": func(ctx context.Context) error {
				_, _, err := w.store.Notifications(ctx, "wsp_2", id, domain.JobQueued, domain.Page{})
				return err
			},
			"update": func(ctx context.Context) error {
				_, err := w.room.UpdateSubscriber(ctx, by, "wsp_2", id, subscribers.Patch{Name: &name})
				return err
			},
			"enable": func(ctx context.Context) error { _, err := w.room.EnableSubscriber(ctx, by, "wsp_2", id); return err },
			"pause":  func(ctx context.Context) error { _, err := w.room.PauseSubscriber(ctx, by, "wsp_2", id); return err },
			"rotate": func(ctx context.Context) error {
				_, err := w.room.RotateSubscriberSecret(ctx, by, "wsp_2", id, 0)
				return err
			},
			"test": func(ctx context.Context) error { _, err := w.room.TestSubscriber(ctx, by, "wsp_2", id); return err },
			"rewind": func(ctx context.Context) error {
				_, err := w.room.RewindSubscriber(ctx, by, "wsp_2", id, 0)
				return err
			},
			"retry":  func(ctx context.Context) error { _, err := w.room.RetrySubscriber(ctx, by, "wsp_2", id); return err },
			"remove": func(ctx context.Context) error { return w.room.RemoveSubscriber(ctx, by, "wsp_2", id) },
			"allow": func(ctx context.Context) error {
				_, err := w.room.AllowSubscriberTargets(ctx, by, "wsp_2", id, nil)
				return err
			},
		} {
			if err := do(t.Context()); !errors.Is(err, domain.ErrNotFound) {
				t.Errorf("%s of another workspace's subscriber gave %v", what, err)
			}
		}
		if got := w.status(id); got.State != domain.SubscriberActive || got.Name != "CRM" || got.Progress.Round != 0 {
			t.Errorf("it was changed: %+v", got)
		}
	})
}

func TestALimitOfSubscribersHolds(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.shut()
		w.within = func(ctx context.Context, ws contract.WorkspaceID, count func(context.Context) (int64, error), create func(context.Context) error) error {
			if n, err := count(ctx); err != nil || n >= 2 {
				return errors.Join(err, domain.ErrQuota)
			}
			return create(ctx)
		}
		w.open()
		w.subscribe()
		w.subscribe()
		if _, _, err := w.room.CreateSubscriber(t.Context(), by, "wsp_1", subscribers.NewSubscriber{Name: "third", URL: target}); !errors.Is(err, domain.ErrQuota) {
			t.Errorf("the third gave %v", err)
		}
	})
}
