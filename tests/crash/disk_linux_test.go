package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// diskBytes is the size of the disk that fills up.
const diskBytes = 64 << 20

// mounted mounts a file system for a test, or skips it loudly.
func mounted(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		t.Skipf("NOT TRIED: this needs the right to mount a file system (run it as root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", target, err)
		}
	})
}

// TestAFullDisk fills the disk below a busy host, and makes room again. The host is never
// restarted: it refuses what it cannot keep, and goes on by itself.
func TestAFullDisk(t *testing.T) {
	root := t.TempDir()
	mounted(t, "tmpfs", root, "tmpfs", 0, fmt.Sprintf("size=%d", diskBytes))
	filler := filepath.Join(root, "filler")
	endure(t, root, trouble{
		begin: func(*world) error { return fill(filler) },
		end:   func(*world) error { return os.Remove(filler) },
	})
}

// fill writes until there is no room.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	block := bytes.Repeat([]byte("full"), 256) // small, so that hardly anything is left
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// TestADiskThatTurnsReadOnly makes the store's file one that nobody may write to, below a
// busy host, as a kernel does with a disk that fails, and mends it.
func TestADiskThatTurnsReadOnly(t *testing.T) {
	attribute := func(flag string) func(*world) error {
		return func(w *world) error {
			return exec.Command("chattr", flag, filepath.Join(w.folders.Data, "patchbay.db")).Run()
		}
	}
	root := t.TempDir()
	probe := filepath.Join(root, "probe")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("chattr", "+i", probe).Run(); err != nil {
		t.Skipf("NOT TRIED: this needs a file system with immutable files, and root: chattr +i: %v", err)
	}
	if err := exec.Command("chattr", "-i", probe).Run(); err != nil {
		t.Fatal(err)
	}
	endure(t, root, trouble{begin: attribute("+i"), end: attribute("-i")})
}

// trouble is something that keeps the host from writing, for a while.
type trouble struct{ begin, end func(*world) error }

// endure plays a world with trouble in the middle of it.
func endure(t *testing.T, root string, d trouble) {
	t.Helper()
	w := openWorld(t, root)
	l := w.startLoad(t.Context())
	defer l.quit()
	w.progress(t, 50)
	if err := d.begin(w); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err := w.refuses(t)
	if endErr := d.end(w); err != nil || endErr != nil {
		t.Fatal(err, endErr)
	}
	t.Logf("after %v it refused", time.Since(began))
	began = time.Now()
	w.progress(t, 50) // by itself
	t.Logf("after %v more it had taken 50 things again", time.Since(began))
	w.seen.died(death{}) // what was under way may be uncertain, as at a death
	l.finish()
	for _, step := range []func(context.Context) error{w.quiet, w.collect} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.inbox.Close()
	if err := w.host.stop(); err != nil {
		t.Error(err)
	}
	if err := w.inspect(t.Context()); err != nil {
		t.Error(err)
	}
	v := judge(&w.seen.evidence)
	for _, f := range v.Findings {
		t.Error(f)
	}
	t.Logf("%d things acknowledged, %d uncertain", w.seen.acknowledgements(), v.Uncertain)
}

// openWorld makes a world below root with the product that all tests of this file share.
func openWorld(t *testing.T, root string) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds and runs the real binary")
	}
	w, err := newWorld(t.Context(), shared(t), uint64(time.Now().UnixNano()), root)
	t.Cleanup(w.close)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// progress waits until so many more things were acknowledged.
func (w *world) progress(t *testing.T, more int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	goal := w.seen.acknowledgements() + more
	if err := poll(ctx, func() (bool, error) { return w.seen.acknowledgements() >= goal, nil }); err != nil {
		t.Fatalf("nothing more was acknowledged for %v: %v\n%s", patience, err, w.host.tail())
	}
}

// refuses sends one delivery after another until one is answered 503, with a time to come
// again, and makes sure that the host still runs.
func (w *world) refuses(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	n := -1
	return poll(ctx, func() (bool, error) {
		select {
		case <-w.host.ended:
			return false, fmt.Errorf("%w: %w\n%s", errEnded, w.host.err, w.host.tail())
		default:
		}
		n++
		d := &delivery{Name: fmt.Sprintf("x0-%d", n), Conversation: "x0", Index: n, Counted: true}
		w.seen.sends(d)
		answer, err := http.Post(w.ledged.ReceiveURL, "application/json", strings.NewReader(`{"id":"`+d.Name+`","conversation":"x0"}`))
		if err != nil {
			return false, err
		}
		text, err := io.ReadAll(answer.Body)
		if err = errors.Join(err, answer.Body.Close()); err != nil {
			return false, err
		}
		switch {
		case answer.StatusCode == http.StatusOK:
			w.seen.answered(d, string(text))
		case answer.StatusCode == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") == "":
			return false, errors.New("the host answers 503 and does not say when to come again")
		}
		return answer.StatusCode == http.StatusServiceUnavailable, nil
	})
}

// TestAReadOnlyFolderIsRefused starts the host on a folder that it may only read.
func TestAReadOnlyFolderIsRefused(t *testing.T) {
	w := openWorld(t, t.TempDir())
	w.host.kill()
	view := t.TempDir()
	mounted(t, w.folders.Data, view, "", syscall.MS_BIND, "")
	if err := syscall.Mount("", view, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	real := w.folders.Data
	w.folders.Data = view
	if err := w.revive(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.host.ended:
	case <-time.After(patience):
		t.Fatalf("the host runs in a folder that it cannot write to:\n%s", w.host.tail())
	}
	said := w.host.tail()
	if code := w.host.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(said, "read-only") || strings.Contains(said, "goroutine ") {
		t.Errorf("the host ended with status %d and said %q; want 1, and that the folder is read-only", code, said)
	}
	w.folders.Data = real
	if err := w.revive(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if err := w.await(t.Context(), false); err != nil {
		t.Errorf("in the folder itself the host does not start: %v", err)
	}
}
