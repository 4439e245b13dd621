package broker

import (
	"context"
	"errors"
	"slices"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// maxRouteWrites bounds how many keys one invocation registers and removes.
const maxRouteWrites = 1000

// routePut is the host function route_put. What it registers takes effect with the commit; a
// key that another connection has cannot be had then either, so the plugin is told at once.
func (inv *invocation) routePut(ctx context.Context, in *contract.RouteKey) (*contract.Done, error) {
	if problem := inv.routeProblem(in.Key); problem != nil {
		return &contract.Done{Error: problem}, nil
	}
	holder, _, err := inv.broker.opts.Store.RouteOf(ctx, inv.connection.App, in.Key)
	switch {
	case err != nil && !errors.Is(err, domain.ErrNotFound):
		return nil, err
	case err == nil && holder != inv.connection.ID:
		return &contract.Done{Error: &contract.HostError{Code: contract.HostConflict, Certain: true,
			Message: "another connection of the app has registered this key"}}, nil
	}
	inv.routeWrite(domain.RouteWrite{Key: in.Key})
	return &contract.Done{}, nil
}

// routeDelete is the host function route_delete. A key that the connection has not is left
// alone.
func (inv *invocation) routeDelete(_ context.Context, in *contract.RouteKey) (*contract.Done, error) {
	if problem := inv.routeProblem(in.Key); problem != nil {
		return &contract.Done{Error: problem}, nil
	}
	inv.routeWrite(domain.RouteWrite{Key: in.Key, Delete: true})
	return &contract.Done{}, nil
}

func (inv *invocation) routeProblem(key string) *contract.HostError {
	switch {
	case inv.connection.IsApp:
		return denied("a key leads to a connection, and this invocation is for the app itself")
	case inv.connection.App == "":
		return denied("the connection has no app, so that no key can lead to it")
	case key == "" || len(key) > contract.MaxIDBytes:
		return invalid("a key has 1 to 512 bytes")
	case len(inv.routes) >= maxRouteWrites && !slices.ContainsFunc(inv.routes, func(w domain.RouteWrite) bool { return w.Key == key }):
		return quota("an invocation registers and removes at most 1000 keys")
	}
	return nil
}

// routeWrite notes what is asked for; only the last word about a key counts.
func (inv *invocation) routeWrite(w domain.RouteWrite) {
	inv.routes = slices.DeleteFunc(inv.routes, func(before domain.RouteWrite) bool { return before.Key == w.Key })
	inv.routes = append(inv.routes, w)
}

// redoRoute notes again what a call asked for that is answered from the journal.
func (inv *invocation) redoRoute(args, answer []byte, remove bool) {
	var in contract.RouteKey
	if worked(answer) && contract.Unmarshal(args, &in) == nil {
		inv.routeWrite(domain.RouteWrite{Key: in.Key, Delete: remove})
	}
}
