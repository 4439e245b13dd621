//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/jobs"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// lanes queues jobs in a real store and has the real scheduler work them off. A job does
// nothing but commit that it is done, so that what is measured is the scheduler and the
// store. The host itself is started on a copy of the store.
func lanes(ctx context.Context, b *Bench) (rows []Row, err error) {
	root, err := os.MkdirTemp(b.Dir, "lanes-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	path := filepath.Join(root, "patchbay.db")
	began := time.Now()
	if err := queueJobs(ctx, path, b.Scale.Jobs, b.Scale.Lanes); err != nil {
		return nil, fmt.Errorf("queue jobs: %w", err)
	}
	b.say("  %d jobs in %d lanes queued in %s", b.Scale.Jobs, b.Scale.Lanes, short(time.Since(began)))
	opened, err := openOnCopy(ctx, path, root)
	if err != nil {
		return nil, fmt.Errorf("start the host on a copy: %w", err)
	}
	b.say("  host opened on a copy in %s", short(opened))
	seen, err := watch(root, nil)
	if err != nil {
		return nil, err
	}
	d, err := drain(ctx, path, b.Scale.Jobs)
	if err != nil {
		return nil, err
	}
	b.say("  scheduler started in %s, %d jobs worked off in %s", short(d.opened+d.started), d.jobs, short(d.took))
	c, err := seen.end()
	if err != nil {
		return nil, err
	}
	return append([]Row{rowOf("host opened with the jobs queued", opened.Seconds(), Seconds, c).atMost(lanesStart.Seconds())}, d.rows(c)...), nil
}

// workspacesOfLanes is how many tenants the lanes belong to.
const workspacesOfLanes = 20

// queueJobs makes a store with workspaces whose connections have jobs queued, a lane's one
// after the other.
func queueJobs(ctx context.Context, path string, count, lanes int) error {
	s, err := store.Open(path, store.Options{})
	if err != nil {
		return err
	}
	for i := range workspacesOfLanes {
		ws, c := contract.WorkspaceID(fmt.Sprintf("wsp_%d", i)), contract.ConnectionID(fmt.Sprintf("con_%d", i))
		err := errors.Join(s.CreateWorkspace(ctx, domain.Workspace{ID: ws}),
			s.CreateConnection(ctx, domain.Connection{ID: c, Workspace: ws, Plugin: "none", Endpoint: fmt.Sprint("end", i)}, nil))
		if err != nil {
			return errors.Join(err, s.Close())
		}
	}
	var next atomic.Int64
	errs := make([]error, fillers)
	var working sync.WaitGroup
	for i := range fillers {
		working.Go(func() {
			for n := int(next.Add(1)) - 1; n < count && errs[i] == nil; n = int(next.Add(1)) - 1 {
				lane := n % lanes
				_, _, errs[i] = s.AcceptCommand(ctx, commandOf(lane%workspacesOfLanes, lane))
			}
		})
	}
	working.Wait()
	return errors.Join(errors.Join(errs...), s.Close())
}

// commandOf is a message to be sent in a lane.
func commandOf(owner, lane int) domain.NewCommand {
	c := contract.ConnectionID(fmt.Sprintf("con_%d", owner))
	chat := contract.Conversation{ID: contract.ConversationID(fmt.Sprintf("chat-%d", lane))}
	return domain.NewCommand{
		Workspace: contract.WorkspaceID(fmt.Sprintf("wsp_%d", owner)), Connection: c, At: time.Now(), Lane: domain.ConversationLane(c, chat.ID),
		Command: domain.Command{Export: contract.ExportSendMessage, By: "load", Message: &contract.Message{
			Conversation: chat, Author: contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{ID: "u"}},
			Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: "Where is my parcel?"}}}}},
	}
}

// openOnCopy starts the host on a copy of the store, for what it makes of jobs without a
// plugin must not change the store, and tells how long it took to open.
func openOnCopy(ctx context.Context, path, root string) (took time.Duration, err error) {
	data := filepath.Join(root, "copy")
	if err := errors.Join(os.Mkdir(data, 0o700), copyFile(path, filepath.Join(data, "patchbay.db"))); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	h, err := StartHost(ctx, Role{LogTo: filepath.Join(root, "host.log"), Fields: map[string]any{
		"data": data, "plugins.dir": "", "ingress.listen": "127.0.0.1:0", "management.listen": "127.0.0.1:0",
	}})
	if err != nil {
		return 0, err
	}
	return h.OpenedIn, h.Close()
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // it was only read
	target, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// drained is what was seen of a queue being worked off.
type drained struct {
	opened, started, took time.Duration
	jobs, lanes           int
	disorder              int
	// firsts is when each lane had its first turn, lasts when it had its last, in order.
	firsts, lasts []time.Duration
}

// drain opens the store, starts the scheduler, and waits until count jobs are done.
func drain(ctx context.Context, path string, count int) (d drained, err error) {
	began := time.Now()
	s, err := store.Open(path, store.Options{})
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	d.opened = time.Since(began)
	r := &runner{store: s, lanes: map[string]*turn{}, left: count, done: make(chan struct{}), began: time.Now()}
	scheduler := jobs.New(jobs.Options{Queue: s, Runner: r, Log: slog.New(slog.DiscardHandler)})
	if err := scheduler.Start(ctx); err != nil {
		return d, err
	}
	d.started = time.Since(r.began)
	select {
	case <-r.done:
	case <-ctx.Done():
		err = fmt.Errorf("%d of %d jobs were not worked off: %w", r.remaining(), count, ctx.Err())
	}
	d.took = time.Since(r.began)
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	err = errors.Join(err, scheduler.Stop(stopping))
	d.jobs, d.lanes, d.disorder = count-r.remaining(), len(r.lanes), r.disorder
	for _, t := range r.lanes {
		d.firsts, d.lasts = append(d.firsts, t.first), append(d.lasts, t.last)
	}
	slices.Sort(d.firsts)
	slices.Sort(d.lasts)
	return d, err
}

func (d *drained) rows(c Circumstances) []Row {
	rate := float64(d.jobs) / max(d.took-d.started, time.Millisecond).Seconds()
	first, last := d.firsts[len(d.firsts)-1].Seconds(), d.lasts[0].Seconds()
	return []Row{
		rowOf("scheduler started", (d.opened+d.started).Seconds(), Seconds, c).atMost(lanesStart.Seconds()).noted("opening the store %s of it", short(d.opened)),
		rowOf("jobs worked off", float64(d.jobs), Number, c).noted("%d lanes, in %s, %.0f/s", d.lanes, short(d.took), rate),
		rowOf("jobs out of their lane's order", float64(d.disorder), Number, c).atMost(0),
		rowOf("longest wait for a lane's first turn, of the whole", first/d.took.Seconds(), Share, c).atMost(0.5).
			noted("%s; shortest %s; the first lane to end did so after %s", short(d.firsts[len(d.firsts)-1]), short(d.firsts[0]), short(time.Duration(last*float64(time.Second)))),
	}
}

// runner commits each job as done and keeps an eye on the turns.
type runner struct {
	store *store.Store
	began time.Time
	done  chan struct{} // closed when nothing is left

	mu       sync.Mutex
	lanes    map[string]*turn
	left     int
	disorder int
}

// turn is what is known of a lane.
type turn struct {
	first, last time.Duration
	seq         uint64
}

// Run commits one job.
func (r *runner) Run(ctx context.Context, job domain.Job) (domain.Job, []domain.Job, error) {
	committed, err := r.store.CommitCommand(ctx, domain.CommandEffects{JobID: job.ID, State: domain.JobDone, CountAttempt: true,
		Effects: domain.Effects{Workspace: job.Workspace, Connection: job.Connection, At: time.Now()}})
	if err != nil {
		return job, nil, err
	}
	r.note(job)
	return committed.Job, committed.Jobs, nil
}

func (r *runner) remaining() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.left
}

func (r *runner) note(job domain.Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Since(r.began)
	t := r.lanes[job.Lane]
	if t == nil {
		t = &turn{first: now}
		r.lanes[job.Lane] = t
	}
	if job.Seq <= t.seq {
		r.disorder++
	}
	t.last, t.seq = now, job.Seq
	if r.left--; r.left == 0 {
		close(r.done)
	}
}
