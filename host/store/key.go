package store

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"
)

// key is a composed key. Each part is written so that no two lists of parts make the
// same key, and so that all keys that begin with the same parts stand together.
type key []byte

// maxPart is the longest text that stands in a key as it is.
const maxPart = 512

// text appends a text of whatever content and length; platforms choose many of them. A
// long one is replaced by its hash, so keys stay small.
func (k key) text(s string) key {
	if len(s) > maxPart {
		sum := sha256.Sum256([]byte(s))
		return append(binary.BigEndian.AppendUint16(k, math.MaxUint16), sum[:]...)
	}
	return append(binary.BigEndian.AppendUint16(k, uint16(len(s))), s...)
}

// number appends a number; keys sort by it.
func (k key) number(n uint64) key { return binary.BigEndian.AppendUint64(k, n) }

// time appends a time; keys sort by it.
func (k key) time(t time.Time) key { return append(k, packTime(t)...) }

// byte appends one byte.
func (k key) byte(b byte) key { return append(k, b) }

// rest appends a text that ends the key; keys sort by it.
func (k key) rest(s string) key { return append(k, s...) }

// with returns a copy of the key, with room for more.
func (k key) with(tail []byte) key {
	return append(append(make(key, 0, len(k)+len(tail)), k...), tail...)
}

// partBytes returns how long the text part is that k begins with; more than k if it is cut
// short.
func partBytes(k key) int {
	if len(k) < 2 {
		return len(k) + 1
	}
	if n := int(binary.BigEndian.Uint16(k)); n != math.MaxUint16 {
		return 2 + n
	}
	return 2 + sha256.Size
}

func newKey() key { return make(key, 0, 96) }

func packNumber(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func unpackNumber(v []byte) uint64 {
	if len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

// packTime keeps a time to the nanosecond, for years 1678 to 2262, as a number that
// sorts; the zero time is 0.
func packTime(t time.Time) []byte {
	if t.IsZero() {
		return packNumber(0)
	}
	return packNumber(uint64(t.UnixNano()) ^ 1<<63)
}

func unpackTime(v []byte) time.Time {
	n := unpackNumber(v)
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n^1<<63)).UTC()
}
