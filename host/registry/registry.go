// Package registry knows which plugins there are and which may run.
//
// A file dropped into the plugin folder is opened, checked and compiled, does again what
// the recordings inside it say, and then waits as submitted until a reviewer approves its digest with a grant. The approved version
// runs until another one of the same name is approved; a version in use is closed when
// its last invocation has ended. A file that cannot become a plugin is refused with its
// reason, and what ran before keeps running.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// What Acquire answers when there is nothing to run. Match with errors.Is.
var (
	// ErrNoPlugin means that no version of the plugin was ever approved here.
	ErrNoPlugin = errors.New("no approved version of the plugin")
	// ErrRevoked means that a reviewer took the grant back.
	ErrRevoked = errors.New("the plugin's grant was revoked")
)

// Store is what the registry keeps things in.
type Store interface {
	PutPlugin(ctx context.Context, p domain.Plugin) error
	Plugin(ctx context.Context, digest string) (domain.Plugin, error)
	Plugins(ctx context.Context) ([]domain.Plugin, error)
	UpdatePlugin(ctx context.Context, digest string, change func(*domain.Plugin) error) (domain.Plugin, error)
	ActivatePlugin(ctx context.Context, name, digest string) error
	PutRefusal(ctx context.Context, r domain.Refusal) error
	DeleteRefusal(ctx context.Context, file string) error
	Refusals(ctx context.Context) ([]domain.Refusal, error)
	Audit(ctx context.Context, e domain.AuditEntry) error
}

// Code is a compiled plugin. Close waits for the calls under way.
type Code interface {
	// Record calls an export and keeps the call whole; the recording is nil if it never
	// began.
	Record(ctx context.Context, inv sandbox.Invocation) (*recording.Recording, *sandbox.Result, error)
	Close(ctx context.Context) error
}

// Options says how a registry works.
type Options struct {
	Store Store
	// Load compiles a plugin, or refuses it. Compiled code is cached by digest, so that a
	// second time costs little.
	Load func(ctx context.Context, wasm []byte) (Code, error)
	// Compare replays a plugin's own recordings under two engines and answers an error if
	// they, or a recording, disagree. nil lets every corpus pass.
	Compare func(ctx context.Context, wasm []byte, corpus recording.Corpus) error
	// Keep is the folder for the bytes of every plugin seen, named by digest.
	Keep string
	// Folder is the drop-in folder; empty means that there is none.
	Folder string
	// Poll is how often the folder is looked at besides its change notices; 0 means 2 s.
	Poll time.Duration
	// AutoApprove grants every new plugin all that its manifest asks for.
	AutoApprove bool
	Now         func() time.Time
	Log         *slog.Logger
	// OnChange is called with the number of plugins in each state after a change; may be nil.
	OnChange func(map[domain.PluginState]int)
}

// Registry is the set of plugins of a host. It is safe for concurrent use.
type Registry struct {
	opts Options

	mu      sync.Mutex
	active  map[string]*Version
	revoked map[string]bool
	seen    map[string]stamp // by file path
	closing sync.WaitGroup   // versions being closed
}

// Version is one approved plugin version, compiled and ready to be called.
type Version struct {
	domain.Plugin
	Code Code

	refs    int // guarded by Registry.mu; the registry's own reference included
	retired bool
}

// Open makes a registry and loads the versions that were active when the host stopped.
// A version that cannot be loaded any more is logged and left out: the others run.
func Open(ctx context.Context, opts Options) (*Registry, error) {
	if opts.Poll == 0 {
		opts.Poll = 2 * time.Second
	}
	if err := makeFolders(opts.Keep, opts.Folder); err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	r := &Registry{opts: opts, active: map[string]*Version{}, revoked: map[string]bool{}, seen: map[string]stamp{}}
	plugins, err := opts.Store.Plugins(ctx)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	for _, p := range plugins {
		r.restore(ctx, p)
	}
	r.scan(ctx, true)
	r.count(ctx)
	return r, nil
}

// restore brings one kept plugin back to where it was.
func (r *Registry) restore(ctx context.Context, p domain.Plugin) {
	switch {
	case !p.Active:
	case p.State == domain.PluginRevoked:
		r.revoked[p.Manifest.Name] = true
	default:
		if err := r.run(ctx, p); err != nil {
			r.opts.Log.Error("an approved plugin cannot be loaded and will not run",
				"plugin", p.Manifest.Name, "digest", p.Digest, "error", err)
		}
	}
}

// Acquire returns the version of the plugin that runs now, to be given back with release
// when the invocation has ended. It answers ErrNoPlugin or ErrRevoked.
func (r *Registry) Acquire(name string) (v *Version, release func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v = r.active[name]
	switch {
	case v == nil && r.revoked[name]:
		return nil, nil, fmt.Errorf("plugin %q: %w", name, ErrRevoked)
	case v == nil:
		return nil, nil, fmt.Errorf("plugin %q: %w", name, ErrNoPlugin)
	}
	v.refs++
	return v, sync.OnceFunc(func() { r.release(v) }), nil
}

func (r *Registry) release(v *Version) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v.refs--
	if v.refs == 0 {
		r.closeLater(v)
	}
}

// closeLater closes a version nobody holds. The caller holds mu.
func (r *Registry) closeLater(v *Version) {
	r.closing.Go(func() {
		if err := v.Code.Close(context.Background()); err != nil {
			r.opts.Log.Warn("a retired plugin version did not close", "digest", v.Digest, "error", err)
		}
	})
}

// run compiles a plugin and makes it the version that runs.
func (r *Registry) run(ctx context.Context, p domain.Plugin) error {
	code, err := r.load(ctx, p.Digest)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retire(p.Manifest.Name)
	delete(r.revoked, p.Manifest.Name)
	r.active[p.Manifest.Name] = &Version{Plugin: p, Code: code, refs: 1}
	return nil
}

func (r *Registry) load(ctx context.Context, digest string) (Code, error) {
	wasm, err := readKept(r.opts.Keep, digest)
	if err != nil {
		return nil, err
	}
	return r.opts.Load(ctx, wasm)
}

// retire drops the registry's reference to the version of that name. The caller holds mu.
func (r *Registry) retire(name string) {
	v := r.active[name]
	if v == nil || v.retired {
		return
	}
	v.retired = true
	delete(r.active, name)
	if v.refs--; v.refs == 0 {
		r.closeLater(v)
	}
}

// Close retires every version and waits until each has been closed, which is when its
// last invocation has ended, or until ctx ends.
func (r *Registry) Close(ctx context.Context) error {
	r.mu.Lock()
	for name := range r.active {
		r.retire(name)
	}
	r.mu.Unlock()
	done := make(chan struct{})
	go func() {
		r.closing.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close registry: %w", ctx.Err())
	}
}

func (r *Registry) count(ctx context.Context) {
	if r.opts.OnChange == nil {
		return
	}
	plugins, err := r.opts.Store.Plugins(ctx)
	if err != nil {
		return // a gauge can wait for the next change
	}
	counts := map[domain.PluginState]int{
		domain.PluginSubmitted: 0, domain.PluginApproved: 0, domain.PluginRevoked: 0,
	}
	for _, p := range plugins {
		counts[p.State]++
	}
	r.opts.OnChange(counts)
}
