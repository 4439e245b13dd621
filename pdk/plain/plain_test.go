package plain

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestHTMLText(t *testing.T) {
	for _, tt := range []struct{ name, html, want string }{
		{"paragraphs", "<p>Hello,</p><p>the courier is on the way.</p>", "Hello,\nthe courier is on the way."},
		{"breaks", "one<br>two<BR/>three", "one\ntwo\nthree"},
		{"a list", "<ul><li>one</li><li>two</li></ul>", "- one\n- two"},
		{"emphasis", "<b>no</b> <i class=\"x\">mark</i>", "no mark"},
		{"a link", `see <a href="https://a.example/?x=1&amp;y=2" target=_blank>here</a>.`, "see here (https://a.example/?x=1&y=2)."},
		{"a link that shows its target", `<a href="https://a.example">https://a.example</a>`, "https://a.example"},
		{"a script link", `<a href="javascript:alert(1)">here</a>`, "here"},
		{"entities", "<p>&lt;b&gt; &amp;amp; &#1055;&#x41f; &nbsp;x &bogus; & &#0; &#xD800;</p>", "<b> &amp; ПП  x &bogus; & &#0; &#xD800;"},
		{"a script", "<p>a</p><script>if (a<b) alert('</p>')</script><p>b</p>", "a\nb"},
		{"a style without an end", "a<style>p{}", "a"},
		{"an unknown tag", "<p>&lt;</p><customer> 3 < 4", "<\n<customer> 3 < 4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := HTML(tt.html); got != tt.want {
				t.Errorf("HTML(%q)\n got %q\nwant %q", tt.html, got, tt.want)
			}
		})
	}
}

func TestHasTags(t *testing.T) {
	for text, want := range map[string]bool{
		"3 < 4 and 5 > 4": false, "a <customer> b": false, "<3": false, "a<b": false, "": false, "<": false, "<>": false,
		"<p>": true, "x</DIV>": true, "<br/>": true, "<<b>": true, "<a href='x'>y": true,
	} {
		if got := HasTags(text); got != want {
			t.Errorf("HasTags(%q) = %v, want %v", text, got, want)
		}
	}
}

// FuzzHTMLText claims that the result is text and never longer than the input.
func FuzzHTMLText(f *testing.F) {
	for _, seed := range []string{"<p>a</p>", "<a href=\"https://x\">y</a>", "&lt;&#65;&#x41;", "<<<a<a<", "<script>", "<a href=http://x y>z</a>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := HTML(s)
		if len(got) > len(s) {
			t.Errorf("HTML(%q) = %q is longer", s, got)
		}
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("HTML(%q) = %q is not UTF-8", s, got)
		}
	})
}

func TestHTMLTextTakesLinearTime(t *testing.T) {
	for _, unit := range []string{"<a", "<a href=", "&#", "<script>", "<p", "<<"} {
		text := strings.Repeat(unit, (1<<20)/len(unit))
		got := testing.AllocsPerRun(1, func() { HTML(text) }) // quadratic time would not end
		if got > 100 {
			t.Errorf("%q repeated takes %v allocations", unit, got)
		}
	}
}

func TestSplitKeepsEveryCharacter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("abcñЖ漢 \n\t😀")), 0, 400, -1).Draw(t, "text")
		limit := rapid.IntRange(20, 60).Draw(t, "limit")
		pieces := Split(text, limit, 32)
		if strings.Join(pieces, "") != text {
			t.Fatalf("Split(%q, %d) = %q loses something", text, limit, pieces)
		}
		for _, p := range pieces {
			if n := utf8.RuneCountInString(p); n > limit || (n == 0 && text != "") {
				t.Fatalf("Split(%q, %d) has a piece of %d characters", text, limit, n)
			}
		}
	})
}

func TestSplitPrefersWhiteSpace(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		limit      int
		want       []string
	}{
		{"a short text", "hello", 5, []string{"hello"}},
		{"an empty text", "", 5, []string{""}},
		{"after the last space", "aaaaaa b cccc", 10, []string{"aaaaaa b ", "cccc"}},
		{"no space near the end", "a bbbbbbbbbbbb", 10, []string{"a bbbbbbbb", "bbbb"}},
		{"many bytes, few characters", strings.Repeat("漢", 10), 10, []string{strings.Repeat("漢", 10)}},
		{"too many pieces", strings.Repeat("x", 32*10+1), 10, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Split(tt.text, tt.limit, 32); !slices.Equal(got, tt.want) {
				t.Errorf("Split(%q, %d) = %q, want %q", tt.text, tt.limit, got, tt.want)
			}
		})
	}
}

func TestDegrees(t *testing.T) {
	for e7, want := range map[int64]string{0: "0", 1: "0.0000001", -5: "-0.0000005", 546870000: "54.687", -1800000000: "-180", 900000000: "90"} {
		if got := degrees(e7); got != want {
			t.Errorf("degrees(%d) = %q, want %q", e7, got, want)
		}
	}
}
