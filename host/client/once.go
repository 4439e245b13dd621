package client

import "context"

type onceKey struct{}

// Once names what is made with the context that it returns, so that it can be repeated
// safely: a repeat with the same key makes nothing, and returns what the first made. key
// has at most 255 bytes and should be random, such as a UUID; one for each thing. It holds
// for connections, attachments, subscribers, bridges, checks, lookups and reports;
// messages have a field for it. An empty key names nothing.
func Once(ctx context.Context, key string) context.Context {
	if key == "" {
		return ctx
	}
	return context.WithValue(ctx, onceKey{}, key)
}
