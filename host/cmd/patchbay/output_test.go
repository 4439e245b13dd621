package main

import "testing"

func TestCleanLeavesNothingThatActsOnATerminal(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"plain words", "Grüße, 世界", "Grüße, 世界"},
		{"line ends and tabs", "a\nb\tc\r\n", "a b c  "},
		{"an escape sequence", "a\x1b[31mb", `a\u001b[31mb`},
		{"a control of the second set", "a\u009b2Jb", `a\u009b2Jb`},
		{"writing turned round", "gnp.\u202eexe", `gnp.\u202eexe`},
		{"a character that is not there", "a\u200bb\ufeff", `a\u200bb\ufeff`},
		{"a family of emoji", "👩\u200d👧", "👩\u200d👧"},
		{"a line separator", "a\u2028b", `a\u2028b`},
		{"bytes that are no text", "a\xffb", `a\ufffdb`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := clean(tt.text); got != tt.want {
				t.Errorf("clean(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

func TestManyLinesKeepTheirLinesAndNothingElse(t *testing.T) {
	if got, want := cleanLines("go.mod:\n\tgo mod tidy\x1b[2J"), `go.mod:`+"\n"+`    go mod tidy\u001b[2J`; got != want {
		t.Errorf("cleanLines = %q, want %q", got, want)
	}
}

func TestLocalNameStaysInTheFolder(t *testing.T) {
	for name, want := range map[string]string{
		"a.png": "a.png", "../../etc/passwd": "passwd", `C:\boot.ini`: "boot.ini", "..": "", ".bashrc": "bashrc",
		"/": "", "a\x1b]0;b": `a\u001b]0;b`, "": "",
	} {
		if got := localName(name); got != want {
			t.Errorf("localName(%q) = %q, want %q", name, got, want)
		}
	}
}
