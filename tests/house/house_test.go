package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestThePackagesKeepToTheRules(t *testing.T) {
	seen := map[Violation]bool{} // a package that is native and a guest breaks a rule twice
	for _, v := range Check(readGraph(t)) {
		if !seen[v] {
			t.Error(v)
		}
		seen[v] = true
	}
}

func TestTheTreeKeepsToTheRules(t *testing.T) {
	if _, err := os.Stat(filepath.Join(top(t), ".git")); errors.Is(err, os.ErrNotExist) {
		t.Skip("this is not a git work tree, so nobody knows which files are kept")
	}
	for _, v := range CheckTree(readTree(t)) {
		t.Error(v)
	}
}

// readGraph lists our packages as they are built here, and those that also become
// guests as they are built there.
func readGraph(t *testing.T) []Package {
	t.Helper()
	graph := goList(t, nil, "./...")
	guests := goList(t, []string{"GOOS=wasip1", "GOARCH=wasm"}, "./pdk/...", "./plugins/...")
	return append(graph, guests...)
}

// listed is what we read of go list's answer.
type listed struct {
	Dir, ImportPath, Doc               string
	Imports, TestImports, XTestImports []string
}

func goList(t *testing.T, env []string, patterns ...string) []Package {
	t.Helper()
	// -e: a package without a file for this system is listed, too.
	cmd := exec.Command("go", append([]string{"list", "-e", "-json"}, patterns...)...)
	cmd.Dir, cmd.Env = top(t), append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v %v: %v\n%s", env, patterns, err, stderrOf(err))
	}
	var graph []Package
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return graph
		} else if err != nil {
			t.Fatalf("read the answer of go list: %v", err)
		}
		graph = append(graph, Package{
			Path:        strings.TrimPrefix(p.ImportPath, Module+"/"),
			Imports:     p.Imports,
			TestImports: slices.Concat(p.TestImports, p.XTestImports),
			Documented:  p.Doc != "" || documented(t, p.Dir),
		})
	}
}

// documented tells whether any file in dir has a package comment, whatever system it is
// for, and whether or not it is a test.
func documented(t *testing.T, dir string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
		return err == nil && parsed.Doc != nil
	})
}

// readTree reads every file that is kept, or would be by "git add": what is not ignored.
func readTree(t *testing.T) []File {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = top(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v\n%s", err, stderrOf(err))
	}
	var files []File
	for _, path := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(top(t), path))
		if errors.Is(err, os.ErrNotExist) {
			continue // removed, and git has not been told
		}
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, File{Path: path, Content: content})
	}
	return files
}

func top(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func stderrOf(err error) string {
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return string(exit.Stderr)
	}
	return ""
}
