package stage

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Inbox is everything a tenant has received over its event stream.
type Inbox struct {
	stop func()
	done chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every event
	events  []client.Event
	err     error
}

// Listen opens the event stream of a workspace, after the event with that sequence; "0"
// means from the first. The caller closes it.
func Listen(ctx context.Context, c *client.Client, ws contract.WorkspaceID, after string) *Inbox {
	ctx, stop := context.WithCancel(ctx)
	in := &Inbox{stop: stop, done: make(chan struct{}), changed: make(chan struct{})}
	go func() {
		defer close(in.done)
		for event, err := range c.StreamEvents(ctx, ws, client.Stream{After: after}) {
			in.put(event, err)
		}
	}()
	return in
}

// Close ends the stream.
func (in *Inbox) Close() {
	in.stop()
	<-in.done
}

func (in *Inbox) put(event client.Event, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err != nil {
		in.err = err
	} else {
		in.events = append(in.events, event)
	}
	close(in.changed)
	in.changed = make(chan struct{})
}

// Events returns what has been received so far.
func (in *Inbox) Events() []client.Event {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.events)
}

// Wait returns the first event, received already or to come, that matches.
func (in *Inbox) Wait(ctx context.Context, what string, match func(client.Event) bool) (client.Event, error) {
	for {
		in.mu.Lock()
		events, err, changed := in.events, in.err, in.changed
		in.mu.Unlock()
		if i := slices.IndexFunc(events, match); i >= 0 {
			return events[i], nil
		}
		if err != nil {
			return client.Event{}, fmt.Errorf("while waiting for %s, the event stream ended: %w", what, err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return client.Event{}, fmt.Errorf("waited in vain for %s among %d events: %w", what, len(events), ctx.Err())
		}
	}
}

// Status matches the report that a message got that far. One that was delivered was sent: a
// platform may say so before its answer to us is noted, and then nobody says the other.
func Status(id contract.MessageID, status contract.MessageStatus) func(client.Event) bool {
	return func(e client.Event) bool {
		s := e.Data.Status
		if s == nil || s.MessageID != id {
			return false
		}
		return s.Status == status || status == contract.MessageSent && s.Status == contract.MessageDelivered
	}
}

// Said matches a message that came in with that text.
func Said(text string) func(client.Event) bool {
	return func(e client.Event) bool {
		return e.Data.Kind == contract.EventMessageCreated && Text(e.Data.Message) == text
	}
}

// State matches a new state of a connection.
func State(id contract.ConnectionID, state contract.ConnectionState) func(client.Event) bool {
	return func(e client.Event) bool {
		return e.Connection == id && e.Data.State != nil && e.Data.State.State == state
	}
}

// Text is the first text of a message.
func Text(m *contract.Message) string {
	for _, part := range m.Parts {
		if part.Text != nil {
			return part.Text.Plain
		}
	}
	return ""
}

// Attachment is the first attachment of a message; nil if there is none.
func Attachment(m *contract.Message) *contract.Media {
	for _, part := range m.Parts {
		if part.Media != nil {
			return part.Media
		}
	}
	return nil
}
