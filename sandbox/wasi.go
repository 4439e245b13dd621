package sandbox

import (
	"context"
	"encoding/binary"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/seed75a60ee1/patchbay/sandbox/meter"
)

// What the functions here answer, as WASI numbers errors.
const (
	wasiSuccess      = 0
	wasiBadFile      = 8
	wasiFault        = 21
	wasiInvalid      = 28
	wasiNoSuchCall   = 52
	wasiNotSupported = 58
	wasiNotSeekable  = 70
)

const (
	stdin  = 0
	stdout = 1
	stderr = 2
	// maxVectors is how many pieces one write may have, and subscriptions a poll:
	// POSIX's own bound. A plugin's memory has room for millions of pieces that all name
	// the same bytes.
	maxVectors = 1024
	// What one of them costs, in units of fuel.
	unitsPerVector = 24
	unitsPerPoll   = 48
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

// wasiFunction is a function of WASI: a call, the plugin's memory, the arguments.
type wasiFunction func(c *call, mem api.Memory, args []uint64) (errno uint64)

// wasiFunctions are what language runtimes ask for. They keep no state but the call's,
// so that an instance has nothing to be set back but its memory and its globals.
var wasiFunctions = map[string]wasiFunction{
	"args_get":            func(*call, api.Memory, []uint64) uint64 { return wasiSuccess },
	"args_sizes_get":      noneOf,
	"environ_get":         func(*call, api.Memory, []uint64) uint64 { return wasiSuccess },
	"environ_sizes_get":   noneOf,
	"clock_res_get":       clockResolution,
	"clock_time_get":      clockTime,
	"random_get":          randomGet,
	"sched_yield":         func(*call, api.Memory, []uint64) uint64 { return wasiSuccess },
	"fd_close":            stream,
	"fd_fdstat_set_flags": stream,
	"fd_fdstat_get": func(_ *call, mem api.Memory, args []uint64) uint64 {
		return streamStatus(mem, uint32(args[0]), uint32(args[1]), false)
	},
	"fd_filestat_get": func(_ *call, mem api.Memory, args []uint64) uint64 {
		return streamStatus(mem, uint32(args[0]), uint32(args[1]), true)
	},
	"fd_read": fdRead,
	"fd_seek": fdSeek,
	"fd_tell": fdSeek,
	"fd_write": func(c *call, mem api.Memory, args []uint64) uint64 {
		return c.fdWrite(mem, uint32(args[0]), uint32(args[1]), uint32(args[2]), uint32(args[3]))
	},
	"poll_oneoff": func(c *call, mem api.Memory, args []uint64) uint64 {
		return c.pollOneoff(mem, uint32(args[0]), uint32(args[1]), uint32(args[2]), uint32(args[3]))
	},
}

// defineWASI is all of WASI that wazero knows: clock, randomness, exit and the standard
// streams. What is written to those becomes log lines, and a poll sleeps in made-up
// time. Every other function on files and sockets says that there is none.
func (p *Plugin) defineWASI(b wazero.HostModuleBuilder) {
	for name, t := range p.engine.wasi {
		f, known := wasiFunctions[name]
		switch kind, _, _ := strings.Cut(name, "_"); {
		case name == "proc_exit":
			define(b, name, t, func(ctx context.Context, _ api.Module, stack []uint64) { callOf(ctx).exitWith(uint32(stack[0])) })
			continue
		case known:
		case kind == "fd" || kind == "path" || kind == "sock":
			f = func(*call, api.Memory, []uint64) uint64 { return wasiBadFile }
		default:
			f = func(*call, api.Memory, []uint64) uint64 { return wasiNoSuchCall }
		}
		define(b, name, t, func(ctx context.Context, m api.Module, stack []uint64) { stack[0] = f(callOf(ctx), m.Memory(), stack) })
	}
}

// exitWith ends the call. The panic is how wazero wants to be told.
func (c *call) exitWith(code uint32) {
	c.exited = true
	panic(sys.NewExitError(code))
}

// noneOf answers that there are zero things, of zero bytes together.
func noneOf(_ *call, mem api.Memory, args []uint64) uint64 {
	if !mem.WriteUint32Le(uint32(args[0]), 0) || !mem.WriteUint32Le(uint32(args[1]), 0) {
		return wasiFault
	}
	return wasiSuccess
}

const (
	clockRealtime  = 0
	clockMonotonic = 1
)

func clockResolution(_ *call, mem api.Memory, args []uint64) uint64 {
	step := map[uint32]time.Duration{clockRealtime: wallStep, clockMonotonic: time.Duration(tick)}[uint32(args[0])]
	switch {
	case step == 0:
		return wasiInvalid
	case !mem.WriteUint64Le(uint32(args[1]), uint64(step)):
		return wasiFault
	}
	return wasiSuccess
}

func clockTime(c *call, mem api.Memory, args []uint64) uint64 {
	var now int64
	switch uint32(args[0]) {
	case clockRealtime:
		now = c.world.walltime().UnixNano()
	case clockMonotonic:
		now = c.world.nanotime()
	default:
		return wasiInvalid
	}
	if !mem.WriteUint64Le(uint32(args[2]), uint64(now)) {
		return wasiFault
	}
	return wasiSuccess
}

func randomGet(c *call, mem api.Memory, args []uint64) uint64 {
	view, ok := mem.Read(uint32(args[0]), uint32(args[1]))
	if !ok {
		return wasiFault
	}
	c.charge(int64(len(view)))
	c.world.fill(view)
	return wasiSuccess
}

// stream answers success for a standard stream: closing one, or setting its flags,
// changes nothing.
func stream(_ *call, _ api.Memory, args []uint64) uint64 {
	if uint32(args[0]) > stderr {
		return wasiBadFile
	}
	return wasiSuccess
}

// The layouts of what fd_fdstat_get and fd_filestat_get give.
const (
	fdstatBytes    = 24
	fdstatRights   = 8
	filestatBytes  = 64
	filestatKind   = 16
	kindBlock      = 1                                  // neither a terminal nor a file
	rightsOfStream = 1<<1 | 1<<3 | 1<<6 | 1<<21 | 1<<27 // read, set flags, write, status, poll
)

// streamStatus writes what a standard stream is, in either of two layouts.
func streamStatus(mem api.Memory, fd, at uint32, file bool) uint64 {
	size, kind := uint32(fdstatBytes), 0
	if file {
		size, kind = filestatBytes, filestatKind
	}
	view, ok := mem.Read(at, size)
	switch {
	case fd > stderr:
		return wasiBadFile
	case !ok:
		return wasiFault
	}
	clear(view)
	view[kind] = kindBlock
	if !file {
		binary.LittleEndian.PutUint64(view[fdstatRights:], rightsOfStream)
	}
	return wasiSuccess
}

// fdRead reads nothing: the standard input is at its end.
func fdRead(_ *call, mem api.Memory, args []uint64) uint64 {
	switch {
	case uint32(args[0]) != stdin:
		return wasiBadFile
	case !mem.WriteUint32Le(uint32(args[3]), 0):
		return wasiFault
	}
	return wasiSuccess
}

func fdSeek(_ *call, _ api.Memory, args []uint64) uint64 {
	if uint32(args[0]) > stderr {
		return wasiBadFile
	}
	return wasiNotSeekable
}

// fdWrite makes log lines of what goes to the standard streams: count pieces, each
// an address and a length at vectors. How much was written goes to result.
func (c *call) fdWrite(mem api.Memory, fd, vectors, count, result uint32) (errno uint64) {
	var w *lineWriter
	switch fd {
	case stdout:
		w = &c.stdout
	case stderr:
		w = &c.stderr
	default:
		return wasiBadFile
	}
	if count > maxVectors {
		return wasiInvalid
	}
	c.charge(int64(count) * unitsPerVector)
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
		c.charge(int64(len(piece)) / meter.BytesPerUnit)
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
	c.charge(int64(count) * unitsPerPoll)
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
