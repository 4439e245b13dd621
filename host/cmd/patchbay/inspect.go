package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/host/pack"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/inspect"
)

type pluginInspect struct {
	File   string `arg:"" help:"The plugin file."`
	Diff   string `placeholder:"OLD" help:"Report what changed since this file, and whether more is asked for."`
	HTML   string `name:"html" placeholder:"FILE" help:"Write the report as a page that needs no network."`
	Static bool   `help:"Do not load the plugin in the sandbox: leave out what that tells."`
}

// Run reports what can be read of the file, and then fails if it is no plugin.
func (c *pluginInspect) Run(ctx context.Context, s *session) error {
	wasm, p, err := examine(c.File)
	if err != nil {
		return err
	}
	report, err := c.report(ctx, wasm, p)
	if err != nil {
		return err
	}
	if c.Diff != "" {
		err = c.compare(s, report)
	} else {
		err = c.write(s, report, report.Verdict.Text)
	}
	if err != nil {
		return err
	}
	if len(p.Problems) > 0 {
		return fmt.Errorf("%s is no plugin that a host would take:\n%w", c.File, errors.Join(p.Problems...))
	}
	return nil
}

// examine reads a plugin file as far as it can be read.
func examine(path string) ([]byte, *pack.Package, error) {
	wasm, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	p, err := pack.Examine(wasm)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return wasm, p, nil
}

func (c *pluginInspect) report(ctx context.Context, wasm []byte, p *pack.Package) (*inspect.Report, error) {
	if c.Static || c.Diff != "" {
		return inspect.Analyse(wasm, nil)
	}
	measured, err := measure(ctx, wasm, p.Spec)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", c.File, err)
	}
	return inspect.Analyse(wasm, measured)
}

// compare reports what changed since the old file.
func (c *pluginInspect) compare(s *session, report *inspect.Report) error {
	wasm, err := os.ReadFile(c.Diff)
	if err != nil {
		return err
	}
	old, err := inspect.Analyse(wasm, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Diff, err)
	}
	diff := inspect.Compare(old, report)
	return c.write(s, diff, diff.Verdict.Text)
}

// document is what package inspect makes: it can be written in three ways.
type document interface {
	WriteText(w io.Writer) error
	WriteJSON(w io.Writer) error
	WriteHTML(w io.Writer) error
}

// page says where a page was written, for programs.
type page struct {
	File    string `json:"file"`
	Verdict string `json:"verdict"`
}

func (c *pluginInspect) write(s *session, d document, verdict string) error {
	switch {
	case c.HTML != "":
		if err := writePage(c.HTML, d); err != nil {
			return fmt.Errorf("write %s: %w", c.HTML, err)
		}
		return s.done(page{c.HTML, verdict}, "%s\nThe report is in %s.", verdict, c.HTML)
	case s.json:
		return d.WriteJSON(s.stdout)
	}
	return d.WriteText(s.stdout)
}

// writePage writes a file whole or not at all.
func writePage(path string, d document) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".patchbay-inspect-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone already if it was renamed
	if err := errors.Join(d.WriteHTML(tmp), tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// measure loads a plugin in a sandbox of its own, as a host would, with every host
// function there is and none that does anything: nothing but its start runs.
func measure(ctx context.Context, wasm []byte, spec *sandbox.Spec) (m *inspect.Measured, err error) {
	engine, err := sandbox.NewEngine(sandbox.EngineOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, engine.Close(context.WithoutCancel(ctx))) }()
	began := time.Now()
	plugin, err := engine.Load(ctx, wasm, sandbox.LoadOptions{WarmUp: sandbox.OwnRecordings, HostFunctions: offered(spec)})
	if refusals := sandbox.Refusals(err); len(refusals) > 0 {
		m = new(inspect.Measured)
		for _, r := range refusals {
			m.Refusals = append(m.Refusals, inspect.Refusal{Part: r.Part, Text: r.Error()})
		}
		return m, nil
	}
	if err != nil {
		return nil, err
	}
	m = &inspect.Measured{LoadMicros: time.Since(began).Microseconds()}
	image := plugin.Image()
	m.Image = &inspect.Image{Frozen: image.Frozen, Why: image.Why, WarmUp: image.WarmUp, Fuel: image.Fuel, Bytes: image.Bytes}
	return m, plugin.Close(context.WithoutCancel(ctx))
}

// offered are the host functions of the contract among those that a module imports.
func offered(spec *sandbox.Spec) []string {
	return slices.DeleteFunc(spec.HostFunctions(), func(name string) bool {
		return !slices.Contains(contract.HostFunctions(), contract.HostFunction(name))
	})
}
