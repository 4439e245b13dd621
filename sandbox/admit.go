package sandbox

import (
	"errors"
	"fmt"
	"slices"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/kernel"
)

// maxRefusals is how many refusals are reported one by one.
const maxRefusals = 32

// hostFunctionType is the signature of every host function: a block in, a block out.
var hostFunctionType = binary.FuncType{Params: []binary.ValueType{binary.I64}, Results: []binary.ValueType{binary.I64}}

// offer is what a module may import: signatures by import module and name.
type offer map[string]map[string]string

// refused are the functions of Extism that a plugin built for it may import and
// that are not offered: why, and what to use.
var refused = map[string]Refusal{
	"http_request": {
		Why: "it would reach any host the process can",
		Fix: fmt.Sprintf("call %s of %s, which is granted by host, method and path", contract.HostHTTPSend, contract.ImportModule),
	},
	"var_get": {
		Why: "every call runs in an instance of its own, so that a variable would never have a value",
		Fix: fmt.Sprintf("call %s of %s", contract.HostKVGet, contract.ImportModule),
	},
	"var_set": {
		Why: "every call runs in an instance of its own, so that the value would be lost",
		Fix: fmt.Sprintf("call %s of %s", contract.HostKVPut, contract.ImportModule),
	},
}

func newOffer(hostFunctions []string, wasi map[string]binary.FuncType) offer {
	o := offer{kernel.EnvModule: {}, contract.ImportModule: {}, wasiModule: {}}
	for _, name := range hostFunctions {
		o[contract.ImportModule][name] = hostFunctionType.String()
	}
	for _, f := range kernel.Bulk() {
		o[contract.ImportModule][f.Name] = f.Type.String()
	}
	for _, f := range kernel.Functions() {
		o[kernel.EnvModule][f.Name] = f.Type.String()
	}
	for name, t := range wasi {
		o[wasiModule][name] = t.String()
	}
	return o
}

// admit reports everything for which a module may not run, joined, or nil.
func admit(s *Spec, o offer, l Limits) error {
	var all []error
	seen := map[Import]bool{}
	for _, i := range s.Imports {
		if r := o.check(i); r != nil && !seen[i] {
			all = append(all, r)
		}
		seen[i] = true
	}
	all = append(all, admitSizes(s, l)...)
	if n := len(all); n > maxRefusals {
		all = append(all[:maxRefusals], fmt.Errorf("and %d more refusals", n-maxRefusals))
	}
	return errors.Join(all...)
}

// check is nil if the import is offered as it is wanted.
func (o offer) check(i Import) error {
	r := &Refusal{Part: "import", Import: clipName(i.String(), 256)}
	known, offered := o[i.Module]
	has, found := known[i.Name]
	no, isRefused := refused[i.Name]
	switch {
	case i.Kind != "function":
		r.Why, r.Fix = "it is a "+i.Kind+", and only functions are offered", "define it in the module"
	case !offered:
		r.Why = "no such module is offered"
		r.Fix = fmt.Sprintf("import from %s, %s or %s only; link other modules into this one", kernel.EnvModule, contract.ImportModule, wasiModule)
	case i.Module == kernel.EnvModule && isRefused:
		r.Why, r.Fix = no.Why, no.Fix
	case !found && i.Module == contract.ImportModule:
		r.Why, r.Fix = "the host does not offer it to this plugin", "list it in the manifest and have it granted, or do not call it"
	case !found:
		r.Why, r.Fix = "it is not in that module", "build with a current Extism PDK"
	case i.Type != has:
		r.Why, r.Fix = fmt.Sprintf("it is imported as %s", clipName(i.Type, 256)), fmt.Sprintf("declare it as %s", has)
	default:
		return nil
	}
	return r
}

func admitSizes(s *Spec, l Limits) []error {
	var all []error
	needs := slices.ContainsFunc(s.Imports, func(i Import) bool { return i.Module == wasiModule || isBulk(i.Name) })
	if s.Memory == nil && needs {
		all = append(all, &Refusal{
			Part: "memory", Why: "it imports functions that work on its memory, and has none",
			Fix: "define a memory",
		})
	}
	if s.Memory != nil && s.Memory.MinPages > l.MemoryPages {
		all = append(all, &Refusal{
			Part: "memory", Why: fmt.Sprintf("it starts with %d pages of 64 KiB", s.Memory.MinPages),
			Fix: fmt.Sprintf("start with at most %d", l.MemoryPages),
		})
	}
	for i, t := range s.Tables {
		if t.Min > l.TableEntries {
			all = append(all, &Refusal{
				Part: "table", Why: fmt.Sprintf("table %d starts with %d entries", i, t.Min),
				Fix: fmt.Sprintf("start with at most %d", l.TableEntries),
			})
		}
	}
	return all
}
