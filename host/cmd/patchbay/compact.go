package main

import (
	"context"
	"path/filepath"

	"github.com/seed75a60ee1/patchbay/host/store"
)

type compactCommand struct {
	Data string `required:"" placeholder:"DIR" help:"The data folder, which no host may have open."`
}

func (c *compactCommand) Run(ctx context.Context, s *session) error {
	before, after, err := store.Compact(ctx, filepath.Join(c.Data, storeName), store.Options{})
	if err != nil {
		return offline(err, "stop the host first, or have it compact at its start: store.compact_on_start_above")
	}
	return s.done(map[string]any{"before_bytes": before, "after_bytes": after}, "the store had %d bytes and has %d now", before, after)
}
