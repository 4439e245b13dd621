package hostile

import (
	"context"
	littleendian "encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/kernel"
	w "github.com/seed75a60ee1/patchbay/tests/hostile/asm"
)

// nasty are numbers that are wrong as a handle, an offset, a length or an address, or
// right where nobody expects it. The input is block 1, of 24 bytes; block 2 is the
// plugin's own, of 16; block 3 was freed.
var nasty = []uint64{
	0, 1, 8, 1<<16 - 8, 1 << 16, 1<<31 - 1, 1 << 31, 1<<32 - 8, 1<<32 - 1,
	1 << 32, 1<<32 + 23, 1<<32 + 24, 2 << 32, 2<<32 + 9, 3 << 32, 4 << 32, 1<<53 + 1, 1<<63 - 1, 1 << 63, 1<<64 - 8, 1<<64 - 1,
}

// forger is a module that calls one function with what a call's configuration says.
func forger(module, name string, t binary.FuncType) []byte {
	m := &w.Module{}
	letters := func(types []binary.ValueType) string {
		return strings.NewReplacer("i32", "i", "i64", "I").Replace(strings.Join(texts(types), ""))
	}
	alloc, free := m.Import("extism:host/env", "alloc", "I:I"), m.Import("extism:host/env", "free", "I:")
	argument := m.Import("extism:host/user", "argument", "I:I")
	value := m.Import("extism:host/env", "load_u64", "I:I")
	f := m.Import(module, name, letters(t.Params)+":"+letters(t.Results))
	m.Memory(1)
	body := w.Code(w.I64(16), w.Call(alloc), w.Drop, w.I64(8), w.Call(alloc), w.Call(free))
	for i, p := range t.Params {
		body = w.Code(body, w.I64(int64(i)), w.Call(argument), w.Call(value))
		if p == binary.I32 {
			body = append(body, w.Wrap...)
		}
		body = w.Code(body, w.LocalSet(i))
	}
	for i := range t.Params {
		body = append(body, w.LocalGet(i)...)
	}
	m.Func("run", ":", letters(t.Params), body, w.Call(f), w.Repeat(len(t.Results), w.Drop))
	return m.Bytes()
}

func texts(types []binary.ValueType) []string {
	var all []string
	for _, t := range types {
		all = append(all, t.String())
	}
	return all
}

// wasiSignatures are the functions of WASI, as wazero has them.
var wasiSignatures = map[string]string{
	"args_get": "ii:i", "args_sizes_get": "ii:i", "clock_res_get": "ii:i", "clock_time_get": "iIi:i", "environ_get": "ii:i",
	"environ_sizes_get": "ii:i", "fd_advise": "iIIi:i", "fd_allocate": "iII:i", "fd_close": "i:i", "fd_datasync": "i:i",
	"fd_fdstat_get": "ii:i", "fd_fdstat_set_flags": "ii:i", "fd_fdstat_set_rights": "iII:i", "fd_filestat_get": "ii:i",
	"fd_filestat_set_size": "iI:i", "fd_filestat_set_times": "iIIi:i", "fd_pread": "iiiIi:i", "fd_prestat_dir_name": "iii:i",
	"fd_prestat_get": "ii:i", "fd_pwrite": "iiiIi:i", "fd_read": "iiii:i", "fd_readdir": "iiiIi:i", "fd_renumber": "ii:i",
	"fd_seek": "iIii:i", "fd_sync": "i:i", "fd_tell": "ii:i", "fd_write": "iiii:i", "path_create_directory": "iii:i",
	"path_filestat_get": "iiiii:i", "path_filestat_set_times": "iiiiIIi:i", "path_link": "iiiiiii:i", "path_open": "iiiiiIIii:i",
	"path_readlink": "iiiiii:i", "path_remove_directory": "iii:i", "path_rename": "iiiiii:i", "path_symlink": "iiiii:i",
	"path_unlink_file": "iii:i", "poll_oneoff": "iiii:i", "proc_exit": "i:", "proc_raise": "i:i", "random_get": "ii:i",
	"sched_yield": ":i", "sock_accept": "iii:i", "sock_recv": "iiiiii:i", "sock_send": "iiiii:i", "sock_shutdown": "ii:i",
}

func functionType(signature string) binary.FuncType {
	params, results, _ := strings.Cut(signature, ":")
	return binary.FuncType{Params: valueTypes(params), Results: valueTypes(results)}
}

func valueTypes(letters string) []binary.ValueType {
	var all []binary.ValueType
	for _, letter := range letters {
		all = append(all, map[rune]binary.ValueType{'i': binary.I32, 'I': binary.I64}[letter])
	}
	return all
}

// tuples calls f with every combination of nasty numbers, or with most of them where
// there are more.
func tuples(params, most int, f func(args []uint64)) int {
	all := 1
	for range params {
		all = min(all*len(nasty), 1<<30)
	}
	random := rand.New(rand.NewPCG(1, uint64(params)))
	args := make([]uint64, params)
	for n := range min(all, most) {
		for i := range args {
			if all > most {
				n = random.IntN(len(nasty))
			}
			args[i] = nasty[n%len(nasty)]
			n /= len(nasty)
		}
		f(args)
	}
	return min(all, most)
}

func TestForgedNumbersAreHarmlessInEveryFunction(t *testing.T) {
	e := newEngine(t, sandbox.EngineOptions{})
	n := moveIn(t, e)
	type target struct {
		module, name string
		kind         binary.FuncType
	}
	var targets []target
	for _, f := range kernel.Functions() {
		targets = append(targets, target{"extism:host/env", f.Name, f.Type})
	}
	for _, f := range kernel.Bulk() {
		targets = append(targets, target{"extism:host/user", f.Name, f.Type})
	}
	for name, signature := range wasiSignatures {
		targets = append(targets, target{"wasi_snapshot_preview1", name, functionType(signature)})
	}
	targets = append(targets, target{"extism:host/user", "poke", functionType("I:I")})
	calls, ends := 0, map[string]int{}
	for _, target := range targets {
		p := load(t, e, forger(target.module, target.name, target.kind), sandbox.LoadOptions{
			HostFunctions: []string{"argument", "poke"}, Limits: sandbox.Limits{Fuel: 40_000_000},
		})
		calls += tuples(len(target.kind.Params), 2000/slowdown, func(args []uint64) {
			ends[forge(t, p, target.name, args)]++
		})
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	n.unmoved("all of that")
	t.Logf("%d functions were called %d times, which ended so: %v", len(targets), calls, ends)
	if len(targets) < 70 || ends["calm"] < calls*9/10 {
		t.Errorf("too few of them, or too few that were harmless")
	}
}

// forge calls p with forged arguments, and looks whether anything of the host's has
// changed. It returns how the call ended.
func forge(t *testing.T, p *sandbox.Plugin, name string, args []uint64) string {
	const bait = "the input, of 24 bytes.."
	input, lent := []byte(bait), []byte("what the host lends")
	next := 0
	host := map[string]sandbox.HostFunc{
		"argument": func(context.Context, []byte) ([]byte, error) {
			v := args[next]
			next++
			return littleendian.LittleEndian.AppendUint64(nil, v), nil
		},
		"poke": func(context.Context, []byte) ([]byte, error) { return lent, nil },
	}
	_, err := p.Call(context.Background(), sandbox.Invocation{
		Export: "run", Input: input, Host: host, Config: map[string]string{bait: "secret"}, Log: func(sandbox.LogLine) {},
	})
	var limit *sandbox.LimitError
	var failed *sandbox.GuestError
	var trap *sandbox.Trap
	switch {
	case err == nil, errors.As(err, &limit), errors.As(err, &failed):
	case errors.As(err, &trap) && name == "proc_exit" && strings.HasPrefix(trap.Cause, "exit code"):
	default:
		t.Errorf("%s(%#x): %v", name, args, err)
	}
	if string(input) != bait || string(lent) != "what the host lends" {
		t.Errorf("%s(%#x) wrote to what it was lent: %q, %q", name, args, input, lent)
	}
	end := as(err)
	if failed != nil {
		end = "failed"
	}
	return strings.SplitN(fmt.Sprint(end), " exit", 2)[0]
}
