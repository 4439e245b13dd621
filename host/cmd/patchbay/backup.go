package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/seed75a60ee1/patchbay/host/disk"
)

type backupCommand struct {
	Out       string   `required:"" placeholder:"FILE" help:"Where to write the backup. A file that exists is never overwritten."`
	Recipient []string `sep:"none" placeholder:"age1…" help:"Encrypt it to this age recipient; may be repeated. Without any, whoever has the file has every secret of the host."`
}

// Run writes beside the file and renames at the end, so that a file of that name is whole.
func (c *backupCommand) Run(ctx context.Context, s *session) error {
	if _, err := os.Lstat(c.Out); err == nil {
		return &hinted{fmt.Errorf("%s is there already", c.Out), "name another file with --out"}
	}
	n, err := writeWhole(c.Out, func() (io.ReadCloser, error) {
		stream, err := s.connect().Backup(ctx, c.Recipient)
		if err != nil {
			return nil, err
		}
		return readCloser{s.progress("backed up", stream), stream}, nil
	})
	if err != nil {
		return err
	}
	return s.done(map[string]any{"file": c.Out, "size_bytes": n, "encrypted": len(c.Recipient) > 0}, "wrote %s, %d bytes", c.Out, n)
}

type readCloser struct {
	io.Reader
	io.Closer
}

// writeWhole writes a file whole and durable, or not at all. It asks for the content when
// it has somewhere to write it to.
func writeWhole(path string, content func() (io.ReadCloser, error)) (n int64, err error) {
	tmp, err := os.OpenFile(path+".partial", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	from, err := content()
	if err == nil {
		n, err = io.Copy(tmp, from)
		_ = from.Close() // read to its end, or given up
		err = errors.Join(err, tmp.Sync())
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err == nil {
		return n, disk.SyncDir(filepath.Dir(path))
	}
	return n, errors.Join(err, os.Remove(tmp.Name()))
}

// progressEvery is how often a person is told how far a long copy is.
const progressEvery = time.Second

// progress tells a person who watches how much of r was read so far.
func (s *session) progress(what string, r io.Reader) io.Reader {
	if !s.terminal || s.json {
		return r
	}
	return &watched{Reader: r, tell: s.tellBytes(what)}
}

// tellBytes returns a function that prints how many bytes are done, now and then.
func (s *session) tellBytes(what string) func(bytes int64) {
	last := time.Now()
	return func(bytes int64) {
		if s.terminal && !s.json && time.Since(last) >= progressEvery {
			last = time.Now()
			fmt.Fprintf(s.stderr, "%s %d MiB\n", what, bytes>>20)
		}
	}
}

type watched struct {
	io.Reader
	read int64
	tell func(bytes int64)
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.read += int64(n)
	w.tell(w.read)
	return n, err
}
