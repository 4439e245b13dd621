package pack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// CompileError is a connector that go build refused.
type CompileError struct {
	Dir string
	// Output is what go build said.
	Output string
}

func (e *CompileError) Error() string {
	return fmt.Sprintf("compile %s: go build refused it for GOOS=wasip1 GOARCH=wasm:\n%s", e.Dir, strings.TrimSpace(e.Output))
}

// buildFlags make the same bytes of the same sources: no paths of this machine, no
// revision, no build id. The names of functions stay ("-s" would drop them), since a
// trap's stack is told in them; they are 2 % of the file. WebAssembly has no DWARF, so
// "-w" only says what holds anyway.
var buildFlags = []string{"-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-w -buildid="}

// compile makes a WebAssembly module of the Go package in Dir.
func (b *builder) compile(ctx context.Context) ([]byte, error) {
	tmp, err := os.MkdirTemp("", "patchbay-build-*")
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", b.Dir, err)
	}
	defer func() { _ = os.RemoveAll(tmp) }() // only rubbish stays behind
	output := filepath.Join(tmp, "plugin.wasm")

	args := append([]string{"build", "-o", output}, buildFlags...)
	command := exec.CommandContext(ctx, "go", append(append(args, b.GoFlags...), ".")...)
	command.Dir = b.Dir
	command.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOWASM=")
	said, err := command.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("compile %s: %w", b.Dir, context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("compile %s: %w; install Go, or pack a module that is compiled already", b.Dir, err)
	case errors.As(err, new(*exec.ExitError)):
		return nil, &CompileError{Dir: b.Dir, Output: string(said)}
	case err != nil:
		return nil, fmt.Errorf("compile %s: %w", b.Dir, err)
	}
	return os.ReadFile(output)
}
