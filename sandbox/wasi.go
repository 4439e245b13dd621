package sandbox

import (
	"context"
	"encoding/binary"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// What fdWrite answers, as WASI numbers errors.
const (
	wasiSuccess = 0
	wasiBadFile = 8
	wasiFault   = 21
	wasiInvalid = 28
)

const (
	stdout = 1
	stderr = 2
	// maxVectors is how many pieces one write may have, POSIX's own bound. A plugin's
	// memory has room for millions that all name the same bytes.
	maxVectors = 1024
)

// answered are the functions on descriptors that wazero answers. A language runtime
// asks them about the standard streams; there is nothing else to ask about.
var answered = map[string]bool{
	"fd_close": true, "fd_fdstat_get": true, "fd_fdstat_set_flags": true, "fd_filestat_get": true,
	"fd_prestat_get": true, "fd_prestat_dir_name": true, "fd_read": true, "fd_seek": true,
}

// defineWASI is wazero's clock, randomness, exit and questions about the standard
// streams. What is written to those becomes log lines. Every other function on files
// and sockets says that there is none, here and not in wazero, which has been seen to
// crash over what a stranger asks.
func (p *Plugin) defineWASI(b wazero.HostModuleBuilder) {
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	for name, t := range p.engine.wasi {
		if kind, _, _ := strings.Cut(name, "_"); (kind == "fd" || kind == "path" || kind == "sock") && !answered[name] {
			define(b, name, t, func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = wasiBadFile })
		}
	}
	define(b, "fd_write", p.engine.wasi["fd_write"], func(ctx context.Context, m api.Module, stack []uint64) {
		stack[0] = callOf(ctx).fdWrite(m.Memory(), uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3]))
	})
}

// fdWrite makes log lines of what goes to the standard streams: count pieces, each
// an address and a length at vectors. How much was written goes to result.
func (c *call) fdWrite(mem api.Memory, fd, vectors, count, result uint32) (errno uint64) {
	w := map[uint32]*lineWriter{stdout: &c.stdout, stderr: &c.stderr}[fd]
	switch {
	case w == nil:
		return wasiBadFile
	case count > maxVectors:
		return wasiInvalid
	}
	list, ok := mem.Read(vectors, count*8)
	if !ok {
		return wasiFault
	}
	written := uint32(0)
	for ; len(list) >= 8; list = list[8:] {
		piece, ok := mem.Read(binary.LittleEndian.Uint32(list), binary.LittleEndian.Uint32(list[4:]))
		if !ok {
			return wasiFault
		}
		w.write(piece)
		written += uint32(len(piece))
	}
	if !mem.WriteUint32Le(result, written) {
		return wasiFault
	}
	return wasiSuccess
}
