//go:build linux

package main

import (
	"math/bits"
	"time"
)

// subBits is how finely a power of two is divided: 64 steps, so that a latency is told to
// within 1.6 %.
const subBits = 6

// Histogram counts durations from 1 µs to a day in steps of 1.6 %, in constant memory. Its
// zero value is empty. It is not safe for concurrent use.
type Histogram struct {
	counts [40 << subBits]uint64
	total  uint64
	max    time.Duration
}

// Add counts one duration; a negative one counts as none at all, which is 0.
func (h *Histogram) Add(d time.Duration) {
	h.counts[slot(d)]++
	h.total++
	h.max = max(h.max, d)
}

// Merge adds what another histogram has counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
	h.max = max(h.max, o.max)
}

// Count is how many durations were added.
func (h *Histogram) Count() uint64 { return h.total }

// Max is the longest.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns the duration that a share q of all, 0 to 1, did not exceed; 0 if there
// are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := uint64(q * float64(h.total))
	rank = min(max(rank, 1), h.total)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return min(upper(i), h.max)
		}
	}
	return h.max
}

// slot is where a duration is counted: microseconds, exactly below 64 and then by 64 steps
// to each power of two.
func slot(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < 1<<subBits {
		return int(us)
	}
	exponent := bits.Len64(us) - subBits - 1
	i := exponent<<subBits + int(us>>exponent)
	return min(i, len(Histogram{}.counts)-1)
}

// upper is the longest duration that is counted in a slot.
func upper(i int) time.Duration {
	if i < 1<<subBits {
		return time.Duration(i+1)*time.Microsecond - 1
	}
	exponent := i>>subBits - 1
	step := uint64(i) - uint64(exponent)<<subBits
	return time.Duration((step+1)<<exponent)*time.Microsecond - 1
}
