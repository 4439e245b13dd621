package image

import "fmt"

// Memory is a linear memory. It is used by one goroutine at a time.
type Memory struct {
	image   *Image // nil for a blank one
	space   space
	size    int
	grown   bool
	private int
	allow   func(bytes int) bool
}

// NewMemory returns memory that can grow to most bytes and begins as the image is. It
// must be freed.
func (m *Image) NewMemory(most int) (*Memory, error) {
	if most < m.Bytes() {
		return nil, fmt.Errorf("memory of %d bytes for an image of %d", most, m.Bytes())
	}
	if err := m.use(); err != nil {
		return nil, err
	}
	s, err := m.content.space(most)
	if err != nil {
		m.unuse()
		return nil, fmt.Errorf("map %d bytes: %w", most, err)
	}
	return &Memory{image: m, space: s}, nil
}

// NewBlank returns memory that is zero and can grow to most bytes. It must be freed,
// and cannot be restored.
func NewBlank(most int) (*Memory, error) {
	s, err := newSpace(most)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", most, err)
	}
	return &Memory{space: s}, nil
}

// Guard has allow asked before the memory grows, with how much more it is to be; on
// false it does not grow.
func (m *Memory) Guard(allow func(bytes int) bool) { m.allow = allow }

// Reallocate makes the memory size bytes long, and returns nil if it cannot. It never
// moves.
func (m *Memory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.space.bytes)) {
		return nil
	}
	n := int(size)
	if more := n - m.size; more > 0 && m.allow != nil && !m.allow(more) {
		return nil
	}
	m.size = n
	m.grown = m.grown || m.image != nil && n > m.image.Bytes()
	return m.space.bytes[:n:n]
}

// Bytes is how long the memory is.
func (m *Memory) Bytes() int { return m.size }

// Content is a view of the memory.
func (m *Memory) Content() []byte { return m.space.bytes[:m.size:m.size] }

// Grown reports whether the memory has become larger than its image, which cannot be
// undone.
func (m *Memory) Grown() bool { return m.grown }

// Private is how much of the memory is its own and not the image's, as of the last
// Restore or Trim.
func (m *Memory) Private() int { return m.private }

// Restore makes the memory as the image is. A memory that has grown, or for which it
// fails, is of no more use.
func (m *Memory) Restore() error {
	if m.image == nil || m.grown {
		return fmt.Errorf("memory of %d bytes cannot be restored", m.size)
	}
	view, pages := m.image.content.view, 0
	restore := func(from, to int) {
		copy(m.space.bytes[from:to], view[from:to])
		pages += (to - from) / PageBytes
	}
	if m.image.tracking == Compare {
		differs(m.space.bytes, view, restore)
		m.private = max(m.private, pages*PageBytes)
		return nil
	}
	err := m.space.written(len(view), restore)
	m.private = pages * PageBytes
	return err
}

// Trim gives back to the system what the memory has of its own. It must be as the image
// is, as after Restore; the pages are the image's again.
func (m *Memory) Trim() error {
	if m.image == nil || m.grown {
		return nil
	}
	if err := m.space.forget(m.image.Bytes()); err != nil {
		return err
	}
	m.private = 0
	return nil
}

// Free gives the memory back. What Reallocate returned must not be used any more.
func (m *Memory) Free() {
	if m.space.bytes == nil {
		return
	}
	m.space.free()
	if m.image != nil {
		m.image.unuse()
	}
}
