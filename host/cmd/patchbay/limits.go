package main

import (
	"context"
	"strconv"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type workspaceLimits struct {
	ID                   contract.WorkspaceID `arg:"" help:"The workspace."`
	DeliveriesPerSecond  *float64             `placeholder:"N" help:"Deliveries, sustained; twice as many may come at once. Of every limit, 0 is the host's default and --LIMIT=-1 none at all; limits that are not named stay."`
	CommandsPerSecond    *float64             `placeholder:"N" help:"Commands that are asked for, sustained; twice as many may come at once."`
	BytesPerSecond       *float64             `placeholder:"N" help:"Bodies of deliveries and commands."`
	FuelMillionPerSecond *float64             `placeholder:"N" help:"What its plugins compute, in millions of units of fuel."`
	QueuedJobs           *int64               `placeholder:"N" help:"How many jobs may wait."`
	Connections          *int64               `placeholder:"N" help:"How many connections there may be."`
	Subscribers          *int64               `placeholder:"N" help:"How many subscribers there may be."`
	Bridges              *int64               `placeholder:"N" help:"How many bridges there may be."`
}

func (c *workspaceLimits) Run(ctx context.Context, s *session) error {
	api := s.connect()
	limits, err := api.Limits(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.change(&limits.Set) {
		if limits, err = api.SetLimits(ctx, c.ID, limits.Set); err != nil {
			return err
		}
	}
	return s.show(limits, func() { showLimits(s, limits) })
}

// change puts the flags into the limits, and tells whether there are any.
func (c *workspaceLimits) change(l *domain.Limits) (changed bool) {
	for _, rate := range []struct{ flag, limit *float64 }{
		{c.DeliveriesPerSecond, &l.DeliveriesPerSecond}, {c.CommandsPerSecond, &l.CommandsPerSecond},
		{c.BytesPerSecond, &l.BytesPerSecond}, {c.FuelMillionPerSecond, &l.FuelMillionPerSecond},
	} {
		changed = override(rate.limit, rate.flag) || changed
	}
	for _, count := range []struct{ flag, limit *int64 }{
		{c.QueuedJobs, &l.QueuedJobs}, {c.Connections, &l.Connections}, {c.Subscribers, &l.Subscribers}, {c.Bridges, &l.Bridges},
	} {
		changed = override(count.limit, count.flag) || changed
	}
	return changed
}

func override[N any](limit, flag *N) bool {
	if flag == nil {
		return false
	}
	*limit = *flag
	return true
}

// limitRow is one limit, as it was set and as it binds.
type limitRow struct {
	name           string
	set, effective float64
}

func showLimits(s *session, l client.WorkspaceLimits) {
	rows := []limitRow{
		{"deliveries-per-second", l.Set.DeliveriesPerSecond, l.Effective.DeliveriesPerSecond},
		{"commands-per-second", l.Set.CommandsPerSecond, l.Effective.CommandsPerSecond},
		{"bytes-per-second", l.Set.BytesPerSecond, l.Effective.BytesPerSecond},
		{"fuel-million-per-second", l.Set.FuelMillionPerSecond, l.Effective.FuelMillionPerSecond},
		{"queued-jobs", float64(l.Set.QueuedJobs), float64(l.Effective.QueuedJobs)},
		{"connections", float64(l.Set.Connections), float64(l.Effective.Connections)},
		{"subscribers", float64(l.Set.Subscribers), float64(l.Effective.Subscribers)},
		{"bridges", float64(l.Set.Bridges), float64(l.Effective.Bridges)},
	}
	printTable(s.stdout, rows,
		column[limitRow]{"limit", func(r limitRow) string { return r.name }},
		column[limitRow]{"binds", func(r limitRow) string { return binding(r.effective) }},
		column[limitRow]{"set by", func(r limitRow) string { return setter(r.set) }},
	)
}

// binding prints a limit that binds.
func binding(limit float64) string {
	if limit <= 0 {
		return "no limit"
	}
	return strconv.FormatFloat(limit, 'f', -1, 64)
}

// setter tells where a limit comes from.
func setter(own float64) string {
	if own == 0 {
		return "host"
	}
	return "workspace"
}
