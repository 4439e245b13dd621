package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/lifecycle"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Retention reads how long the data of a workspace is kept.
func (c *Client) Retention(ctx context.Context, ws contract.WorkspaceID) (lifecycle.Settings, error) {
	return get[lifecycle.Settings](ctx, c, at("workspaces", string(ws), "retention"))
}

// SetRetention sets how long the data of a workspace is kept: 0 is the host's default, -1
// for ever.
func (c *Client) SetRetention(ctx context.Context, ws contract.WorkspaceID, r domain.Retention) (lifecycle.Settings, error) {
	return exchange[lifecycle.Settings](ctx, c, request{method: http.MethodPut, path: at("workspaces", string(ws), "retention"), document: r})
}

// RunRetention removes what is too old, and returns when that is done.
func (c *Client) RunRetention(ctx context.Context) (lifecycle.Report, error) {
	return post[lifecycle.Report](ctx, c, at("retention", "run"), nil)
}

// Doctor has the host examine its data; deep reads every attachment.
func (c *Client) Doctor(ctx context.Context, deep bool) (lifecycle.Diagnosis, error) {
	q := url.Values{}
	if deep {
		q.Set("deep", "true")
	}
	return exchange[lifecycle.Diagnosis](ctx, c, request{method: http.MethodGet, path: at("doctor"), query: q})
}

// Backup streams a backup of the host, encrypted if there are age recipients. The caller
// closes it. Only one that was read to io.EOF is whole: if it breaks off, reading it fails
// with [ErrUnreachable].
func (c *Client) Backup(ctx context.Context, recipients []string) (io.ReadCloser, error) {
	answer, err := c.send(ctx, request{method: http.MethodGet, path: at("backup"), query: url.Values{"recipient": recipients}})
	if err != nil {
		return nil, err
	}
	return backupBody{answer.Body}, nil
}

type backupBody struct{ io.ReadCloser }

func (b backupBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("the backup broke off; the host's log tells why: %w: %w", ErrUnreachable, err)
	}
	return n, err
}
