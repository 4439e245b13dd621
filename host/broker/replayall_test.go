package broker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/registry"
)

func TestFailedDeliveriesAreReplayedOldestFirst(t *testing.T) {
	w := newWorld(t, echo)
	w.plugins.set(echo, registry.ErrNoPlugin)

	for i := range 5 {
		d, err := w.store.Delivery(t.Context(), w.deliver(t, fmt.Sprint("m", i)).Delivery)
		if err != nil || d.State != domain.DeliveryFailed {
			t.Fatalf("%+v, %v", d, err)
		}
	}
	if done, err := w.ReplayDeliveries(t.Context(), domain.Actor{Subject: "op"}, w.workspace.ID, domain.DeliveryFilter{}, domain.Page{}); err != nil ||
		done.Matched != 5 || done.Done != 0 || len(done.Skipped) != 5 || !strings.Contains(done.Skipped[0].Why, "plugin_missing") {
		t.Errorf("while there is still no plugin: %+v, %v", done, err)
	}

	w.plugins.set(echo, nil)
	if done, err := w.ReplayDeliveries(t.Context(), domain.Actor{Subject: "op"}, w.workspace.ID, domain.DeliveryFilter{Code: "plugin_trap"}, domain.Page{}); err != nil || done.Matched != 0 {
		t.Errorf("with another code: %+v, %v", done, err)
	}
	page, sum := domain.Page{Limit: 2}, 0
	for {
		done, err := w.ReplayDeliveries(t.Context(), domain.Actor{Subject: "op"}, w.workspace.ID, domain.DeliveryFilter{Connection: w.connection.ID}, page)
		if err != nil || done.Done != done.Matched || done.Done > 2 {
			t.Fatalf("replayed: %+v, %v", done, err)
		}
		sum += done.Done
		if page.After = done.Next; page.After == "" {
			break
		}
	}
	want := []string{"message.created m0", "message.created m1", "message.created m2", "message.created m3", "message.created m4"}
	if got := w.events(t); sum != 5 || !slices.Equal(got, want) {
		t.Errorf("replayed %d, and the events are %q", sum, got)
	}
	if done, err := w.ReplayDeliveries(t.Context(), domain.Actor{}, "wsp_other", domain.DeliveryFilter{}, domain.Page{}); err == nil {
		t.Errorf("in a workspace that is not there: %+v", done)
	}
}
