package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/pack"
)

// product is what every world needs: the host, built with failpoints, and the plugins.
type product struct {
	binary       string
	elma, ledger []byte
	// cache holds compiled plugins: what one host has compiled, the next need not.
	cache string
}

// build makes the product in dir.
func build(ctx context.Context, dir string) (*product, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w; run this inside the repository", err)
	}
	top := strings.TrimSpace(string(root))
	p := &product{binary: filepath.Join(dir, "patchbay"), cache: filepath.Join(dir, "cache")}
	if err := os.Mkdir(p.cache, 0o700); err != nil {
		return nil, err
	}
	compile := exec.CommandContext(ctx, "go", "build", "-tags", "failpoints", "-o", p.binary, "./host/cmd/patchbay")
	compile.Dir = top
	if out, err := compile.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the host: %w\n%s", err, out)
	}
	if p.elma, err = plugin(ctx, dir, filepath.Join(top, "plugins", "elma365")); err != nil {
		return nil, err
	}
	p.ledger, err = plugin(ctx, dir, filepath.Join(top, "tests", "crash", "testdata", "ledger"))
	return p, err
}

// plugin builds one plugin file, as a vendor does.
func plugin(ctx context.Context, dir, source string) ([]byte, error) {
	file := filepath.Join(dir, filepath.Base(source)+".wasm")
	if _, err := pack.Build(ctx, pack.Options{Dir: source, Output: file}); err != nil {
		return nil, fmt.Errorf("build plugin %s: %w", source, err)
	}
	return os.ReadFile(file)
}
