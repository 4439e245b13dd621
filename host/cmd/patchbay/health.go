package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
)

type connectionHealth struct{ oneConnection }

func (c *connectionHealth) Run(ctx context.Context, s *session) error {
	h, err := s.connect().ConnectionHealth(ctx, c.Workspace, c.ID)
	if err != nil {
		return err
	}
	return s.show(h, func() { showHealth(s, h) })
}

type appHealth struct{ oneApp }

func (c *appHealth) Run(ctx context.Context, s *session) error {
	h, err := s.connect().ConnectionHealth(ctx, domain.HostWorkspace, c.ID)
	if err != nil {
		return err
	}
	return s.show(h, func() { showHealth(s, h) })
}

func showHealth(s *session, h client.ConnectionHealth) {
	fields := []field{{"state", string(h.State)}, {"code", h.Code}, {"reason", h.Reason}, {"to do", h.Action},
		{"last inbound", when(h.Traffic.LastInboundAt)}, {"last outbound", when(h.Traffic.LastOutboundAt)}}
	if t := h.Credentials; t != nil {
		fields = append(fields, field{"token valid", yesOrNo(t.Valid)}, field{"token expires", when(t.ExpiresAt)},
			field{"token renewed", when(t.RefreshedAt)}, field{"next renewal", when(t.NextRefreshAt)}, field{"failed renewals", many(t.Failures)})
		if t.LastFailure != nil {
			fields = append(fields, field{"last failure", t.LastFailure.Code + ": " + t.LastFailure.Message})
		}
	}
	if p := h.Probe; p != nil {
		fields = append(fields, field{"last check", when(p.LastAt)}, field{"next check", when(p.NextAt)},
			field{"failed checks", many(p.Failures)}, field{"the check says", p.Detail})
	}
	printFields(s.stdout, fields...)
	if len(h.Known) > 1 {
		fmt.Fprintln(s.stdout)
		printTable(s.stdout, h.Known,
			column[client.KnownHealth]{"says", func(k client.KnownHealth) string { return string(k.By) }},
			column[client.KnownHealth]{"state", func(k client.KnownHealth) string { return string(k.State) }},
			column[client.KnownHealth]{"reason", func(k client.KnownHealth) string { return k.Reason }},
			column[client.KnownHealth]{"to do", func(k client.KnownHealth) string { return k.Action }},
		)
	}
}

// many is a count; none is nothing to show.
func many(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

type connectionAuthorize struct{ oneConnection }

func (c *connectionAuthorize) Run(ctx context.Context, s *session) error {
	begun, err := s.connect().AuthorizeConnection(ctx, c.Workspace, c.ID)
	if err != nil {
		return err
	}
	return s.show(begun, func() {
		fmt.Fprintln(s.stdout, clean(begun.URL))
		fmt.Fprintf(s.stderr, "open it in a browser and stay in that one; it works until %s\n", begun.ExpiresAt.Format(time.RFC3339))
	})
}

// yesOrNo says no where that is news.
func yesOrNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
