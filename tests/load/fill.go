//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// withStore opens the store of a world whose host is stopped.
func (w *World) withStore(use func(*store.Store) error) error {
	s, err := store.Open(w.Store(), store.Options{})
	if err != nil {
		return err
	}
	return errors.Join(use(s), s.Close())
}

// fillers is how many goroutines commit at once; they share fsyncs.
const fillers = 256

// fill commits until the file has that many bytes, from past messages of every chat. It
// returns how many it committed.
func (w *World) fill(ctx context.Context, bytes int64) (committed int64, err error) {
	err = w.withStore(func(s *store.Store) error {
		var n atomic.Int64
		var full atomic.Bool
		errs := make([]error, fillers)
		var working sync.WaitGroup
		for i := range fillers {
			working.Go(func() {
				for !full.Load() && errs[i] == nil {
					at := n.Add(1)
					errs[i] = w.past(ctx, s, at)
					if at%1024 == 0 {
						full.Store(size(w.Store()) >= bytes)
					}
				}
				if errs[i] != nil {
					full.Store(true)
				}
			})
		}
		working.Wait()
		committed = n.Load()
		return errors.Join(errs...)
	})
	if err != nil {
		return 0, fmt.Errorf("fill the store: %w", err)
	}
	return committed, nil
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// past commits one delivery of some days ago.
func (w *World) past(ctx context.Context, s *store.Store, n int64) error {
	t := w.Tenants[int(n)%len(w.Tenants)]
	at := time.Now().Add(-100 * time.Hour)
	said := fmt.Sprintf("No. -%d: %s", n, text)
	chat := contract.Conversation{ID: t.chats[int(n/int64(len(w.Tenants)))%len(t.chats)]}
	_, err := s.CommitDelivery(ctx, domain.DeliveryEffects{
		Effects: domain.Effects{Workspace: t.Workspace, Connection: t.Connection, At: at, Events: []contract.Event{operatorSaid(chat, said)}},
		Delivery: domain.Delivery{
			Delivery: contract.Delivery{ID: contract.DeliveryID(s.NewID("dlv")), ReceivedAt: at, Method: "POST", BodyBytes: pastBody},
			Plugin:   "elma365", Body: []byte(said + strings.Repeat("x", pastBody-len(said))), Attempts: 1,
			Response: contract.Response{Status: 200, Body: "{}"},
		},
	})
	return err
}

// pastBody is how many bytes a delivery has that a store is filled with: more than a
// message has, so that gigabytes do not take an hour.
const pastBody = 8 << 10

// operatorSaid is the event that the plugin makes of an operator's message.
func operatorSaid(chat contract.Conversation, said string) contract.Event {
	return contract.Event{Kind: contract.EventMessageCreated, Conversation: &chat, Message: &contract.Message{
		Conversation: chat, Author: contract.Author{Role: contract.RoleAgent},
		Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: said}}},
	}}
}

// big is ingest on a store that has been in use for long.
func big(ctx context.Context, b *Bench) (rows []Row, err error) {
	w, end, err := b.world(ctx, "big", nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	if err := w.Stop(); err != nil {
		return nil, err
	}
	began := time.Now()
	n, err := w.fill(ctx, b.Scale.BigBytes)
	if err != nil {
		return nil, err
	}
	b.say("  %d deliveries, %.1f GB in %s", n, float64(size(w.Store()))/1e9, short(time.Since(began)))
	if err := w.Start(ctx, false); err != nil {
		return nil, err
	}
	opened := w.Host.OpenedIn
	s, err := newStream(b, w, 0)
	if err != nil {
		return nil, err
	}
	rows, err = s.measure()
	if err != nil {
		return nil, err
	}
	c := rows[0].Circumstances
	return append([]Row{rowOf("size of the store", float64(size(w.Store())), Bytes, c).noted("%d deliveries before", n),
		rowOf("host opened", opened.Seconds(), Seconds, c)}, rows...), nil
}
