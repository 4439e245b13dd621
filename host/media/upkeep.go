package media

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// suffix is what the name of every kept file ends with.
const suffix = ".bin"

// Stored is one file, by the hash that its name says its bytes have.
type Stored struct {
	Sum       string
	SizeBytes int64
	// PutAt is when somebody last brought these bytes.
	PutAt time.Time
}

// Walk calls visit with every file, in no order, and stops at its first error, which it
// returns. Files that come or go meanwhile may be seen or not.
func (f *Files) Walk(ctx context.Context, visit func(Stored) error) error {
	shards, err := os.ReadDir(f.dir)
	if err != nil {
		return fmt.Errorf("walk media folder: %w", err)
	}
	for _, shard := range shards {
		if shard.Name() == incoming || !shard.IsDir() {
			continue
		}
		if err := f.walkShard(ctx, shard.Name(), visit); err != nil {
			return fmt.Errorf("walk media folder: %w", err)
		}
	}
	return nil
}

func (f *Files) walkShard(ctx context.Context, name string, visit func(Stored) error) error {
	entries, err := os.ReadDir(filepath.Join(f.dir, name))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		sum, ours := strings.CutSuffix(entry.Name(), suffix)
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) || !ours {
			continue
		}
		if err != nil {
			return err
		}
		if err := visit(Stored{Sum: sum, SizeBytes: info.Size(), PutAt: info.ModTime()}); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes the bytes with that hash, unless somebody brought them again since before,
// or a hold is on. It tells whether it did. An upload of the same bytes that is under way
// ends up with a file, whichever is first.
func (f *Files) Remove(sum string, before time.Time) (bool, error) {
	f.upkeep.Lock()
	defer f.upkeep.Unlock()
	if f.holds > 0 {
		return false, nil
	}
	info, err := os.Stat(f.path(sum))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.ModTime().Before(before) {
		return false, nil
	}
	if err == nil {
		err = os.Remove(f.path(sum))
	}
	if err != nil {
		return false, fmt.Errorf("remove attachment: %w", err)
	}
	return true, nil
}

// Hold keeps every file where it is until release is called: whoever copies the folder
// wants it to hold what a copy of the store, made meanwhile, names.
func (f *Files) Hold() (release func()) {
	f.upkeep.Lock()
	defer f.upkeep.Unlock()
	f.holds++
	released := false
	return func() {
		f.upkeep.Lock()
		defer f.upkeep.Unlock()
		if !released {
			released = true
			f.holds--
		}
	}
}

// Look makes a Files of a folder that is there already, and changes nothing. The error
// matches fs.ErrNotExist if it is not.
func Look(dir string) (*Files, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("look at media folder: %w", err)
	}
	return &Files{dir: dir}, nil
}
