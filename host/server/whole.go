package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed75a60ee1/patchbay/host/credentials"
	"github.com/seed75a60ee1/patchbay/host/keyfile"
)

// A host makes its store at its first start, and then the key of its secrets. Of these two
// it never makes one anew beside the other: without the store everything that was ever
// acknowledged would be gone without a word, and with another key no secret could be opened.

// storeIsThere refuses a data folder that has the key and no store.
func storeIsThere(dir string) error {
	path := filepath.Join(dir, "patchbay.db")
	store, err := size(path)
	if err != nil || store > 0 {
		return err
	}
	key, err := size(vaultKey(dir))
	if err != nil || key == 0 {
		return err
	}
	return fmt.Errorf("a host has run on %s before, and its store %s is missing or empty: put it back, or restore a backup into another folder; "+
		"to begin with nothing, name an empty folder", dir, path)
}

// secrets tells whether anything was sealed with the key.
type secrets interface {
	HoldsSecrets(ctx context.Context) (bool, error)
}

// keyIsThere refuses a data folder that has secrets and no key.
func keyIsThere(ctx context.Context, dir string, s secrets) error {
	key, err := size(vaultKey(dir))
	if err != nil || key > 0 {
		return err
	}
	held, err := s.HoldsSecrets(ctx)
	if err != nil || !held {
		return err
	}
	return fmt.Errorf("the key %s is missing or empty, and the store holds secrets that only it can open: "+
		"put it back from a backup, with mode 0600; a new one would open none of them", vaultKey(dir))
}

func vaultKey(dir string) string { return filepath.Join(keyfile.Folder(dir), credentials.KeyFile) }

// size returns the length of a file in bytes, 0 if there is none.
func size(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
