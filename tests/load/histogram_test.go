//go:build linux

package main

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestAQuantileIsTheSortedListsWithin2Percent compares with what the histogram stands for.
func TestAQuantileIsTheSortedListsWithin2Percent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h Histogram
		all := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 200).Draw(t, "durations")
		q := rapid.Float64Range(0, 1).Draw(t, "quantile")
		for _, d := range all {
			h.Add(time.Duration(d))
		}
		slices.Sort(all)
		want := time.Duration(all[max(int(q*float64(len(all))), 1)-1])
		got := h.Quantile(q)
		if got < want-time.Microsecond || float64(got) > float64(want)*1.02+float64(time.Microsecond) {
			t.Errorf("quantile %v of %v is %v, want %v", q, all, got, want)
		}
		if h.Count() != uint64(len(all)) || h.Max() != time.Duration(all[len(all)-1]) {
			t.Errorf("count %d, max %v", h.Count(), h.Max())
		}
	})
}

func TestMergedHistogramsAreOne(t *testing.T) {
	var a, b, both Histogram
	for i := range 1000 {
		d := time.Duration(i*i) * time.Microsecond
		both.Add(d)
		if i%3 == 0 {
			a.Add(d)
		} else {
			b.Add(d)
		}
	}
	a.Merge(&b)
	if a != both {
		t.Error("they differ")
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(fine))
	f.Add([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 503 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		status, length, _, err := parseAnswer(b)
		if err != nil || length < 0 {
			return
		}
		if length < 16 || status < 100 || status > 999 {
			t.Errorf("%q: status %d, length %d", b, status, length)
		}
		// More of the answer changes nothing that is known.
		again, same, _, err := parseAnswer(append(slices.Clone(b), "more"...))
		if err != nil || again != status || same != length {
			t.Errorf("%q with more behind it: status %d, length %d, %v", b, again, same, err)
		}
	})
}
