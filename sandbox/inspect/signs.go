package inspect

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

const (
	maxPayloads  = 20
	maxStretches = 20
	denseBlock   = 2048
	// denseBits is above what text, code and tables have, and below what is compressed
	// or encrypted: a block of random bytes has 7.9.
	denseBits = 7.6
)

// payloadKinds are the beginnings of files that something could run.
var payloadKinds = []struct{ kind, magic string }{
	{"WebAssembly module", "\x00asm\x01\x00\x00\x00"},
	{"WebAssembly component", "\x00asm\x0d\x00\x01\x00"},
	{"ELF program", "\x7fELF\x02\x01\x01"},
	{"ELF program", "\x7fELF\x01\x01\x01"},
	{"Windows program", "This program cannot be run in DOS mode"},
	{"shell script", "#!/bin/"},
	{"shell script", "#!/usr/bin/env "},
	{"QuickJS bytecode loader", "JS_EvalBytecode"},
}

func findPayloads(data []byte, where string) []Payload {
	var all []Payload
	for _, k := range payloadKinds {
		if i := bytes.Index(data, []byte(k.magic)); i >= 0 {
			all = append(all, Payload{k.kind, fmt.Sprintf("%s at byte %d", where, i)})
		}
	}
	return all
}

// interpreterMarks are texts that an interpreter for a language carries.
var interpreterMarks = []struct{ language, mark string }{
	{"JavaScript (QuickJS)", "JS_NewContext"},
	{"JavaScript (QuickJS)", "quickjs"},
	{"JavaScript (Boa)", "boa_engine"},
	{"JavaScript (goja)", "github.com/dop251/goja."},
	{"JavaScript (otto)", "github.com/robertkrimen/otto."},
	{"Python (CPython)", "Py_InitializeFromConfig"},
	{"Python (RustPython)", "rustpython"},
	{"Lua", "lua_newstate"},
	{"Lua (gopher-lua)", "github.com/yuin/gopher-lua."},
	{"Starlark", "go.starlark.net/starlark."},
	{"Tengo", "github.com/d5/tengo/"},
	{"Go (yaegi)", "github.com/traefik/yaegi/interp."},
	{"WebAssembly (wazero)", "github.com/tetratelabs/wazero/internal/engine/interpreter."},
	{"WebAssembly (wasmi)", "wasmi::engine"},
	{"Rhai", "rhai::engine"},
}

// findInterpreters looks where a compiler leaves the names of what it linked: in data,
// of which Go's names are part, and in the name section.
func findInterpreters(m *binary.Module) []string {
	names, _ := m.Custom("name")
	var all []string
	for _, i := range interpreterMarks {
		mark := []byte(i.mark)
		if !slices.Contains(all, i.language) && (bytes.Contains(names, mark) ||
			slices.ContainsFunc(m.Data, func(s binary.Segment) bool { return bytes.Contains(s.Data, mark) })) {
			all = append(all, i.language)
		}
	}
	return all
}

// findDense looks for stretches that look compressed or encrypted.
func findDense(data []byte, where string) []Stretch {
	var all []Stretch
	open := false
	for at := 0; len(data)-at >= denseBlock; at += denseBlock {
		bits := entropy(data[at : at+denseBlock])
		switch last := len(all) - 1; {
		case bits < denseBits:
			open = false
		case open:
			all[last].Bytes += denseBlock
			all[last].BitsPerByte = max(all[last].BitsPerByte, bits)
		default:
			if len(all) == maxStretches {
				return all
			}
			open = true
			all = append(all, Stretch{Where: fmt.Sprintf("%s at byte %d", where, at), Bytes: denseBlock, BitsPerByte: bits})
		}
	}
	return all
}

// entropy is Shannon's, in bits per byte, rounded to hundredths so that it is the same
// on every machine.
func entropy(data []byte) float64 {
	var count [256]int
	for _, b := range data {
		count[b]++
	}
	sum := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(data))
			sum -= p * math.Log2(p)
		}
	}
	return math.Round(sum*100) / 100
}

// readSigns looks at data and at custom sections for what should not be there.
func readSigns(m *binary.Module, d *Data) {
	tries := maxTries
	take := func(data []byte, where string) {
		d.Credentials = append(d.Credentials, findCredentials(data, where, &tries)...)
		d.Payloads = append(d.Payloads, findPayloads(data, where)...)
		d.Dense = append(d.Dense, findDense(data, where)...)
	}
	for i, s := range m.Data {
		take(s.Data, fmt.Sprintf("data segment %d", i))
	}
	for _, s := range m.Sections {
		if s.ID == binary.SectionCustom && s.Name != manifest.Section {
			take(s.Payload, "custom section "+clip(s.Name, maxName))
		}
	}
	d.Crowded = d.Crowded || tries == 0 || len(d.Credentials) > maxCredentials
	d.Credentials = d.Credentials[:min(len(d.Credentials), maxCredentials)]
	d.Payloads = d.Payloads[:min(len(d.Payloads), maxPayloads)]
	d.Dense = d.Dense[:min(len(d.Dense), maxStretches)]
	d.Interpreters = findInterpreters(m)
}
