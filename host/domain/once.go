package domain

import "context"

// Once is the name that a client gave a request, so that it can repeat it safely: a
// repeat with the same Key is answered as the first was, and another request with it
// ErrIdempotencyMismatch.
type Once struct {
	// Key is the client's, unique in its workspace; empty if it gave none.
	Key string
	// RequestHash tells requests apart.
	RequestHash string
}

type onceKey struct{}

// WithOnce returns a context for the work of a request that has a name.
func WithOnce(ctx context.Context, o Once) context.Context {
	return context.WithValue(ctx, onceKey{}, o)
}

// OnceOf returns the name of the request that is worked on; the zero value if it has none.
func OnceOf(ctx context.Context) Once {
	o, _ := ctx.Value(onceKey{}).(Once)
	return o
}

// Claim is what an idempotency key stands for, when it is the making of a thing.
type Claim struct {
	// ID is the thing's id: what it was made as, or will be.
	ID string
	// Settled tells that it was made. If it is not there any more, it was removed since.
	Settled bool
}
