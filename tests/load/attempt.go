//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// firstAttempt has each tenant subscribe, offers webhooks, and measures from when each was
// due until its event's first POST has come.
func firstAttempt(ctx context.Context, b *Bench) (rows []Row, err error) {
	w, end, err := b.world(ctx, "attempt", nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	r, err := openReceiver()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for _, t := range w.Tenants {
		if err := w.subscribe(ctx, t, r.address); err != nil {
			return nil, fmt.Errorf("subscribe: %w", err)
		}
	}
	s, err := newStream(b, w, 0)
	if err != nil {
		return nil, err
	}
	first := s.next
	load := s.take(b.Scale.AttemptRate, b.Scale.Time)
	load.Begin = time.Now().Add(time.Second / 10)
	r.expect(first, load)
	t, err := b.offer(w, load)
	if err != nil {
		return nil, err
	}
	missing := r.await(ctx, t.OK())
	latency := r.latency()
	p99 := latency.Quantile(0.99)
	if missing*100 > load.Count {
		p99 = time.Hour
	}
	b.say("  first attempts: p50 %s, p99 %s, %d missing", short(latency.Quantile(0.5)), short(p99), missing)
	return []Row{
		rowOf("p99 from a webhook to the first attempt", p99.Seconds(), Seconds, t.Circumstances).atMost(attemptP99.Seconds()).
			noted("at %.0f/s; p50 %s, longest %s", t.Offered, short(latency.Quantile(0.5)), short(latency.Max())),
		rowOf("events without a first attempt", float64(missing), Number, t.Circumstances).atMost(0).noted("of %d acknowledged webhooks", t.OK()),
		rowOf("p99 of the webhooks' answers", t.P99().Seconds(), Seconds, t.Circumstances),
		t.cost(),
	}, nil
}

// subscribe has the operator make a subscriber of a tenant, because only an operator may
// allow a private address.
func (w *World) subscribe(ctx context.Context, t *Tenant, address string) error {
	body, err := json.Marshal(map[string]any{"name": "load", "url": "http://" + address + "/", "private_targets": []string{address},
		"kinds": []contract.EventKind{contract.EventMessageCreated}})
	if err != nil {
		return err
	}
	_, err = w.people.Operator.Call(ctx, "POST", "/v1/workspaces/"+string(t.Workspace)+"/subscribers", body)
	return err
}

// receiver is the tenants' end: it notes when each numbered event came first.
type receiver struct {
	address  string
	server   *fasthttp.Server
	done     chan error
	expected atomic.Pointer[expected]
}

// expected is the requests of one load. came holds when each was first seen, in
// nanoseconds after the load's beginning; 0 means not yet.
type expected struct {
	first int
	load  Load
	came  []atomic.Int64
	seen  atomic.Int64
}

func openReceiver() (*receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{address: l.Addr().String(), done: make(chan error, 1)}
	r.server = &fasthttp.Server{Handler: r.receive, ReadTimeout: time.Minute}
	go func() { r.done <- r.server.Serve(l) }()
	return r, nil
}

func (r *receiver) close() error { return errors.Join(r.server.Shutdown(), <-r.done) }

func (r *receiver) expect(first int, load Load) {
	r.expected.Store(&expected{first: first, load: load, came: make([]atomic.Int64, load.Count)})
}

var beforeNumber = []byte("No. ")

// receive notes an event and takes it.
func (r *receiver) receive(c *fasthttp.RequestCtx) {
	c.SetStatusCode(fasthttp.StatusNoContent)
	e := r.expected.Load()
	body := c.PostBody()
	at := bytes.Index(body, beforeNumber)
	if e == nil || at < 0 || len(body) < at+len(beforeNumber)+len(mark) {
		return
	}
	digits := body[at+len(beforeNumber):][:len(mark)]
	n, err := strconv.Atoi(string(digits))
	if i := n - e.first; err == nil && i >= 0 && i < len(e.came) {
		if e.came[i].CompareAndSwap(0, int64(time.Since(e.load.Begin))) {
			e.seen.Add(1)
		}
	}
}

// attemptPatience bounds how long after the load first attempts are waited for.
const attemptPatience = 20 * time.Second

// await waits until so many events came and returns how many did not.
func (r *receiver) await(ctx context.Context, count int) (missing int) {
	e := r.expected.Load()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(attemptPatience); int(e.seen.Load()) < count && time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			return count - int(e.seen.Load())
		case <-tick.C:
		}
	}
	return max(count-int(e.seen.Load()), 0)
}

// latency is from when each webhook was due until its event came.
func (r *receiver) latency() *Histogram {
	var h Histogram
	e := r.expected.Load()
	for i := range e.came {
		if came := e.came[i].Load(); came > 0 {
			h.Add(time.Duration(came) - e.load.Due(i).Sub(e.load.Begin))
		}
	}
	return &h
}
