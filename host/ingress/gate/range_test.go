package gate

import "testing"

func FuzzParseRange(f *testing.F) {
	for _, seed := range []string{"bytes=0-", "bytes=-5", "bytes=3-2", "bytes=9223372036854775807-", "bytes=--1", "lines=1-2"} {
		f.Add(seed, int64(10))
		f.Add(seed, int64(0))
	}
	f.Fuzz(func(t *testing.T, field string, size int64) {
		if size < 0 {
			t.Skip("no file is that small")
		}
		got, outcome := parseRange(field, size)
		if outcome == rangeTaken && (got.start < 0 || got.length <= 0 || got.start+got.length > size || got.start+got.length < 0) {
			t.Errorf("parseRange(%q, %d) = %+v, which is not inside", field, size, got)
		}
	})
}
