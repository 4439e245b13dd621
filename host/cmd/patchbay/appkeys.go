package main

import (
	"context"

	"github.com/seed75a60ee1/patchbay/host/client"
)

type appKeys struct {
	oneApp
	pageFlags
}

func (c *appKeys) Run(ctx context.Context, s *session) error {
	page, err := s.connect().AppKeys(ctx, c.ID, c.page())
	if err != nil {
		return err
	}
	return listing(s, page,
		column[client.AppKey]{"key", func(k client.AppKey) string { return k.Key }},
		column[client.AppKey]{"workspace", func(k client.AppKey) string { return string(k.Workspace) }},
		column[client.AppKey]{"connection", func(k client.AppKey) string { return string(k.Connection) }},
	)
}

type appRelease struct {
	oneApp
	Key string `arg:"" help:"The key, as keys shows it."`
}

func (c *appRelease) Run(ctx context.Context, s *session) error {
	held, err := s.connect().ReleaseAppKey(ctx, c.ID, c.Key)
	if err != nil {
		return err
	}
	return s.done(held, "%s leads to %s no more; what comes for it waits to be assigned, if the plugin has it wait", held.Key, held.Connection)
}
