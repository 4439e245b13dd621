package store

import (
	"context"
	"fmt"
	"io"
)

// Snapshot writes a copy of the file as it stands at one moment, and returns how many bytes
// that is. The copy is a store of its own: it can be opened. Writers go on meanwhile; the
// file grows a little more than it would otherwise, since pages that the copy still needs
// are not used again. An error of w ends it, and so does the end of ctx.
func (s *Store) Snapshot(ctx context.Context, w io.Writer) (int64, error) {
	return view(ctx, s, "snapshot", func(t *tx) (int64, error) {
		out := &untilDone{ctx: ctx, w: w}
		n, err := t.bolt.WriteTo(out)
		if out.failed != nil {
			err = fmt.Errorf("after %d bytes: %w", n, out.failed) // bbolt's own error does not wrap it
		}
		return n, err
	})
}

// untilDone is a writer that fails once its context has ended.
type untilDone struct {
	ctx    context.Context
	w      io.Writer
	failed error
}

func (u *untilDone) Write(p []byte) (n int, err error) {
	if err = u.ctx.Err(); err == nil {
		n, err = u.w.Write(p)
	}
	u.failed = err
	return n, err
}
