//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// platforms are the plugins whose admission is timed.
var platforms = []string{"elma365", "uspacy", "intandem", "uchat"}

// admission drops each of our plugins into a fresh host, whose cache is empty, and measures
// until a reviewer has it granted: it is compiled, its recordings are run under two engines,
// and it is kept.
func admission(ctx context.Context, b *Bench) (rows []Row, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*scenePatience)
	defer cancel()
	root, err := os.MkdirTemp(b.Dir, "admission-")
	if err != nil {
		return nil, err
	}
	w := &World{plan: Plan{Root: root, Cache: filepath.Join(root, "cache")}}
	defer func() { err = errors.Join(err, w.Close(), os.RemoveAll(root)) }()
	if w.folders, err = stage.MakeFolders[stage.Authority](root); err != nil {
		return nil, err
	}
	w.folders.CAFile = ""
	if err := w.Start(ctx, false); err != nil {
		return nil, err
	}
	for _, name := range platforms {
		row, err := w.admits(ctx, b, name)
		if err != nil {
			return nil, fmt.Errorf("admit %s: %w", name, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (w *World) admits(ctx context.Context, b *Bench, name string) (Row, error) {
	wasm, err := b.packed(ctx, name)
	if err != nil {
		return Row{}, err
	}
	seen, err := watch(w.folders.Data, w.Host)
	if err != nil {
		return Row{}, err
	}
	began := time.Now()
	if _, err := w.people.Admit(ctx, w.folders, wasm, name); err != nil {
		return Row{}, err
	}
	took := time.Since(began)
	circumstances, err := seen.end()
	if err != nil {
		return Row{}, err
	}
	b.say("  %s, %.1f MB: %s", name, float64(len(wasm))/1e6, short(took))
	return rowOf(name+" admitted", took.Seconds(), Seconds, circumstances).
		noted("%.1f MB; %s of processor time; looked for every 200 ms", float64(len(wasm))/1e6, short(seen.after.CPU()-seen.before.CPU())), nil
}
