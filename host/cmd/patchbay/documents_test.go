package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// commandLine is one in a block of a document, up to what a shell makes of it.
var commandLine = regexp.MustCompile(`(?m)^(?:\./)?patchbay ([^#\n|&>]+)`)

// word is one of a command line; quotation marks keep spaces together.
var word = regexp.MustCompile(`(?:'[^']*'|[^\s'])+`)

// What documents tell people to type has to be a command.
func TestCommandLinesOfDocumentsAreUnderstood(t *testing.T) {
	if understood([]string{"app", "frobnicate"}) == nil {
		t.Error("any command line is understood, so this test shows nothing")
	}
	root := filepath.Join("..", "..", "..")
	for _, name := range []string{"README.md", "host/README.md", "pdk/README.md"} {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		lines := commandLine.FindAllStringSubmatch(string(text), -1)
		if len(lines) == 0 {
			t.Errorf("%s has no command lines", name)
		}
		for _, line := range lines {
			var args []string
			for _, w := range word.FindAllString(strings.TrimSpace(line[1]), -1) {
				args = append(args, strings.ReplaceAll(w, "'", ""))
			}
			if err := understood(args); err != nil {
				t.Errorf("%s: patchbay %s: %v", name, line[1], err)
			}
		}
	}
}

// understood parses a command line and runs nothing.
func understood(args []string) error {
	parser, err := kong.New(&grammar{Serve: serveCommand{Fields: configFlags()}}, kong.Name("patchbay"))
	if err != nil {
		return err
	}
	_, err = parser.Parse(args)
	return err
}

// The operator's page names every notice and every event that there is.
func TestTheOperatorsPageNamesEveryNoticeAndEvent(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	page, err := os.ReadFile(filepath.Join(root, "host", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for file, kinds := range map[string]*regexp.Regexp{
		"host/domain/notice.go": regexp.MustCompile(`NoticeKind = "([^"]+)"`),
		"pdk/contract/event.go": regexp.MustCompile(`EventKind = "([^"]+)"`),
	} {
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		found := kinds.FindAllSubmatch(source, -1)
		if len(found) < 5 {
			t.Errorf("%s names %d kinds; is it written differently now?", file, len(found))
		}
		for _, kind := range found {
			if !strings.Contains(string(page), "`"+string(kind[1])+"`") {
				t.Errorf("host/README.md says nothing of %q (%s)", kind[1], file)
			}
		}
	}
}
