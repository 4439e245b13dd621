// Package pack makes one plugin file of a connector, and opens one.
//
// A plugin file is a WebAssembly module that carries its manifest in a custom section,
// and exports the abilities that the manifest states: no more and no fewer. It may carry
// recordings of itself, too, which a host replays before it lets the plugin in. [Build] makes
// it, of a Go package or of a module that another compiler made. [Open] reads it back and
// holds the one against the other. Opening a file runs nothing; building runs the
// connector once, in the sandbox, to learn what it implements.
package pack

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// abilitiesExport is what a connector made with our Go PDK exports beside the contract:
// it tells which abilities the connector implements. No plugin file has it.
const abilitiesExport = "patchbay_abilities"

const remake = "make the file with \"patchbay plugin build\""

// Package is a plugin file that was opened. It is data: nothing of it runs.
type Package struct {
	Spec *sandbox.Spec
	// Manifest is what the vendor says of the plugin; nil if the file does not tell.
	Manifest *manifest.Manifest
	// Corpus is the vendor's recordings of the plugin; perhaps there are none. They were
	// read, and not replayed.
	Corpus recording.Corpus
	// Problems is everything that keeps the file from being a plugin; empty after [Open].
	Problems []error
}

// Open reads a plugin file. If anything about it is wrong it answers an error that joins
// all of it: errors.As finds *manifest.Problem, *sandbox.Refusal and their kind.
func Open(wasm []byte) (*Package, error) {
	p, err := Examine(wasm)
	if err != nil {
		return nil, err
	}
	if len(p.Problems) > 0 {
		return nil, errors.Join(p.Problems...)
	}
	return p, nil
}

// Examine reads a file as far as it can be read, and tells what is wrong with it in
// Problems. It answers an error only if the file is no WebAssembly module.
func Examine(wasm []byte) (*Package, error) {
	spec, err := sandbox.Inspect(wasm)
	if err != nil {
		return nil, err
	}
	p := &Package{Spec: spec}
	p.readManifest()
	p.checkExports()
	p.readCorpus()
	p.Problems = append(p.Problems, strangeImports(spec)...)
	return p, nil
}

// readManifest reads the section with the manifest, of which there must be one: with two,
// a reviewer's tool might show one and the host obey the other.
func (p *Package) readManifest() {
	if n := p.sections(manifest.Section); n != 1 {
		p.blame(&manifest.Problem{Field: "section " + manifest.Section,
			Why: fmt.Sprintf("the file has %d of them, and a plugin has exactly one", n), Fix: remake})
		return
	}
	section, _ := p.Spec.CustomSection(manifest.Section)
	m, err := manifest.ParseJSON(section)
	if err != nil {
		p.blame(err)
		return
	}
	p.Manifest = m
}

// sections counts the custom sections of a name.
func (p *Package) sections(name string) (n int) {
	for _, s := range p.Spec.Sections {
		if s.Name == name {
			n++
		}
	}
	return n
}

// checkExports holds the exports against the abilities that the manifest states.
func (p *Package) checkExports() {
	if !p.Spec.HasExport(string(contract.ExportReceive)) {
		p.blame(&manifest.Problem{Field: "export receive",
			Why: "it is missing, and every plugin takes deliveries", Fix: "export receive from the connector"})
	}
	if p.Spec.HasExport(abilitiesExport) {
		p.blame(&manifest.Problem{Field: "export " + abilitiesExport,
			Why: "it is there, so this is the compiler's output and not yet a plugin", Fix: remake})
	}
	if p.Manifest != nil {
		p.Problems = append(p.Problems, compare(p.Manifest.Abilities, exported(p.Spec), "the file exports")...)
	}
}

func (p *Package) blame(err error) { p.Problems = append(p.Problems, err) }

// exported lists the exports of the contract that a module has, in the contract's order.
func exported(spec *sandbox.Spec) []contract.Export {
	return slices.DeleteFunc(contract.Exports(), func(e contract.Export) bool { return !spec.HasExport(string(e)) })
}

// compare holds the abilities that a manifest states against those that were found, both
// ways. verb says how they were found, such as "the file exports".
func compare(stated, found []contract.Export, verb string) []error {
	var problems []error
	for i, ability := range stated {
		if !slices.Contains(found, ability) {
			problems = append(problems, &manifest.Problem{Field: fmt.Sprintf("abilities[%d]", i), Value: string(ability),
				Why: verb + " no such thing", Fix: "give the connector the method " + method(ability) + ", or take the line out"})
		}
	}
	for _, ability := range found {
		if !slices.Contains(stated, ability) {
			problems = append(problems, &manifest.Problem{Field: "abilities", Value: string(ability),
				Why: verb + " it and the manifest does not say so", Fix: "add the line, or take the method " + method(ability) + " from the connector"})
		}
	}
	return problems
}

// method is the name that pdk has for an ability: SendMessage for send_message.
func method(ability contract.Export) string {
	var name strings.Builder
	for word := range strings.SplitSeq(string(ability), "_") {
		if word == "url" {
			word = "URL"
		}
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String()
}

// strangeImports blames the host functions that no host has.
func strangeImports(spec *sandbox.Spec) []error {
	var problems []error
	for _, name := range spec.HostFunctions() {
		if !slices.Contains(contract.HostFunctions(), contract.HostFunction(name)) {
			problems = append(problems, &manifest.Problem{Field: "import " + contract.ImportModule, Value: name,
				Why: contract.Version + " has no such host function", Fix: "use one of those in the package contract, HostFunctions"})
		}
	}
	return problems
}
