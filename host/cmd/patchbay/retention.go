package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/lifecycle"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type retentionCommand struct {
	Run retentionRun `cmd:"" help:"Remove what is too old, now; the host does so by itself now and then."`
}

type retentionRun struct{}

func (c *retentionRun) Run(ctx context.Context, s *session) error {
	report, err := s.connect().RunRetention(ctx)
	if err != nil {
		return err
	}
	return s.show(report, func() {
		if len(report.Removed) == 0 {
			fmt.Fprintln(s.stdout, "nothing was too old")
			return
		}
		printTable(s.stdout, report.Removed,
			column[lifecycle.Removed]{"kind", func(r lifecycle.Removed) string { return r.Room }},
			column[lifecycle.Removed]{"removed", func(r lifecycle.Removed) string { return strconv.Itoa(r.Removed) }},
			column[lifecycle.Removed]{"bytes", func(r lifecycle.Removed) string { return strconv.FormatInt(r.Bytes, 10) }},
			column[lifecycle.Removed]{"unreadable", func(r lifecycle.Removed) string { return strconv.Itoa(r.Damaged) }},
		)
	})
}

type workspaceRetention struct {
	ID          contract.WorkspaceID `arg:"" help:"The workspace."`
	PayloadDays *int64               `placeholder:"N" help:"Age at which bodies and recordings are removed. Of every age, 0 is the host's default and --AGE=-1 for ever; ages that are not named stay."`
	EventDays   *int64               `placeholder:"N" help:"Age at which events, messages, deliveries, ended commands and unused attachments are removed."`
	DedupeDays  *int64               `placeholder:"N" help:"Age at which a repeat of a delivery, or of an Idempotency-Key, is not known any more."`
	MaxBytes    *int64               `placeholder:"N" help:"Most bytes of bodies and recordings; beyond them the oldest go, whatever their age."`
}

func (c *workspaceRetention) Run(ctx context.Context, s *session) error {
	api := s.connect()
	settings, err := api.Retention(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.change(&settings.Own) {
		if settings, err = api.SetRetention(ctx, c.ID, settings.Own); err != nil {
			return err
		}
	}
	return s.show(settings, func() { showRetention(s, settings) })
}

// change puts the flags into the retention, and tells whether there are any.
func (c *workspaceRetention) change(r *domain.Retention) (changed bool) {
	for _, f := range []struct{ flag, value *int64 }{
		{c.PayloadDays, &r.PayloadDays}, {c.EventDays, &r.EventDays}, {c.DedupeDays, &r.DedupeDays}, {c.MaxBytes, &r.MaxBytes},
	} {
		changed = override(f.value, f.flag) || changed
	}
	return changed
}

// retentionRow is one bound of what is kept, as it was set and as it holds.
type retentionRow struct {
	name           string
	set, effective int64
}

func showRetention(s *session, settings lifecycle.Settings) {
	own, effective := settings.Own, settings.Effective
	rows := []retentionRow{
		{"payload-days", own.PayloadDays, effective.PayloadDays}, {"event-days", own.EventDays, effective.EventDays},
		{"dedupe-days", own.DedupeDays, effective.DedupeDays}, {"max-bytes", own.MaxBytes, effective.MaxBytes},
	}
	printTable(s.stdout, rows,
		column[retentionRow]{"kept", func(r retentionRow) string { return r.name }},
		column[retentionRow]{"holds", func(r retentionRow) string { return binding(float64(r.effective)) }},
		column[retentionRow]{"set by", func(r retentionRow) string { return setter(float64(r.set)) }},
	)
	printFields(s.stdout, field{"payload kept now", strconv.FormatInt(settings.Usage.PayloadBytes, 10) + " bytes"})
}
