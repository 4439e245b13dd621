//go:build !linux

package image

// content is what spaces begin with a copy of.
type content struct{ view []byte }

func newContent(data []byte) (content, error) { return content{append([]byte(nil), data...)}, nil }

func (c *content) close() error { return nil }

func (c *content) space(most int) (space, error) {
	s, err := newSpace(most)
	copy(s.bytes, c.view)
	return s, err
}

// space is ordinary memory.
type space struct{ bytes []byte }

func newSpace(most int) (space, error) { return space{make([]byte, most)}, nil }

func (s *space) free() { s.bytes = nil }

func (s *space) forget(int) error { return nil }

func canScan() error { return ErrNoScan }

func (s *space) written(int, func(from, to int)) error { return ErrNoScan }
