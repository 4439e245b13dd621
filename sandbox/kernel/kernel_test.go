package kernel

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// guestMemory is 64 bytes of a plugin's memory.
type guestMemory []byte

func (m guestMemory) Read(offset, n uint32) ([]byte, bool) {
	if uint64(offset)+uint64(n) > uint64(len(m)) {
		return nil, false
	}
	return m[offset : uint64(offset)+uint64(n)], true
}

func every() map[string]Function {
	all := map[string]Function{}
	for _, f := range append(Functions(), Bulk()...) {
		all[f.Name] = f
	}
	return all
}

// play makes the calls of a script, one a line as in "alloc 8", and returns the
// transcript: each call with what it answered.
func play(t *testing.T, k *Kernel, mem guestMemory, script string) string {
	t.Helper()
	functions := every()
	var out strings.Builder
	for line := range strings.Lines(strings.TrimSpace(script)) {
		words := strings.Fields(line)
		f, ok := functions[words[0]]
		if !ok || len(words)-1 != len(f.Type.Params) {
			t.Fatalf("%q is no call of %s %s", line, words[0], f.Type)
		}
		stack := make([]uint64, max(len(f.Type.Params), len(f.Type.Results)))
		for i, w := range words[1:] {
			if _, err := fmt.Sscanf(w, "%v", &stack[i]); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
		f.Call(k, mem, stack)
		fmt.Fprintf(&out, "%s", strings.Join(words, " "))
		if len(f.Type.Results) > 0 {
			fmt.Fprintf(&out, " = %s", answer(stack[0]))
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func answer(v uint64) string {
	switch {
	case int64(v) < 0:
		return fmt.Sprint(int64(v))
	case v >= 1<<32:
		return fmt.Sprintf("%#x", v)
	}
	return fmt.Sprint(v)
}

func newKernel(t *testing.T, o Options) *Kernel {
	t.Helper()
	if o.Limits == (Limits{}) {
		o.Limits = Limits{Blocks: 4, Bytes: 100}
	}
	k, ok := New(o)
	if !ok {
		t.Fatalf("input of %d bytes does not fit %+v", len(o.Input), o.Limits)
	}
	return k
}

func TestTranscripts(t *testing.T) {
	for _, tt := range []struct{ name, input, want string }{
		{"a block is zero, keeps what is stored, and has a length", "", `
alloc 9 = 0x100000000
length 0x100000000 = 9
load_u64 0x100000000 = 0
store_u64 0x100000001 0x0102030405060708
load_u8 0x100000001 = 8
load_u8 0x100000008 = 1
load_u64 0x100000001 = 0x102030405060708
store_u8 0x100000000 0x1ff
load_u8 0x100000000 = 255
memory_bytes = 9
`},
		{"a block ends where it ends", "", `
alloc 8 = 0x100000000
store_u64 0x100000001 7
store_u8 0x100000008 7
load_u64 0x100000000 = 0
load_u64 0x100000001 = 0
load_u8 0x1ffffffff = 0
`},
		{"forged handles are answered with zero", "", `
alloc 8 = 0x100000000
load_u64 0 = 0
load_u64 0x200000000 = 0
load_u64 0xffffffffffffffff = 0
store_u64 0 1
store_u8 0xffffffff00000000 1
length 0x100000001 = 0
length 0xfffffffffffffff8 = 0
free 0x100000001
free 0x900000000
length 0x100000000 = 8
`},
		{"a freed block is gone and its place is taken again", "", `
alloc 8 = 0x100000000
alloc 8 = 0x200000000
free 0x100000000
free 0x100000000
length 0x100000000 = 0
memory_bytes = 8
alloc 3 = 0x100000000
length 0x100000000 = 3
`},
		{"no more blocks than allowed, and none of no bytes", "", `
alloc 0 = 0
alloc 1 = 0x100000000
alloc 1 = 0x200000000
alloc 1 = 0x300000000
alloc 1 = 0x400000000
alloc 1 = 0
free 0x200000000
alloc 1 = 0x200000000
`},
		{"no more bytes than allowed", "", `
alloc 0xffffffffffffffff = 0
alloc 101 = 0
alloc 60 = 0x100000000
alloc 41 = 0
alloc 40 = 0x200000000
`},
		{"the input is read by offset and by handle", "hello, plugin", `
input_length = 13
input_offset = 0x100000000
input_load_u64 0 = 0x70202c6f6c6c6568
input_load_u64 6 = 0
input_load_u8 12 = 110
input_load_u8 13 = 0
input_load_u8 0xffffffffffffffff = 0
load_u8 0x100000001 = 101
length 0x100000000 = 13
`},
		{"an empty input has no block", "", `
input_length = 0
input_offset = 0
input_load_u8 0 = 0
`},
		{"input_set moves the input within a block, and not beyond", "hello, plugin", `
input_set 0x100000007 6
input_length = 6
input_load_u8 0 = 112
input_set 0x100000007 7
input_length = 6
input_set 0 0
input_length = 0
`},
		{"output and error are what was set", "", `
output_length = 0
error_get = 0
alloc 8 = 0x100000000
output_set 0x100000002 3
output_offset = 0x100000002
output_length = 3
error_set 0x100000000
error_get = 0x100000000
error_set 0
error_get = 0
`},
		{"reset forgets everything", "hello", `
error_set 0x100000000
reset
length 0x100000000 = 0
input_length = 0
error_get = 0
memory_bytes = 0
alloc 1 = 0x100000000
load_u8 0x100000000 = 0
`},
		{"a bulk read gives what there is", "hello", `
block_read 0x100000000 0 0 64 = 5
block_read 0x100000000 3 62 2 = 2
block_read 0x100000000 5 0 64 = 0
block_read 0x100000000 6 0 64 = -1
block_read 0x100000000 0 60 5 = -1
block_read 0x100000000 0 0xffffffff 1 = -1
block_read 0x200000000 0 0 1 = -1
block_read 0x100000001 0 0 1 = -1
`},
		{"a bulk write makes a block, or says why not", "", `
block_write 0 64 = 0x100000000
length 0x100000000 = 64
block_write 0 65 = -1
block_write 0xffffffff 2 = -1
block_write 0 40 = -3
block_write 0 0 = 0
`},
		{"without HTTP there is no status and there are no headers", "", `
http_status_code = 0
http_headers = 0
get_log_level = 2147483647
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKernel(t, Options{Input: []byte(tt.input)})
			want := strings.TrimPrefix(tt.want, "\n")
			var script []string
			for line := range strings.Lines(want) {
				call, _, _ := strings.Cut(line, " = ")
				script = append(script, strings.TrimSpace(call))
			}
			if got := play(t, k, make(guestMemory, 64), strings.Join(script, "\n")); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestBulkFunctionsMoveTheBytesAndNoOthers(t *testing.T) {
	k, mem := newKernel(t, Options{Input: []byte("hello")}), bytes.Repeat([]byte("?"), 64)
	play(t, k, mem, "block_read 0x100000000 1 10 3")
	if got := string(mem[8:15]); got != "??ell??" {
		t.Errorf("guest memory is %q, want %q", got, "??ell??")
	}
	play(t, k, mem, "block_write 9 5")
	if got, _ := k.Block(2 << 32); string(got) != "?ell?" {
		t.Errorf("block is %q, want %q", got, "?ell?")
	}
	mem[10] = 'X'
	if got, _ := k.Block(2 << 32); string(got) != "?ell?" {
		t.Errorf("the block changed with the guest's memory to %q", got)
	}
}

func TestAPluginCannotWriteToWhatTheHostLent(t *testing.T) {
	input := []byte("the host's own")
	k := newKernel(t, Options{Input: input})
	play(t, k, nil, "store_u8 0x100000000 88")
	if string(input) != "the host's own" {
		t.Errorf("the host's slice is now %q", input)
	}
	if got, _ := k.Block(1 << 32); string(got) != "Xhe host's own" {
		t.Errorf("the block is %q, want the plugin's own copy, changed", got)
	}
}

func TestTheOutputIsTheCallers(t *testing.T) {
	input := []byte("echo")
	k := newKernel(t, Options{Input: input})
	play(t, k, nil, "output_set 0x100000000 4\nfree 0x100000000\nalloc 4\nstore_u8 0x100000000 1")
	output, err := k.Output()
	if err != nil || string(output) != "echo" {
		t.Fatalf("output is %q, %v; want the block as it was when it was freed", output, err)
	}
	output[0] = 'X'
	if string(input) != "echo" {
		t.Errorf("a write to the output changed the input to %q", input)
	}
}

func TestAnOutputThatIsNoBlockIsAnError(t *testing.T) {
	k := newKernel(t, Options{})
	play(t, k, nil, "alloc 200\noutput_set 0 200")
	if _, err := k.Output(); err == nil || !strings.Contains(err.Error(), "200 bytes") {
		t.Errorf("Output() = %v, want an error that says how many bytes", err)
	}
	if q, wanted := k.Exceeded(); q != QuotaBytes || wanted != 200 {
		t.Errorf("exceeded %q with %d, want %q with 200", q, wanted, QuotaBytes)
	}
	if n, first := k.Faults(); n != 1 || first != "output_set(0x0)" {
		t.Errorf("faults: %d, first %s", n, first)
	}
}

func TestAnErrorThatIsNoBlockIsStillAnError(t *testing.T) {
	k := newKernel(t, Options{})
	play(t, k, nil, "error_set 5")
	if message, failed := k.Failure(); !failed || len(message) == 0 {
		t.Errorf("Failure() = %q, %v; want a failure with some message", message, failed)
	}
}

func TestLogLinesReachTheHostAndTheirBlocksAreFreed(t *testing.T) {
	var lines []string
	k := newKernel(t, Options{Input: []byte("tick"), Log: func(l Level, text []byte) {
		lines = append(lines, fmt.Sprint(l, " ", string(text)))
	}})
	got := play(t, k, nil, "get_log_level\nlog_warn 0x100000000\nlog_info 0x100000000\nlog_info 9")
	if want := []string{"3 tick"}; !slices.Equal(lines, want) {
		t.Errorf("lines are %q, want %q", lines, want)
	}
	if !strings.HasPrefix(got, "get_log_level = 0\n") {
		t.Errorf("a plugin whose lines are read is told %q", got)
	}
	if n, first := k.Faults(); n != 2 || first != "log_info(0x100000000)" {
		t.Errorf("faults: %d, first %s", n, first)
	}
}

func TestConfigIsReadByName(t *testing.T) {
	k := newKernel(t, Options{Input: []byte("keynone"), Config: map[string]string{"key": "value"}})
	mem := guestMemory("keynone")
	got := play(t, k, mem, "block_write 0 3\nconfig_get 0x200000000\nlength 0x300000000\nblock_write 3 4\nconfig_get 0x400000000\nconfig_get 7")
	want := "block_write 0 3 = 0x200000000\nconfig_get 0x200000000 = 0x300000000\nlength 0x300000000 = 5\n" +
		"block_write 3 4 = 0x400000000\nconfig_get 0x400000000 = 0\nconfig_get 7 = 0\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestAnInputBeyondTheLimitsIsRefused(t *testing.T) {
	if _, ok := New(Options{Limits: Limits{Blocks: 1, Bytes: 4}, Input: []byte("12345")}); ok {
		t.Error("an input of 5 bytes was taken where 4 are allowed")
	}
}

// FuzzFunctions makes calls with numbers of the fuzzer's choice: whatever they are,
// nothing panics, and no more is held than allowed.
func FuzzFunctions(f *testing.F) {
	f.Add([]byte{0, 8, 0, 6, 1, 0, 1})
	f.Add([]byte("\x00\x09\x00\x01\x01\x00\x1e\x01\x00\x05\x00\xff\xff"))
	functions := append(Functions(), Bulk()...)
	f.Fuzz(func(t *testing.T, script []byte) {
		k, _ := New(Options{Limits: Limits{Blocks: 4, Bytes: 100}, Input: []byte("input"), Log: func(Level, []byte) {}})
		mem := make(guestMemory, 64)
		for len(script) > 0 {
			fn := functions[int(script[0])%len(functions)]
			script = script[1:]
			stack := make([]uint64, max(len(fn.Type.Params), len(fn.Type.Results)))
			for i := range fn.Type.Params {
				stack[i], script = number(script, fn.Type.Params[i])
			}
			fn.Call(k, mem, stack)
			checkHeld(t, k, fn.Name)
		}
		if output, err := k.Output(); err == nil && len(output) > 100 {
			t.Fatalf("an output of %d bytes", len(output))
		}
	})
}

// number takes two bytes from the script: a small number, a handle, or a huge one.
func number(script []byte, of binary.ValueType) (uint64, []byte) {
	if len(script) < 2 {
		return 0, nil
	}
	high, low := uint64(script[0]), uint64(script[1])
	v := high<<32 | low
	if high > 250 {
		v = -low
	}
	if of == binary.I32 {
		v = uint64(uint32(v))
	}
	return v, script[2:]
}

func checkHeld(t *testing.T, k *Kernel, after string) {
	t.Helper()
	live, held := 0, int64(0)
	for _, b := range k.blocks {
		if b.used {
			live++
			held += int64(len(b.data))
		}
	}
	if live > 4 || held > 100 || held != k.Bytes() || live != len(k.blocks)-len(k.vacant) {
		t.Fatalf("after %s: %d blocks of %d bytes, counted as %d bytes", after, live, held, k.Bytes())
	}
}

func TestEveryFunctionAPDKImportsIsThere(t *testing.T) {
	functions := every()
	for _, name := range []string{
		"alloc", "free", "length", "length_unsafe", "load_u8", "load_u64", "store_u8", "store_u64",
		"input_set", "input_length", "input_offset", "input_load_u8", "input_load_u64",
		"output_set", "output_length", "output_offset", "error_set", "error_get", "reset", "memory_bytes",
		"config_get", "http_status_code", "http_headers", "get_log_level",
		"log_trace", "log_debug", "log_info", "log_warn", "log_error",
		contract.BlockRead, contract.BlockWrite,
	} {
		if _, ok := functions[name]; !ok {
			t.Errorf("%s is missing", name)
		}
		delete(functions, name)
	}
	for name := range functions {
		t.Errorf("%s is offered beyond what PDKs import", name)
	}
}

func BenchmarkLoad64(b *testing.B) {
	k, _ := New(Options{Limits: Limits{Blocks: 4, Bytes: 100}, Input: make([]byte, 64)})
	load, stack := every()["load_u64"], make([]uint64, 1)
	for b.Loop() {
		stack[0] = 1<<32 + 8
		load.Call(k, nil, stack)
	}
}
