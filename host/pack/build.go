package pack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// ManifestFile is the name of the file that a vendor writes.
const ManifestFile = "plugin.yaml"

// Options says what to build.
type Options struct {
	// Dir is the connector's folder, with [ManifestFile], perhaps [CorpusDir] and, unless
	// Wasm is given, the Go package to compile.
	Dir string
	// Output is the plugin file to write. It is replaced whole or not at all.
	Output string
	// Wasm is a module that another compiler made, packed instead of compiling Dir.
	Wasm string
	// GoFlags are more flags for go build, such as "-tags=acme".
	GoFlags []string
	// Progress is told what is being done, in words such as "compiling"; may be nil.
	Progress func(step string)
}

// Report says what was built.
type Report struct {
	// Digest is the plugin's: "sha256:" and 64 hex digits of the whole file.
	Digest    string
	SizeBytes int64
	Manifest  *manifest.Manifest
	// HostFunctions is the most that the plugin can ask of a host, sorted.
	HostFunctions []string
	// Recordings counts those of [CorpusDir].
	Recordings int
	Took       time.Duration
}

// Build makes a plugin file. The same input gives the same bytes, wherever it lies and
// whoever builds it, as long as the compiler is the same.
//
// A manifest that is wrong is answered with all its problems (*manifest.Problem), code
// that does not compile with a *CompileError, and a connector that does something else
// than the manifest states with one *manifest.Problem for each ability.
func Build(ctx context.Context, opts Options) (Report, error) {
	began := time.Now()
	b := builder{Options: opts}
	wasm, m, err := b.build(ctx)
	if err != nil {
		return Report{}, err
	}
	opened, err := Open(wasm)
	if err != nil {
		return Report{}, fmt.Errorf("pack %s: %w", opts.Dir, err)
	}
	b.progress("writing " + opts.Output)
	if err := replaceFile(opts.Output, wasm); err != nil {
		return Report{}, fmt.Errorf("write plugin: %w", err)
	}
	return Report{
		Digest: opened.Spec.Digest, SizeBytes: int64(len(wasm)), Manifest: m,
		HostFunctions: opened.Spec.HostFunctions(), Recordings: len(opened.Corpus), Took: time.Since(began),
	}, nil
}

// builder is one build.
type builder struct{ Options }

func (b *builder) progress(step string) {
	if b.Progress != nil {
		b.Progress(step)
	}
}

// build makes the bytes of the plugin file.
func (b *builder) build(ctx context.Context) ([]byte, *manifest.Manifest, error) {
	b.progress("reading " + ManifestFile)
	m, err := b.readManifest()
	if err != nil {
		return nil, nil, err
	}
	corpus, err := readCorpus(b.Dir)
	if err != nil {
		return nil, nil, err
	}
	wasm, err := b.module(ctx)
	if err != nil {
		return nil, nil, err
	}
	b.progress("asking the connector what it can do")
	found, err := abilities(ctx, wasm)
	if err != nil {
		return nil, nil, fmt.Errorf("pack %s: %w", cmp.Or(b.Wasm, b.Dir), err)
	}
	if problems := compare(m.Abilities, found, "the connector implements"); len(problems) > 0 {
		return nil, nil, fmt.Errorf("%s is wrong:\n%w", filepath.Join(b.Dir, ManifestFile), errors.Join(problems...))
	}
	b.progress("packing")
	packed, err := seal(wasm, m, corpus)
	return packed, m, err
}

func (b *builder) readManifest() (*manifest.Manifest, error) {
	path := filepath.Join(b.Dir, ManifestFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w; a connector's folder has one beside its code", err)
	}
	m, err := manifest.ParseYAML(text)
	if err != nil {
		return nil, fmt.Errorf("%s is wrong:\n%w", path, err)
	}
	return m, nil
}

// module returns the compiled connector.
func (b *builder) module(ctx context.Context) ([]byte, error) {
	if b.Wasm == "" {
		b.progress("compiling")
		return b.compile(ctx)
	}
	b.progress("reading " + b.Wasm)
	wasm, err := os.ReadFile(b.Wasm)
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	return wasm, nil
}

// seal turns a compiled connector into a plugin file: exports that lead nowhere go, and
// the manifest and the corpus come in.
func seal(wasm []byte, m *manifest.Manifest, corpus recording.Corpus) ([]byte, error) {
	wasm, err := binary.KeepExports(wasm, func(name string) bool {
		export := contract.Export(name)
		return name != abilitiesExport && (!slices.Contains(contract.Exports(), export) || slices.Contains(m.Abilities, export))
	})
	if err == nil {
		wasm, err = binary.StripCustom(wasm, manifest.Section)
	}
	if err == nil {
		wasm, err = binary.StripCustom(wasm, recording.Section)
	}
	if err == nil {
		wasm, err = binary.AppendCustom(wasm, manifest.Section, m.Encode())
	}
	if err != nil || len(corpus) == 0 {
		return wasm, err
	}
	section, err := corpus.Encode()
	if err != nil {
		return nil, err
	}
	return binary.AppendCustom(wasm, recording.Section, section)
}

// replaceFile writes a file so that its name never stands for half of it.
func replaceFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".patchbay-build-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone already if it was renamed
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
