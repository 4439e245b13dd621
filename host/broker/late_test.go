package broker_test

import (
	"context"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/domain"
)

// The ingress gives each delivery a time. One whose time ran out while the plugin had it is
// kept for replay, as any that fails.
func TestADeliveryWhoseTimeIsUpIsKeptAllTheSame(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := newWorld(t, func(context.Context, *call) ([]byte, error) {
		cancel()
		return nil, context.DeadlineExceeded
	})
	answer := w.Receive(ctx, broker.Request{Endpoint: w.connection.Endpoint, Method: "POST", Body: []byte("hello")})
	kept, err := w.store.Delivery(t.Context(), answer.Delivery)
	if answer.Status != 503 || err != nil || kept.State != domain.DeliveryFailed || string(kept.Body) != "hello" {
		t.Errorf("answered %d, kept %+v, %v", answer.Status, kept, err)
	}
}
