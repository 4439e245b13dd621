package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/meter"
)

// rewritten is a module as it is kept on disk after it was metered: so that at a
// restart it can be compiled, which means to be read from wazero's cache, while the
// original is still being read.
type rewritten struct {
	// Sum is that of the bytes that follow the first line.
	Sum    string
	Module meter.Module
}

// rewrittenFile is where a module is kept, by its own digest and by what else its
// rewriting depends on, or "".
func (e *Engine) rewrittenFile(sum [sha256.Size]byte, tableEntries uint32) string {
	if e.dir == "" {
		return ""
	}
	return filepath.Join(e.dir, fmt.Sprintf("metered-%d", meter.Version), fmt.Sprintf("%x-%d", sum, tableEntries))
}

// readRewritten returns what is kept, without its data, or nil. What is damaged counts
// as not there.
func readRewritten(file string) *meter.Module {
	kept, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	header, wasm, _ := bytes.Cut(kept, []byte("\n"))
	var r rewritten
	if err := json.Unmarshal(header, &r); err != nil {
		return nil
	}
	if sum := sha256.Sum256(wasm); r.Sum != hex.EncodeToString(sum[:]) {
		return nil
	}
	r.Module.Wasm = wasm
	return &r.Module
}

// keepRewritten writes a module to where it is found again. That it cannot costs time
// at the next start, and nothing else.
func keepRewritten(file string, m *meter.Module) {
	if file == "" {
		return
	}
	sum := sha256.Sum256(m.Wasm)
	bare := *m
	bare.Wasm, bare.Data = nil, nil
	header, err := json.Marshal(rewritten{Sum: hex.EncodeToString(sum[:]), Module: bare})
	if err != nil || os.MkdirAll(filepath.Dir(file), 0o700) != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".tmp-*")
	if err != nil {
		return
	}
	_, err = tmp.Write(append(append(header, '\n'), m.Wasm...))
	if closed := tmp.Close(); err != nil || closed != nil || os.Rename(tmp.Name(), file) != nil {
		_ = os.Remove(tmp.Name())
	}
}

// meterOnce rewrites a module, and keeps what came of it.
func (e *Engine) meterOnce(m *binary.Module, sum [sha256.Size]byte, tableEntries uint32) (*meter.Module, error) {
	out, err := meter.Rewrite(m, meter.Options{TableEntries: tableEntries})
	if err == nil {
		keepRewritten(e.rewrittenFile(sum, tableEntries), out)
	}
	return out, err
}
