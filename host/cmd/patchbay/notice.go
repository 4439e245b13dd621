package main

import (
	"context"
	"strconv"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type noticeCommand struct {
	List noticeList `cmd:"" help:"List what a person may want to act upon, the newest first."`
}

type noticeList struct {
	pageFlags
	Workspace contract.WorkspaceID `short:"w" placeholder:"ID" env:"PATCHBAY_WORKSPACE" help:"Only those about this workspace; an operator may leave it out."`
	Kind      domain.NoticeKind    `placeholder:"KIND" help:"Only this kind, such as job.parked, connection.needs_action or app.install."`
}

func (c *noticeList) Run(ctx context.Context, s *session) error {
	page, err := s.connect().Notices(ctx, c.Workspace, client.NoticeFilter{Kind: c.Kind, Page: c.page()})
	if err != nil {
		return err
	}
	return listing(s, page,
		column[domain.Notice]{"seq", func(n domain.Notice) string { return strconv.FormatUint(n.Seq, 10) }},
		column[domain.Notice]{"at", func(n domain.Notice) string { return when(n.At) }},
		column[domain.Notice]{"kind", func(n domain.Notice) string { return string(n.Kind) }},
		column[domain.Notice]{"workspace", func(n domain.Notice) string { return string(n.Workspace) }},
		column[domain.Notice]{"target", func(n domain.Notice) string { return n.Target }},
		column[domain.Notice]{"detail", func(n domain.Notice) string { return n.Detail }},
	)
}
