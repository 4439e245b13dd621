// Command demo plays conversations between customers and operators, through a real host and
// the real, sandboxed plugins of four platforms, and prints them as they happen.
//
//	go run ./tests/demo          plays, then stays up with the addresses shown
//	go run ./tests/demo --once   plays, and exits 0 only if every step was seen on the other side
//
// The platforms themselves are emulators that behave as their documentation says. All else is
// what runs in production: each plugin is compiled and packed, dropped into the plugin folder,
// approved by a reviewer, enabled by a workspace, and reached over HTTP.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seed75a60ee1/patchbay/host/config"
	"github.com/seed75a60ee1/patchbay/host/pack"
	"github.com/seed75a60ee1/patchbay/host/server"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

func main() {
	once := flag.Bool("once", false, "play the conversation and exit")
	plugins := flag.String("plugins", "./plugins", "folder of the plugins' sources")
	limit := flag.Duration("limit", 10*time.Minute, "time for building and playing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *plugins, *limit, *once); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		stop()
		os.Exit(1)
	}
}

// run sets the stage, plays, and keeps the house open unless it is for once.
func run(ctx context.Context, plugins string, limit time.Duration, once bool) error {
	root, err := os.MkdirTemp("", "patchbay-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(root) }() // nothing in it is needed afterwards
	playing, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	out := newTranscript(os.Stdout)
	wasm, err := compile(playing, out, plugins, root)
	if err != nil {
		return err
	}
	cast, err := assemble()
	if err != nil {
		return err
	}
	defer cast.close()
	folders, err := stage.MakeFolders(root, cast.authorities()...)
	if err != nil {
		return err
	}
	house, err := open(playing, folders, cast.resolve())
	if err != nil {
		return err
	}
	p := &play{out: out, folders: folders, at: house.at, wasm: wasm, once: once}
	err = errors.Join(p.perform(playing, cast.scenes(p)), cast.wellBehaved())
	if err == nil && !once {
		stay(ctx, out, house.at, cast, folders)
	}
	return house.close(err)
}

// names are the plugins that play.
var names = []string{"elma365", "uspacy", "intandem", "uchat"}

// compile makes the plugin files.
func compile(ctx context.Context, out *transcript, plugins, root string) (map[string][]byte, error) {
	out.title("Build")
	wasm := map[string][]byte{}
	for _, name := range names {
		done := out.progress("compiling " + name + " to WebAssembly")
		file := filepath.Join(root, name+".wasm")
		report, err := pack.Build(ctx, pack.Options{Dir: filepath.Join(plugins, name), Output: file, Progress: done.step})
		done.end()
		if err != nil {
			return nil, fmt.Errorf("build plugin %s: %w", name, err)
		}
		out.line("vendor", "built %s %s: %.1f MB, %s, in %v", report.Manifest.Name, report.Manifest.Version,
			float64(report.SizeBytes)/1e6, short(report.Digest), report.Took.Round(time.Millisecond))
		if wasm[name], err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	return wasm, nil
}

// house is a host that runs.
type house struct {
	at   server.Addresses
	stop func()
	done <-chan error
}

// open starts a host in this process, as "patchbay serve" would.
func open(ctx context.Context, folders stage.Folders, resolve string) (*house, error) {
	cfg, err := config.Load(config.Options{Env: []string{}, Flags: map[string]any{
		"data": folders.Data, "plugins.dir": folders.Plugins, "egress.ca_file": folders.CAFile, "egress.resolve": resolve,
		"ingress.listen": "127.0.0.1:0", "management.listen": "127.0.0.1:0", "plugins.poll_interval": "200ms",
	}})
	if err != nil {
		return nil, err
	}
	log, closeLog, err := logTo(filepath.Join(folders.Data, "patchbay.log"))
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ready, done := make(chan server.Addresses, 1), make(chan error, 1)
	go func() {
		defer closeLog()
		done <- server.Run(running, cfg, log, func(at server.Addresses) { ready <- at })
	}()
	select {
	case at := <-ready:
		return &house{at: at, stop: stop, done: done}, nil
	case err := <-done:
		stop()
		return nil, fmt.Errorf("start the host: %w", err)
	}
}

func logTo(path string) (*slog.Logger, func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(slog.NewTextHandler(file, nil)), func() { _ = file.Close() }, nil
}

// close stops the host and returns why the play failed, or else why the host did.
func (h *house) close(played error) error {
	h.stop()
	if err := <-h.done; played == nil {
		return err
	}
	return played
}

// stay keeps everything up until somebody interrupts.
func stay(ctx context.Context, out *transcript, at server.Addresses, cast *cast, folders stage.Folders) {
	out.title("Still up (Ctrl-C ends it)")
	token, err := stage.Token(folders.Data, "operator", "")
	if err != nil {
		out.line("host", "no token: %v", err)
		return
	}
	out.plain("management API   %s/openapi.json", at.Management)
	out.plain("metrics          %s/metrics", at.Management)
	out.plain("webhooks         %s/in/…", at.Ingress)
	cast.addresses(out)
	out.plain("log              %s", filepath.Join(folders.Data, "patchbay.log"))
	out.plain("")
	out.plain("export PATCHBAY_URL=%s PATCHBAY_TOKEN=%s", at.Management, token)
	out.plain("go run ./host/cmd/patchbay workspace list")
	<-ctx.Done()
}
