package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seed75a60ee1/patchbay/host/cloudevents"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// EventLog reads the events of workspaces, in order.
type EventLog interface {
	// Events returns up to limit events that come after the one with sequence number after.
	Events(ctx context.Context, ws contract.WorkspaceID, after uint64, limit int) ([]domain.Event, error)
	// FirstEventSeq returns the sequence number of the oldest event that is kept, or one more
	// than the newest ever if none is.
	FirstEventSeq(ctx context.Context, ws contract.WorkspaceID) (uint64, error)
	// LastEventSeq returns the sequence number of the newest event, 0 if there is none.
	LastEventSeq(ctx context.Context, ws contract.WorkspaceID) (uint64, error)
	// WatchEvents returns a channel that holds a value whenever there is news since the last
	// was taken. cancel ends the watch and may be called twice.
	WatchEvents(ws contract.WorkspaceID) (news <-chan struct{}, cancel func())
}

// EventFilter selects events.
type EventFilter struct {
	Kinds       []contract.EventKind    `query:"kind,explode" maxItems:"20" enum:"message.created,message.updated,message.deleted,message.status,postback,typing,reaction,contact.updated,conversation.opened,conversation.closed,connection.state,raw" doc:"Selects events of this kind; repeat it for more kinds. Without it, all are selected."`
	Connections []contract.ConnectionID `query:"connection,explode" maxItems:"100" doc:"Selects events of this connection; repeat it for more. Without it, those of all are selected."`
}

func (f EventFilter) domain() domain.EventFilter { return domain.EventFilter(f) }

// eventPage selects a page of events.
type eventPage struct {
	InWorkspace
	EventFilter
	After string `query:"after" maxLength:"20" example:"4711" doc:"The sequence of the last event that is known already; without it, the oldest events are read."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many events to return."`
}

type streamStart struct {
	InWorkspace
	EventFilter
	After       string `query:"after" maxLength:"20" example:"4711" doc:"The sequence of the last event that is known already; 0 begins with the oldest. Without it, the stream begins with the next event that comes."`
	LastEventID string `header:"Last-Event-ID" maxLength:"20" example:"4711" doc:"As after, which it overrides. Browsers and SSE libraries send it when they connect again."`
}

func (s *Server) addEvents() {
	register(s, route{
		id: "list-events", method: http.MethodGet, path: "/v1/workspaces/{workspace}/events", tag: "events", allow: access(identity.MessageRead),
		summary: "List events", description: "In the order of their sequence. The last page has no next; to go on later, pass the sequence of its last event as after. " +
			"With a filter, a page may hold few events or none and still have a next. A cursor before the oldest event that is kept is answered 410.",
		errors: []int{http.StatusConflict, http.StatusGone},
	}, s.listEvents)
	register(s, route{
		id: "stream-events", method: http.MethodGet, path: "/v1/workspaces/{workspace}/events/stream", tag: "events", allow: access(identity.MessageRead),
		summary: "Receive events as they come",
		description: "Server-sent events (WHATWG HTML section 9.2): id is the sequence, event the type, data the CloudEvent on one line. " +
			"None is left out and none comes twice, if the client goes on from the last id it saw: with a filter, an id alone tells how far the stream is when none was selected. " +
			"A comment comes every 15 seconds while nothing happens. A cursor before the oldest event that is kept is answered 410. " +
			"The stream ends when the token does, when the host shuts down, and when the client does not keep up.",
		gives:  eventStream,
		errors: []int{http.StatusConflict, http.StatusGone, http.StatusTooManyRequests},
	}, s.streamEvents)
}

var eventStream = &huma.Response{
	Description: "Events, until either side ends the stream.",
	Content: map[string]*huma.MediaType{"text/event-stream": {
		Schema:  &huma.Schema{Type: huma.TypeString, Description: "Server-sent events. The data of each is a CloudEvent."},
		Example: "id: 4711\nevent: patchbay.typing\ndata: {\"specversion\":\"1.0\",\"id\":\"evt_1\",\"type\":\"patchbay.typing\",\"sequence\":\"4711\"}\n\n",
	}},
}

func (s *Server) listEvents(ctx context.Context, in *eventPage) (*answer[list[cloudevents.CloudEvent]], error) {
	after, err := parseSequence("query.after", in.After)
	if err != nil {
		return nil, err
	}
	if err := s.exists(ctx, in.Workspace); err != nil {
		return nil, err
	}
	last, err := s.lastEvent(ctx, in.Workspace, after)
	if err != nil {
		return nil, err
	}
	events, reached, err := s.selectEvents(ctx, in, after)
	next := ""
	if reached > after && reached < last {
		next = strconv.FormatUint(reached, 10)
	}
	return listed(mapped(events, cloudevents.New), next), err
}

const (
	// scanPage is how many events are read at a time to find those that a filter selects, and
	// maxScanned how many at most for one page.
	scanPage   = 500
	maxScanned = 5000
)

// selectEvents reads one page of events, and tells the sequence of the last one that it
// looked at.
func (s *Server) selectEvents(ctx context.Context, in *eventPage, after uint64) (selected []domain.Event, reached uint64, err error) {
	filter, reached := in.EventFilter.domain(), after
	size := in.Limit
	if !filter.IsZero() {
		size = scanPage
	}
	for scanned := 0; scanned < maxScanned; scanned += size {
		events, err := s.opts.Store.Events(ctx, in.Workspace, reached, size)
		if err != nil {
			return nil, 0, err
		}
		for _, e := range events {
			if reached = e.Seq; filter.Selects(e) {
				selected = append(selected, e)
			}
			if len(selected) == in.Limit {
				return selected, reached, nil
			}
		}
		if len(events) < size {
			break
		}
	}
	return selected, reached, nil
}

// lastEvent returns the newest sequence number. It answers a problem if after is beyond
// it: the client knows of events that this host does not have (any more), and would wait
// for ever without noticing. It does so, too, if events right after after are not kept any
// more, which the client would miss without noticing; 0 means whatever there is.
func (s *Server) lastEvent(ctx context.Context, ws contract.WorkspaceID, after uint64) (uint64, error) {
	last, err := s.opts.Store.LastEventSeq(ctx, ws)
	if err == nil && after > last {
		return 0, coded(http.StatusConflict, "cursor_ahead",
			fmt.Sprintf("there is no event %d yet, the newest is %d; if the host was restored from a backup, begin again from there", after, last), nil)
	}
	if err != nil || after == 0 {
		return last, err
	}
	first, err := s.opts.Store.FirstEventSeq(ctx, ws)
	if err == nil && after+1 < first {
		return 0, coded(http.StatusGone, "cursor_expired",
			fmt.Sprintf("events up to %d are not kept any more; the oldest is %d: go on after %d, or after 0 for whatever is kept", first-1, first, first-1), nil)
	}
	return last, err
}

// parseSequence reads a cursor of events; empty is 0. It answers a problem that blames
// location.
func parseSequence(location, text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	seq, err := strconv.ParseUint(text, 10, 64)
	if err != nil || strconv.FormatUint(seq, 10) != text {
		p := coded(http.StatusUnprocessableEntity, "invalid", "the request was understood and refused", err)
		p.Errors = []gate.FieldError{{Location: location, Message: "it is not the sequence of an event; pass one as it came", Value: shown(text)}}
		return 0, p
	}
	return seq, nil
}
