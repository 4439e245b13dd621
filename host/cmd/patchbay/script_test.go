package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite what the scripts expect to see")

func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){"patchbay": main})
}

// leakless runs the tests and then wants that no goroutine is left, but for those that
// fasthttp never ends or ends ten seconds late.
type leakless struct{ *testing.M }

func (l leakless) Run() int {
	code := l.M.Run()
	http.DefaultClient.CloseIdleConnections()
	err := goleak.Find(goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
	if err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// TestScripts runs testdata/*.txtar: what a person types, and what that person sees.
// "go test -update" rewrites what they see.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			api := newFakeAPI()
			env.Defer(api.Close)
			env.Values["api"] = api
			env.Setenv("PATCHBAY_URL", api.URL)
			env.Setenv("PATCHBAY_TOKEN", "jwt")
			env.Setenv("PATCHBAY_WORKSPACE", "ws_1")
			if err := allowGo(env); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "handmade.wasm"), handmade(), 0o600)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"asked": asked, "exits": exits},
	})
}

// allowGo lets a script run the go command with the caches of this machine, and names the
// connector that the tests of packing have.
func allowGo(env *testscript.Env) error {
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS").Output()
	if err != nil {
		return err
	}
	var settings map[string]string
	if err := json.Unmarshal(out, &settings); err != nil {
		return err
	}
	for name, value := range settings {
		env.Setenv(name, value)
	}
	greeter, err := filepath.Abs("../../pack/testdata/greeter")
	env.Setenv("GREETER", greeter)
	return err
}

// asked is the script command "asked": it writes what the API was asked since the last
// time to the file "requests", for cmp.
func asked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: asked")
	}
	transcript := ts.Value("api").(*fakeAPI).takeTranscript()
	ts.Check(os.WriteFile(ts.MkAbs("requests"), []byte(transcript), 0o600))
}

// exits is the script command "exits STATUS COMMAND ...": exec, with a certain exit status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got, exit := 0, new(exec.ExitError)
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%v exited with status %d, want %d", args[1:], got, want)
	}
}
