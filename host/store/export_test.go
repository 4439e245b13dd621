package store

import (
	"context"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// WithCommit replaces the last step of every transaction.
func (o Options) WithCommit(commit func(*bbolt.Tx) error) Options {
	o.commit = commit
	return o
}

// WithGroup limits how many requests share a commit.
func (o Options) WithGroup(n int) Options {
	o.group = n
	return o
}

// MaxReruns is how often a group is run again.
const MaxReruns = maxReruns

// Bolt lends the file, so that tests can damage it.
func (s *Store) Bolt() *bbolt.DB { return s.db }

// RemoveEvent removes one event, as retention does.
func (s *Store) RemoveEvent(ctx context.Context, ws contract.WorkspaceID, seq uint64) error {
	return s.update(ctx, "remove event", func(t *tx) error {
		t.removeEvent(domain.Event{Workspace: ws, Seq: seq})
		return nil
	})
}

// Panic panics in a read.
func (s *Store) Panic(ctx context.Context, with string) error {
	_, err := view(ctx, s, "read", func(*tx) (int, error) { panic(with) })
	return err
}

// Closing tells whether Close has been called.
func (s *Store) Closing() bool {
	select {
	case <-s.quit:
		return true
	default:
		return false
	}
}
