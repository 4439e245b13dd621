//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/config"
	"github.com/seed75a60ee1/patchbay/host/credentials"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/ingress"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
	"github.com/seed75a60ee1/patchbay/host/server"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/host/telemetry"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// bare is the server without plugins: the real ingress, the real secrets, the real store
// and, for each delivery, the commit that the plugin's would have been. What lies between
// them is the same work in a few lines of Go: find the connection, parse the body, compare
// the token, look the channel and the chat up. No broker, no sandbox, no JSON that crosses
// a border.
type bare struct {
	store  *store.Store
	keeper *credentials.Keeper
	repeat time.Duration
	log    *slog.Logger
}

// elmaMessage is as much of ELMA365's webhook as it takes to accept a message.
type elmaMessage struct {
	Type      string `json:"type"`
	Token     string `json:"token"`
	ChannelID string `json:"channelId"`
	Data      struct {
		Chat string `json:"targetChatId"`
		Text string `json:"text"`
	} `json:"data"`
}

// runBare serves as [server.Run] does, without a management API.
func runBare(ctx context.Context, cfg config.Config, log *slog.Logger, ready func(server.Addresses)) (err error) {
	metrics := telemetry.NewMetrics(nil) // nobody scrapes
	s, err := store.Open(filepath.Join(cfg.Data, "patchbay.db"), store.Options{Log: log, OnCommit: metrics.Commit})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	vault, err := credentials.OpenVault(cfg.Data, time.Now)
	if err != nil {
		return err
	}
	b := &bare{store: s, keeper: credentials.NewKeeper(vault, s), repeat: time.Minute, log: log}
	door := ingress.New(ingress.Options{Broker: b, MaxBodyBytes: cfg.Ingress.MaxBodyBytes, Gate: gate.Options{
		MaxHeaderBytes: cfg.Ingress.MaxHeaderBytes, ReadTimeout: cfg.Ingress.ReadTimeout,
		WriteTimeout: cfg.Ingress.WriteTimeout, IdleTimeout: cfg.Ingress.IdleTimeout,
		NewID: func() string { return s.NewID("req") }, Now: time.Now, Log: log, Metrics: metrics,
	}})
	l, err := net.Listen("tcp", cfg.Ingress.Listen)
	if err != nil {
		return err
	}
	ready(server.Addresses{Ingress: "http://" + l.Addr().String()})
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return door.Serve(l) })
	group.Go(func() error {
		<-running.Done()
		grace, cancel := context.WithTimeout(context.Background(), cfg.Shutdown.Grace)
		defer cancel()
		return door.Shutdown(grace)
	})
	return group.Wait()
}

// Receive takes one delivery.
func (b *bare) Receive(ctx context.Context, r broker.Request) broker.Answer {
	connection, err := b.store.ConnectionByEndpoint(ctx, r.Endpoint)
	if err != nil {
		return b.refuse(404, err)
	}
	var body elmaMessage
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return b.refuse(400, err)
	}
	token, err := b.keeper.Reveal(ctx, connection.ID, "token")
	if err != nil || !token.Equal(body.Token) {
		return b.refuse(401, err)
	}
	return b.accept(ctx, connection, r, body)
}

func (b *bare) refuse(status int, err error) broker.Answer {
	b.log.Warn("a delivery was refused", "status", status, "error", err)
	return broker.Answer{Status: status, Answered: func() {}}
}

// accept commits what the plugin would have made of the message.
func (b *bare) accept(ctx context.Context, c domain.Connection, r broker.Request, m elmaMessage) broker.Answer {
	now := time.Now()
	reads, err := b.read(ctx, c.ID, now, "channel", "chat/"+m.Data.Chat)
	if err != nil {
		return b.refuse(503, err)
	}
	chat := contract.Conversation{ID: contract.ConversationID(m.Data.Chat)}
	response := contract.Response{Status: 200, Headers: []contract.Header{{Name: "Content-Type", Value: "application/json"}}, Body: "{}"}
	committed, err := b.store.CommitDelivery(ctx, domain.DeliveryEffects{
		Effects: domain.Effects{Workspace: c.Workspace, Connection: c.ID, At: now, Reads: reads, Events: []contract.Event{operatorSaid(chat, m.Data.Text)}},
		Delivery: domain.Delivery{
			Delivery: contract.Delivery{ID: contract.DeliveryID(b.store.NewID("dlv")), ReceivedAt: now, Method: r.Method,
				Path: r.Path, Query: r.Query, Headers: r.Headers, BodyBytes: int64(len(r.Body))},
			Plugin: c.Plugin, Body: r.Body, Response: response, Attempts: 1,
		},
		RepeatWindow: b.repeat,
	})
	if err != nil {
		return b.refuse(503, err)
	}
	return broker.Answer{Status: 200, Headers: response.Headers, Body: []byte(response.Body), Delivery: committed.Delivery,
		Answered: func() { b.store.MarkAnswered(committed.Delivery) }}
}

// read looks entries up, with the versions that the commit checks.
func (b *bare) read(ctx context.Context, c contract.ConnectionID, now time.Time, keys ...string) (reads []domain.KVRead, err error) {
	for _, key := range keys {
		_, version, found, err := b.store.KVGet(ctx, c, key, now)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, domain.ErrNotFound
		}
		reads = append(reads, domain.KVRead{Key: key, Version: version})
	}
	return reads, nil
}
