// Package media keeps the bytes of attachments in files named by their hash.
//
// Bytes are streamed in and out with bounded memory, and are durable once [Files.Put]
// returns. The same bytes are kept once. What they are called and whom they belong to
// stands in the store; this package knows only bytes, signed links to them, and small
// pictures made of them.
package media

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/seed75a60ee1/patchbay/host/disk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Files is a folder of attachments. It is safe for concurrent use.
type Files struct {
	dir string

	upkeep sync.Mutex // held while a file is put in its place or removed
	holds  int        // while there are any, nothing is removed
}

// Open makes a Files of the folder, which is made if it is missing.
func Open(dir string) (*Files, error) {
	if err := os.MkdirAll(filepath.Join(dir, incoming), 0o700); err != nil {
		return nil, fmt.Errorf("open media folder: %w", err)
	}
	return &Files{dir: dir}, nil
}

// incoming is where bytes are while their hash is not known yet. What a crash left there
// is removed by Sweep.
const incoming = "incoming"

// Sweep removes what uploads that did not end have left behind. Call it before the first
// Put.
func (f *Files) Sweep() error {
	entries, err := os.ReadDir(filepath.Join(f.dir, incoming))
	if err != nil {
		return fmt.Errorf("sweep media folder: %w", err)
	}
	var failed []error
	for _, entry := range entries {
		failed = append(failed, os.Remove(filepath.Join(f.dir, incoming, entry.Name())))
	}
	return errors.Join(failed...)
}

// sniffBytes is how much of a file tells its type; see http.DetectContentType.
const sniffBytes = 512

// Put streams r into the folder and returns the hash of the bytes (hex SHA-256), how many
// there were, and the media type that they look like. More than maxBytes, or none at all,
// is a [*contract.HostError] with the code quota or invalid.
func (f *Files) Put(ctx context.Context, r io.Reader, maxBytes int64) (sum string, size int64, mime string, err error) {
	tmp, err := os.CreateTemp(filepath.Join(f.dir, incoming), "put-*")
	if err != nil {
		return "", 0, "", fmt.Errorf("keep attachment: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone already if it was renamed
	hash, head := sha256.New(), &prefix{most: sniffBytes}
	size, err = io.Copy(io.MultiWriter(tmp, hash, head), io.LimitReader(&cancellable{ctx: ctx, r: r}, maxBytes+1))
	if err == nil {
		err = checkSize(size, maxBytes)
	}
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return "", 0, "", fmt.Errorf("keep attachment: %w", err)
	}
	sum = hex.EncodeToString(hash.Sum(nil))
	if err := f.place(tmp.Name(), sum); err != nil {
		return "", 0, "", fmt.Errorf("keep attachment: %w", err)
	}
	return sum, size, http.DetectContentType(head.bytes), nil
}

func checkSize(size, most int64) error {
	switch {
	case size > most:
		return &contract.HostError{Code: contract.HostQuota, Certain: true,
			Message: fmt.Sprintf("the attachment has more than %d bytes", most)}
	case size == 0:
		return &contract.HostError{Code: contract.HostInvalid, Certain: true, Message: "the attachment is empty"}
	}
	return nil
}

// place moves a complete file to where its hash says, durably.
func (f *Files) place(from, sum string) error {
	to := f.path(sum)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	f.upkeep.Lock()
	err := os.Rename(from, to)
	f.upkeep.Unlock()
	if err != nil {
		return err
	}
	return errors.Join(disk.SyncDir(filepath.Dir(to)), disk.SyncDir(f.dir))
}

func (f *Files) path(sum string) string { return filepath.Join(f.dir, sum[:2], sum+suffix) }

// Open opens the bytes with that hash for reading. The caller closes them. It answers
// fs.ErrNotExist if there are none.
func (f *Files) Open(sum string) (io.ReadSeekCloser, error) {
	if len(sum) != hex.EncodedLen(sha256.Size) || strings.Trim(sum, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("open attachment %q: that is no hash: %w", sum, fs.ErrNotExist)
	}
	file, err := os.Open(f.path(sum))
	if err != nil {
		return nil, fmt.Errorf("open attachment: %w", err)
	}
	return file, nil
}

// prefix keeps the first bytes that were written to it.
type prefix struct {
	most  int
	bytes []byte
}

func (p *prefix) Write(b []byte) (int, error) {
	p.bytes = append(p.bytes, b[:min(len(b), p.most-len(p.bytes))]...)
	return len(b), nil
}

// cancellable ends a copy when its context ends.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancellable) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}
