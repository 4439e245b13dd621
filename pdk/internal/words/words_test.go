package words

import (
	"encoding/binary"
	"testing"
)

// FuzzPlain holds Plain against a loop over the bytes.
func FuzzPlain(f *testing.F) {
	for _, s := range []string{"abcdefgh", "ab\"cdefg", "abc\\defg", "\x1fbcdefgh", "abcdefg\x80", "        ", "\x00\x01\x20\x21\xff\"\\a"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < Bytes {
			return
		}
		want := 0
		for want < Bytes && data[want] >= ' ' && data[want] < 0x80 && data[want] != '"' && data[want] != '\\' {
			want++
		}
		w := At(string(data), 0)
		if w != binary.LittleEndian.Uint64(data) {
			t.Errorf("At(%q) = %x", data, w)
		}
		if got := Plain(w); got != want {
			t.Errorf("Plain(%q) = %d, want %d", data[:Bytes], got, want)
		}
	})
}
