package client

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Batch selects one batch of what a request is about: After is the Next of the answer
// before, and Limit at most 1000, which 0 means. All selects everything, and must stand
// alone.
type Batch struct {
	All   bool   `json:"all,omitempty"`
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// ParkedCommands selects parked commands; zero fields select all, but not all of them may
// be zero unless All is set.
type ParkedCommands struct {
	Connection   contract.ConnectionID `json:"connection,omitempty"`
	Export       contract.Export       `json:"export,omitempty"`
	Code         string                `json:"code,omitempty"`
	Class        contract.FailureClass `json:"class,omitempty"`
	ParkedAfter  time.Time             `json:"parked_after,omitzero"`
	ParkedBefore time.Time             `json:"parked_before,omitzero"`
	Batch
}

// FailedDeliveries selects failed deliveries as ParkedCommands does parked commands.
type FailedDeliveries struct {
	Connection     contract.ConnectionID `json:"connection,omitempty"`
	Code           string                `json:"code,omitempty"`
	ReceivedAfter  time.Time             `json:"received_after,omitzero"`
	ReceivedBefore time.Time             `json:"received_before,omitzero"`
	Batch
}

// RetryCommands queues one batch of parked commands again.
func (c *Client) RetryCommands(ctx context.Context, ws contract.WorkspaceID, which ParkedCommands) (domain.Bulk, error) {
	return post[domain.Bulk](ctx, c, at("workspaces", string(ws), "commands", "retry"), which)
}

// CancelCommands gives one batch of parked commands up.
func (c *Client) CancelCommands(ctx context.Context, ws contract.WorkspaceID, which ParkedCommands) (domain.Bulk, error) {
	return post[domain.Bulk](ctx, c, at("workspaces", string(ws), "commands", "cancel"), which)
}

// ReplayDeliveries runs one batch of failed deliveries again.
func (c *Client) ReplayDeliveries(ctx context.Context, ws contract.WorkspaceID, which FailedDeliveries) (domain.Bulk, error) {
	return post[domain.Bulk](ctx, c, at("workspaces", string(ws), "deliveries", "replay"), which)
}

// Run is a run of a delivery or a command of which a recording is kept.
type Run struct {
	Run int `json:"run"`
}

// Recorded names what has recordings.
type Recorded string

// What has recordings.
const (
	RecordedCommand  Recorded = "commands"
	RecordedDelivery Recorded = "deliveries"
)

// Recordings lists the runs of a command or a delivery whose recordings are kept.
func (c *Client) Recordings(ctx context.Context, ws contract.WorkspaceID, what Recorded, id string) (Page[Run], error) {
	return list[Run](ctx, c, at("workspaces", string(ws), string(what), id, "recordings"), nil)
}

// Recording reads the recording of one run, as "patchbay plugin replay" takes it. The
// caller closes it.
func (c *Client) Recording(ctx context.Context, ws contract.WorkspaceID, what Recorded, id string, run int) (io.ReadCloser, error) {
	answer, err := c.send(ctx, request{method: http.MethodGet,
		path: at("workspaces", string(ws), string(what), id, "recordings", strconv.Itoa(run))})
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}
