// Package keyfile keeps the host's own keys in files that nobody else may read.
//
// A key file is written once, on first start, whole or not at all: two hosts that
// start at once on one folder end up with the same key. A file that others could read
// or change is refused, because a key that leaked is no key.
package keyfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed75a60ee1/patchbay/host/disk"
)

// Error is a key file that cannot be used. Why and Fix are for the operator.
type Error struct{ Path, Why, Fix string }

func (e *Error) Error() string {
	return fmt.Sprintf("key file %s: %s; %s", e.Path, e.Why, e.Fix)
}

// Folder is where the keys of a data folder are.
func Folder(dataDir string) string { return filepath.Join(dataDir, "keys") }

// maxBytes bounds what is read of a key file.
const maxBytes = 1 << 20

// LoadOrCreate returns the content of the key file called name below the data folder.
// If there is none it generates the content, writes it with mode 0600, and returns it once
// it is on disk. A file with any permission for group or others is an [*Error].
func LoadOrCreate(dataDir, name string, generate func() ([]byte, error)) ([]byte, error) {
	folder := Folder(dataDir)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for keys: %w", err)
	}
	path := filepath.Join(folder, name)
	content, err := read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return content, err
	}
	if content, err = generate(); err != nil {
		return nil, fmt.Errorf("make key for %s: %w", path, err)
	}
	switch err = create(path, content); {
	case errors.Is(err, fs.ErrExist): // another host was faster: its key counts
		return read(path)
	case err != nil:
		return nil, fmt.Errorf("write key file: %w", err)
	}
	return content, nil
}

func read(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	if err := check(path, info); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	return content, nil
}

// check refuses what is not a private regular file of a sane size.
func check(path string, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return &Error{path, "it is not a regular file", "put the key itself there"}
	case mode.Perm()&0o077 != 0:
		return &Error{path, fmt.Sprintf("its mode is %04o, so others may read or change it", mode.Perm()),
			"run chmod 600 on it, and replace the key if somebody may have read it"}
	case info.Size() == 0:
		return &Error{path, "it is empty", "restore it from a backup"}
	case info.Size() > maxBytes:
		return &Error{path, "it is too large for a key", "restore it from a backup"}
	}
	return nil
}

// create makes path appear with all its content, on disk, or not at all. If it exists
// already the error matches fs.ErrExist and the file is as it was.
func create(path string, content []byte) (err error) {
	var suffix [8]byte
	_, _ = rand.Read(suffix[:]) // never fails, by its documentation
	temporary := path + "." + hex.EncodeToString(suffix[:]) + ".tmp"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(temporary)) }()
	if _, err = file.Write(content); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Link(temporary, path); err != nil { // unlike rename, never replaces
		return err
	}
	return disk.SyncDir(filepath.Dir(path))
}

// Check tells whether the key file called name is there and can be used. The error is an
// [*Error], or matches fs.ErrNotExist. Nothing is made.
func Check(dataDir, name string) error {
	_, err := read(filepath.Join(Folder(dataDir), name))
	return err
}
