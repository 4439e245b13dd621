package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/seed75a60ee1/patchbay/host/disk"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/pack"
)

// maxPluginBytes bounds what is read from the plugin folder.
const maxPluginBytes = 64 << 20

// settle is how long a file must have been left alone before it is read: copying takes
// several writes.
const settle = 150 * time.Millisecond

// compareTime is how long the recordings inside one file may take. What they may compute is
// bounded long before, and the same everywhere: this is for a host that is overloaded.
const compareTime = 10 * time.Minute

var errCompareTime = fmt.Errorf("the recordings in the file took longer than %v; drop it in again when the host has less to do", compareTime)

// stamp tells whether a file changed since it was looked at.
type stamp struct {
	size int64
	mod  time.Time
}

func makeFolders(dirs ...string) error {
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// Watch looks after the plugin folder until ctx ends. Change notices make it quick, and
// polling makes it sure: notices get lost on network file systems.
func (r *Registry) Watch(ctx context.Context) {
	if r.opts.Folder == "" {
		<-ctx.Done()
		return
	}
	notices, stop := r.notices()
	defer stop()
	timer := time.NewTimer(r.opts.Poll)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-notices:
			timer.Reset(settle)
		case <-timer.C:
			r.scan(ctx, false)
			timer.Reset(r.opts.Poll)
		}
	}
}

// notices returns the change notices of the folder; nil, and so silent, if the system
// has none to give.
func (r *Registry) notices() (events <-chan fsnotify.Event, stop func()) {
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		err = watcher.Add(r.opts.Folder)
	}
	if err != nil {
		r.opts.Log.Warn("no change notices for the plugin folder; it is polled", "folder", r.opts.Folder, "error", err)
		return nil, func() {}
	}
	return watcher.Events, func() { _ = watcher.Close() }
}

// scan looks at every file of the folder that changed since the last look. On the first
// scan after a start, a known version does not displace the one that ran before.
func (r *Registry) scan(ctx context.Context, first bool) {
	if r.opts.Folder == "" {
		return
	}
	files, err := r.changed()
	if err != nil {
		r.opts.Log.Error("the plugin folder cannot be read", "folder", r.opts.Folder, "error", err)
		return
	}
	for _, f := range files {
		r.admitFile(ctx, f, first)
	}
	r.forgetGone(ctx)
}

type file struct {
	path string
	stamp
}

// changed returns the .wasm files that changed, oldest first, so that the newest wins.
func (r *Registry) changed() ([]file, error) {
	entries, err := os.ReadDir(r.opts.Folder)
	if err != nil {
		return nil, err
	}
	var files []file
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".wasm" {
			continue
		}
		path := filepath.Join(r.opts.Folder, entry.Name())
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue // gone again, or not ours to read
		}
		now := stamp{size: info.Size(), mod: info.ModTime()}
		if r.seen[path] != now {
			r.seen[path] = now
			files = append(files, file{path: path, stamp: now})
		}
	}
	slices.SortStableFunc(files, func(a, b file) int { return a.mod.Compare(b.mod) })
	return files, nil
}

func (r *Registry) admitFile(ctx context.Context, f file, first bool) {
	name := filepath.Base(f.path)
	wasm, err := readBounded(f)
	if err == nil {
		_, err = r.submit(ctx, wasm, name, first)
	}
	if err != nil {
		r.refuse(ctx, name, wasm, err)
		return
	}
	if err := r.opts.Store.DeleteRefusal(ctx, name); err != nil && !errors.Is(err, domain.ErrNotFound) {
		r.opts.Log.Warn("an old refusal was not removed", "file", name, "error", err)
	}
}

func readBounded(f file) ([]byte, error) {
	if f.size > maxPluginBytes {
		return nil, fmt.Errorf("the file has %d bytes; a plugin has at most %d", f.size, maxPluginBytes)
	}
	return os.ReadFile(f.path)
}

// refuse keeps and logs why a file did not become a plugin. What runs keeps running.
func (r *Registry) refuse(ctx context.Context, name string, wasm []byte, why error) {
	refusal := domain.Refusal{File: name, Reason: why.Error(), At: r.opts.Now()}
	if wasm != nil {
		refusal.Digest = digestOf(wasm)
	}
	r.opts.Log.Error("a plugin file was refused; what ran before keeps running",
		"file", name, "digest", refusal.Digest, "reason", refusal.Reason)
	if err := r.opts.Store.PutRefusal(ctx, refusal); err != nil {
		r.opts.Log.Error("a refusal was not kept", "file", name, "error", err)
	}
}

// forgetGone drops the refusals of files that are no longer there.
func (r *Registry) forgetGone(ctx context.Context) {
	for path := range r.seen {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			delete(r.seen, path)
		}
	}
	refusals, err := r.opts.Store.Refusals(ctx)
	if err != nil {
		return // they are looked at again in the next scan
	}
	for _, refusal := range refusals {
		if _, here := r.seen[filepath.Join(r.opts.Folder, refusal.File)]; !here {
			_ = r.opts.Store.DeleteRefusal(ctx, refusal.File) // tried again in the next scan
		}
	}
}

// submit takes the bytes of one plugin file. A new digest is checked, compiled, kept and
// submitted; a known and approved one becomes the version that runs, unless first.
func (r *Registry) submit(ctx context.Context, wasm []byte, name string, first bool) (domain.Plugin, error) {
	known, err := r.opts.Store.Plugin(ctx, digestOf(wasm))
	switch {
	case err == nil:
		return known, r.resume(ctx, known, first)
	case !errors.Is(err, domain.ErrNotFound):
		return domain.Plugin{}, err
	}
	p, err := r.check(ctx, wasm, name)
	if err != nil {
		return domain.Plugin{}, err
	}
	if err := disk.WriteFile(keptPath(r.opts.Keep, p.Digest), wasm); err != nil {
		return domain.Plugin{}, err
	}
	if err := r.opts.Store.PutPlugin(ctx, p); err != nil {
		return domain.Plugin{}, err
	}
	r.audit(ctx, "host", "plugin.submitted", p.Digest, p.Manifest.Name+" "+p.Manifest.Version)
	r.count(ctx)
	return p, r.afterSubmission(ctx, p)
}

func (r *Registry) afterSubmission(ctx context.Context, p domain.Plugin) error {
	if !r.opts.AutoApprove {
		r.opts.Log.Info("a plugin was submitted and waits for a reviewer", "plugin", p.Manifest.Name,
			"version", p.Manifest.Version, "digest", p.Digest, "hint", "patchbay plugin approve "+p.Digest+" --all")
		return nil
	}
	r.opts.Log.Warn("policy auto-approve: a plugin was granted all that it asks for",
		"plugin", p.Manifest.Name, "version", p.Manifest.Version, "digest", p.Digest)
	_, err := r.Approve(ctx, domain.Actor{Subject: "policy:auto-approve", Role: "reviewer"}, p.Digest, Approval{All: true})
	return err
}

// resume handles a file whose digest is known.
func (r *Registry) resume(ctx context.Context, p domain.Plugin, first bool) error {
	if first || p.Active || p.State != domain.PluginApproved {
		return nil
	}
	if err := r.run(ctx, p); err != nil {
		return err
	}
	r.opts.Log.Info("an approved plugin version was dropped in again and runs now",
		"plugin", p.Manifest.Name, "version", p.Manifest.Version, "digest", p.Digest)
	r.audit(ctx, "host", "plugin.activated", p.Digest, p.Manifest.Name+" "+p.Manifest.Version)
	return r.opts.Store.ActivatePlugin(ctx, p.Manifest.Name, p.Digest)
}

// check opens and compiles a plugin without keeping it.
func (r *Registry) check(ctx context.Context, wasm []byte, name string) (domain.Plugin, error) {
	opened, err := pack.Open(wasm)
	if err != nil {
		return domain.Plugin{}, err
	}
	code, err := r.opts.Load(ctx, wasm)
	if err != nil {
		return domain.Plugin{}, err
	}
	if err := errors.Join(code.Close(ctx), r.compare(ctx, wasm, opened)); err != nil {
		return domain.Plugin{}, err
	}
	return domain.Plugin{
		Digest: opened.Spec.Digest, Manifest: *opened.Manifest, State: domain.PluginSubmitted,
		SizeBytes: int64(len(wasm)), File: name, SubmittedAt: r.opts.Now(),
		HostFunctions: opened.Spec.HostFunctions(), Exports: exportNames(opened),
	}, nil
}

// compare holds a plugin to the recordings that it carries. Other files wait meanwhile.
func (r *Registry) compare(ctx context.Context, wasm []byte, opened *pack.Package) error {
	if r.opts.Compare == nil || len(opened.Corpus) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, compareTime, errCompareTime)
	defer cancel()
	return r.opts.Compare(ctx, wasm, opened.Corpus)
}

func exportNames(p *pack.Package) []string {
	names := make([]string, len(p.Manifest.Abilities))
	for i, ability := range p.Manifest.Abilities {
		names[i] = string(ability)
	}
	slices.Sort(names)
	return names
}

func digestOf(wasm []byte) string {
	sum := sha256.Sum256(wasm)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func keptPath(dir, digest string) string {
	return filepath.Join(dir, strings.TrimPrefix(digest, "sha256:")+".wasm")
}

// readKept reads a plugin's bytes back and makes sure that they are the ones approved.
func readKept(dir, digest string) ([]byte, error) {
	wasm, err := os.ReadFile(keptPath(dir, digest))
	if err != nil {
		return nil, fmt.Errorf("read kept plugin: %w", err)
	}
	if got := digestOf(wasm); got != digest {
		return nil, fmt.Errorf("kept plugin %s has changed on disk: it is %s now; drop the original file in again", digest, got)
	}
	return wasm, nil
}
