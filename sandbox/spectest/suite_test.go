package spectest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

// verdict is what became of a command: "" is that it did what the suite says.
type verdict string

// notRun is the verdict on what cannot be run: text, or a module that was refused.
const notRun verdict = "not run"

// run is one script being run in one way.
type run struct {
	folder  string
	rewrite rewriter
	runtime wazero.Runtime

	named   map[string]*instance
	all     []*instance
	current *instance
	refused map[string]string // what the rewriter refused that the suite accepts, by file
}

// play runs a script and returns the verdicts on its commands.
func (r *run) play(ctx context.Context, s script) []verdict {
	r.named, r.refused = map[string]*instance{}, map[string]string{}
	verdicts := make([]verdict, len(s.Commands))
	for i := range s.Commands {
		as := ""
		if next := i + 1; next < len(s.Commands) && s.Commands[next].Type == "register" {
			as = s.Commands[next].As
		}
		verdicts[i] = r.command(ctx, &s.Commands[i], as)
	}
	return verdicts
}

func (r *run) command(ctx context.Context, c *command, as string) verdict {
	if c.ModuleType == "text" {
		return notRun
	}
	switch c.Type {
	case "module":
		return r.module(ctx, c, as)
	case "register": // together with the module before it
		return ""
	case "assert_return", "action", "assert_trap", "assert_exhaustion":
		return r.action(ctx, c)
	case "assert_malformed", "assert_invalid":
		// Data is no reason to refuse a module: who writes it has to know it for valid.
		if _, err := r.link(ctx, c.Filename, ""); err == nil {
			return verdict(fmt.Sprintf("%s is accepted; should be: %s", c.Filename, c.Text))
		}
		return ""
	case "assert_unlinkable", "assert_uninstantiable":
		_, err := r.load(ctx, c.Filename, "")
		// An active element out of bounds is no error to wazero.
		if err == nil && c.Text != "out of bounds table access" {
			return verdict(fmt.Sprintf("%s is accepted; should be: %s", c.Filename, c.Text))
		}
		return ""
	}
	return verdict("unknown command " + c.Type)
}

// refusal is a rewriter's error.
type refusal struct{ error }

// link rewrites and compiles a module and makes an instance of it.
func (r *run) link(ctx context.Context, file, name string) (*instance, error) {
	wasm, err := os.ReadFile(filepath.Join(r.folder, file))
	if err != nil {
		return nil, err
	}
	p, err := r.rewrite(wasm)
	if err != nil {
		return nil, refusal{err}
	}
	compiled, err := r.runtime.CompileModule(ctx, p.wasm)
	if err != nil {
		return nil, err
	}
	return link(ctx, r.runtime, compiled, p, name)
}

// load links a module and starts it.
func (r *run) load(ctx context.Context, file, name string) (*instance, error) {
	in, err := r.link(ctx, file, name)
	if err != nil {
		return nil, err
	}
	return in, in.start(ctx, r.runtime)
}

func (r *run) module(ctx context.Context, c *command, as string) verdict {
	in, err := r.load(ctx, c.Filename, as)
	if err != nil {
		in = nil
	}
	r.current = in
	if c.Name != "" {
		r.named[c.Name] = in
	}
	var no refusal
	switch {
	case errors.As(err, &no):
		r.refused[c.Filename] = err.Error()
		return notRun
	case err != nil:
		return verdict(err.Error())
	}
	r.all = append(r.all, in)
	return ""
}

func (r *run) action(ctx context.Context, c *command) verdict {
	in := r.current
	if c.Action.Module != "" {
		in = r.named[c.Action.Module]
	}
	if in == nil {
		return notRun
	}
	if c.Action.Type == "get" {
		if got := in.ExportedGlobal(c.Action.Field).Get(); !equal([]uint64{got}, c.Expected) {
			return verdict(fmt.Sprintf("global %q is %#x", c.Action.Field, got))
		}
		return ""
	}
	stack := int64(unlimited)
	if c.Type == "assert_exhaustion" {
		stack = deepest
	}
	for _, other := range r.all {
		other.fill(allow(unlimited, stack))
	}
	results, err := in.ExportedFunction(c.Action.Field).Call(ctx, c.Action.arguments()...)
	if problem := r.judge(c, results, err); problem != "" {
		return verdict(fmt.Sprintf("%s(%v): %s", c.Action.Field, c.Action.Args, problem))
	}
	return ""
}

// judge compares what came of a call with what should have come of it.
func (r *run) judge(c *command, results []uint64, err error) string {
	got := cause(err)
	if slices.ContainsFunc(r.all, func(in *instance) bool { return in.fuelLeft() < 0 }) {
		return "out of fuel"
	}
	outOfStack := slices.ContainsFunc(r.all, func(in *instance) bool { return in.stackLeft() < 0 })
	switch c.Type {
	case "assert_trap":
		if want, ok := traps[c.Text]; !ok || got != want || outOfStack {
			return fmt.Sprintf("trap %q, want %q for %q", got, want, c.Text)
		}
	case "assert_exhaustion":
		if got != "stack overflow" && (got != "unreachable" || !outOfStack) {
			return fmt.Sprintf("trap %q, want an exhausted stack", got)
		}
	default:
		if err != nil {
			return got
		}
		if c.Type == "assert_return" && !equal(results, c.Expected) {
			return fmt.Sprintf("%#x, want %v", results, c.Expected)
		}
	}
	return ""
}

// comparison is the result of running scripts both ways.
type comparison struct {
	assertions int // that hold both ways
	commands   int // of every kind that do as they should both ways
	notRun     int
	unheld     map[string]int    // assertions by file that do not hold for the original either
	refused    map[string]string // modules that our pipeline does not take
}

func (c *comparison) script(t *testing.T, engine, folder, file string) {
	raw, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		t.Fatal(err)
	}
	var s script
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	play := func(rw rewriter) (*run, []verdict) {
		r := &run{folder: folder, rewrite: rw, runtime: newRuntime(t, engine)}
		defer func() { _ = r.runtime.Close(t.Context()) }()
		if in, err := r.load(t.Context(), "../../testdata/spectest.wasm", "spectest"); err != nil {
			t.Fatalf("module spectest: %v", err)
		} else {
			r.all = append(r.all, in)
		}
		return r, r.play(t.Context(), s)
	}
	_, originals := play(unchanged)
	r, rewritten := play(metered)
	maps.Copy(c.refused, r.refused)
	for i, cmd := range s.Commands {
		switch {
		case rewritten[i] == notRun:
			c.notRun++
		case originals[i] != "" && rewritten[i] != "":
			c.unheld[file]++
			t.Logf("line %d, both ways: %s", cmd.Line, originals[i])
		case originals[i] != "" || rewritten[i] != "":
			t.Errorf("line %d: %s\noriginal:  %q\nrewritten: %q", cmd.Line, cmd.Type, originals[i], rewritten[i])
		default:
			c.commands++
			if strings.HasPrefix(cmd.Type, "assert_") {
				c.assertions++
			}
		}
	}
}

// TestSpecification runs each script of the suite twice, with the modules as they are
// and rewritten, and compares the verdicts on each command.
func TestSpecification(t *testing.T) {
	suite, err := suiteFolder()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		folder     string
		assertions int               // that hold both ways, at least
		unheld     map[string]int    // that do not hold without rewriting either, by file
		refused    map[string]string // valid modules that our pipeline does not take, and words of why
	}{
		{
			folder: "v1", assertions: 17_800,
			// WebAssembly 2.0 allows what these want to be refused: several results, several
			// tables, and elements that turn out not to fit when the module has been linked.
			unheld: map[string]int{
				"elem.json": 12, "func.json": 2, "imports.json": 1, "linking.json": 7, "type.json": 2, "unreached-invalid.json": 1,
			},
			refused: map[string]string{"br_table.0.wasm": "24615 branch targets; at most 16384"},
		},
		{
			folder: "v2", assertions: 51_000,
			unheld:  map[string]int{},
			refused: map[string]string{"func.0.wasm": "16 results; at most 8"},
		},
		{folder: "tail-call", assertions: 100, unheld: map[string]int{}, refused: map[string]string{}},
	} {
		for _, engine := range slices.Sorted(maps.Keys(engines)) {
			t.Run(tt.folder+"/"+engine, func(t *testing.T) {
				if testing.Short() && (tt.folder == "v1" || tt.folder == "v2" && engine == "interpreter") {
					t.Skip("v1 is nearly all in v2, and the interpreter gets its share of tail-call")
				}
				folder := filepath.Join(suite, tt.folder, "testdata")
				files, err := filepath.Glob(filepath.Join(folder, "*.json"))
				if err != nil {
					t.Fatal(err)
				}
				c := comparison{unheld: map[string]int{}, refused: map[string]string{}}
				for _, file := range files {
					t.Run(filepath.Base(file), func(t *testing.T) { c.script(t, engine, folder, filepath.Base(file)) })
				}
				t.Logf("%d files: %d assertions and %d other commands hold both ways; %d commands not run",
					len(files), c.assertions, c.commands-c.assertions, c.notRun)
				if c.assertions < tt.assertions {
					t.Errorf("%d assertions hold, want %d at least", c.assertions, tt.assertions)
				}
				if !maps.Equal(c.unheld, tt.unheld) {
					t.Errorf("assertions that hold neither way: %v, want %v", c.unheld, tt.unheld)
				}
				if !maps.EqualFunc(c.refused, tt.refused, strings.Contains) {
					t.Errorf("refused: %v, want %v", c.refused, tt.refused)
				}
			})
		}
	}
}
