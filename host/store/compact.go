package store

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
)

// Compact writes the file that no host has open anew, without what holds nothing, and puts
// the new one in its place; it needs as much room on the disk as the result takes. It
// returns the sizes before and after, in bytes. If it returns an error, the file is as it
// was. The error matches [ErrInUse] if a host has it open.
func Compact(ctx context.Context, path string, opts Options) (before, after int64, err error) {
	s, err := OpenReadOnly(path, opts)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = s.Close() }() // nothing was written
	if before, err = sizeOf(path); err != nil {
		return 0, 0, err
	}
	if err := s.guard("compact store", func() error { return replace(ctx, s.db, path, copyAll) }); err != nil {
		return before, before, err
	}
	after, err = sizeOf(path)
	return before, after, err
}

// CompactInto writes a compact copy of the store as it stands to path, which must not be
// there, while the store is at work. It returns the size of the copy, in bytes.
func (s *Store) CompactInto(ctx context.Context, path string) (int64, error) {
	if _, err := os.Lstat(path); err == nil {
		return 0, fmt.Errorf("compact store: %q is there already: %w", path, os.ErrExist)
	}
	if err := s.guard("compact store", func() error { return replace(ctx, s.db, path, copyAll) }); err != nil {
		return 0, err
	}
	return sizeOf(path)
}

// guard turns what a damaged file does to its reader into an error.
func (s *Store) guard(what string, work func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %w", what, s.broken("a copy", p))
		}
	}()
	if err := work(); err != nil {
		return fmt.Errorf("%s: %w", what, available(err))
	}
	return nil
}

func sizeOf(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
