package api

import (
	"context"
	"net/http"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// AuditLog reads the audit log.
type AuditLog interface {
	AuditEntries(ctx context.Context, f domain.AuditFilter, p domain.Page) (items []domain.AuditEntry, next string, err error)
}

func (s *Server) addAudit() {
	register(s, route{
		id: "list-audit", method: http.MethodGet, path: "/v1/audit", tag: "audit", allow: access(identity.AuditRead),
		summary: "List the audit log", description: "Who changed what, of all workspaces. Each entry carries the hash of the one before.",
	}, s.listAudit)
}

func (s *Server) listAudit(ctx context.Context, in *struct {
	Page
	Workspace contract.WorkspaceID `query:"workspace" doc:"Selects entries about one workspace."`
	Action    string               `query:"action" maxLength:"100" example:"plugin.approved" doc:"Selects entries with this action."`
}) (*answer[list[domain.AuditEntry]], error) {
	items, next, err := s.opts.Store.AuditEntries(ctx, domain.AuditFilter{Workspace: in.Workspace, Action: in.Action}, in.Page.domain())
	return listed(items, next), err
}
