package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"
)

// packed is the version of the packed form, its first byte.
const packed = 1

// Pack returns the recording in the form in which a host keeps millions: every field in
// turn, a length before each text, compressed. It costs an eighth of [Recording.Encode];
// [Unpack] reads it.
func (r *Recording) Pack() []byte {
	room := packers.Get().(*packer)
	defer packers.Put(room)
	p := (*room)[:0]
	p.text(r.Digest)
	p.text(r.Export)
	p.bytes(r.Input)
	p.config(r.Config)
	p.number(r.Now.Unix())
	p.number(int64(r.Now.Nanosecond()))
	p = append(p, r.Seed[:]...)
	p.number(r.Limits.Fuel)
	p.number(r.Limits.StackBytes)
	p.count(len(r.Calls))
	for i := range r.Calls {
		p.call(&r.Calls[i])
	}
	p.count(len(r.Logs))
	for _, l := range r.Logs {
		p.number(int64(l.Level))
		p.text(l.Source)
		p.text(l.Text)
	}
	p.bytes(r.Outcome.Output)
	p.failure(r.Outcome.Failure)
	for _, n := range []int64{r.Fuel, r.MemoryBytes, r.TookMicros} {
		p.number(n)
	}
	p.text(r.Incomplete)
	if cap(p) <= maxPackerBytes {
		*room = p
	}
	kept := make([]byte, 1+s2.MaxEncodedLen(len(p)))
	kept[0] = packed
	return kept[:1+len(s2.Encode(kept[1:], p))]
}

// packers holds buffers that recordings grew in, none of them larger than maxPackerBytes.
var packers = sync.Pool{New: func() any { return new(packer) }}

const maxPackerBytes = 64 << 10

// ErrPacked means that something is not a packed recording.
var ErrPacked = errors.New("it is not a packed recording")

// Unpack reads what [Recording.Pack] wrote; [ErrPacked] if it is anything else.
func Unpack(data []byte) (*Recording, error) {
	if len(data) == 0 || data[0] != packed {
		return nil, fmt.Errorf("unpack recording: %w", ErrPacked)
	}
	n, err := s2.DecodedLen(data[1:])
	if err != nil || n > MaxBytes {
		return nil, fmt.Errorf("unpack recording: %w: it has %d bytes, at most %d are allowed, %w", ErrPacked, n, MaxBytes, err)
	}
	raw, err := s2.Decode(nil, data[1:])
	if err != nil {
		return nil, fmt.Errorf("unpack recording: %w: %w", ErrPacked, err)
	}
	u := unpacker{rest: raw}
	r := u.recording()
	if u.broken || len(u.rest) > 0 {
		return nil, fmt.Errorf("unpack recording: %w: it breaks off or goes on", ErrPacked)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("unpack recording: %w", err)
	}
	return r, nil
}

// packer appends fields.
type packer []byte

func (p *packer) number(n int64) { *p = binary.AppendVarint(*p, n) }

func (p *packer) count(n int) { *p = binary.AppendUvarint(*p, uint64(n)) }

func (p *packer) text(s string) {
	p.count(len(s))
	*p = append(*p, s...)
}

// bytes tells nil from empty: its length is one more than there are bytes.
func (p *packer) bytes(b []byte) {
	if b == nil {
		p.count(0)
		return
	}
	p.count(len(b) + 1)
	*p = append(*p, b...)
}

func (p *packer) config(c map[string]string) {
	p.count(len(c))
	for _, name := range slices.Sorted(maps.Keys(c)) {
		p.text(name)
		p.text(c[name])
	}
}

func (p *packer) call(c *Call) {
	p.text(c.Function)
	p.bytes(c.Arguments)
	p.bytes(c.Answer)
	p.failure(c.Failure)
}

func (p *packer) failure(f *Failure) {
	if f == nil {
		p.count(0)
		return
	}
	p.count(1)
	p.text(string(f.Kind))
	p.text(f.Message)
	p.number(int64(f.Code))
	for _, s := range []string{f.Limit, f.Function, f.Stack, f.Stderr} {
		p.text(s)
	}
}

// unpacker takes fields off. Once something does not fit it is broken, and what it returns
// means nothing.
type unpacker struct {
	rest   []byte
	broken bool
}

func (u *unpacker) recording() *Recording {
	r := &Recording{Format: Format, Digest: u.text(), Export: u.text(), Input: u.bytes(), Config: u.config()}
	seconds, nanos := u.number(), u.number()
	r.Now = time.Unix(seconds, nanos).UTC()
	copy(r.Seed[:], u.take(uint64(len(r.Seed))))
	r.Limits = Limits{Fuel: u.number(), StackBytes: u.number()}
	for range u.count(MaxCalls) {
		r.Calls = append(r.Calls, Call{Function: u.text(), Arguments: u.bytes(), Answer: u.bytes(), Failure: u.failure()})
	}
	for range u.count(MaxLogs) {
		r.Logs = append(r.Logs, Log{Level: slog.Level(u.number()), Source: u.text(), Text: u.text()})
	}
	r.Outcome = Outcome{Output: u.bytes(), Failure: u.failure()}
	r.Fuel, r.MemoryBytes, r.TookMicros = u.number(), u.number(), u.number()
	r.Incomplete = u.text()
	return r
}

func (u *unpacker) number() int64 {
	n, size := binary.Varint(u.rest)
	if size <= 0 {
		u.broken = true
		return 0
	}
	u.rest = u.rest[size:]
	return n
}

// count takes a number of things off, none of which takes less than a byte.
func (u *unpacker) count(most int) int {
	n := u.length()
	if n > uint64(most) || n > uint64(len(u.rest)) {
		u.broken = true
		return 0
	}
	return int(n)
}

func (u *unpacker) length() uint64 {
	n, size := binary.Uvarint(u.rest)
	if size <= 0 {
		u.broken = true
		return 0
	}
	u.rest = u.rest[size:]
	return n
}

func (u *unpacker) take(n uint64) []byte {
	if u.broken || n > uint64(len(u.rest)) {
		u.broken = true
		return nil
	}
	taken := u.rest[:n:n]
	u.rest = u.rest[n:]
	return taken
}

func (u *unpacker) text() string { return string(u.take(u.length())) }

func (u *unpacker) bytes() Bytes {
	n := u.length()
	if n == 0 {
		return nil
	}
	return append(Bytes{}, u.take(n-1)...)
}

func (u *unpacker) config() map[string]string {
	n := u.count(len(u.rest))
	if n == 0 {
		return nil
	}
	c := make(map[string]string, n)
	for range n {
		name := u.text()
		c[name] = u.text()
	}
	return c
}

func (u *unpacker) failure() *Failure {
	switch u.length() {
	case 0:
		return nil
	case 1:
	default:
		u.broken = true
		return nil
	}
	return &Failure{Kind: Kind(u.text()), Message: u.text(), Code: int32(u.number()), Limit: u.text(), Function: u.text(),
		Stack: u.text(), Stderr: u.text()}
}
