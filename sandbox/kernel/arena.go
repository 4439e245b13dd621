package kernel

import (
	"bytes"
	"encoding/binary"
)

// Handle names a byte of a block: the block's number, counted from one, in the upper
// half and an offset in the lower, so that a plugin may add to it as it would to an
// address. Zero is no block at all.
type Handle uint64

func (h Handle) block() uint64  { return uint64(h>>32) - 1 } // wraps for zero, beyond any block
func (h Handle) offset() uint64 { return uint64(uint32(h)) }

// Limits bound what the blocks of one invocation may take. Both must be set.
type Limits struct {
	// Blocks is how many there may be at a time, below 2^31.
	Blocks int
	// Bytes is how large they may be together, below 2^32.
	Bytes int64
}

// Quota is a limit that an allocation met.
type Quota string

// The quotas of an [Arena].
const (
	QuotaBlocks Quota = "blocks"
	QuotaBytes  Quota = "block_bytes"
)

// Arena holds the blocks of one invocation.
type Arena struct {
	limits   Limits
	blocks   []block
	vacant   []uint32 // numbers of blocks that were freed
	bytes    int64
	exceeded Quota
	wanted   int64 // what the allocation that exceeded it would have made of it
}

type block struct {
	data []byte
	used bool
	// lent data belongs to the host, which may still read it: it is copied before a
	// plugin writes to it.
	lent bool
}

// Alloc makes a block of n zero bytes. It returns zero if n is, or if a quota
// forbids it.
func (a *Arena) Alloc(n uint64) Handle {
	if n == 0 || !a.allows(n) {
		return 0
	}
	return a.add(block{data: make([]byte, n)})
}

// Copy makes a block with a copy of data, under the rules of [Arena.Alloc].
func (a *Arena) Copy(data []byte) Handle {
	if len(data) == 0 || !a.allows(uint64(len(data))) {
		return 0
	}
	return a.add(block{data: bytes.Clone(data)})
}

// Lend makes a block of data itself, under the rules of [Arena.Alloc]. The plugin
// cannot change data, and the host must not for as long as the arena is in use.
func (a *Arena) Lend(data []byte) Handle {
	if len(data) == 0 || !a.allows(uint64(len(data))) {
		return 0
	}
	return a.add(block{data: data, lent: true})
}

func (a *Arena) allows(n uint64) bool {
	if live := len(a.blocks) - len(a.vacant); live >= a.limits.Blocks {
		a.exceed(QuotaBlocks, int64(live)+1)
		return false
	}
	if n > uint64(a.limits.Bytes-a.bytes) {
		a.exceed(QuotaBytes, a.bytes+int64(min(n, 1<<62)))
		return false
	}
	return true
}

func (a *Arena) exceed(q Quota, wanted int64) {
	if a.exceeded == "" {
		a.exceeded, a.wanted = q, wanted
	}
}

// Exceeded is the first quota that an allocation met and how much of it was wanted,
// or "".
func (a *Arena) Exceeded() (q Quota, wanted int64) { return a.exceeded, a.wanted }

func (a *Arena) add(b block) Handle {
	b.used = true
	a.bytes += int64(len(b.data))
	if n := len(a.vacant); n > 0 {
		i := a.vacant[n-1]
		a.vacant = a.vacant[:n-1]
		a.blocks[i] = b
		return Handle(i+1) << 32
	}
	a.blocks = append(a.blocks, b)
	return Handle(len(a.blocks)) << 32
}

// find is the block that h points into, or nil.
func (a *Arena) find(h Handle) *block {
	if i := h.block(); i < uint64(len(a.blocks)) && a.blocks[i].used {
		return &a.blocks[i]
	}
	return nil
}

// Free gives a block back, and reports whether h was the start of one.
func (a *Arena) Free(h Handle) bool {
	b := a.find(h)
	if b == nil || h.offset() != 0 {
		return false
	}
	a.bytes -= int64(len(b.data))
	*b = block{}
	a.vacant = append(a.vacant, uint32(h.block()))
	return true
}

// Block is a view of the block that starts at h.
func (a *Arena) Block(h Handle) ([]byte, bool) {
	b := a.find(h)
	if b == nil || h.offset() != 0 {
		return nil, false
	}
	return b.data, true
}

// View is a view of the n bytes from h on, if one block holds them all. It is not to
// be written to.
func (a *Arena) View(h Handle, n uint64) ([]byte, bool) {
	b := a.find(h)
	if b == nil {
		return nil, false
	}
	size, off := uint64(len(b.data)), h.offset()
	if off > size || n > size-off {
		return nil, false
	}
	return b.data[off : off+n : off+n], true
}

// writable is View for writing: what was lent is copied first.
func (a *Arena) writable(h Handle, n uint64) ([]byte, bool) {
	if b := a.find(h); b != nil && b.lent {
		b.data, b.lent = bytes.Clone(b.data), false
	}
	return a.View(h, n)
}

// lent reports whether the block that h points into still is the host's own slice.
func (a *Arena) lent(h Handle) bool {
	b := a.find(h)
	return b != nil && b.lent
}

// Load64 reads eight bytes, lowest first.
func (a *Arena) Load64(h Handle) (uint64, bool) {
	view, ok := a.View(h, 8)
	if !ok {
		return 0, false
	}
	return binary.LittleEndian.Uint64(view), true
}

// Load8 reads one byte.
func (a *Arena) Load8(h Handle) (byte, bool) {
	view, ok := a.View(h, 1)
	if !ok {
		return 0, false
	}
	return view[0], true
}

// Store64 writes eight bytes, lowest first, or nothing.
func (a *Arena) Store64(h Handle, v uint64) bool {
	view, ok := a.writable(h, 8)
	if ok {
		binary.LittleEndian.PutUint64(view, v)
	}
	return ok
}

// Store8 writes one byte, or nothing.
func (a *Arena) Store8(h Handle, v byte) bool {
	view, ok := a.writable(h, 1)
	if ok {
		view[0] = v
	}
	return ok
}

// Bytes is how large the blocks are together.
func (a *Arena) Bytes() int64 { return a.bytes }

// reset frees every block.
func (a *Arena) reset() {
	clear(a.blocks)
	a.blocks, a.vacant, a.bytes = a.blocks[:0], a.vacant[:0], 0
}
