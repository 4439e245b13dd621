package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestServeStopsCleanlyWhenItIsTold(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			host := patchbay(t, "serve", "--data", t.TempDir(), "--plugins", t.TempDir(),
				"--ingress", "127.0.0.1:0", "--management.listen", "127.0.0.1:0")
			stderr, err := host.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := host.Start(); err != nil {
				t.Fatal(err)
			}
			var said []string
			for lines := bufio.NewScanner(stderr); lines.Scan(); {
				said = append(said, lines.Text())
				if strings.Contains(lines.Text(), "patchbay is ready") {
					if err := host.Process.Signal(signal); err != nil {
						t.Fatal(err)
					}
				}
			}
			err = host.Wait()
			if err != nil || len(said) == 0 || !strings.Contains(said[len(said)-1], "patchbay stopped") {
				t.Errorf("the host ended with %v, want success; it said:\n%s", err, strings.Join(said, "\n"))
			}
		})
	}
}

// patchbay is a run of the program, which is this test binary under its name: see
// TestMain.
func patchbay(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "patchbay")
	if err := os.Symlink(binary, name); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	// Whoever runs the tests may have set up a client, and it is not meant here.
	cmd.Env = append(os.Environ(), "PATCHBAY_URL=http://127.0.0.1:8081", "PATCHBAY_TOKEN=", "PATCHBAY_CONFIG=")
	return cmd
}
