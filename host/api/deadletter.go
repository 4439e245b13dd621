package api

import (
	"context"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// DeadLetter decides about everything that failed for good, or what a filter selects of it.
// Each call is about one page, and names the next.
type DeadLetter interface {
	RetryParked(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, f domain.JobFilter, p domain.Page) (domain.Bulk, error)
	CancelParked(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, f domain.JobFilter, p domain.Page) (domain.Bulk, error)
}

// Batch is what every request about many things holds besides the filter. A forgotten filter
// must not mean everything.
type Batch struct {
	All   bool   `json:"all,omitempty" doc:"Selects all. Give either this or what to select."`
	After string `json:"after,omitempty" maxLength:"2048" doc:"The next of the answer before; the filter must be the same."`
	Limit int    `json:"limit,omitempty" minimum:"1" maximum:"1000" doc:"How many to deal with at most; 1000 if not given."`
}

// page selects the batch. filtered tells whether anything is selected by a filter.
func (b Batch) page(filtered bool) (domain.Page, error) {
	switch {
	case !filtered && !b.All:
		return domain.Page{}, &domain.Invalid{Problems: []domain.Problem{{Field: "all", Value: "false",
			Why: "nothing is selected", Fix: "name what to select, or set all to true"}}}
	case filtered && b.All:
		return domain.Page{}, &domain.Invalid{Problems: []domain.Problem{{Field: "all", Value: "true",
			Why: "it contradicts the fields that select some", Fix: "leave either out"}}}
	}
	page := domain.Page{After: b.After, Limit: b.Limit}
	setDefault(&page.Limit, 1000)
	return page, nil
}

// parkedCommands selects parked commands.
type parkedCommands struct {
	Connection   contract.ConnectionID `json:"connection,omitempty" maxLength:"100" example:"con_01JD5Z6T9Q" doc:"Selects those of one connection."`
	Export       contract.Export       `json:"export,omitempty" maxLength:"100" example:"send_message" doc:"Selects those that do this."`
	Code         string                `json:"code,omitempty" maxLength:"200" example:"platform_unavailable" doc:"Selects those that failed with this code."`
	Class        contract.FailureClass `json:"class,omitempty" enum:"retry,retry_after,reauthorise,permanent,uncertain" doc:"Selects those that failed in this way."`
	ParkedAfter  time.Time             `json:"parked_after,omitzero" doc:"Selects those that were parked after this time."`
	ParkedBefore time.Time             `json:"parked_before,omitzero" doc:"Selects those that were parked before this time."`
	Batch
}

func (p parkedCommands) filter() domain.JobFilter {
	return domain.JobFilter{Kind: domain.JobCommand, Connection: p.Connection, Export: p.Export, Code: p.Code, Class: p.Class,
		UpdatedAfter: p.ParkedAfter, UpdatedBefore: p.ParkedBefore}
}

// failedDeliveries selects failed deliveries.
type failedDeliveries struct {
	Connection     contract.ConnectionID `json:"connection,omitempty" maxLength:"100" example:"con_01JD5Z6T9Q" doc:"Selects those of one connection."`
	Code           string                `json:"code,omitempty" maxLength:"200" example:"plugin_trap" doc:"Selects those that failed with this code."`
	ReceivedAfter  time.Time             `json:"received_after,omitzero" doc:"Selects those that came after this time."`
	ReceivedBefore time.Time             `json:"received_before,omitzero" doc:"Selects those that came before this time."`
	Batch
}

func (d failedDeliveries) filter() domain.DeliveryFilter {
	return domain.DeliveryFilter{Connection: d.Connection, Code: d.Code, ReceivedAfter: d.ReceivedAfter, ReceivedBefore: d.ReceivedBefore}
}

func (s *Server) addDeadLetter() {
	const more = " One request deals with a batch, the oldest first, and the answer names the next one; it is done when there is no next."
	register(s, route{
		id: "retry-commands", method: http.MethodPost, path: commandsPath + "/retry", tag: "commands", allow: access(identity.MessageSend),
		summary: "Try parked commands again", description: "Queues the parked commands that are selected again, each in its old place. Those of class uncertain may take effect twice." + more,
		example: parkedCommands{Connection: "con_1"},
	}, s.bulkCommands(DeadLetter.RetryParked))
	register(s, route{
		id: "cancel-commands", method: http.MethodPost, path: commandsPath + "/cancel", tag: "commands", allow: access(identity.MessageSend),
		summary: "Give parked commands up", description: "The parked commands that are selected are not run any more. Their messages count as failed." + more,
		example: parkedCommands{Class: contract.FailurePermanent},
	}, s.bulkCommands(DeadLetter.CancelParked))
	register(s, route{
		id: "replay-deliveries", method: http.MethodPost, path: deliveriesPath + "/replay", tag: "deliveries", allow: access(identity.DeliveryReplay),
		summary: "Run failed deliveries again", description: "The version of each plugin that runs now sees the failed deliveries that are selected as they came. Those that fail again are among the skipped." + more,
		example: failedDeliveries{Code: "plugin_trap"},
	}, s.replayDeliveries)
}

// inBulk is a request about many commands.
type inBulk struct {
	InWorkspace
	Body parkedCommands
}

func (s *Server) bulkCommands(do func(d DeadLetter, ctx context.Context, by domain.Actor, ws contract.WorkspaceID, f domain.JobFilter, p domain.Page) (domain.Bulk, error)) func(context.Context, *inBulk) (*answer[domain.Bulk], error) {
	return func(ctx context.Context, in *inBulk) (*answer[domain.Bulk], error) {
		filter := in.Body.filter()
		page, err := in.Body.page(filter != domain.JobFilter{Kind: domain.JobCommand})
		if err != nil {
			return nil, err
		}
		done, err := do(s.opts.Tenant, ctx, caller(ctx).Actor(), in.Workspace, filter, page)
		return &answer[domain.Bulk]{bulkView(done)}, err
	}
}

func (s *Server) replayDeliveries(ctx context.Context, in *struct {
	InWorkspace
	Body failedDeliveries
}) (*answer[domain.Bulk], error) {
	filter := in.Body.filter()
	page, err := in.Body.page(filter != domain.DeliveryFilter{})
	if err != nil {
		return nil, err
	}
	done, err := s.opts.Replayer.ReplayDeliveries(ctx, caller(ctx).Actor(), in.Workspace, filter, page)
	return &answer[domain.Bulk]{bulkView(done)}, err
}

func bulkView(b domain.Bulk) domain.Bulk {
	b.Skipped = orEmpty(b.Skipped)
	return b
}
