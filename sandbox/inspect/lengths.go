package inspect

import (
	"encoding/binary"
	"slices"

	wasm "github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// Where a text in data ends, the bytes do not tell: Go and Rust put texts side by side,
// and keep address and length elsewhere. lengths looks for pairs of an address and a
// length that hold a text of interest: two constants close together in code, or two
// words in data. A plugin can lie with such pairs; it could as well have hidden the
// text altogether.
type lengths struct {
	wanted []uint32 // where texts of interest begin, sorted
	spans  []span   // by wanted
	budget int      // how many more steps may be taken
	// Addresses that code has just pushed as i32 and stored as i64.
	pushed, stored pending
	// The last instruction was an i64 constant.
	value    int64
	constant bool
}

// pending is an address whose length may be among the next instructions, if open.
type pending struct {
	address uint32
	open    int
}

// span is the text of a pair; of several it is one from code, the one that begins last,
// and of those the longest.
type span struct {
	begin, end uint32
	code       bool
}

const (
	maxLength = 4096
	// maxSteps bounds the work that pairs can make, which no honest file comes near.
	maxSteps = 20_000_000
	// maxLead is how far before a text of interest its whole may begin.
	maxLead = 1024
	// withinStores is how many instructions Go's compiler needs from one store to the next.
	withinStores = 10
	opI64Store   = wasm.Opcode(0x37)
)

func newLengths(wanted []uint32) *lengths {
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	return &lengths{wanted: wanted, spans: make([]span, len(wanted)), budget: maxSteps}
}

// first is the number of the first wanted text that a text from v on may hold.
func (l *lengths) first(v uint32) (int, bool) {
	if n := len(l.wanted); n == 0 || v > l.wanted[n-1] || uint64(v)+maxLead < uint64(l.wanted[0]) {
		return 0, false // as nearly all are
	}
	i, _ := slices.BinarySearch(l.wanted, v)
	return i, i < len(l.wanted) && l.wanted[i]-v <= maxLead
}

// narrow is told of each i32 constant in code: LLVM pushes an address and its length
// one right after the other.
func (l *lengths) narrow(v int64) {
	v &= 1<<32 - 1
	if l.pushed.open > 0 && v > 0 && v <= maxLength {
		l.note(l.pushed.address, uint32(v), true)
		l.other(0)
		return
	}
	l.other(0)
	l.open(&l.pushed, v, 1)
}

// wide is told of each i64 constant. Go's compiler computes with these, and stores
// address and length of a text side by side.
func (l *lengths) wide(v int64) {
	l.other(0)
	l.value, l.constant = v, true
}

// other is told of each other instruction.
func (l *lengths) other(op wasm.Opcode) {
	l.pushed.open = 0
	l.stored.open = max(0, l.stored.open-1)
	if op == opI64Store && l.constant {
		if v := l.value; l.stored.open > 0 && v > 0 && v <= maxLength {
			l.note(l.stored.address, uint32(v), true)
			l.stored.open = 0
		} else {
			l.open(&l.stored, v, withinStores)
		}
	}
	l.constant = false
}

// open takes v for an address whose length comes within so many instructions, if a text
// of interest can be there.
func (l *lengths) open(p *pending, v int64, within int) {
	if v > 0 && v <= 1<<32-1 {
		if _, ok := l.first(uint32(v)); ok {
			*p = pending{uint32(v), within}
		}
	}
}

func (l *lengths) note(begin, length uint32, code bool) {
	i, ok := l.first(begin)
	for ; ok && i < len(l.wanted) && l.wanted[i]-begin < length && l.budget > 0; i++ {
		l.budget--
		s := &l.spans[i]
		better := begin > s.begin || begin == s.begin && begin+length > s.end
		if code != s.code {
			better = code
		}
		if better || s.end == 0 {
			*s = span{begin, begin + length, code}
		}
	}
}

// words looks at data for an address followed by a length, of 4 or of 8 bytes each.
func (l *lengths) words(data []byte) {
	for i := 0; i+8 <= len(data); i += 4 {
		v := binary.LittleEndian.Uint32(data[i:])
		if _, ok := l.first(v); !ok {
			continue
		}
		length := binary.LittleEndian.Uint32(data[i+4:])
		if length == 0 && i+16 <= len(data) {
			length = binary.LittleEndian.Uint32(data[i+8:])
		}
		if length > 0 && length <= maxLength {
			l.note(v, length, false)
		}
	}
}

// cut is a text of interest up to where it is known to end. A cut before a character
// that carries on the name of a host is not believed.
func (l *lengths) cut(address uint32, text string) string {
	i, ok := slices.BinarySearch(l.wanted, address)
	if !ok || l.spans[i].end <= address {
		return text
	}
	n := int(l.spans[i].end - address)
	if n >= len(text) || text[n] == '.' || text[n] == '-' || text[n] == ':' {
		return text
	}
	return text[:n]
}
