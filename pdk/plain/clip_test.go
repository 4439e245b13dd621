package plain_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

func TestClip(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		limit      int
		want       string
	}{
		{"short enough", "abc", 3, "abc"},
		{"too long", "abcd", 3, "abc"},
		{"through a character", "ab漢d", 4, "ab"},
		{"behind a character", "ab漢d", 5, "ab漢"},
		{"less than the first character", "漢", 2, ""},
		{"nothing", "abc", 0, ""},
		{"less than nothing", "abc", -1, ""},
		{"bytes that are no text", "\x80\x80\x80", 2, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := plain.Clip(tt.text, tt.limit); got != tt.want {
				t.Errorf("Clip(%q, %d) = %q, want %q", tt.text, tt.limit, got, tt.want)
			}
		})
	}
}

// FuzzClip claims that what is cut is the beginning, short enough, and as good a text as before.
func FuzzClip(f *testing.F) {
	f.Add("ab漢d", 4)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		got := plain.Clip(text, limit)
		if !strings.HasPrefix(text, got) || len(got) > max(limit, 0) {
			t.Errorf("Clip(%q, %d) = %q", text, limit, got)
		}
		if utf8.ValidString(text) && (!utf8.ValidString(got) || len(got) < min(limit-utf8.UTFMax+1, len(text))) {
			t.Errorf("Clip(%q, %d) = %q, which lost more than it must", text, limit, got)
		}
	})
}
