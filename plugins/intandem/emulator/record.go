package emulator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// The operations, as steps and records call them.
const (
	OpServiceToken   = "service_token"
	OpToken          = "token"
	OpUserinfo       = "userinfo"
	OpRevoke         = "revoke"
	OpConsent        = "consent"
	OpCreateChannel  = "create_channel"
	OpUpdateChannel  = "update_channel"
	OpDeleteChannel  = "delete_channel"
	OpCreateSession  = "create_session"
	OpUpdateSession  = "update_session"
	OpDeleteSession  = "delete_session"
	OpListSessions   = "list_sessions"
	OpCreateMessage  = "create_message"
	OpUpdateMessage  = "update_message"
	OpTyping         = "typing"
	OpSearchClients  = "search_clients"
	OpCreateClient   = "create_client"
	OpGetClient      = "get_client"
	CallbackChannel  = "callback channel"
	CallbackSession  = "callback session"
	CallbackMessage  = "callback message"
	CallbackStatus   = "callback status"
	CallbackTyping   = "callback typing"
	opUnknown        = "unknown"
	maxBodyBytes     = 1 << 20
	keepExchanges    = 10_000
	callbackDeadline = 5 * time.Second
)

// Exchange is one request with its answer: of an app to the platform, or a callback. It is
// recorded when it ended.
type Exchange struct {
	// Seq counts the exchanges of a platform from 1, in the order they ended.
	Seq int
	// Op is one of the Op... and Callback... constants.
	Op string
	// Method, URL, Header and Body are the request's.
	Method, URL string
	Header      http.Header
	Body        []byte
	// Status is what was answered; 0 if there was no answer, and Err then says why.
	Status   int
	Response []byte
	Err      string
	// At is when it began.
	At time.Time
}

// record is the half of the record that tests use.
type record = emulate.Record[Exchange]

func newRecorder() *emulate.Recorder[Exchange] {
	return emulate.NewRecorder(keepExchanges, func(e *Exchange, n int) { e.Seq = n }, func(e Exchange) string {
		return fmt.Sprintf("%s %d", e.Op, e.Status)
	})
}

// Of returns the recorded exchanges of one operation.
func (p *Platform) Of(op string) []Exchange {
	return slices.DeleteFunc(p.Exchanges(), func(e Exchange) bool { return e.Op != op })
}

// Wait waits until there are n exchanges of an operation, past or to come, and returns the
// n-th. The error is the context's, with what had been recorded until then.
func (p *Platform) Wait(ctx context.Context, op string, n int) (Exchange, error) {
	var found []Exchange
	err := p.rec.Until(ctx, func() bool {
		found = p.Of(op)
		return len(found) >= n
	})
	if err != nil {
		return Exchange{}, fmt.Errorf("emulator: %d exchanges of %s, not %d: %w", len(found), op, n, err)
	}
	return found[n-1], nil
}

// WaitUntil waits until a condition over the platform holds; it is looked at after every
// change.
func (p *Platform) WaitUntil(ctx context.Context, what string, holds func() bool) error {
	if err := p.rec.Until(ctx, holds); err != nil {
		return fmt.Errorf("emulator: still not so: %s: %w", what, err)
	}
	return nil
}
