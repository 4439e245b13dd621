package main

import (
	"context"

	"github.com/seed75a60ee1/patchbay/host/client"
)

// onceFlag is the flag of commands that make something and can be repeated safely.
type onceFlag struct {
	IdempotencyKey string `placeholder:"KEY" help:"Do this once, however often this command is repeated with this key."`
}

func (f onceFlag) named(ctx context.Context) context.Context {
	return client.Once(ctx, f.IdempotencyKey)
}
