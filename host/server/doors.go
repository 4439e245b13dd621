package server

import (
	"context"

	"github.com/seed75a60ee1/patchbay/host/api"
	"github.com/seed75a60ee1/patchbay/host/ingress"
)

// openDoors makes the two applications that people and platforms talk to.
func (h *host) openDoors(context.Context) (err error) {
	h.ingress = ingress.New(ingress.Options{
		Gate: h.gateOptions(), MaxBodyBytes: h.cfg.Ingress.MaxBodyBytes, Broker: h.broker, Shedding: h.shedding(),
		Links: h.links, Media: h.store, Files: h.files, OAuth: h.oauth,
	})
	h.api, err = api.New(api.Options{
		Gate: h.gateOptions(), Identity: h.authority, Tenant: h.tenant, Reviewer: h.registry,
		Replayer: h.broker, Bridges: h.bridges, Subscribers: h.subscribers, Recordings: h.broker, Upkeep: h.upkeep, Authorizer: h.oauth, Prober: h.prober, Credentials: h.tokens, Store: h.store, Metrics: h.metrics, MetricsHandler: h.metrics.Handler(),
		Ready: h.store.Ping, MediaMaxBytes: h.cfg.Media.MaxBytes, Version: Version(),
	})
	return err
}
