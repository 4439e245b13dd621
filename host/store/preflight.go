package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// ErrDamaged means that a file holds pages that are not what they should be. Match with
// errors.Is.
var ErrDamaged = fmt.Errorf("%w: the file is damaged; run \"patchbay doctor\" on a copy of the data folder, and restore a backup", domain.ErrUnavailable)

// noStore explains bbolt's refusal of a file neither of whose first two pages is whole.
func noStore(err error) error {
	if errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrChecksum) || errors.Is(err, bolterrors.ErrVersionMismatch) {
		return fmt.Errorf("it is no store, or its first two pages are damaged (%w): %w", err, ErrDamaged)
	}
	return err
}

// preflight reads the pages of a file as bbolt will when it opens it, and refuses what
// bbolt would panic at: bbolt looks for free pages in a goroutine of its own, where no
// recover of ours reaches. A file that is not there, or empty, is in order; one that another
// process has open is left to bbolt to refuse. timeout is how long to wait for that one.
//
// Of the two pages that point to the rest, bbolt takes the newer one that is whole. So if
// one is not whole, the last commit may be gone, and bbolt says nothing; then torn is true.
func preflight(path string, timeout time.Duration) (torn bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// Opened for reading, bbolt locks the file and looks at nothing but its first two pages.
	lock, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: timeout, ReadOnly: true, NoStatistics: true})
	if err != nil {
		return false, nil //nolint:nilerr // bbolt is about to say the same of the same file
	}
	defer func() { _ = lock.Close() }() // nothing was written
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }() // likewise
	return walk(file, info.Size(), int64(lock.Info().PageSize))
}

// The layout of bbolt's pages: a header (id, flags, count, overflow), then elements of 16
// bytes each, then keys and values, to which elements point relative to themselves. All
// numbers are in the order of the machine.
const (
	pageHead     = 16
	elementBytes = 16
	pageBranch   = 0x01
	pageLeaf     = 0x02
	bucketEntry  = 0x01
	bucketHead   = 16 // of a bucket's entry: its root, 0 for a small one that follows, and its sequence
	metaMagic    = 0xED0CDAED
	metaBytes    = 64 // magic, version, page size, flags, root, sequence, free list, pages, transaction, checksum
)

// tellTorn tells the operator that the last commit may be gone.
func (s *Store) tellTorn() {
	s.tell("the newest commit", "One of the two pages that point to the newest commit is not whole, so the one before it was taken. "+
		"After a power cut that is as it should be: nobody was told of that commit. Otherwise the disk is damaged, and the last commit is lost: "+
		"check the disk, and restore a backup if something is missing.")
}

// surveyor visits the pages of a file, each once.
type surveyor struct {
	file  io.ReaderAt
	page  int64  // the size of a page, bytes
	pages uint64 // how many there are
	seen  []bool
	buf   []byte
}

// walk visits every page that the newest transaction can reach.
func walk(file io.ReaderAt, size, page int64) (torn bool, err error) {
	root, pages, whole, err := newestMeta(file, page)
	if err != nil {
		return false, err
	}
	if int64(pages) < 0 || int64(pages) > size/page {
		return false, fmt.Errorf("it has %d bytes and should have %d pages of %d: %w", size, pages, page, ErrDamaged)
	}
	s := &surveyor{file: file, page: page, pages: pages, seen: make([]bool, pages), buf: make([]byte, page)}
	return whole < 2, s.visit(child{page: root})
}

// surveyed visits every page that an open read can reach: none of them is written again as
// long as it is open.
func surveyed(path string, b *bbolt.Tx) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // nothing was written
	page := int64(b.DB().Info().PageSize)
	pages := uint64(b.Size() / page)
	s := &surveyor{file: file, page: page, pages: pages, seen: make([]bool, pages), buf: make([]byte, page)}
	return s.visit(child{page: uint64(b.Cursor().Bucket().Root())})
}

// newestMeta finds the root of the newest transaction, as bbolt does, and tells how many of
// the two pages that point to one are whole.
func newestMeta(file io.ReaderAt, page int64) (root, pages uint64, whole int, err error) {
	newest := uint64(0)
	for i := range int64(2) {
		var meta [metaBytes]byte
		if _, err := file.ReadAt(meta[:], i*page+pageHead); err != nil {
			return 0, 0, 0, fmt.Errorf("read its page %d: %w: %w", i, ErrDamaged, err)
		}
		sum := fnv.New64a()
		_, _ = sum.Write(meta[:56]) // a hash takes everything
		if binary.NativeEndian.Uint32(meta[:]) != metaMagic || sum.Sum64() != binary.NativeEndian.Uint64(meta[56:]) {
			continue
		}
		whole++
		if transaction := binary.NativeEndian.Uint64(meta[48:]); whole == 1 || transaction > newest {
			newest = transaction
			root, pages = binary.NativeEndian.Uint64(meta[16:]), binary.NativeEndian.Uint64(meta[40:])
		}
	}
	if whole == 0 {
		return 0, 0, 0, fmt.Errorf("neither of the two pages that point to the rest is whole: %w", ErrDamaged)
	}
	return root, pages, whole, nil
}

// span is the keys that may stand below a page: from first, up to but without end; nil is
// no bound.
type span struct{ first, end []byte }

// child is a page that another points to.
type child struct {
	page uint64
	span span
}

// visit checks a page and everything below it. Trees are few levels deep: a page that was
// seen before ends the descent.
func (s *surveyor) visit(c child) error {
	if c.page < 2 || c.page >= s.pages || s.seen[c.page] {
		return fmt.Errorf("page %d is pointed to, and is outside the file or in use elsewhere: %w", c.page, ErrDamaged)
	}
	s.seen[c.page] = true
	below, err := s.read(c)
	if err != nil {
		return err
	}
	for _, next := range below {
		if err := s.visit(next); err != nil {
			return err
		}
	}
	return nil
}

// read checks one page and returns the pages that it points to.
func (s *surveyor) read(c child) (below []child, err error) {
	id, data := c.page, s.buf
	if _, err := s.file.ReadAt(data, int64(id)*s.page); err != nil {
		return nil, fmt.Errorf("read page %d: %w: %w", id, ErrDamaged, err)
	}
	flags, count, overflow := binary.NativeEndian.Uint16(data[8:]), int64(binary.NativeEndian.Uint16(data[10:])), uint64(binary.NativeEndian.Uint32(data[12:]))
	if binary.NativeEndian.Uint64(data) != id || flags != pageBranch && flags != pageLeaf || overflow >= s.pages-id {
		return nil, fmt.Errorf("page %d says that it is page %d of kind %#x: %w", id, binary.NativeEndian.Uint64(data), flags, ErrDamaged)
	}
	for i := range overflow {
		if s.seen[id+1+i] {
			return nil, fmt.Errorf("page %d runs into page %d, which is in use elsewhere: %w", id, id+1+i, ErrDamaged)
		}
		s.seen[id+1+i] = true
	}
	whole := s.page * int64(overflow+1)
	if flags == pageBranch && count == 0 || pageHead+count*elementBytes > whole {
		return nil, fmt.Errorf("page %d says that it has %d entries: %w", id, count, ErrDamaged)
	}
	if overflow > 0 {
		data = make([]byte, whole)
		if _, err := s.file.ReadAt(data, int64(id)*s.page); err != nil {
			return nil, fmt.Errorf("read page %d: %w: %w", id, ErrDamaged, err)
		}
	}
	if flags == pageBranch {
		return branch(c, slices.Clone(data), count) // its keys bound the pages below
	}
	return leaf(c, data, count)
}

// branch checks a page that points to others and returns those.
func branch(c child, data []byte, count int64) (below []child, err error) {
	var last []byte
	for i := range count {
		at := pageHead + i*elementBytes
		e := data[at : at+elementBytes]
		start, key := at+int64(binary.NativeEndian.Uint32(e)), int64(binary.NativeEndian.Uint32(e[4:]))
		if start < pageHead+count*elementBytes || start+key > int64(len(data)) {
			return nil, fmt.Errorf("page %d has an entry that lies outside it: %w", c.page, ErrDamaged)
		}
		name := data[start : start+key]
		if !c.span.follows(last, name) {
			return nil, fmt.Errorf("page %d is not in order: %w", c.page, ErrDamaged)
		}
		if i > 0 {
			below[i-1].span.end = name
		}
		below = append(below, child{page: binary.NativeEndian.Uint64(e[8:]), span: span{first: name, end: c.span.end}})
		last = name
	}
	return below, nil
}

// leaf checks a page of keys and values and returns the roots of the buckets in it.
func leaf(c child, data []byte, count int64) (below []child, err error) {
	var last []byte
	for at := int64(pageHead); at < pageHead+count*elementBytes; at += elementBytes {
		e := data[at : at+elementBytes]
		start, key, value := at+int64(binary.NativeEndian.Uint32(e[4:])), int64(binary.NativeEndian.Uint32(e[8:])), int64(binary.NativeEndian.Uint32(e[12:]))
		if start < pageHead+count*elementBytes || start+key+value > int64(len(data)) {
			return nil, fmt.Errorf("page %d has an entry that lies outside it: %w", c.page, ErrDamaged)
		}
		name := data[start : start+key]
		if !c.span.follows(last, name) {
			return nil, fmt.Errorf("page %d is not in order: %w", c.page, ErrDamaged)
		}
		last = name
		switch kind := binary.NativeEndian.Uint32(e); {
		case kind == 0:
			continue
		case kind != bucketEntry || value < bucketHead:
			return nil, fmt.Errorf("page %d has a bucket that is not whole: %w", c.page, ErrDamaged)
		}
		root := binary.NativeEndian.Uint64(data[start+key:])
		if root != 0 {
			below = append(below, child{page: root})
			continue
		}
		inner, err := small(c.page, data[start+key+bucketHead:start+key+value])
		if err != nil {
			return nil, err
		}
		below = append(below, inner...)
	}
	return below, nil
}

// small checks a bucket that lies in its entry, as a page without a place of its own.
func small(page uint64, data []byte) ([]child, error) {
	if len(data) < pageHead || binary.NativeEndian.Uint16(data[8:]) != pageLeaf ||
		pageHead+elementBytes*int(binary.NativeEndian.Uint16(data[10:])) > len(data) {
		return nil, fmt.Errorf("page %d has a small bucket that is not whole: %w", page, ErrDamaged)
	}
	return leaf(child{page: page}, data, int64(binary.NativeEndian.Uint16(data[10:])))
}

// follows tells whether a key may stand after last, which is nil for the first, in a span.
func (s span) follows(last, name []byte) bool {
	if last == nil && bytes.Compare(name, s.first) < 0 || last != nil && bytes.Compare(name, last) <= 0 {
		return false
	}
	return s.end == nil || bytes.Compare(name, s.end) < 0
}
