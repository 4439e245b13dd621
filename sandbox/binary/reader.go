package binary

import (
	"fmt"
	"unicode/utf8"
)

// reader walks wasm from pos to end. Its first failure sticks: after it every read
// returns zero and consumes nothing, so that callers check err once per element.
type reader struct {
	wasm     []byte
	pos, end int
	section  string
	err      *Error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Offset: r.pos, Section: r.section, Why: fmt.Sprintf(format, args...)}
	}
}

// left is how many bytes remain, and 0 after a failure.
func (r *reader) left() int {
	if r.err != nil {
		return 0
	}
	return r.end - r.pos
}

func (r *reader) byte() byte {
	if r.left() == 0 {
		r.fail("it ends too early")
		return 0
	}
	b := r.wasm[r.pos]
	r.pos++
	return b
}

// bytes returns a view of the next n bytes.
func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(r.left()) {
		r.fail("%d bytes are announced and %d are left", n, r.left())
		return nil
	}
	view := r.wasm[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return view
}

func (r *reader) u32() uint32 {
	if r.err == nil && r.pos < r.end && r.wasm[r.pos] < 0x80 { // as most are
		r.pos++
		return uint32(r.wasm[r.pos-1])
	}
	return uint32(r.unsigned(32))
}

// unsigned reads a LEB128 number. Padding with zero bits is allowed, as linkers
// leave it, but not past the width, and no bit beyond the width may be set.
func (r *reader) unsigned(width int) uint64 {
	var v uint64
	for shift := 0; ; shift += 7 {
		b := r.byte()
		if spare := width - shift; spare < 7 && b>>spare != 0 {
			r.fail("a number does not fit %d bits", width)
		}
		if r.err != nil {
			return 0
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
}

// signed reads a signed LEB128 number, as strictly as unsigned.
func (r *reader) signed(width int) int64 {
	var v int64
	for shift := 0; ; shift += 7 {
		b := r.byte()
		if spare := width - shift; spare < 7 && !extendsSign(b, spare) {
			r.fail("a number does not fit %d bits", width)
		}
		if r.err != nil {
			return 0
		}
		v |= int64(b&0x7f) << shift
		if b >= 0x80 {
			continue
		}
		if shift+7 < 64 && b&0x40 != 0 {
			v |= -1 << (shift + 7)
		}
		return v
	}
}

// extendsSign reports whether the bits of b above the spare lowest ones repeat the
// sign, and b is the last byte.
func extendsSign(b byte, spare int) bool {
	top := b >> (spare - 1)
	return top == 0 || top == 0x7f>>(spare-1)
}

// name reads a length and that many bytes of UTF-8.
func (r *reader) name() string {
	view := r.bytes(r.u32())
	if !utf8.Valid(view) {
		r.fail("a name is not UTF-8")
	}
	return string(view)
}

// count reads how many elements follow. It refuses a number above most, and one
// that could not fit in what is left at size bytes each.
func (r *reader) count(what string, most, size int) int {
	n := r.u32()
	switch {
	case uint64(n) > uint64(most):
		r.fail("%d %s; at most %d are allowed", n, what, most)
	case uint64(n)*uint64(size) > uint64(r.left()):
		r.fail("%d %s are announced and %d bytes are left", n, what, r.left())
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

// vector reads a counted sequence, each element at least size bytes long.
func vector[T any](r *reader, what string, most, size int, element func(*reader) T) []T {
	n := r.count(what, most, size)
	if n == 0 {
		return nil
	}
	list := make([]T, 0, n)
	for range n {
		e := element(r)
		if r.err != nil {
			return nil
		}
		list = append(list, e)
	}
	return list
}

// sub takes the next n bytes as a reader of their own.
func (r *reader) sub(n uint32, section string) *reader {
	start := r.pos
	r.bytes(n)
	return &reader{wasm: r.wasm, pos: start, end: r.pos, section: section, err: r.err}
}

// done fails unless everything was read.
func (r *reader) done() {
	if n := r.left(); n != 0 {
		r.fail("%d bytes too many", n)
	}
}
