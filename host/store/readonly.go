package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// ErrInUse means that another process has the file open. Match with errors.Is.
var ErrInUse = errors.New("another process has it open")

// OpenReadOnly opens a file that no host has open, to look at it: nothing is changed, and a
// write answers domain.ErrUnavailable. The error matches [ErrInUse] if a host has it open,
// and fs.ErrNotExist if there is none. A file with an older schema cannot be looked at.
func OpenReadOnly(path string, opts Options) (*Store, error) {
	opts = opts.filled()
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	if info.Size() == 0 {
		return nil, fmt.Errorf("open store %q: it is empty: %w", path, ErrDamaged)
	}
	if _, err := preflight(path, opts.LockTimeout); err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: opts.LockTimeout, ReadOnly: true, NoStatistics: true})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open store %q: %w", path, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, noStore(err))
	}
	if err := db.View(readable); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %q: %w", path, err), db.Close())
	}
	s := newStore(db, opts)
	go s.write()
	return s, nil
}

// Space says how much of the file holds nothing.
type Space struct {
	FileBytes, FreeBytes int64
}

// FreeShare returns the share of the file that holds nothing, 0 to 1.
func (s Space) FreeShare() float64 {
	if s.FileBytes == 0 {
		return 0
	}
	return float64(s.FreeBytes) / float64(s.FileBytes)
}

// Space measures the file. It reads every page's head.
func (s *Store) Space(ctx context.Context) (Space, error) {
	return view(ctx, s, "measure store", func(t *tx) (Space, error) {
		info, err := os.Stat(s.db.Path())
		if err != nil {
			return Space{}, err
		}
		used := int64(2 * s.db.Info().PageSize) // the two meta pages
		err = t.bolt.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			stats := b.Stats()
			used += int64(stats.BranchPageN+stats.BranchOverflowN+stats.LeafPageN+stats.LeafOverflowN) * int64(s.db.Info().PageSize)
			return ctx.Err()
		})
		return Space{FileBytes: info.Size(), FreeBytes: max(0, info.Size()-used)}, err
	})
}

// SpaceOf measures a file that no host has open; see [OpenReadOnly] for its errors. A file
// that is not there takes no space.
func SpaceOf(ctx context.Context, path string, opts Options) (Space, error) {
	s, err := OpenReadOnly(path, opts)
	if errors.Is(err, fs.ErrNotExist) {
		return Space{}, nil
	}
	if err != nil {
		return Space{}, err
	}
	space, err := s.Space(ctx)
	return space, errors.Join(err, s.Close())
}

// Schema is the version of the layout that this program writes.
func Schema() int { return schemaVersion }

// readable refuses a file that this program cannot read as it is.
func readable(b *bbolt.Tx) error {
	meta := b.Bucket(bucketMeta)
	if meta == nil || len(meta.Get(keySchema)) != 8 {
		return errForeign
	}
	switch v := unpackNumber(meta.Get(keySchema)); {
	case v > schemaVersion:
		return fmt.Errorf("its schema is %d and this program writes %d: %w", v, schemaVersion, errNewer)
	case v < schemaVersion:
		return fmt.Errorf("its schema is %d and this program reads %d: start the host once, which brings it up to date", v, schemaVersion)
	}
	return nil
}
