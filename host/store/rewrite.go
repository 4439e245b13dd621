package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/disk"
)

// A file is replaced by writing a new one beside it, making that durable, and renaming it
// over the old one. Whenever the power goes, one of the two is there whole.

// rewriting is what a new file is called until it is complete. One that is found is what a
// crash left of an attempt.
const rewriting = ".rewriting"

// rewriteBytes is how much of a new file is written in one transaction.
const rewriteBytes = 16 << 20

// rewriteGrain is by how much a new file grows, in bytes.
const rewriteGrain = 64 << 10

// replace writes a new file from src, which must be open, and puts it in the place of path.
// If it returns an error, path is as it was.
func replace(ctx context.Context, src *bbolt.DB, path string, fill func(context.Context, *bbolt.Tx, *bbolt.DB) error) error {
	fresh := path + rewriting
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(ctx, src, fresh, fill); err != nil {
		return errors.Join(err, removeIfThere(fresh))
	}
	if err := os.Rename(fresh, path); err != nil {
		return errors.Join(err, removeIfThere(fresh))
	}
	return disk.SyncDir(filepath.Dir(path))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeNew writes a new file and makes it durable.
func writeNew(ctx context.Context, src *bbolt.DB, path string, fill func(context.Context, *bbolt.Tx, *bbolt.DB) error) error {
	dst, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoStatistics: true})
	if err != nil {
		return err
	}
	dst.AllocSize = rewriteGrain // it would grow by 16 MiB at a time, most of which the last one leaves empty
	err = src.View(func(from *bbolt.Tx) error { return fill(ctx, from, dst) })
	if err == nil {
		err = dst.Sync()
	}
	return errors.Join(err, dst.Close())
}

// bulk writes a lot in transactions of bounded size.
type bulk struct {
	ctx   context.Context
	db    *bbolt.DB
	t     *tx
	room  arena
	bytes int
}

func newBulk(ctx context.Context, db *bbolt.DB) (*bulk, error) {
	b := &bulk{ctx: ctx, db: db}
	return b, b.begin()
}

func (b *bulk) begin() error {
	bolt, err := b.db.Begin(true)
	if err != nil {
		return err
	}
	b.room.reset()
	b.bytes = 0
	b.t = &tx{bolt: bolt, room: &b.room, late: newLate()}
	return nil
}

// wrote counts what was written, and goes on in a new transaction when that is enough.
func (b *bulk) wrote(bytes int) error {
	if b.bytes += bytes; b.bytes < rewriteBytes {
		return b.t.failed
	}
	if err := b.ctx.Err(); err != nil {
		return err
	}
	if err := b.commit(); err != nil {
		return err
	}
	return b.begin()
}

func (b *bulk) commit() error {
	if b.t.failed != nil {
		return b.t.failed
	}
	return b.t.bolt.Commit()
}

// abandon gives up what has not been committed.
func (b *bulk) abandon() { _ = b.t.bolt.Rollback() } // fails only if the transaction has ended

// copyBucket copies the entries of a bucket one by one, and its sequence number. each writes
// an entry.
func (b *bulk) copyBucket(from *bbolt.Tx, name []byte, each func(k, v []byte) error) error {
	source := from.Bucket(name)
	if source == nil {
		return nil
	}
	if err := b.t.bolt.Bucket(name).SetSequence(source.Sequence()); err != nil {
		return err
	}
	return source.ForEach(func(k, v []byte) error {
		if err := each(k, v); err != nil {
			return fmt.Errorf("copy %s %q: %w", name, k, err)
		}
		return b.wrote(len(k) + len(v))
	})
}

// filled is how full the pages of a copy are: in order, and with some room for what comes.
const filled = 0.9

// copyAll is a fill for [replace]: it copies every bucket as it is.
func copyAll(ctx context.Context, from *bbolt.Tx, to *bbolt.DB) error {
	b, err := newBulk(ctx, to)
	if err != nil {
		return err
	}
	defer b.abandon()
	err = from.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if _, err := b.t.bolt.CreateBucket(name); err != nil {
			return err
		}
		return b.copyBucket(from, name, func(k, v []byte) error {
			target := b.t.bolt.Bucket(name)
			target.FillPercent = filled
			return target.Put(k, v)
		})
	})
	return errors.Join(err, b.finish(err))
}

// finish commits the rest, unless something failed before.
func (b *bulk) finish(failed error) error {
	if failed != nil {
		return nil
	}
	return b.commit()
}
