//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
)

// freshEvery is how often the fresh tenant writes; freshP99 is how long its messages may
// take to the platform while another's thousands wait. The budget is this program's own.
const (
	freshEvery = 50 * time.Millisecond
	freshP99   = 250 * time.Millisecond
)

// fairness sends a fresh tenant's messages, alone and then beside another tenant's backlog,
// and tells how long they take from the API to the platform.
func fairness(ctx context.Context, b *Bench) (rows []Row, err error) {
	w, end, err := b.world(ctx, "fairness", nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	busy, fresh := w.Tenants[0], w.Tenants[1]
	alone, err := fresh.write(ctx, b.Scale.Time)
	if err != nil {
		return nil, err
	}
	b.say("  alone: p50 %s, p99 %s", short(alone.Quantile(0.5)), short(alone.Quantile(0.99)))
	if err := w.Stop(); err != nil {
		return nil, err
	}
	before := busy.arrived()
	if err := w.withStore(func(s *store.Store) error { return busy.owe(ctx, s, b.Scale.Backlog) }); err != nil {
		return nil, err
	}
	if err := w.Start(ctx, false); err != nil {
		return nil, err
	}
	seen, err := watch(w.folders.Data, w.Host)
	if err != nil {
		return nil, err
	}
	beside, err := fresh.write(ctx, b.Scale.Time)
	if err != nil {
		return nil, err
	}
	c, err := seen.end()
	if err != nil {
		return nil, err
	}
	left := fmt.Sprintf("%d had arrived", busy.arrived()-before)
	b.say("  beside a backlog: p50 %s, p99 %s; of the other's, %s", short(beside.Quantile(0.5)), short(beside.Quantile(0.99)), left)
	return []Row{
		rowOf("p99 of a tenant's commands, alone", alone.Quantile(0.99).Seconds(), Seconds, c).noted("p50 %s, %d messages", short(alone.Quantile(0.5)), alone.Count()),
		rowOf("p99 beside a backlog", beside.Quantile(0.99).Seconds(), Seconds, c).atMost(freshP99.Seconds()).
			noted("p50 %s, longest %s; the other had %d messages waiting, of which %s by then", short(beside.Quantile(0.5)), short(beside.Max()), b.Scale.Backlog, left),
	}, nil
}

// write has the tenant write for a while, one message after the other in turn of its chats,
// and measures each from before the call of the API until the platform has it.
func (t *Tenant) write(ctx context.Context, for_ time.Duration) (*Histogram, error) {
	tick := time.NewTicker(freshEvery)
	defer tick.Stop()
	var (
		took    Histogram
		mu      sync.Mutex // guards took and errs
		errs    []error
		waiting sync.WaitGroup
	)
	for i := range max(int(for_/freshEvery), 1) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		waiting.Go(func() {
			began := time.Now()
			err := t.writeOne(ctx, t.chats[i%len(t.chats)])
			mu.Lock()
			defer mu.Unlock()
			took.Add(time.Since(began))
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	waiting.Wait()
	return &took, errors.Join(errs...)
}

// writePatience bounds how long one message may take.
const writePatience = time.Minute

func (t *Tenant) writeOne(ctx context.Context, chat contract.ConversationID) error {
	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	sent, err := t.Client.Send(ctx, t.Workspace, t.Connection, greeting(chat))
	if err != nil {
		return err
	}
	_, err = t.channel.WaitMessage(ctx, func(m emulator.Message) bool { return m.ID == string(sent.Message.ID) })
	return err
}

// owe queues messages of the tenant as its API calls would have.
func (t *Tenant) owe(ctx context.Context, s *store.Store, count int) error {
	for i := range count {
		sent := greeting(t.chats[i%len(t.chats)])
		message := contract.Message{ID: contract.MessageID(s.NewID("msg")), Conversation: sent.Conversation, Author: sent.Author,
			Parts: sent.Parts, Status: contract.MessageQueued}
		now := time.Now()
		_, _, err := s.AcceptCommand(ctx, domain.NewCommand{
			Workspace: t.Workspace, Connection: t.Connection, At: now, Lane: domain.ConversationLane(t.Connection, sent.Conversation.ID),
			Command: domain.Command{Export: contract.ExportSendMessage, By: "load", Message: &message},
			Message: &domain.Message{Message: message, Workspace: t.Workspace, Connection: t.Connection, Direction: domain.Outbound, CreatedAt: now, UpdatedAt: now},
		})
		if err != nil {
			return fmt.Errorf("queue a message: %w", err)
		}
	}
	return nil
}

// arrived counts the tenant's messages that the platform has.
func (t *Tenant) arrived() (n int) {
	for _, s := range t.channel.Sessions() {
		n += len(s.Messages)
	}
	return n
}
