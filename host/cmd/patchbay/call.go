package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/seed75a60ee1/patchbay/host/reference"
	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

type pluginCall struct {
	File      string   `arg:"" help:"The plugin file, or any module that a host would load."`
	Export    string   `arg:"" help:"The function to call, such as receive."`
	Input     string   `placeholder:"FILE" help:"Its input; - is standard input. Without it the input is empty."`
	Config    []string `sep:"none" placeholder:"NAME=VALUE" help:"A value of Extism's configuration; repeat for more."`
	Now       string   `placeholder:"TIME" help:"The plugin's clock, as in 2026-03-02T10:00:00Z; the real time if not given."`
	Seed      string   `placeholder:"HEX" help:"Where its randomness comes from: 64 digits, filled up with zeros; random if not given."`
	Host      string   `placeholder:"FILE" help:"What host functions answer, as JSON: {\"kv_get\": [{\"found\": false}, ...], ...}. A list answers in turn and its last one from then on; or a recording, whose answers are given."`
	Record    string   `placeholder:"FILE" help:"Write a recording of the call, for patchbay plugin replay."`
	Reference bool     `help:"Run it in Extism's own SDK instead of the sandbox: nothing is isolated, metered or pinned there."`
	Fuel      int64    `placeholder:"UNITS" help:"How much it may compute; the sandbox's default if not given."`
}

// Help is shown below the usage.
func (*pluginCall) Help() string {
	return `The output goes to standard output as it is; the log, and what the call used, to standard error. With --json the recording of the call is printed instead.

There is no host: what the plugin asks host functions is answered from the file of --host, and a call without an answer fails. A string in that file is the text of the answer, {"base64": "..."} its bytes, and any other document is the answer itself.`
}

// Run calls the export and prints its output, as it is, and what it used. With --json it
// prints the recording instead.
func (c *pluginCall) Run(ctx context.Context, s *session) error {
	wasm, inv, err := c.invocation(s)
	if err != nil {
		return err
	}
	r, callErr := (*recording.Recording)(nil), error(nil)
	if c.Reference {
		r, callErr = callReference(ctx, s, wasm, inv)
	} else {
		inv.Fuel = c.Fuel
		r, callErr = callSandbox(ctx, wasm, inv, sandbox.Limits{Fuel: max(c.Fuel, sandbox.DefaultFuel)})
	}
	if r == nil {
		return c.explain(wasm, callErr)
	}
	if err := c.keep(r); err != nil {
		return err
	}
	if err := s.printCall(r); err != nil {
		return err
	}
	return c.explain(wasm, callErr)
}

// invocation reads what the flags name.
func (c *pluginCall) invocation(s *session) (wasm []byte, inv sandbox.Invocation, err error) {
	if c.Reference && (c.Record != "" || c.Fuel != 0 || c.Now != "" || c.Seed != "") {
		return nil, inv, &usageError{"--reference stands beside --record, --fuel, --now or --seed",
			"leave them out: the SDK has the machine's clock and randomness, and no fuel, so nothing of it can be replayed"}
	}
	inv.Export = c.Export
	inv.Log = func(l sandbox.LogLine) {
		fmt.Fprintf(s.stderr, "%s %s: %s\n", strings.ToLower(l.Level.String()), l.Source, clean(l.Text))
	}
	if wasm, err = os.ReadFile(c.File); err != nil {
		return nil, inv, err
	}
	if c.Input != "" {
		if inv.Input, err = s.readInput(c.Input); err != nil {
			return nil, inv, err
		}
	}
	if inv.Config, err = pairs("config", c.Config); err != nil {
		return nil, inv, err
	}
	if inv.Now, err = clockOf(c.Now); err != nil {
		return nil, inv, err
	}
	if inv.Seed, err = seedOf(c.Seed); err != nil {
		return nil, inv, err
	}
	inv.Host, err = readAnswers(c.Host)
	return wasm, inv, err
}

// pairs reads NAME=VALUE flags.
func pairs(flag string, values []string) (map[string]string, error) {
	if len(values) == 0 {
		return nil, nil
	}
	all := map[string]string{}
	for _, pair := range values {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, &usageError{fmt.Sprintf("--%s is %q", flag, pair), fmt.Sprintf("write it as NAME=VALUE, such as --%s mode=test", flag)}
		}
		all[name] = value
	}
	return all, nil
}

func clockOf(text string) (time.Time, error) {
	if text == "" {
		return time.Now().UTC().Truncate(time.Millisecond), nil
	}
	now, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return now, &usageError{fmt.Sprintf("--now is %q", text), "write it as in 2026-03-02T10:00:00Z"}
	}
	return now.UTC(), nil
}

func seedOf(digits string) (seed recording.Seed, err error) {
	if digits == "" {
		_, err = rand.Read(seed[:])
		return seed, err
	}
	full := digits + strings.Repeat("0", max(0, 2*len(seed)-len(digits)))
	if seed.UnmarshalText([]byte(full)) != nil {
		return seed, &usageError{fmt.Sprintf("--seed is %q", digits), "write at most 64 hexadecimal digits, such as --seed 01"}
	}
	return seed, nil
}

// callSandbox calls a plugin that may have every host function that it imports. There is
// no recording if nothing ran.
func callSandbox(ctx context.Context, wasm []byte, inv sandbox.Invocation, l sandbox.Limits) (r *recording.Recording, err error) {
	err = withPlugin(ctx, wasm, l, func(p *sandbox.Plugin) error {
		r, _, err = p.Record(ctx, inv)
		return err
	})
	return r, err
}

// withPlugin loads a plugin for as long as use runs.
func withPlugin(ctx context.Context, wasm []byte, l sandbox.Limits, use func(*sandbox.Plugin) error) error {
	return withLoader(wasm, func(load loader) error {
		p, err := load(ctx, l)
		if err != nil {
			return err
		}
		return use(p)
	})
}

// loader loads a plugin under limits, with every host function that it imports. It is
// compiled once however often it is loaded.
type loader func(ctx context.Context, l sandbox.Limits) (*sandbox.Plugin, error)

// withLoader has an engine for as long as use runs.
func withLoader(wasm []byte, use func(loader) error) (err error) {
	spec, err := sandbox.Inspect(wasm)
	if err != nil {
		return err
	}
	engine, err := sandbox.NewEngine(sandbox.EngineOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close(context.Background())) }()
	loaded := map[sandbox.Limits]*sandbox.Plugin{}
	return use(func(ctx context.Context, l sandbox.Limits) (*sandbox.Plugin, error) {
		if p, ok := loaded[l]; ok {
			return p, nil
		}
		p, err := engine.Load(ctx, wasm, sandbox.LoadOptions{WarmUp: sandbox.OwnRecordings, Limits: l, HostFunctions: spec.HostFunctions()})
		loaded[l] = p
		return p, err
	})
}

// callReference calls a plugin in Extism's SDK.
func callReference(ctx context.Context, s *session, wasm []byte, inv sandbox.Invocation) (*recording.Recording, error) {
	fmt.Fprintln(s.stderr, "warning: this is Extism's SDK and not the sandbox: nothing is isolated, metered or pinned here")
	rec := recording.NewRecorder(recording.Recording{Export: inv.Export, Input: inv.Input, Config: inv.Config})
	inv.Host = recording.Wrap(rec, inv.Host)
	printLine := inv.Log
	inv.Log = func(l sandbox.LogLine) {
		rec.Log(l.Level, string(l.Source), l.Text)
		if l.Level > slog.LevelDebug { // the SDK's own lines are below
			printLine(l)
		}
	}
	result, err := reference.Call(ctx, wasm, inv)
	if result == nil {
		return nil, err
	}
	outcome := recording.Outcome{Output: result.Output}
	if err != nil {
		outcome.Failure = &recording.Failure{Kind: recording.KindGuest, Message: recording.Text(err.Error())}
	}
	r := rec.End(outcome, 0, 0, result.Took)
	r.Incomplete = "it was made in Extism's SDK, whose clock and randomness are the machine's"
	return r, err
}

// keep writes the recording to the file that was asked for.
func (c *pluginCall) keep(r *recording.Recording) error {
	if c.Record == "" {
		return nil
	}
	data, err := r.Encode()
	if err != nil {
		return err
	}
	return os.WriteFile(c.Record, data, 0o644)
}

// printCall prints what came of a call. An output goes to a program as it is, and to a
// person so that it cannot act on the terminal.
func (s *session) printCall(r *recording.Recording) error {
	if s.json {
		data, err := r.Encode()
		if err != nil {
			return err
		}
		return s.printJSON(json.RawMessage(data))
	}
	fmt.Fprintln(s.stderr, usageText(r))
	file, isFile := s.stdout.(*os.File)
	if isFile && isatty.IsTerminal(file.Fd()) {
		_, err := fmt.Fprintln(s.stdout, cleanLines(string(r.Outcome.Output)))
		return err
	}
	_, err := s.stdout.Write(r.Outcome.Output)
	return err
}

// usageText says what a call used, as far as that was counted.
func usageText(r *recording.Recording) string {
	text := fmt.Sprintf("%s, %v", counted(len(r.Calls), "host call"), r.Took().Round(10*time.Microsecond))
	if r.Limits.Fuel == 0 {
		return "used " + text
	}
	return fmt.Sprintf("used %d units of fuel of %d, %d KiB of memory, %s", r.Fuel, r.Limits.Fuel, r.MemoryBytes/1024, text)
}

// counted is a number of things, as people say it.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// explain says what kind of failure it was, and the way out where there is one.
func (c *pluginCall) explain(wasm []byte, err error) error {
	trap, limit, missing := new(sandbox.Trap), new(sandbox.LimitError), new(unanswered)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &missing):
		return &hinted{err, fmt.Sprintf("give it an answer: --host FILE with {%q: [...]}", missing.function)}
	case errors.Is(err, sandbox.ErrNoExport):
		return &hinted{err, "it exports: " + exportsOf(wasm)}
	case errors.As(err, &limit) && limit.Limit == "fuel":
		return &hinted{err, "give it more with --fuel"}
	case errors.As(err, &trap):
		return &trapped{err, trap}
	}
	return err
}

// trapped is a trap with all that is known of it.
type trapped struct {
	error
	trap *sandbox.Trap
}

func (e *trapped) Error() string {
	text := e.error.Error()
	for _, more := range []struct{ title, text string }{{"standard error", e.trap.Stderr}, {"stack", e.trap.Stack}} {
		if more.text != "" {
			text += "\n" + more.title + ":\n  " + strings.ReplaceAll(strings.TrimSpace(more.text), "\n", "\n  ")
		}
	}
	return text
}

func (e *trapped) Unwrap() error { return e.error }

// exportsOf lists the functions that can be called, but for those that are there for the
// host's or the language's sake.
func exportsOf(wasm []byte) string {
	spec, err := sandbox.Inspect(wasm)
	if err != nil {
		return "nothing that can be read"
	}
	var names []string
	for _, e := range spec.Exports {
		ours := strings.HasPrefix(e.Name, "patchbay_") || strings.HasPrefix(e.Name, "_")
		if strings.HasPrefix(e.Type, "() -> ") && !ours {
			names = append(names, e.Name)
		}
	}
	return strings.Join(names, ", ")
}
