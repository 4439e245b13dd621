package image

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
)

// PageBytes is what memory is restored by.
const PageBytes = 4096

// Tracking is how a [Memory] learns which of its pages were written.
type Tracking int

// The ways. All of them restore the same; Scan is the quickest.
const (
	// Best is Scan where it works, and Compare elsewhere.
	Best Tracking = iota
	// Scan asks the kernel which pages are not the image's own, by PAGEMAP_SCAN (Linux
	// 6.7). A page that was written stays on the list until [Memory.Trim].
	Scan
	// Compare compares every page with the image.
	Compare
)

func (t Tracking) String() string { return [...]string{"best", "pagemap-scan", "compare"}[t] }

// ErrNoScan means that this system has no PAGEMAP_SCAN.
var ErrNoScan = errors.New("this system cannot be asked which pages were written")

// Available are the ways that work here, the quickest first.
func Available() []Tracking {
	if canScan() == nil {
		return []Tracking{Scan, Compare}
	}
	return []Tracking{Compare}
}

// Image is the content of a memory. It is safe for concurrent use.
type Image struct {
	content  content
	tracking Tracking

	mu     sync.Mutex
	users  int
	closed bool
}

// New returns an image of data, whose length is a multiple of [PageBytes]. The error is
// [ErrNoScan], wrapped, or the system's for want of memory.
func New(data []byte, how Tracking) (*Image, error) {
	if len(data)%PageBytes != 0 {
		return nil, fmt.Errorf("an image of %d bytes: not a multiple of %d", len(data), PageBytes)
	}
	if how == Best {
		how = Available()[0]
	}
	if how == Scan {
		if err := canScan(); err != nil {
			return nil, errors.Join(ErrNoScan, err)
		}
	}
	c, err := newContent(data)
	if err != nil {
		return nil, fmt.Errorf("freeze %d bytes: %w", len(data), err)
	}
	return &Image{content: c, tracking: how}, nil
}

// Bytes is how large the image is.
func (m *Image) Bytes() int { return len(m.content.view) }

// Tracking is how memory made from it is restored, and never Best.
func (m *Image) Tracking() Tracking { return m.tracking }

// Close gives the image back to the system, once all memory made from it is free.
func (m *Image) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return m.closeUnused()
}

func (m *Image) closeUnused() error {
	if !m.closed || m.users > 0 {
		return nil
	}
	return m.content.close()
}

func (m *Image) use() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errors.New("the image is closed")
	}
	m.users++
	return nil
}

func (m *Image) unuse() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users--
	_ = m.closeUnused() // there is nobody to tell; the system reclaims it with the process
}

var zeroPage [PageBytes]byte

// differs yields the pages of memory that are not as in view, as offsets.
func differs(memory, view []byte, yield func(from, to int)) {
	for at := 0; at < len(view); at += PageBytes {
		if !bytes.Equal(memory[at:at+PageBytes], view[at:at+PageBytes]) {
			yield(at, at+PageBytes)
		}
	}
}
