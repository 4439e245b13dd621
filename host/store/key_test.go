package store

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// FuzzPosition reads cursors that anybody may have made up.
func FuzzPosition(f *testing.F) {
	f.Add("")
	f.Add(listJobs.cursor(packNumber(7)))
	f.Add(listDeliveries.cursor([]byte("dlv_01J")))
	f.Add("agAAAAAAAAAH\n")
	f.Add("====")
	f.Add(strings.Repeat("j", 3000))
	f.Fuzz(func(t *testing.T, cursor string) {
		position, err := listJobs.position(cursor)
		switch {
		case err != nil && position != nil:
			t.Errorf("%q is refused and yet stands for %x", cursor, position)
		case err == nil && cursor != "" && listJobs.cursor(position) != cursor:
			t.Errorf("%q stands for %x, whose cursor is %q", cursor, position, listJobs.cursor(position))
		}
		if _, other := listAudit.position(cursor); cursor != "" && err == nil && other == nil {
			t.Errorf("%q is a cursor of two listings", cursor)
		}
	})
}

// Two lists of texts that make one key would let one tenant's name stand for another's.
func FuzzKeyTellsPartsApart(f *testing.F) {
	f.Add("a", "bc", "ab", "c")
	f.Add("", "\x00\x00", "\x00\x00", "")
	f.Add(strings.Repeat("x", maxPart), "", strings.Repeat("x", maxPart+1), "")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		one, two := newKey().text(a).text(b), newKey().text(c).text(d)
		if bytes.Equal(one, two) != (a == c && b == d) {
			t.Errorf("%q and %q make %x; %q and %q make %x", a, b, one, c, d, two)
		}
		if a != c && bytes.HasPrefix(one, newKey().text(c)) {
			t.Errorf("%q stands among the keys of %q", a, c)
		}
	})
}

func TestTimesSortInKeys(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		nanos := rapid.Int64Range(-1<<62, 1<<62)
		a, b := time.Unix(0, nanos.Draw(r, "a")), time.Unix(0, nanos.Draw(r, "b"))
		if bytes.Compare(packTime(a), packTime(b)) != a.Compare(b) {
			r.Errorf("%v and %v sort otherwise as %x and %x", a, b, packTime(a), packTime(b))
		}
		if got := unpackTime(packTime(a)); !got.Equal(a) {
			r.Errorf("%v comes back as %v", a, got)
		}
	})
	if got := unpackTime(packTime(time.Time{})); !got.IsZero() {
		t.Errorf("the zero time comes back as %v", got)
	}
}

func TestSuccessorIsTheFirstKeyBehindAPrefix(t *testing.T) {
	for _, tt := range []struct{ prefix, want string }{
		{"a", "b"}, {"a\xff", "b"}, {"a\xff\xff", "b"}, {"\xff", ""}, {"", ""}, {"a\x00", "a\x01"},
	} {
		if got := successor(key(tt.prefix)); string(got) != tt.want {
			t.Errorf("successor(%q) = %q, want %q", tt.prefix, got, tt.want)
		}
	}
}
