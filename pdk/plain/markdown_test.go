package plain

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestMarkdown(t *testing.T) {
	for _, tt := range []struct{ name, md, want string }{
		{"emphasis", "Your order **leaves *today***, _really_ __so__", "Your order leaves today, really so"},
		{"struck", "~~5 €~~ 4 €, about ~10", "5 € 4 €, about ~10"},
		{"marks that are none", "2 * 3 * 4, snake_case_name, a*b, 5 ** stars, _", "2 * 3 * 4, snake_case_name, a*b, 5 ** stars, _"},
		{"code", "run `a*b*c` and ``x`y`` and ` alone", "run a*b*c and x`y and ` alone"},
		{"a fence", "see\n```go\na := *b\n```\nthere", "see\n\na := *b\n\nthere"},
		{"a link", "[here](https://a.example/x_y_z \"title\") or <https://b.example/_x_>", "here (https://a.example/x_y_z) or https://b.example/_x_"},
		{"a link that shows its target", "[https://a.example](https://a.example)", "https://a.example"},
		{"a script link", "[here](javascript:alert)", "here"},
		{"an image", "![a mug](https://a.example/m.png)", "a mug (https://a.example/m.png)"},
		{"emphasis in a link", "[**here**](https://a.example)", "here (https://a.example)"},
		{"brackets", "[1] and [x] (y) and [a](b", "[1] and [x] (y) and [a](b"},
		{"a list", "* one\n+ two\n  - three\n1. four", "- one\n- two\n  - three\n1. four"},
		{"headings", "# Hello\n#hash", "Hello\n#hash"},
		{"escapes", `\*no\* \_marks\_ \\ C:\dir`, `*no* _marks_ \ C:\dir`},
		{"entities", "&lt;b&gt; &amp; & &#65;", "<b> & & A"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Markdown(tt.md); got != tt.want {
				t.Errorf("Markdown(%q)\n got %q\nwant %q", tt.md, got, tt.want)
			}
		})
	}
}

func TestEscapedTextIsShownAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("a1Ж \n\\`*_[]()<>~&#!|-+=.:/;{}\"'"))).Draw(t, "text")
		if got := Markdown(Escape(text)); got != strings.TrimSpace(text) {
			t.Fatalf("Markdown(Escape(%q)) = %q, by %q", text, got, Escape(text))
		}
	})
}

// FuzzMarkdown claims that the result is text, and not longer than brackets around targets make it.
func FuzzMarkdown(f *testing.F) {
	for _, seed := range []string{"**a**", "[a](https://x)", "`a", "***a_b*c", "&amp;", "```\nx", "<https://x>", "![](y)", "[[[a](b)](c)](d)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Markdown(s)
		if len(got) > 2*len(s) || utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("Markdown(%q) = %q", s, got)
		}
		if utf8.ValidString(s) && Markdown(Escape(s)) != strings.TrimSpace(s) {
			t.Errorf("Markdown(Escape(%q)) = %q", s, Markdown(Escape(s)))
		}
	})
}

func TestMarkdownTakesLinearTime(t *testing.T) {
	for _, unit := range []string{"*", "**a ", "[", "[a](", "`", "`` ` ", "_a_", "<", "![", "\\", "[a](b)", "*a_"} {
		text := strings.Repeat(unit, (1<<16)/len(unit))
		if got := Markdown(text); len(got) > 2*len(text) { // quadratic time would not end
			t.Errorf("%q repeated becomes longer", unit)
		}
	}
}
