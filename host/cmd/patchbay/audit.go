package main

import (
	"context"
	"strconv"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type auditCommand struct {
	List auditList `cmd:"" help:"List who did what."`
}

type auditList struct {
	pageFlags
	Workspace contract.WorkspaceID `short:"w" placeholder:"ID" help:"Only this workspace."`
	Action    string               `placeholder:"ACTION" help:"Only this action, such as plugin.approved."`
}

func (c *auditList) Run(ctx context.Context, s *session) error {
	page, err := s.connect().Audit(ctx, client.AuditFilter{Workspace: c.Workspace, Action: c.Action, Page: c.page()})
	if err != nil {
		return err
	}
	return listing(s, page,
		column[domain.AuditEntry]{"seq", func(e domain.AuditEntry) string { return strconv.FormatUint(e.Seq, 10) }},
		column[domain.AuditEntry]{"at", func(e domain.AuditEntry) string { return when(e.At) }},
		column[domain.AuditEntry]{"actor", func(e domain.AuditEntry) string { return e.Actor }},
		column[domain.AuditEntry]{"action", func(e domain.AuditEntry) string { return e.Action }},
		column[domain.AuditEntry]{"workspace", func(e domain.AuditEntry) string { return string(e.Workspace) }},
		column[domain.AuditEntry]{"target", func(e domain.AuditEntry) string { return e.Target }},
		column[domain.AuditEntry]{"detail", func(e domain.AuditEntry) string { return shorten(e.Detail, 80) }},
	)
}
