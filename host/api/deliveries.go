package api

import (
	"context"
	"net/http"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Deliveries reads deliveries. What it returns may belong to any workspace.
type Deliveries interface {
	Delivery(ctx context.Context, id contract.DeliveryID) (domain.Delivery, error)
	Deliveries(ctx context.Context, f domain.DeliveryFilter, p domain.Page) (items []domain.Delivery, next string, err error)
}

// Replayer runs deliveries again.
type Replayer interface {
	// ReplayDeliveries replays one page of the failed ones.
	ReplayDeliveries(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, f domain.DeliveryFilter, p domain.Page) (domain.Bulk, error)
	ReplayDelivery(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.DeliveryID, force bool) (domain.Delivery, error)
}

// InDelivery is the part of a request that names a delivery.
type InDelivery struct {
	InWorkspace
	Delivery contract.DeliveryID `path:"delivery" example:"dlv_01JD5Z6T9Q" doc:"The delivery."`
}

type replay struct {
	Force bool `json:"force,omitempty" doc:"Replays it although the platform's own repeat of it was accepted."`
}

const (
	deliveriesPath = "/v1/workspaces/{workspace}/deliveries"
	deliveryPath   = deliveriesPath + "/{delivery}"
)

func (s *Server) addDeliveries() {
	register(s, route{
		id: "list-deliveries", method: http.MethodGet, path: deliveriesPath, tag: "deliveries", allow: access(identity.DeliveryRead),
		summary: "List deliveries", description: "Webhooks of this workspace's platforms and what became of them, without bodies.",
	}, s.listDeliveries)
	register(s, route{
		id: "get-delivery", method: http.MethodGet, path: deliveryPath, tag: "deliveries", allow: access(identity.DeliveryRead),
		summary: "Read a delivery", description: "Administrators see its header fields, its query and, in base64, its body, unless that is sealed because it seems to carry tokens.",
	}, s.getDelivery)
	register(s, route{
		id: "replay-delivery", method: http.MethodPost, path: deliveryPath + "/replay", tag: "deliveries", allow: access(identity.DeliveryReplay),
		summary: "Run a failed delivery again", description: "The version of the plugin that runs now sees it as it came. The answer tells what became of it.",
		example: replay{},
	}, s.replayDelivery)
}

func (s *Server) listDeliveries(ctx context.Context, in *struct {
	InWorkspace
	Page
	Connection contract.ConnectionID `query:"connection" doc:"Selects those of one connection."`
	State      domain.DeliveryState  `query:"state" enum:"accepted,rejected,failed,superseded,parked,expired" doc:"Selects those in this state."`
}) (*answer[list[domain.Delivery]], error) {
	if err := s.exists(ctx, in.Workspace); err != nil {
		return nil, err
	}
	filter := domain.DeliveryFilter{Workspace: in.Workspace, Connection: in.Connection, State: in.State}
	items, next, err := s.opts.Store.Deliveries(ctx, filter, in.Page.domain())
	who := caller(ctx)
	return listed(mapped(items, func(d domain.Delivery) domain.Delivery {
		d.Body = nil
		return deliveryView(d, who)
	}), next), err
}

func (s *Server) getDelivery(ctx context.Context, in *InDelivery) (*answer[domain.Delivery], error) {
	d, err := s.opts.Store.Delivery(ctx, in.Delivery)
	if err == nil && d.Workspace != in.Workspace {
		err = domain.ErrNotFound
	}
	return &answer[domain.Delivery]{deliveryView(d, caller(ctx))}, err
}

func (s *Server) replayDelivery(ctx context.Context, in *struct {
	InDelivery
	Body *replay
}) (*answer[domain.Delivery], error) {
	force := in.Body != nil && in.Body.Force
	d, err := s.opts.Replayer.ReplayDelivery(ctx, caller(ctx).Actor(), in.Workspace, in.Delivery, force)
	return &answer[domain.Delivery]{deliveryView(d, caller(ctx))}, err
}
