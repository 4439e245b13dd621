package inspect

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// How much of a list a report holds.
const (
	maxImports  = 512
	maxExports  = 256
	maxReached  = 128 // imports that an export reaches
	maxSections = 256
	maxCycles   = 8
	maxCycle    = 8 // functions of a cycle
	maxBiggest  = 10
	maxCallers  = 5
	maxPath     = 24
	maxProblems = 32
)

// Analyse makes the report of a file. Nothing of it runs. Its error is a
// [*binary.Error], for a file that is no module; whatever else is wrong is a finding.
// measured is what an engine saw of the same file, or nil.
//
// The same file gives the same report. Time and memory are in proportion to the file.
func Analyse(wasm []byte, measured *Measured) (*Report, error) {
	m, err := binary.Decode(wasm)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(wasm)
	r := &Report{
		Format:    Format,
		Plugin:    Identity{Digest: "sha256:" + hex.EncodeToString(digest[:]), SizeBytes: int64(len(wasm))},
		Signature: Signature{Unsigned, "this version of Patchbay has no signatures yet"},
		Findings:  []Finding{}, HostFunctions: []string{}, Imports: []Import{}, Exports: []Export{}, Sections: []Section{}, Measured: measured, LeftOut: map[string]int{},
	}
	a := &analysis{Report: r, m: m}
	a.readManifest()
	a.readData()
	a.readImports()
	a.readCode()
	a.readReach()
	a.readExports()
	a.readBounds()
	a.readSections()
	r.Toolchain = readToolchain(m)
	reasons := Freezable(m)
	r.Freezing = Freezing{Possible: len(reasons) == 0, Reasons: reasons}
	r.Capabilities = capabilities(r)
	a.judge()
	return r, nil
}

// analysis is a report in the making.
type analysis struct {
	*Report
	m     *binary.Module
	names map[uint32]string
	calls *calls
	// slots are the imported functions by number of a mask, slotOf their slots by index.
	slots  []string
	slotOf []int
	// before are functions that run before an export is called.
	before []uint32
	// reach and directly say by function what it can come to.
	reach, directly func(function uint32) mask
	deceptive       []string // where texts are that were made to deceive
	manifests       int
	matches         []match
}

func (a *analysis) readManifest() {
	for _, s := range a.m.Sections {
		if s.ID == binary.SectionCustom && s.Name == manifest.Section {
			a.manifests++
		}
	}
	if a.manifests == 0 {
		return
	}
	data, _ := a.m.Custom(manifest.Section)
	m, err := manifest.ParseJSON(data)
	if err != nil {
		lines := strings.Split(err.Error(), "\n")
		for _, line := range lines[:min(len(lines), maxProblems)] {
			a.ManifestProblems = append(a.ManifestProblems, clip(line, 2*maxText))
		}
		return
	}
	if a.manifests > 1 {
		return // which one counts is not for a report to say
	}
	a.Manifest = m
	p := &a.Plugin
	p.Name, p.Version, p.Title, p.Description = m.Name, m.Version, m.Title, m.Description
	p.Vendor, p.VendorURL, p.Contact, p.Licence, p.Contract = m.Vendor.Name, m.Vendor.URL, m.Vendor.Contact, m.Licence, m.Contract
	if strings.IndexFunc(p.Title+p.Description+p.Vendor+p.VendorURL+p.Contact+p.Licence, suspicious) >= 0 {
		a.deceptive = append(a.deceptive, "the manifest")
	}
}

// readData looks at data before the code, which tells where its texts end.
func (a *analysis) readData() {
	a.Data.Segments = len(a.m.Data)
	for _, s := range a.m.Data {
		a.Data.Bytes += int64(s.Size)
	}
	a.matches, a.Data.Crowded = findPlaces(a.m)
	readSigns(a.m, &a.Data)
}

// readCode walks over the instructions.
func (a *analysis) readCode() {
	var addresses []uint32
	for _, f := range a.matches {
		if f.placed && f.kind == PlaceURL {
			addresses = append(addresses, f.address)
		}
	}
	l := newLengths(addresses)
	for _, s := range a.m.Data {
		l.words(s.Data)
	}
	a.calls = readCalls(a.m, l)
	a.names = functionNames(a.m)
	var leftOut int
	a.Data.Places, leftOut = places(a.matches, l, a.Manifest)
	a.leaveOut("places", leftOut)

	c := &a.Code
	c.Functions, c.Instructions = len(a.m.Functions), a.calls.instructions
	c.DirectCalls, c.IndirectCalls, c.InTables = a.calls.directCalls, a.calls.indirectCalls, a.calls.inTables
	c.Features = a.calls.featureNames()
	for i, b := range a.m.Bodies {
		c.Bytes += int64(b.Size)
		c.Loops += int(a.calls.loops[i])
		if a.calls.loops[i] > 0 {
			c.WithLoops++
		}
		if a.names[a.m.Imported(binary.KindFunction)+uint32(i)] != "" {
			c.Named++
		}
	}
	c.Biggest = a.biggest()
	if c.HasStart = a.m.HasStart; c.HasStart {
		c.StartFunction = functionName(a.names, a.m.Start)
	}
}

func (a *analysis) leaveOut(list string, n int) {
	if n > 0 {
		a.LeftOut[list] = n
	}
}

func (a *analysis) biggest() []Function {
	indexes := make([]int, len(a.m.Bodies))
	for i := range indexes {
		indexes[i] = i
	}
	slices.SortStableFunc(indexes, func(x, y int) int { return cmp.Compare(a.m.Bodies[y].Size, a.m.Bodies[x].Size) })
	var all []Function
	for _, i := range indexes[:min(len(indexes), maxBiggest)] {
		all = append(all, Function{functionName(a.names, a.m.Imported(binary.KindFunction)+uint32(i)), a.m.Bodies[i].Size})
	}
	return all
}

func (a *analysis) readBounds() {
	grows := slices.Contains(a.calls.tableGrows, true)
	for _, l := range a.m.Memories {
		a.Memory = &Bounds{l.Min, bound(l), a.calls.memoryGrows}
	}
	imported := int(a.m.Imported(binary.KindTable))
	for i, t := range a.m.Tables {
		a.Tables = append(a.Tables, Bounds{t.Min, bound(t.Limits), grows && a.calls.tableGrows[imported+i]})
	}
}

func bound(l binary.Limits) *uint32 {
	if !l.HasMax {
		return nil
	}
	return &l.Max
}

func (a *analysis) readSections() {
	for i, s := range a.m.Sections {
		if i == maxSections {
			a.leaveOut("sections", len(a.m.Sections)-i)
			return
		}
		name := strings.TrimSpace(s.ID.String() + " " + clip(s.Name, maxName))
		a.Sections = append(a.Sections, Section{name, s.Size(), s.ID != binary.SectionCustom || knownCustom(s.Name)})
	}
}

// readExports says of each export what it reaches.
func (a *analysis) readExports() {
	var before mask
	for _, v := range a.before {
		reached := a.reach(v)
		before.add(&reached)
	}
	a.Code.BeforeCall = a.namesOf(&before)
	for i, e := range a.m.Exports {
		a.suspectText(e.Name, "the name of export %d", i)
	}
	byRole := slices.Clone(a.m.Exports)
	slices.SortStableFunc(byRole, func(x, y binary.Export) int { return slices.Index(roles, roleOf(x)) - slices.Index(roles, roleOf(y)) })
	for _, e := range byRole[:min(len(byRole), maxExports)] {
		out := Export{Name: clip(e.Name, maxName), Kind: e.Kind.String(), Role: roleOf(e)}
		if e.Kind == binary.KindFunction {
			t, _ := a.m.FunctionType(e.Index)
			out.Type = clip(t.String(), maxText)
			reached, directly := a.reach(e.Index), a.directly(e.Index)
			reached.add(&before)
			for _, v := range a.before {
				also := a.directly(v)
				directly.add(&also)
			}
			out.Reaches, out.Directly = a.namesOf(&reached), a.namesOf(&directly)
		}
		a.Exports = append(a.Exports, out)
	}
	a.leaveOut("exports", len(a.m.Exports)-maxExports)
}

// roles is the order of exports in a report.
var roles = []ExportRole{RoleAbility, RoleStart, RoleOther, RoleRuntime}

// suspectText notes where a text is that was made to deceive.
func (a *analysis) suspectText(text, where string, n int) {
	if len(a.deceptive) <= maxEvidence && strings.IndexFunc(text, suspicious) >= 0 {
		a.deceptive = append(a.deceptive, fmt.Sprintf(where, n))
	}
}

// starters are the exports that run before any other: once when the plugin starts, or
// before every call.
var starters = []string{"_initialize", "__wasm_call_ctors", "hs_init", "patchbay_warm_up", "patchbay_reseed"}

// runtimeExports are what compilers add for their runtimes and for linkers.
var runtimeExports = []string{
	"_start", "malloc", "free", "calloc", "realloc", "__data_end", "__heap_base", "__stack_pointer", "__indirect_function_table",
	"asyncify_start_unwind", "asyncify_stop_unwind", "asyncify_start_rewind", "asyncify_stop_rewind", "asyncify_get_state",
	"hs_exit", "hs_free_fun_ptr", "hs_free_stable_ptr", "run", "resume", "getsp", "__main_void", "__main_argc_argv",
}

func roleOf(e binary.Export) ExportRole {
	switch {
	case e.Kind == binary.KindFunction && slices.Contains(contract.Exports(), contract.Export(e.Name)):
		return RoleAbility
	case e.Kind == binary.KindFunction && slices.Contains(starters, e.Name):
		return RoleStart
	case e.Kind == binary.KindMemory, slices.Contains(runtimeExports, e.Name):
		return RoleRuntime
	}
	return RoleOther
}
