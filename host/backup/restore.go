package backup

import (
	"archive/tar"
	"bufio"
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
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/seed75a60ee1/patchbay/host/disk"
)

// Refused is a backup, or a place for it, that cannot be used. Why and Fix are for the
// operator.
type Refused struct{ Why, Fix string }

func (e *Refused) Error() string { return e.Why + "; " + e.Fix }

func refuse(fix, why string, args ...any) error { return &Refused{fmt.Sprintf(why, args...), fix} }

const (
	fixBackup   = "use another backup"
	fixNoBackup = "name a file that patchbay backup made"
	// maxDocument bounds the header and the manifest, in bytes: the latter has 150 for each
	// attachment.
	maxDocument = 512 << 20
)

// fileName is what files besides the store are called.
var fileName = regexp.MustCompile(`^(keys/[a-z][a-z0-9-]{0,60}\.(json|key)|plugins/[0-9a-f]{64}\.wasm|media/[0-9a-f]{2}/[0-9a-f]{64}\.bin)$`)

// Target is where a backup goes.
type Target struct {
	// Data is the data folder to make. It must be empty or not there.
	Data string
	// Schema is the newest layout of a store that this program can read.
	Schema int
	// Identities open an encrypted backup.
	Identities []age.Identity
	// Verify looks at the folder once it is complete, and refuses it with an error. It may
	// bring the store up to date.
	Verify func(dir string) error
	// Progress is told how many bytes were written so far; nil is not.
	Progress func(bytes int64)
}

// restoring is the folder, in the one to make, where a backup is until all of it is known to
// be good.
const restoring = ".restoring"

// Unfinished tells whether a restore into a data folder was cut off.
func Unfinished(data string) error {
	if _, err := os.Stat(filepath.Join(data, restoring)); err != nil {
		return nil
	}
	return refuse("empty the folder and restore again", "a restore into %s was cut off", data)
}

// Restore makes a data folder of a backup: all of it, verified, or nothing. Whatever is wrong
// with the backup is a [*Refused].
func Restore(ctx context.Context, backup io.Reader, t Target) (Manifest, error) {
	m, err := restore(ctx, backup, t)
	if err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	return m, nil
}

func restore(ctx context.Context, backup io.Reader, t Target) (Manifest, error) {
	plain, err := decrypted(backup, t.Identities)
	if err != nil {
		return Manifest{}, err
	}
	if err := makeEmpty(t.Data); err != nil {
		return Manifest{}, err
	}
	at := filepath.Join(t.Data, restoring)
	if err := os.Mkdir(at, 0o700); err != nil {
		return Manifest{}, err
	}
	e := &extraction{ctx: ctx, dir: at, target: t, seen: map[string]File{}, store: sha256.New()}
	err = e.run(tar.NewReader(plain))
	if err == nil {
		_, err = io.Copy(io.Discard, plain) // an encrypted stream vouches for itself at its end
	}
	if err == nil {
		err = t.Verify(at)
	}
	if err != nil {
		return Manifest{}, errors.Join(err, os.RemoveAll(at))
	}
	return e.manifest, settle(t.Data)
}

// decrypted returns the tar file inside a backup.
func decrypted(backup io.Reader, identities []age.Identity) (io.Reader, error) {
	const magic = "age-encryption.org/"
	buffered := bufio.NewReaderSize(backup, 1<<20)
	head, _ := buffered.Peek(len(magic)) // one that is shorter is none
	if string(head) != magic {
		return buffered, nil
	}
	if len(identities) == 0 {
		return nil, refuse("give the file with the key that it was encrypted to: --identity FILE", "the backup is encrypted")
	}
	plain, err := age.Decrypt(buffered, identities...)
	if err != nil {
		return nil, refuse("give the file with a key that it was encrypted to: --identity FILE", "the backup cannot be decrypted: %v", err)
	}
	return plain, nil
}

// makeEmpty makes the folder, or makes sure that there is nothing in it.
func makeEmpty(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != "lost+found" {
			return refuse("name an empty folder, or one that is not there yet", "the folder %s is not empty: there is %q", dir, entry.Name())
		}
	}
	return nil
}

// extraction is a backup on its way into a folder.
type extraction struct {
	ctx      context.Context
	dir      string
	target   Target
	header   Header
	manifest Manifest
	seen     map[string]File
	parts    int
	store    hash.Hash
	size     int64 // of the store, so far
	written  int64 // of everything
}

// run extracts every entry and holds them against the manifest.
func (e *extraction) run(in *tar.Reader) error {
	for complete := false; ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) && complete {
			return e.sync()
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			if e.header.Format == 0 {
				return refuse(fixNoBackup, "this is no backup, or only the first bytes of one")
			}
			return refuse(fixBackup, "the backup is cut off after %d files", len(e.seen)+e.parts)
		}
		if err != nil {
			return refuse(fixBackup, "the backup is no tar file, or is damaged: %v", err)
		}
		if complete {
			return refuse(fixBackup, "the backup goes on behind its manifest, with %q", h.Name)
		}
		if h.Typeflag != tar.TypeReg || h.Format != tar.FormatUSTAR || h.Size < 0 {
			return refuse(fixBackup, "the backup holds %q, which is no plain file", h.Name)
		}
		if err := e.entry(h, in); err != nil {
			return err
		}
		complete = h.Name == manifestName
	}
}

func (e *extraction) entry(h *tar.Header, in io.Reader) error {
	switch first := e.header.Format == 0; {
	case first != (h.Name == headerName):
		return refuse(fixBackup, "the backup does not begin with its header, or has two")
	case first:
		return e.readHeader(in, h.Size)
	case h.Name == manifestName:
		return e.readManifest(in, h.Size)
	case h.Name == partName(e.parts+1) && h.Size <= partBytes:
		e.parts++
		n, err := e.copy(storeFile, os.O_APPEND, in, h.Size, e.store)
		e.size += n
		return err
	case !fileName.MatchString(h.Name):
		return refuse(fixBackup, "the backup holds %q, which is nothing that a backup holds, or is out of order", h.Name)
	}
	if _, twice := e.seen[h.Name]; twice {
		return refuse(fixBackup, "the backup holds %q twice", h.Name)
	}
	sum := sha256.New()
	n, err := e.copy(h.Name, os.O_EXCL, in, h.Size, sum)
	e.seen[h.Name] = File{Name: h.Name, SizeBytes: n, SHA256: hex.EncodeToString(sum.Sum(nil))}
	return err
}

// copy writes an entry to a file.
func (e *extraction) copy(name string, how int, in io.Reader, size int64, sum hash.Hash) (int64, error) {
	to := filepath.Join(e.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return 0, err
	}
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|how, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.MultiWriter(file, sum), readUntilDone{e.ctx, in})
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = refuse(fixBackup, "the backup is cut off in the middle of %s", name)
	}
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil && n != size {
		err = refuse(fixBackup, "%s has %d bytes, and should have %d", name, n, size)
	}
	if e.written += n; e.target.Progress != nil {
		e.target.Progress(e.written)
	}
	return n, err
}

func (e *extraction) readHeader(in io.Reader, size int64) error {
	if err := document(headerName, in, size, &e.header); err != nil {
		return err
	}
	if e.header.Format != format {
		return refuse("use the version of Patchbay that made it", "the backup has the format %d, and this program reads %d", e.header.Format, format)
	}
	if e.header.Schema > e.target.Schema {
		return refuse("use that version or a newer one", "the backup was made by Patchbay %s, whose store has the schema %d; this program reads up to %d",
			e.header.Version, e.header.Schema, e.target.Schema)
	}
	return nil
}

// readManifest holds what was extracted against the manifest.
func (e *extraction) readManifest(in io.Reader, size int64) error {
	if err := document(manifestName, in, size, &e.manifest); err != nil {
		return err
	}
	m := e.manifest
	store := File{Name: storeFile, SizeBytes: e.size, SHA256: hex.EncodeToString(e.store.Sum(nil))}
	switch {
	case m.Header != e.header:
		return refuse(fixBackup, "the header and the manifest of the backup are of different backups")
	case m.Store != store || m.Parts != e.parts || e.parts == 0:
		return refuse(fixBackup, "the store in the backup is damaged: it has %d bytes in %d parts, with the hash %s; the manifest says %d, %d and %s",
			e.size, e.parts, store.SHA256, m.Store.SizeBytes, m.Parts, m.Store.SHA256)
	case len(m.Files) != len(e.seen):
		return refuse(fixBackup, "the backup holds %d files, and its manifest names %d", len(e.seen), len(m.Files))
	}
	for _, want := range m.Files {
		if got, there := e.seen[want.Name]; !there || got != want {
			return refuse(fixBackup, "%s is damaged, or not in the backup: it has the hash %q, want %q", want.Name, got.SHA256, want.SHA256)
		}
	}
	return nil
}

// document reads a header or a manifest.
func document(name string, in io.Reader, size int64, into any) error {
	if size > maxDocument {
		return refuse(fixBackup, "%s has %d bytes", name, size)
	}
	content, err := io.ReadAll(in)
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(into)
	}
	if err != nil {
		return refuse(fixBackup, "%s of the backup cannot be read: %v", name, err)
	}
	return nil
}

// sync makes the names of everything durable; the files are already.
func (e *extraction) sync() error {
	return filepath.WalkDir(e.dir, func(at string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = disk.SyncDir(at)
		}
		return err
	})
}

// settle moves what was restored to its place, the store last: without it, no host takes the
// folder for one of its own that is complete. See also Unfinished.
func settle(data string) error {
	at := filepath.Join(data, restoring)
	entries, err := os.ReadDir(at)
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int {
		return strings.Compare(lastIs(storeFile, a.Name()), lastIs(storeFile, b.Name()))
	})
	for _, entry := range entries {
		if err := os.Rename(filepath.Join(at, entry.Name()), filepath.Join(data, entry.Name())); err != nil {
			return err
		}
	}
	if err := disk.SyncDir(data); err != nil {
		return err
	}
	if err := os.Remove(at); err != nil {
		return err
	}
	return disk.SyncDir(data)
}

// lastIs is name, changed so that last sorts behind all others.
func lastIs(last, name string) string {
	if name == last {
		return "\U0010FFFF"
	}
	return name
}
