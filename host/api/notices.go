package api

import (
	"context"
	"net/http"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Notices reads the host's notices.
type Notices interface {
	Notices(ctx context.Context, f domain.NoticeFilter, p domain.Page) (items []domain.Notice, next string, err error)
}

func (s *Server) addNotices() {
	const about = "Something that a person may want to act upon, such as a command that failed for good; the newest first."
	register(s, route{
		id: "list-notices", method: http.MethodGet, path: "/v1/notices", tag: "notices", allow: access(identity.NoticeReadAny),
		summary: "List the notices of the host", description: about,
	}, func(ctx context.Context, in *struct {
		Page
		Workspace contract.WorkspaceID `query:"workspace" doc:"Selects those about one workspace."`
		Kind      domain.NoticeKind    `query:"kind" maxLength:"100" example:"job.parked" doc:"Selects those of one kind."`
	}) (*answer[list[domain.Notice]], error) {
		return s.listNotices(ctx, domain.NoticeFilter{Workspace: in.Workspace, Kind: in.Kind}, in.Page)
	})
	register(s, route{
		id: "list-workspace-notices", method: http.MethodGet, path: "/v1/workspaces/{workspace}/notices", tag: "notices", allow: access(identity.NoticeRead),
		summary: "List the notices about a workspace", description: about,
	}, func(ctx context.Context, in *struct {
		InWorkspace
		Page
		Kind domain.NoticeKind `query:"kind" maxLength:"100" example:"job.parked" doc:"Selects those of one kind."`
	}) (*answer[list[domain.Notice]], error) {
		if err := s.exists(ctx, in.Workspace); err != nil {
			return nil, err
		}
		return s.listNotices(ctx, domain.NoticeFilter{Workspace: in.Workspace, Kind: in.Kind}, in.Page)
	})
}

func (s *Server) listNotices(ctx context.Context, f domain.NoticeFilter, p Page) (*answer[list[domain.Notice]], error) {
	items, next, err := s.opts.Store.Notices(ctx, f, p.domain())
	return listed(items, next), err
}
