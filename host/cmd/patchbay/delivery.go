package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type deliveryCommand struct {
	List   deliveryList   `cmd:"" help:"List deliveries, without their bodies."`
	Show   deliveryShow   `cmd:"" help:"Show one delivery."`
	Replay deliveryReplay `cmd:"" help:"Run a failed delivery through its plugin again, or every one that is selected."`
	// Recording is what one run of a delivery was.
	Recording deliveryRecording `cmd:"" help:"Read the recording of a run, for patchbay plugin replay."`
}

type deliveryList struct {
	inWorkspace
	pageFlags
	Connection contract.ConnectionID `placeholder:"ID" help:"Only this connection."`
	State      domain.DeliveryState  `enum:",accepted,rejected,failed,superseded,parked,expired" default:"" placeholder:"STATE" help:"Only deliveries in one state: accepted, rejected, failed, superseded, or for those of an app parked or expired."`
}

func (c *deliveryList) Run(ctx context.Context, s *session) error {
	page, err := s.connect().Deliveries(ctx, c.Workspace,
		client.DeliveryFilter{Connection: c.Connection, State: c.State, Page: c.page()})
	if err != nil {
		return err
	}
	return listing(s, page,
		column[domain.Delivery]{"id", func(d domain.Delivery) string { return string(d.ID) }},
		column[domain.Delivery]{"received", func(d domain.Delivery) string { return when(d.ReceivedAt) }},
		column[domain.Delivery]{"connection", func(d domain.Delivery) string { return string(d.Connection) }},
		column[domain.Delivery]{"state", func(d domain.Delivery) string { return string(d.State) }},
		column[domain.Delivery]{"bytes", func(d domain.Delivery) string { return strconv.FormatInt(d.BodyBytes, 10) }},
		column[domain.Delivery]{"answered", func(d domain.Delivery) string { return strconv.FormatInt(d.Response.Status, 10) }},
		column[domain.Delivery]{"runs", func(d domain.Delivery) string { return strconv.Itoa(d.Attempts) }},
		column[domain.Delivery]{"why", func(d domain.Delivery) string { return d.Code }},
	)
}

// oneDelivery names a delivery of a workspace.
type oneDelivery struct {
	inWorkspace
	ID contract.DeliveryID `arg:"" help:"The delivery."`
}

type deliveryShow struct{ oneDelivery }

func (c *deliveryShow) Run(ctx context.Context, s *session) error {
	d, err := s.connect().Delivery(ctx, c.Workspace, c.ID)
	if err != nil {
		return err
	}
	return s.show(d, func() { showDelivery(s, d) })
}

type deliveryReplay struct {
	inWorkspace
	ID             contract.DeliveryID   `arg:"" optional:"" help:"The delivery."`
	Force          bool                  `help:"Replay it although the platform's own repeat of it was accepted: its events come again."`
	All            bool                  `help:"Every failed delivery of the workspace."`
	Connection     contract.ConnectionID `placeholder:"ID" help:"The failed deliveries of this connection."`
	Code           string                `placeholder:"CODE" help:"Those that failed with this code."`
	ReceivedAfter  time.Time             `placeholder:"TIME" format:"2006-01-02T15:04:05Z07:00" help:"Those that came after this time, such as 2026-11-22T10:00:00Z."`
	ReceivedBefore time.Time             `placeholder:"TIME" format:"2006-01-02T15:04:05Z07:00" help:"Those that came before this time."`
}

func (c *deliveryReplay) selection() client.FailedDeliveries {
	return client.FailedDeliveries{Connection: c.Connection, Code: c.Code, ReceivedAfter: c.ReceivedAfter,
		ReceivedBefore: c.ReceivedBefore, Batch: client.Batch{All: c.All}}
}

// Validate refuses a selection of nothing.
func (c *deliveryReplay) Validate() error {
	if err := c.inWorkspace.Validate(); err != nil {
		return err
	}
	if c.ID == "" && c.Force {
		return &usageError{why: "--force is for one delivery, whose events then come again", hint: "name it"}
	}
	return oneOrMany(string(c.ID), c.selection() != client.FailedDeliveries{})
}

func (c *deliveryReplay) Run(ctx context.Context, s *session) error {
	if c.ID == "" {
		return s.inBatches("replayed", func(after string) (domain.Bulk, error) {
			which := c.selection()
			which.After, which.Limit = after, 100
			return s.connect().ReplayDeliveries(ctx, c.Workspace, which)
		})
	}
	d, err := s.connect().ReplayDelivery(ctx, c.Workspace, c.ID, c.Force)
	if err != nil {
		return err
	}
	if err := s.show(d, func() { showDelivery(s, d) }); err != nil {
		return err
	}
	if d.State != domain.DeliveryAccepted {
		return fmt.Errorf("the delivery was run again and is %s: %s", d.State, d.Code)
	}
	return nil
}

func showDelivery(s *session, d domain.Delivery) {
	printFields(s.stdout,
		field{"id", string(d.ID)}, field{"connection", string(d.Connection)}, field{"plugin", d.Plugin},
		field{"digest", d.Digest}, field{"state", string(d.State)}, field{"code", d.Code}, field{"reason", d.Reason},
		field{"request", d.Method + " " + d.Path}, field{"query", d.Query},
		field{"body", fmt.Sprintf("%d bytes, SHA-256 %s", d.BodyBytes, d.BodySHA256)},
		field{"answered", strconv.FormatInt(d.Response.Status, 10)}, field{"received", when(d.ReceivedAt)},
		field{"replayed", when(d.ReplayedAt)}, field{"runs", strconv.Itoa(d.Attempts)}, field{"took", d.Took.String()},
	)
	for _, h := range d.Headers {
		fmt.Fprintf(s.stdout, "%s: %s\n", clean(h.Name), clean(h.Value))
	}
	if len(d.Body) > 0 {
		fmt.Fprintln(s.stdout, "\n"+bodyText(d.Body))
	}
	if d.Sealed {
		fmt.Fprintln(s.stdout, "\n(the body is kept encrypted, because it seems to carry tokens)")
	}
}

// bodyText prints a body that is text, and says so of one that is not.
func bodyText(body []byte) string {
	if !utf8.Valid(body) {
		return fmt.Sprintf("(%d bytes that are not text; --json prints them in base64)", len(body))
	}
	return cleanLines(string(body))
}
