package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A value ends with a checksum over its bucket, its key and itself, so that what a disk
// made of it is told from what was written. A JSON record stays readable in any bbolt tool:
// four bytes follow its brace.

// sealBytes is how long the checksum is.
const sealBytes = 4

// bare is the one bucket without checksums: it says what kind of file this is.
var bare = string(bucketMeta)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seeds holds, for each bucket, the checksum of its name.
var seeds = func() map[string]uint32 {
	m := map[string]uint32{}
	for _, name := range allBuckets() {
		m[string(name)] = crc32.Checksum(name, castagnoli)
	}
	return m
}()

func checksum(bucket []byte, k key, value []byte) uint32 {
	return crc32.Update(crc32.Update(seeds[string(bucket)], castagnoli, k), castagnoli, value)
}

// unseal returns a value without its checksum, and false if that does not fit.
func unseal(bucket []byte, k key, sealed []byte) (value []byte, ok bool) {
	if string(bucket) == bare {
		return sealed, true
	}
	n := len(sealed) - sealBytes
	if n < 0 || binary.BigEndian.Uint32(sealed[n:]) != checksum(bucket, k, sealed[:n]) {
		return nil, false
	}
	return sealed[:n:n], true
}

// arena is memory for the values of one transaction: bbolt wants them to stay where they
// are until the commit. It is used again for the next one.
type arena struct {
	chunks [][]byte // all but the first few are dropped by reset
	used   int      // chunks that hold something
}

const (
	chunkBytes = 256 << 10
	keptChunks = 16
)

// seal copies a value and puts its checksum behind it.
func (a *arena) seal(bucket []byte, k key, value []byte) []byte {
	if string(bucket) == bare {
		return append(a.take(len(value)), value...)
	}
	sealed := append(a.take(len(value)+sealBytes), value...)
	return binary.BigEndian.AppendUint32(sealed, checksum(bucket, k, value))
}

// take returns room for n bytes.
func (a *arena) take(n int) []byte {
	if n > chunkBytes/4 {
		return make([]byte, 0, n)
	}
	if a.used == 0 || cap(a.chunks[a.used-1])-len(a.chunks[a.used-1]) < n {
		if a.used == len(a.chunks) {
			a.chunks = append(a.chunks, make([]byte, 0, chunkBytes))
		}
		a.used++
	}
	chunk := &a.chunks[a.used-1]
	from := len(*chunk)
	*chunk = (*chunk)[:from+n]
	return (*chunk)[from : from : from+n]
}

// reset makes all of it free. Nothing may use what was taken any more.
func (a *arena) reset() {
	a.chunks = a.chunks[:min(len(a.chunks), keptChunks)]
	for i := range a.chunks {
		a.chunks[i] = a.chunks[i][:0]
	}
	a.used = 0
}

// DamagedError says that a record is not as it was written.
type DamagedError struct {
	Bucket string
	Key    []byte
	// Why says how that shows.
	Why string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the record %q of %s is damaged: %s; run `patchbay doctor` to see how much is, and restore a backup if it matters", e.Key, e.Bucket, e.Why)
}

func damaged(bucket, k []byte, why string) *DamagedError {
	return &DamagedError{Bucket: string(bucket), Key: append([]byte(nil), k...), Why: why}
}

const whyChecksum = "its checksum does not fit it"
