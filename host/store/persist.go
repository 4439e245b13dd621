package store

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// persist makes a transaction durable. If it returns an error, nothing was kept, with
// one exception that the error's text names.
//
// bbolt writes the new pages, fsyncs, writes the page that points to them, and fsyncs
// again. If the last step fails, the change shows although it may not be on the disk.
// Another commit, even an empty one, then settles it: once that is durable, so is
// everything before it.
func (s *Store) persist(b *bbolt.Tx) error {
	id := b.ID()
	err := s.opts.commit(b)
	if err == nil {
		return nil
	}
	_ = b.Rollback() // bbolt has done so already, unless it never came that far
	if shown, viewErr := s.newest(); viewErr != nil || shown < id {
		return errors.Join(err, viewErr)
	}
	if again := s.settle(); again != nil {
		return fmt.Errorf("the last fsync failed, so the change shows but may be lost in a power cut: %w", errors.Join(err, again))
	}
	s.opts.Log.Warn("an fsync failed and its repetition did not; nothing was lost", "error", err)
	return nil
}

// newest returns the number of the newest transaction that shows.
func (s *Store) newest() (id int, err error) {
	err = s.db.View(func(b *bbolt.Tx) error {
		id = b.ID()
		return nil
	})
	return id, err
}

// settle commits nothing, durably.
func (s *Store) settle() error {
	b, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	if err := s.opts.commit(b); err != nil {
		_ = b.Rollback() // bbolt has done so already, unless it never came that far
		return err
	}
	return nil
}
