// Package backup copies everything that a host keeps into one stream, while the host runs,
// and makes a data folder of it again.
//
// A backup is a tar file (USTAR):
//
//	header.json      what wrote it, and when
//	store/000001 …   a snapshot of the store, in parts, so that it need not fit on the disk
//	                 or in memory before it is sent
//	keys/…           the host's own keys
//	plugins/…        every version of every plugin, by digest
//	media/…          attachments, by hash
//	manifest.json    the size and the SHA-256 of everything above, last: a backup without it
//	                 was cut off
//
// It may be encrypted to one or several age recipients. It holds the keys that open every
// secret, so one that is not encrypted must be guarded like the host itself.
package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// format is the version of what this package writes and reads.
const format = 1

// Header is the first entry of a backup.
type Header struct {
	Format int `json:"format"`
	// Schema is the version of the store's layout, and Version that of the program.
	Schema  int       `json:"schema"`
	Version string    `json:"version"`
	MadeAt  time.Time `json:"made_at"`
}

// File is one entry of a backup, or the store as a whole.
type File struct {
	Name      string `json:"name"`
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"`
}

// Manifest is the last entry of a backup.
type Manifest struct {
	Header
	// Store is the snapshot, its Parts put together.
	Store File   `json:"store"`
	Parts int    `json:"parts"`
	Files []File `json:"files"`
}

// Bytes returns how much the backup holds.
func (m Manifest) Bytes() int64 {
	sum := m.Store.SizeBytes
	for _, f := range m.Files {
		sum += f.SizeBytes
	}
	return sum
}

// Source is a host's data.
type Source struct {
	// Data is the data folder, for what is in files.
	Data string
	// Snapshot writes a copy of the store.
	Snapshot func(ctx context.Context, w io.Writer) (int64, error)
	// Hold keeps files from being removed until release is called.
	Hold    func() (release func())
	Schema  int
	Version string
	Now     func() time.Time
}

// The names of what is in a backup, and in a data folder.
const (
	headerName   = "header.json"
	manifestName = "manifest.json"
	storeFile    = "patchbay.db"
)

// folders are the parts of a data folder that are in files.
var folders = []string{"keys", "plugins", "media"}

// Recipients reads age recipients ("age1…"). The error is a [*domain.Invalid].
func Recipients(texts []string) ([]age.Recipient, error) {
	var recipients []age.Recipient
	for _, text := range texts {
		found, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil || len(found) != 1 {
			return nil, &domain.Invalid{Problems: []domain.Problem{{Field: "recipient", Value: text[:min(len(text), 100)],
				Why: "it is not one age recipient", Fix: "give a public key as age-keygen prints it: age1…"}}}
		}
		recipients = append(recipients, found[0])
	}
	return recipients, nil
}

// Write writes a backup, encrypted if there are recipients. A backup that was not written to
// its end is no backup; whoever gets the stream must hear of the error.
func Write(ctx context.Context, w io.Writer, s Source, recipients []age.Recipient) (Manifest, error) {
	out := io.WriteCloser(nopCloser{w})
	if len(recipients) > 0 {
		encrypted, err := age.Encrypt(w, recipients...)
		if err != nil {
			return Manifest{}, fmt.Errorf("backup: %w", err)
		}
		out = encrypted
	}
	b := &writer{ctx: ctx, tar: tar.NewWriter(out), at: s.Now().UTC().Truncate(time.Second)}
	b.manifest.Header = Header{Format: format, Schema: s.Schema, Version: s.Version, MadeAt: b.at}
	if err := b.write(s); err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	if err := errors.Join(b.tar.Close(), out.Close()); err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	return b.manifest, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// writer is one backup in the making.
type writer struct {
	ctx      context.Context
	tar      *tar.Writer
	at       time.Time
	manifest Manifest
}

// write holds the files first: what the snapshot names is then there to be copied.
func (b *writer) write(s Source) error {
	defer s.Hold()()
	if err := b.document(headerName, b.manifest.Header); err != nil {
		return err
	}
	if err := b.store(s); err != nil {
		return fmt.Errorf("the store: %w", err)
	}
	for _, folder := range folders {
		if err := b.folder(s.Data, folder); err != nil {
			return fmt.Errorf("the folder %s: %w", folder, err)
		}
	}
	return b.document(manifestName, b.manifest)
}

func (b *writer) document(name string, v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.entry(name, int64(len(content)), bytes.NewReader(content))
}

// entry writes one entry of the tar file.
func (b *writer) entry(name string, size int64, content io.Reader) error {
	err := b.tar.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600, ModTime: b.at, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR})
	if err != nil {
		return err
	}
	n, err := io.Copy(b.tar, readUntilDone{b.ctx, content})
	if err == nil && n != size {
		err = fmt.Errorf("%s has %d bytes and had %d a moment ago", name, n, size)
	}
	return err
}

// store writes the snapshot, part by part.
func (b *writer) store(s Source) error {
	parts := &parts{b: b, whole: sha256.New()}
	n, err := s.Snapshot(b.ctx, parts)
	if err == nil {
		err = parts.flush()
	}
	b.manifest.Store = File{Name: storeFile, SizeBytes: n, SHA256: hex.EncodeToString(parts.whole.Sum(nil))}
	b.manifest.Parts = parts.written
	return err
}

// partBytes is how large a part of the store is.
const partBytes = 4 << 20

// parts cuts what is written to it into entries.
type parts struct {
	b       *writer
	whole   hash.Hash
	buffer  bytes.Buffer
	written int
}

func (p *parts) Write(chunk []byte) (n int, err error) {
	for len(chunk) > 0 {
		take := min(len(chunk), partBytes-p.buffer.Len())
		p.buffer.Write(chunk[:take])
		chunk, n = chunk[take:], n+take
		if p.buffer.Len() == partBytes {
			if err := p.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (p *parts) flush() error {
	if p.buffer.Len() == 0 {
		return nil
	}
	p.written++
	p.whole.Write(p.buffer.Bytes())
	err := p.b.entry(partName(p.written), int64(p.buffer.Len()), bytes.NewReader(p.buffer.Bytes()))
	p.buffer.Reset()
	return err
}

func partName(n int) string { return fmt.Sprintf("store/%06d", n) }

// folder writes the files of one folder that are whole: what has another name than files of
// its kind have is on its way there.
func (b *writer) folder(data, folder string) error {
	root := filepath.Join(data, folder)
	err := filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		name := path.Join(folder, filepath.ToSlash(relative))
		if !fileName.MatchString(name) || !entry.Type().IsRegular() {
			return nil
		}
		return b.file(name, at)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a host that never had any
	}
	return err
}

func (b *writer) file(name, from string) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only to be read
	info, err := file.Stat()
	if err != nil {
		return err
	}
	sum := sha256.New()
	if err := b.entry(name, info.Size(), io.TeeReader(file, sum)); err != nil {
		return err
	}
	b.manifest.Files = append(b.manifest.Files, File{Name: name, SizeBytes: info.Size(), SHA256: hex.EncodeToString(sum.Sum(nil))})
	return nil
}

// readUntilDone is a reader that ends with its context.
type readUntilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u readUntilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
