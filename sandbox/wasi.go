package sandbox

import (
	"context"
	"encoding/binary"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// What the functions here answer, as WASI numbers errors.
const (
	wasiSuccess      = 0
	wasiBadFile      = 8
	wasiFault        = 21
	wasiInvalid      = 28
	wasiNotSupported = 58
)

const (
	stdout = 1
	stderr = 2
	// maxVectors is how many pieces one write may have, and subscriptions a poll:
	// POSIX's own bound. A plugin's memory has room for millions of pieces that all name
	// the same bytes.
	maxVectors = 1024
)

// The layout of what poll_oneoff is given and gives.
const (
	subscriptionBytes = 48 // user data, kind at 8, then descriptor or clock at 16
	pollTimeout       = 24 // nanoseconds
	pollFlags         = 40
	eventBytes        = 32 // user data, error at 8, kind at 10

	pollClock = 0
	pollWrite = 2
)

// answered are the functions on descriptors that wazero answers. A language runtime
// asks them about the standard streams; there is nothing else to ask about.
var answered = map[string]bool{
	"fd_close": true, "fd_fdstat_get": true, "fd_fdstat_set_flags": true, "fd_filestat_get": true,
	"fd_prestat_get": true, "fd_prestat_dir_name": true, "fd_read": true, "fd_seek": true,
}

// defineWASI is wazero's clock, randomness, exit and questions about the standard
// streams. What is written to those becomes log lines, and a poll sleeps in made-up
// time. Every other function on files and sockets says that there is none, here and
// not in wazero, which has been seen to crash over what a stranger asks.
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
	define(b, "poll_oneoff", p.engine.wasi["poll_oneoff"], func(ctx context.Context, m api.Module, stack []uint64) {
		stack[0] = callOf(ctx).pollOneoff(m.Memory(), uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3]))
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

// pollOneoff answers count subscriptions at in with as many events at out, at once: a
// timeout has passed then, and a standard stream is ready. Their number goes to result.
func (c *call) pollOneoff(mem api.Memory, in, out, count, result uint32) (errno uint64) {
	if count == 0 || count > maxVectors {
		return wasiInvalid
	}
	wanted, ok := mem.Read(in, count*subscriptionBytes)
	events, room := mem.Read(out, count*eventBytes)
	if !ok || !room {
		return wasiFault
	}
	least := uint64(lastMoment)
	for i := range int(count) {
		timeout, errno := answerPoll(wanted[i*subscriptionBytes:][:subscriptionBytes], events[i*eventBytes:][:eventBytes])
		if errno != wasiSuccess {
			return errno
		}
		least = min(least, timeout)
	}
	c.world.sleep(int64(least))
	if !mem.WriteUint32Le(result, count) {
		return wasiFault
	}
	return wasiSuccess
}

// answerPoll writes the event for one subscription, and returns how long it waits for.
func answerPoll(wanted, event []byte) (timeout, errno uint64) {
	user, kind, failed := binary.LittleEndian.Uint64(wanted), wanted[8], uint16(wasiSuccess)
	switch {
	case kind > pollWrite:
		return 0, wasiInvalid
	case kind == pollClock && binary.LittleEndian.Uint16(wanted[pollFlags:]) != 0:
		return 0, wasiNotSupported // a moment instead of a length of time
	case kind == pollClock:
		timeout = binary.LittleEndian.Uint64(wanted[pollTimeout:])
	case binary.LittleEndian.Uint32(wanted[16:]) > stderr:
		failed = wasiBadFile
	}
	clear(event)
	binary.LittleEndian.PutUint64(event, user)
	binary.LittleEndian.PutUint16(event[8:], failed)
	event[10] = kind
	return timeout, wasiSuccess
}
