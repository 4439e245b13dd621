package kernel

import (
	"bytes"
	"fmt"

	"github.com/seed75a60ee1/patchbay/sandbox/meter"
)

// Level is how much a log line matters, numbered as Extism does.
type Level int32

// The levels.
const (
	LevelTrace Level = iota
	LevelDebug
	LevelInfo
	LevelWarn
	LevelError
	// LevelOff is above every line: nobody listens.
	LevelOff Level = 1<<31 - 1
)

// Options are what an invocation brings along.
type Options struct {
	Limits Limits
	// Input is what the plugin is to work on. The kernel only reads it.
	Input []byte
	// Config is what config_get answers from; it is only read.
	Config map[string]string
	// Charge is told what the kernel does for the plugin beyond what a function call
	// costs, in units of fuel. It may panic.
	Charge func(units int64)
	// Log takes each line. The text is lent for the length of the call. With nil,
	// plugins that ask are told that no level is wanted.
	Log func(level Level, text []byte)
}

// Kernel is an [Arena] with an input, an output and an error.
type Kernel struct {
	Arena
	config map[string]string
	log    func(level Level, text []byte)
	onWork func(units int64)

	input  span
	output output
	failed failure
	faults int
	first  fault
	// consulted is set once the plugin has asked for what the invocation brought along.
	consulted bool
}

// span is a run of bytes in a block.
type span struct {
	start  Handle
	length uint64
}

// output is what output_set was last given. The bytes outlive their block.
type output struct {
	data []byte
	span span
	lent bool // the bytes are the host's own
	bad  bool // there are no such bytes
}

type failure struct {
	handle  Handle
	message []byte
}

// fault is a use of memory that is not in a block.
type fault struct {
	function string
	handle   Handle
}

// New returns a kernel for one invocation, and false if the input does not fit the
// limits.
func New(o Options) (*Kernel, bool) {
	k := &Kernel{Arena: Arena{limits: o.Limits}, config: o.Config, log: o.Log, onWork: o.Charge}
	k.input = span{start: k.Lend(o.Input), length: uint64(len(o.Input))}
	return k, k.input.start != 0 || len(o.Input) == 0
}

// Consulted reports whether the plugin has asked for its input or its configuration.
func (k *Kernel) Consulted() bool { return k.consulted }

// Moving n bytes costs n/bytesMoved units of fuel, and allocating them n/bytesMade.
const (
	bytesMoved = meter.BytesPerUnit
	bytesMade  = 2
)

// work charges for more than a function call does.
func (k *Kernel) work(n uint64, per uint64) {
	if units := n / per; units > 0 && k.onWork != nil {
		k.onWork(int64(units))
	}
}

// Output is what the plugin set as its output. The caller owns it. It is an error if
// the plugin named bytes that are not in a block: a plugin that does not notice a
// failed allocation ends here.
func (k *Kernel) Output() ([]byte, error) {
	switch {
	case k.output.bad:
		return nil, fmt.Errorf("output_set was given %d bytes at handle %#x, which are not in a block",
			k.output.span.length, uint64(k.output.span.start))
	case k.output.lent:
		return bytes.Clone(k.output.data), nil
	}
	return k.output.data, nil
}

// Failure is the message that the plugin set as its error, and whether it set one.
// It is lent until the kernel is used again.
func (k *Kernel) Failure() (message []byte, failed bool) {
	return k.failed.message, k.failed.handle != 0
}

// Faults counts how often the plugin named memory that is not in a block, and says
// which was the first time.
func (k *Kernel) Faults() (n int, first string) {
	if k.faults == 0 {
		return 0, ""
	}
	return k.faults, fmt.Sprintf("%s(%#x)", k.first.function, uint64(k.first.handle))
}

// Fault records that function was given a handle it cannot use.
func (k *Kernel) Fault(function string, h Handle) {
	if k.faults++; k.faults == 1 {
		k.first = fault{function, h}
	}
}

func (k *Kernel) setOutput(s span) {
	data, ok := k.View(s.start, s.length)
	if bad := !ok && s != (span{}); bad {
		k.Fault("output_set", s.start)
		k.output = output{span: s, bad: true}
		return
	}
	k.output = output{data: data, span: s, lent: k.lent(s.start)}
}

func (k *Kernel) setInput(s span) {
	if _, ok := k.View(s.start, s.length); !ok && s != (span{}) {
		k.Fault("input_set", s.start)
		return
	}
	k.input = s
}

func (k *Kernel) setFailure(h Handle) {
	message, ok := k.Block(h)
	if !ok && h != 0 {
		k.Fault("error_set", h)
		message = []byte("error_set was given a handle that is not a block")
	}
	k.failed = failure{handle: h, message: message}
}

// inputAt is the handle of a byte of the input, or zero beyond it.
func (k *Kernel) inputAt(offset, n uint64) Handle {
	if offset > k.input.length || n > k.input.length-offset {
		return 0
	}
	return k.input.start + Handle(offset)
}

func (k *Kernel) configGet(h Handle) Handle {
	k.consulted = true
	name, ok := k.Block(h)
	if !ok {
		k.Fault("config_get", h)
		return 0
	}
	value := k.config[string(name)]
	k.work(uint64(len(name)+len(value)), bytesMoved)
	return k.Copy([]byte(value))
}

// writeLog logs a block and frees it, which is what PDKs count on.
func (k *Kernel) writeLog(function string, level Level, h Handle) {
	text, ok := k.Block(h)
	if !ok {
		k.Fault(function, h)
		return
	}
	k.work(uint64(len(text)), bytesMoved)
	if k.log != nil {
		k.log(level, text)
	}
	k.Free(h)
}

func (k *Kernel) logLevel() Level {
	if k.log == nil {
		return LevelOff
	}
	return LevelTrace
}

func (k *Kernel) resetAll() {
	k.reset()
	k.input, k.output, k.failed = span{}, output{}, failure{}
}
