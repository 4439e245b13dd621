package kernel

import "github.com/seed75a60ee1/patchbay/sandbox/binary"

// EnvModule is the import module of [Functions].
const EnvModule = "extism:host/env"

// Memory is the plugin's own memory. Read returns a view that writes through, or
// false out of range; api.Memory of wazero is one.
type Memory interface {
	Read(offset, n uint32) ([]byte, bool)
}

// Function is one function that a plugin may import.
type Function struct {
	Name string
	Type binary.FuncType
	// Call takes the parameters from the start of stack and leaves the result there.
	Call func(k *Kernel, mem Memory, stack []uint64)
}

func signature(params, results []binary.ValueType) binary.FuncType {
	return binary.FuncType{Params: params, Results: results}
}

func types(list ...binary.ValueType) []binary.ValueType { return list }

var (
	i32, i64 = binary.I32, binary.I64

	none      = signature(nil, nil)
	takeI64   = signature(types(i64), nil)
	takeTwo   = signature(types(i64, i64), nil)
	giveI64   = signature(nil, types(i64))
	i64ToI64  = signature(types(i64), types(i64))
	i64ToI32  = signature(types(i64), types(i32))
	giveI32   = signature(nil, types(i32))
	storeByte = signature(types(i64, i32), nil)
)

// Functions are those of [EnvModule]: all that Extism's PDKs import, but for the
// ones that do HTTP or keep variables. http_status_code and http_headers are here
// because they have an honest answer where no request can have been made.
func Functions() []Function {
	all := append(blockFunctions(), inputFunctions()...)
	all = append(all, resultFunctions()...)
	return append(all, hostFunctions()...)
}

func blockFunctions() []Function {
	return []Function{
		{"alloc", i64ToI64, func(k *Kernel, _ Memory, s []uint64) {
			n := s[0]
			if s[0] = uint64(k.Alloc(n)); s[0] != 0 {
				k.work(n, bytesMade)
			}
		}},
		// PDKs free what a log function freed already: that is no fault.
		{"free", takeI64, func(k *Kernel, _ Memory, s []uint64) { k.Free(Handle(s[0])) }},
		{"length", i64ToI64, length},
		{"length_unsafe", i64ToI64, length},
		{"load_u8", i64ToI32, func(k *Kernel, _ Memory, s []uint64) {
			s[0] = k.load8("load_u8", Handle(s[0]))
		}},
		{"load_u64", i64ToI64, func(k *Kernel, _ Memory, s []uint64) {
			s[0] = k.load64("load_u64", Handle(s[0]))
		}},
		{"store_u8", storeByte, func(k *Kernel, _ Memory, s []uint64) {
			if h := Handle(s[0]); !k.Store8(h, byte(s[1])) {
				k.Fault("store_u8", h)
			}
		}},
		{"store_u64", takeTwo, func(k *Kernel, _ Memory, s []uint64) {
			if h := Handle(s[0]); !k.Store64(h, s[1]) {
				k.Fault("store_u64", h)
			}
		}},
		{"reset", none, func(k *Kernel, _ Memory, _ []uint64) { k.resetAll() }},
		{"memory_bytes", giveI64, func(k *Kernel, _ Memory, s []uint64) { s[0] = uint64(k.Bytes()) }},
	}
}

// length is 0 for what is not a block, without that being a fault: PDKs ask.
func length(k *Kernel, _ Memory, s []uint64) {
	data, _ := k.Block(Handle(s[0]))
	s[0] = uint64(len(data))
}

func (k *Kernel) load8(function string, h Handle) uint64 {
	v, ok := k.Load8(h)
	if !ok {
		k.Fault(function, h)
	}
	return uint64(v)
}

func (k *Kernel) load64(function string, h Handle) uint64 {
	v, ok := k.Load64(h)
	if !ok {
		k.Fault(function, h)
	}
	return v
}

func inputFunctions() []Function {
	return []Function{
		{"input_set", takeTwo, func(k *Kernel, _ Memory, s []uint64) {
			k.setInput(span{Handle(s[0]), s[1]})
		}},
		{"input_length", giveI64, func(k *Kernel, _ Memory, s []uint64) {
			k.consulted = true
			s[0] = k.input.length
		}},
		{"input_offset", giveI64, func(k *Kernel, _ Memory, s []uint64) {
			k.consulted = true
			s[0] = uint64(k.input.start)
		}},
		{"input_load_u8", i64ToI32, func(k *Kernel, _ Memory, s []uint64) {
			s[0] = k.load8("input_load_u8", k.inputAt(s[0], 1))
		}},
		{"input_load_u64", i64ToI64, func(k *Kernel, _ Memory, s []uint64) {
			s[0] = k.load64("input_load_u64", k.inputAt(s[0], 8))
		}},
	}
}

func resultFunctions() []Function {
	return []Function{
		{"output_set", takeTwo, func(k *Kernel, _ Memory, s []uint64) {
			k.setOutput(span{Handle(s[0]), s[1]})
		}},
		{"output_length", giveI64, func(k *Kernel, _ Memory, s []uint64) { s[0] = k.output.span.length }},
		{"output_offset", giveI64, func(k *Kernel, _ Memory, s []uint64) { s[0] = uint64(k.output.span.start) }},
		{"error_set", takeI64, func(k *Kernel, _ Memory, s []uint64) { k.setFailure(Handle(s[0])) }},
		{"error_get", giveI64, func(k *Kernel, _ Memory, s []uint64) { s[0] = uint64(k.failed.handle) }},
	}
}

func hostFunctions() []Function {
	zero := func(_ *Kernel, _ Memory, s []uint64) { s[0] = 0 }
	return []Function{
		{"config_get", i64ToI64, func(k *Kernel, _ Memory, s []uint64) {
			s[0] = uint64(k.configGet(Handle(s[0])))
		}},
		{"http_status_code", giveI32, zero},
		{"http_headers", giveI64, zero},
		{"get_log_level", giveI32, func(k *Kernel, _ Memory, s []uint64) { s[0] = uint64(k.logLevel()) }},
		logFunction("log_trace", LevelTrace),
		logFunction("log_debug", LevelDebug),
		logFunction("log_info", LevelInfo),
		logFunction("log_warn", LevelWarn),
		logFunction("log_error", LevelError),
	}
}

func logFunction(name string, level Level) Function {
	return Function{name, takeI64, func(k *Kernel, _ Memory, s []uint64) {
		k.writeLog(name, level, Handle(s[0]))
	}}
}
