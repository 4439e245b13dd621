package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/client"
)

// The people of a shop write through a second connection of the ledger's, and a bridge
// carries that to ELMA365 and the answers back.

// bridgeShop makes the bridge between the second connection and ELMA365.
func (w *world) bridgeShop(ctx context.Context) (err error) {
	w.bridge, err = w.people.Tenant.CreateBridge(ctx, w.workspace.ID, client.NewBridge{Name: "shop", Customers: w.shop.ID, Agents: w.elma.ID})
	return err
}

// subscribe has every event sent to the receiver, from the first on.
func (w *world) subscribe(ctx context.Context) error {
	w.receiver = openReceiver(w.seed)
	host := strings.TrimPrefix(w.receiver.server.URL, "http://")
	answer, err := w.people.Operator.Call(ctx, http.MethodPost, w.subscribersPath(),
		fmt.Appendf(nil, `{"name":"crash","url":"http://%s/events","after":0,"private_targets":[%q]}`, host, host))
	if err != nil {
		return err
	}
	var made struct{ ID, Secret string }
	if err := json.Unmarshal(answer, &made); err != nil {
		return err
	}
	w.subscriber = made.ID
	return w.receiver.trust(made.Secret)
}

func (w *world) subscribersPath() string {
	return "/v1/workspaces/" + string(w.workspace.ID) + "/subscribers"
}

// lag is how many events the bridge and the subscriber have yet to take.
func (w *world) lag(ctx context.Context) (uint64, error) {
	bridge, err := w.people.Tenant.Bridge(ctx, w.workspace.ID, w.bridge.ID)
	if err != nil {
		return 0, err
	}
	answer, err := w.people.Tenant.Call(ctx, http.MethodGet, w.subscribersPath()+"/"+w.subscriber, nil)
	if err != nil {
		return 0, err
	}
	var subscriber struct {
		Behind, Queued uint64
		State          string
	}
	if err := json.Unmarshal(answer, &subscriber); err != nil {
		return 0, err
	}
	if subscriber.State != "active" {
		return 0, fmt.Errorf("the subscriber is %s", subscriber.State)
	}
	return bridge.Behind + subscriber.Behind + subscriber.Queued, nil
}
