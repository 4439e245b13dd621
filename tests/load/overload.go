//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// overload offers twice of what the host can take over many connections, and then looks
// into the store whether everything that was acknowledged is there, once.
func overload(ctx context.Context, b *Bench) (rows []Row, err error) {
	w, end, err := b.world(ctx, "overload", nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	s, err := newStream(b, w, 0)
	if err != nil {
		return nil, err
	}
	calm, err := s.saturate()
	if err != nil {
		return nil, err
	}
	acknowledged := map[int]bool{}
	first := s.next
	load := s.take(2*calm.Answered(), b.Scale.Time)
	load.Connections = b.Scale.Crowd
	load.Done = func(n, status int, _ time.Time) {
		if status >= 200 && status < 300 {
			acknowledged[first+n] = true
		}
	}
	t, err := b.offer(w, load)
	if err != nil {
		return nil, err
	}
	if err := w.Stop(); err != nil {
		return nil, err
	}
	lost, doubled, err := w.compare(ctx, acknowledged, first)
	if err != nil {
		return nil, err
	}
	return append(overloadRows(calm, t),
		rowOf("acknowledged and lost", float64(lost), Number, t.Circumstances).atMost(0).noted("of %d acknowledged", len(acknowledged)),
		rowOf("kept twice", float64(doubled), Number, t.Circumstances).atMost(0)), nil
}

func overloadRows(calm, t *Trial) []Row {
	shed := t.Statuses[http.StatusServiceUnavailable] + t.Statuses[http.StatusTooManyRequests]
	offered := t.OK() + t.Failed()
	return []Row{
		rowOf("answered 2xx, in terms of what it takes without overload", t.Answered()/calm.Answered(), Times, t.Circumstances).atLeast(0.75).
			noted("%.0f/s of %.0f/s offered; %.0f/s before", t.Answered(), t.Offered, calm.Answered()),
		rowOf("p99 of those answered 2xx", t.Latency.Quantile(0.99).Seconds(), Seconds, t.Circumstances).noted("p50 %s, longest %s",
			short(t.Latency.Quantile(0.5)), short(t.Latency.Max())),
		rowOf("refused with 503 or 429", float64(shed)/float64(max(offered, 1)), Share, t.Circumstances).noted("%s", statuses(t)),
		rowOf("answered otherwise, or not at all", float64(t.Failed()-shed-t.Unsent), Number, t.Circumstances).atMost(0).noted("%d never sent for want of a free connection", t.Unsent),
	}
}

func statuses(t *Trial) string { return fmt.Sprint("by status: ", t.Statuses) }

// compare counts the acknowledged webhooks that became no event, and the webhooks numbered
// from first on that became several. The host is stopped.
func (w *World) compare(ctx context.Context, acknowledged map[int]bool, first int) (lost, doubled int, err error) {
	kept := map[int]int{}
	err = w.withStore(func(s *store.Store) error {
		for _, t := range w.Tenants {
			if err := count(ctx, s, t.Workspace, kept); err != nil {
				return err
			}
		}
		return nil
	})
	for n := range acknowledged {
		if kept[n] == 0 {
			lost++
		}
	}
	for n, times := range kept {
		if n >= first && times > 1 {
			doubled++
		}
	}
	return lost, doubled, err
}

// count counts the messages of a workspace by their number.
func count(ctx context.Context, s *store.Store, ws contract.WorkspaceID, kept map[int]int) error {
	for after := uint64(0); ; {
		events, err := s.Events(ctx, ws, after, 1000)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			after = e.Seq
			if m := e.Data.Message; m != nil && len(m.Parts) > 0 && m.Parts[0].Text != nil {
				kept[number(m.Parts[0].Text.Plain)]++
			}
		}
	}
}
