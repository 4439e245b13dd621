package broker_test

import (
	"context"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// The body says what becomes of a delivery: "good" is accepted, and anything else is the code
// that it is rejected with.
func TestTooManyRejectionsInARowChangeTheState(t *testing.T) {
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		code := body(g)
		if code == "good" {
			return contract.Marshal(&contract.ReceiveOutput{Response: contract.Response{Status: 200}}), nil
		}
		out := &contract.ReceiveOutput{Response: contract.Response{Status: 401}, Rejected: &contract.Rejection{Code: code}}
		if code != "other" {
			out.Rejected.Limit = 3
			out.Rejected.TooMany = &contract.StateChange{State: contract.StateNeedsAction, Code: "forgeries", Action: "Look."}
		}
		return contract.Marshal(out), nil
	})
	state := func() contract.ConnectionState {
		c, err := w.store.Connection(t.Context(), w.connection.ID)
		if err != nil {
			t.Fatal(err)
		}
		return c.State
	}
	for i, tt := range []struct {
		body string
		want contract.ConnectionState
	}{
		{"bad", contract.StateConnected}, {"bad", contract.StateConnected}, {"good", contract.StateConnected},
		{"bad", contract.StateConnected}, {"bad", contract.StateConnected}, {"worse", contract.StateConnected},
		{"bad", contract.StateConnected}, {"bad", contract.StateConnected}, {"other", contract.StateConnected},
		{"bad", contract.StateNeedsAction}, {"bad", contract.StateNeedsAction},
	} {
		w.deliver(t, tt.body)
		if got := state(); got != tt.want {
			t.Errorf("after delivery %d (%s) the connection is %s, want %s", i, tt.body, got, tt.want)
		}
	}
	if got := w.events(t); len(got) != 1 {
		t.Errorf("the tenant was told %q, want one change of state", got)
	}
}
