package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type mediaCommand struct {
	Upload   mediaUpload   `cmd:"" help:"Upload a file to attach to a message."`
	Download mediaDownload `cmd:"" help:"Download an attachment."`
}

type mediaUpload struct {
	inWorkspace
	onceFlag
	File string `arg:"" help:"The file, or - for standard input."`
	Name string `placeholder:"NAME" help:"The name to give it; the file's own if not given."`
	Type string `placeholder:"MIME" help:"Its media type; guessed from the name if not given."`
}

func (c *mediaUpload) Run(ctx context.Context, s *session) error {
	content, name := io.NopCloser(s.stdin), c.Name
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return err
		}
		content = file
		name = cmp.Or(c.Name, filepath.Base(c.File))
	}
	defer func() { _ = content.Close() }() // only read
	kind := cmp.Or(c.Type, mime.TypeByExtension(filepath.Ext(name)), "application/octet-stream")
	m, err := s.connect().Upload(c.named(ctx), c.Workspace, cmp.Or(name, "upload"), kind, content)
	if err != nil {
		return err
	}
	return s.show(m, func() {
		printFields(s.stdout, field{"handle", string(m.Handle)}, field{"name", m.Name}, field{"type", m.MIME},
			field{"bytes", strconv.FormatInt(m.SizeBytes, 10)}, field{"SHA-256", m.SHA256})
	})
}

type mediaDownload struct {
	inWorkspace
	Handle contract.MediaHandle `arg:"" help:"The attachment."`
	Output string               `short:"o" placeholder:"FILE" help:"Where to write it, or - for standard output. Its own name in this folder if not given. A file that exists is never overwritten."`
}

func (c *mediaDownload) Run(ctx context.Context, s *session) error {
	d, err := s.connect().Download(ctx, c.Workspace, c.Handle)
	if err != nil {
		return err
	}
	defer func() { _ = d.Body.Close() }() // read to its end, or given up
	if c.Output == "-" {
		_, err := io.Copy(s.stdout, d.Body)
		return err
	}
	path := cmp.Or(c.Output, localName(d.Name), localName(string(c.Handle)))
	n, err := writeNew(path, d.Body)
	if err != nil {
		return err
	}
	return s.done(map[string]any{"handle": c.Handle, "file": path, "size_bytes": n, "mime": d.MIME}, "wrote %s, %d bytes", path, n)
}

// localName makes a file name that came from outside harmless: one that names a file in
// this folder, and not a hidden one. It is empty if nothing is left.
func localName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	return strings.TrimLeft(clean(name), ".")
}

// writeNew writes a file that must not exist yet, and removes it if that fails half-way.
func writeNew(path string, content io.Reader) (n int64, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return 0, &hinted{err, "name another file with --output"}
	}
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(file, content)
	if err = errors.Join(err, file.Close()); err != nil {
		err = errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
	}
	return n, err
}
