package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type eventCommand struct {
	List eventList `cmd:"" help:"List events, oldest first."`
	Tail eventTail `cmd:"" help:"Print events as they come, until interrupted."`
}

// eventFlags select events.
type eventFlags struct {
	Kind       []contract.EventKind    `sep:"none" placeholder:"KIND" help:"Only events of this kind, such as message.created; repeat for more."`
	Connection []contract.ConnectionID `sep:"none" placeholder:"ID" help:"Only events of this connection; repeat for more."`
}

func (f eventFlags) filter() domain.EventFilter {
	return domain.EventFilter{Kinds: f.Kind, Connections: f.Connection}
}

type eventList struct {
	inWorkspace
	pageFlags
	eventFlags
}

func (c *eventList) Run(ctx context.Context, s *session) error {
	page, err := s.connect().SelectEvents(ctx, c.Workspace, c.filter(), c.page())
	if err != nil {
		return err
	}
	return listing(s, page,
		column[client.Event]{"seq", func(e client.Event) string { return e.Sequence }},
		column[client.Event]{"time", func(e client.Event) string { return when(e.Time) }},
		column[client.Event]{"type", func(e client.Event) string { return e.Type }},
		column[client.Event]{"connection", func(e client.Event) string { return string(e.Connection) }},
		column[client.Event]{"conversation", func(e client.Event) string { return e.Subject }},
		column[client.Event]{"what", func(e client.Event) string { return shorten(eventText(e.Data), 60) }},
	)
}

type eventTail struct {
	inWorkspace
	eventFlags
	After string `placeholder:"SEQ" help:"Begin after this sequence number; 0 begins with the oldest event kept. Without it, only what comes from now on is printed."`
}

// Run follows the stream. It survives restarts of the host, and says so on stderr.
func (c *eventTail) Run(ctx context.Context, s *session) error {
	host := s.connect()
	defer host.Close()
	lost := false
	opts := client.Stream{
		After: c.After, Filter: c.filter(),
		OnReconnect: func(why error, wait time.Duration) {
			lost = true
			fmt.Fprintf(s.stderr, "the stream broke: %s; connecting again in %v\n", clean(why.Error()), wait.Round(time.Millisecond))
		},
		OnConnect: func() {
			if lost {
				fmt.Fprintln(s.stderr, "the stream is back")
			}
			lost = false
		},
	}
	for e, err := range host.StreamEvents(ctx, c.Workspace, opts) {
		if err != nil {
			return err
		}
		if err := s.printEvent(e); err != nil {
			return fmt.Errorf("print event %s: %w", e.Sequence, err)
		}
	}
	return nil
}

// printEvent prints one event on one line.
func (s *session) printEvent(e client.Event) error {
	if s.json {
		return json.NewEncoder(s.stdout).Encode(e)
	}
	_, err := fmt.Fprintln(s.stdout, clean(fmt.Sprintf("%s %s %s %s %s %s",
		e.Sequence, when(e.Time), e.Type, e.Connection, e.Subject, eventText(e.Data))))
	return err
}

// eventText says in a few words what an event is about.
func eventText(e contract.Event) string {
	switch {
	case e.Message != nil:
		return authorText(e.Message.Author) + ": " + partsText(e.Message.Parts)
	case e.Deletion != nil:
		return string(e.Deletion.PlatformID)
	case e.Status != nil:
		return reported(*e.Status)
	case e.Postback != nil:
		return authorText(e.Postback.Author) + " picked " + e.Postback.ActionID
	case e.Typing != nil:
		return authorText(e.Typing.Author)
	case e.Reaction != nil:
		return authorText(e.Reaction.Author) + " " + e.Reaction.Emoji
	case e.Contact != nil:
		return e.Contact.Name
	case e.State != nil:
		return strings.TrimSpace(strings.Join([]string{string(e.State.State), e.State.Reason, e.State.Action}, " "))
	case e.Raw != nil:
		return e.Raw.Kind
	}
	return ""
}

// reported says how far a message got, and why no further.
func reported(r contract.StatusReport) string {
	text := cmp.Or(string(r.PlatformID), string(r.MessageID)) + " " + string(r.Status)
	if r.Failure != nil {
		text += ": " + cmp.Or(r.Failure.Message, r.Failure.Code)
	}
	return text
}
