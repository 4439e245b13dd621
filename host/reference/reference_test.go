package reference

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox"
)

// greeter compiles the connector of pack's tests.
func greeter(t *testing.T) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "greeter.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", file, ".")
	cmd.Dir, cmd.Env = "../pack/testdata/greeter", append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// TestAPluginRunsInTheSDK runs one with our bulk functions there, as far as answers,
// failures and host functions go.
func TestAPluginRunsInTheSDK(t *testing.T) {
	wasm := greeter(t)
	delivery := []byte(`{"delivery":{"query":"sesame"}}`)
	answering := func(answer string, err error) map[string]sandbox.HostFunc {
		return map[string]sandbox.HostFunc{"secret_equal": func(_ context.Context, args []byte) ([]byte, error) {
			if string(args) != `{"name":"token","value":"sesame"}` {
				t.Errorf("the host function got %q", args)
			}
			return []byte(answer), err
		}}
	}
	broken := errors.New("the disk is full")

	result, err := Call(t.Context(), wasm, sandbox.Invocation{Export: "receive", Input: delivery, Host: answering(`{"ok":true}`, nil)})
	if err != nil || !strings.Contains(string(result.Output), `"body":"hello"`) || result.HostCalls != 1 || result.Took <= 0 {
		t.Errorf("got %+v, %v; want a greeting after one host call", result, err)
	}

	failed := new(sandbox.GuestError)
	result, err = Call(t.Context(), wasm, sandbox.Invocation{Export: "receive", Input: []byte("{"), Host: answering("", nil)})
	if !errors.As(err, &failed) || failed.Code != 1 || result == nil || result.Output != nil {
		t.Errorf("got %+v, %v; want a GuestError with code 1", result, err)
	}

	fault := new(sandbox.HostFault)
	_, err = Call(t.Context(), wasm, sandbox.Invocation{Export: "receive", Input: delivery, Host: answering("", broken)})
	if !errors.As(err, &fault) || fault.Function != "secret_equal" || !errors.Is(err, broken) {
		t.Errorf("got %v, want a HostFault of secret_equal", err)
	}
	_, err = Call(t.Context(), wasm, sandbox.Invocation{Export: "receive", Input: delivery})
	if !errors.As(err, &fault) || fault.Function != "secret_equal" {
		t.Errorf("got %v, want a HostFault of a function that is not offered", err)
	}
	if result, err := Call(t.Context(), wasm, sandbox.Invocation{Export: "gone"}); !errors.Is(err, sandbox.ErrNoExport) || result != nil {
		t.Errorf("got %+v, %v; want ErrNoExport", result, err)
	}
	if result, err := Call(t.Context(), []byte("ELF"), sandbox.Invocation{Export: "receive"}); err == nil || result != nil {
		t.Errorf("got %+v, %v for what is no module", result, err)
	}
}

// trapping is a module whose export runs into an unreachable.
const trapping = "\x00asm\x01\x00\x00\x00" +
	"\x01\x05\x01\x60\x00\x01\x7f" + // type: () -> i32
	"\x03\x02\x01\x00" + // one function of it
	"\x07\x07\x01\x03run\x00\x00" +
	"\x0a\x05\x01\x03\x00\x00\x0b" // unreachable

func TestATrapIsTold(t *testing.T) {
	if _, err := Call(t.Context(), []byte(trapping), sandbox.Invocation{Export: "run"}); err == nil || !strings.Contains(err.Error(), "run trapped: ") || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("got %v, want a trap", err)
	}
}
