package client

import (
	"context"
	"io"
	"mime"
	"net/http"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// DeliveryFilter selects deliveries; zero fields select all.
type DeliveryFilter struct {
	Connection contract.ConnectionID
	State      domain.DeliveryState
	domain.Page
}

// Deliveries lists the deliveries of a workspace, without their bodies.
func (c *Client) Deliveries(ctx context.Context, ws contract.WorkspaceID, f DeliveryFilter) (Page[domain.Delivery], error) {
	q := paged(f.Page)
	set(q, "connection", f.Connection)
	set(q, "state", f.State)
	return list[domain.Delivery](ctx, c, at("workspaces", string(ws), "deliveries"), q)
}

// Delivery reads one delivery, with its body if the token may see it.
func (c *Client) Delivery(ctx context.Context, ws contract.WorkspaceID, id contract.DeliveryID) (domain.Delivery, error) {
	return get[domain.Delivery](ctx, c, at("workspaces", string(ws), "deliveries", string(id)))
}

// ReplayDelivery runs a failed delivery through the plugin again. If the platform's own
// repeat of it was accepted meanwhile, it is refused unless force is set.
func (c *Client) ReplayDelivery(ctx context.Context, ws contract.WorkspaceID, id contract.DeliveryID, force bool) (domain.Delivery, error) {
	return post[domain.Delivery](ctx, c, at("workspaces", string(ws), "deliveries", string(id), "replay"), map[string]bool{"force": force})
}

// Upload keeps the bytes of r as an attachment, streamed. kind is their media type; the
// host looks at the bytes and decides itself.
func (c *Client) Upload(ctx context.Context, ws contract.WorkspaceID, name, kind string, r io.Reader) (domain.Media, error) {
	return exchange[domain.Media](ctx, c, request{
		method: http.MethodPost, path: at("workspaces", string(ws), "media"), query: query("name", name),
		header: http.Header{"Content-Type": {kind}}, stream: r,
	})
}

// Download is an attachment on its way. Whoever asked for it closes Body.
type Download struct {
	// Name is the file name that the host gives, without a path; it came from outside.
	Name string
	// MIME is the media type.
	MIME string
	// SizeBytes is the length, -1 if the host does not say.
	SizeBytes int64
	Body      io.ReadCloser
}

// Download reads an attachment, streamed.
func (c *Client) Download(ctx context.Context, ws contract.WorkspaceID, handle contract.MediaHandle) (Download, error) {
	answer, err := c.send(ctx, request{method: http.MethodGet, path: at("workspaces", string(ws), "media", string(handle))})
	if err != nil {
		return Download{}, err
	}
	_, params, _ := mime.ParseMediaType(answer.Header.Get("Content-Disposition"))
	return Download{Name: params["filename"], MIME: answer.Header.Get("Content-Type"),
		SizeBytes: answer.ContentLength, Body: answer.Body}, nil
}
