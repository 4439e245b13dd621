// Command demo plays a conversation between a customer and an operator, through a real
// host and the real, sandboxed ELMA365 plugin, and prints it as it happens.
//
//	go run ./tests/demo          plays, then stays up with the addresses shown
//	go run ./tests/demo --once   plays, and exits 0 only if every step was seen on the other side
//
// ELMA365 itself is an emulator that behaves as the platform's documentation says. All
// else is what runs in production: the plugin is compiled and packed, dropped into the
// plugin folder, approved by a reviewer, enabled by a workspace, and reached over HTTP.
package main

import (
	"context"
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
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

func main() {
	once := flag.Bool("once", false, "play the conversation and exit")
	plugin := flag.String("plugin", "./plugins/elma365", "folder of the plugin's source, or a .wasm that is packed already")
	limit := flag.Duration("limit", 10*time.Minute, "time for building and playing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *plugin, *limit, *once); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		stop()
		os.Exit(1)
	}
}

// run sets the stage, plays, and keeps the house open unless it is for once.
func run(ctx context.Context, plugin string, limit time.Duration, once bool) error {
	root, err := os.MkdirTemp("", "patchbay-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(root) }() // nothing in it is needed afterwards
	playing, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	out := newTranscript(os.Stdout)
	wasm, err := compile(playing, out, plugin, root)
	if err != nil {
		return err
	}
	platform, err := emulator.Start(emulator.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = platform.Close() }() // a demo that ends needs no farewell
	folders, err := stage.MakeFolders(root, platform)
	if err != nil {
		return err
	}
	house, err := open(playing, folders)
	if err != nil {
		return err
	}
	err = perform(playing, &play{out: out, platform: platform, folders: folders, at: house.at, wasm: wasm, once: once})
	if err == nil && !once {
		stay(ctx, out, house.at, platform, folders)
	}
	return house.close(err)
}

// compile makes the plugin file, or reads one that was made before.
func compile(ctx context.Context, out *transcript, plugin, root string) ([]byte, error) {
	if filepath.Ext(plugin) == ".wasm" {
		return os.ReadFile(plugin)
	}
	out.title("Build")
	done := out.progress("compiling " + plugin + " to WebAssembly")
	file := filepath.Join(root, "elma365.wasm")
	report, err := pack.Build(ctx, pack.Options{Dir: plugin, Output: file, Progress: done.step})
	done.end()
	if err != nil {
		return nil, fmt.Errorf("build the plugin: %w", err)
	}
	out.line("vendor", "built %s %s: %.1f MB, %s, in %v", report.Manifest.Name, report.Manifest.Version,
		float64(report.SizeBytes)/1e6, short(report.Digest), report.Took.Round(time.Millisecond))
	return os.ReadFile(file)
}

// house is a host that runs.
type house struct {
	at   server.Addresses
	stop func()
	done <-chan error
}

// open starts a host in this process, as "patchbay serve" would.
func open(ctx context.Context, folders stage.Folders) (*house, error) {
	cfg, err := config.Load(config.Options{Env: []string{}, Flags: map[string]any{
		"data": folders.Data, "plugins.dir": folders.Plugins, "egress.ca_file": folders.CAFile,
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
func stay(ctx context.Context, out *transcript, at server.Addresses, platform *emulator.Platform, folders stage.Folders) {
	out.title("Still up (Ctrl-C ends it)")
	token, err := stage.Token(folders.Data, "operator", "")
	if err != nil {
		out.line("host", "no token: %v", err)
		return
	}
	out.plain("management API   %s/openapi.json", at.Management)
	out.plain("metrics          %s/metrics", at.Management)
	out.plain("webhooks         %s/in/…", at.Ingress)
	out.plain("ELMA365 emulator %s", platform.URL())
	out.plain("log              %s", filepath.Join(folders.Data, "patchbay.log"))
	out.plain("")
	out.plain("export PATCHBAY_URL=%s PATCHBAY_TOKEN=%s", at.Management, token)
	out.plain("go run ./host/cmd/patchbay workspace list")
	<-ctx.Done()
}
