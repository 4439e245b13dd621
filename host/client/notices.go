package client

import (
	"context"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// NoticeFilter selects notices; zero fields select all.
type NoticeFilter struct {
	Kind domain.NoticeKind
	domain.Page
}

// Notices lists the notices about a workspace, or with an empty one all of the host, the
// newest first.
func (c *Client) Notices(ctx context.Context, ws contract.WorkspaceID, f NoticeFilter) (Page[domain.Notice], error) {
	q := paged(f.Page)
	set(q, "kind", f.Kind)
	path := at("notices")
	if ws != "" {
		path = at("workspaces", string(ws), "notices")
	}
	return list[domain.Notice](ctx, c, path, q)
}
