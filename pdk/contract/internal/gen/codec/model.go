package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// model is what the generator knows of a package: its structs, and which names are texts.
type model struct {
	structs map[string]*ast.StructType
	texts   map[string]bool
}

// field is one member of a JSON object.
type field struct {
	Go, JSON            string // the names in Go and in JSON
	Shape               shape
	Element             string // the struct, for the shapes that have one
	OmitEmpty, OmitZero bool
}

// shape says how a Go type is written in JSON.
type shape int

const (
	text shape = iota
	boolean
	integer
	timestamp
	blob
	raw
	texts
	textMap
	object
	pointer
	objects
)

// load reads the package in dir, without its tests and without what was generated.
func load(dir string) (*model, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	m := &model{structs: make(map[string]*ast.StructType), texts: map[string]bool{"string": true}}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || filepath.Base(name) == target {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		m.collect(file)
	}
	return m, nil
}

// collect takes up the exported types of one file. A struct with no tag on any field is
// no document.
func (m *model) collect(file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || !spec.Name.IsExported() {
			return true
		}
		switch t := spec.Type.(type) {
		case *ast.StructType:
			if slices.ContainsFunc(t.Fields.List, func(f *ast.Field) bool { return f.Tag != nil }) {
				m.structs[spec.Name.Name] = t
			}
		case *ast.Ident:
			m.texts[spec.Name.Name] = t.Name == "string"
		}
		return false
	})
}

// names lists the structs, sorted.
func (m *model) names() []string { return slices.Sorted(maps.Keys(m.structs)) }

// fields describes a struct, in the order of its source.
func (m *model) fields(name string) ([]field, error) {
	var (
		list []field
		errs []error
	)
	for _, f := range m.structs[name].Fields.List {
		described, err := m.describe(f)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		list = append(list, described)
	}
	return list, errors.Join(errs...)
}

func (m *model) describe(f *ast.Field) (field, error) {
	if len(f.Names) != 1 || f.Tag == nil {
		return field{}, errors.New("each field needs a line and a json tag of its own")
	}
	tag, _ := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Lookup("json")
	name, options, _ := strings.Cut(tag, ",")
	if name == "" || name == "-" {
		return field{}, fmt.Errorf("%s: the json tag has no name", f.Names[0])
	}
	s, element, err := m.shapeOf(f.Type)
	if err != nil {
		return field{}, fmt.Errorf("%s: %w", f.Names[0], err)
	}
	described := field{
		Go: f.Names[0].Name, JSON: name, Shape: s, Element: element,
		OmitEmpty: options == "omitempty", OmitZero: options == "omitzero",
	}
	return described, described.check(options)
}

// check refuses what encoding/json would read differently from what it says.
func (f field) check(options string) error {
	switch {
	case options != "" && !f.OmitEmpty && !f.OmitZero:
		return fmt.Errorf("%s: option %q is neither omitempty nor omitzero", f.Go, options)
	case f.OmitEmpty && (f.Shape == object || f.Shape == timestamp):
		return fmt.Errorf("%s: a struct is never empty; use omitzero", f.Go)
	case f.Shape == pointer && !f.OmitEmpty:
		return fmt.Errorf("%s: a pointer needs omitempty", f.Go)
	case f.OmitZero && f.Shape != object && f.Shape != timestamp:
		return fmt.Errorf("%s: use omitempty", f.Go)
	}
	return nil
}

// shapeOf tells how a type is written, and of which struct it is made.
func (m *model) shapeOf(t ast.Expr) (shape, string, error) {
	switch t := t.(type) {
	case *ast.Ident:
		return m.named(t.Name)
	case *ast.SelectorExpr:
		if t.Sel.Name == "Time" {
			return timestamp, "", nil
		}
	case *ast.StarExpr:
		if id, ok := t.X.(*ast.Ident); ok && m.structs[id.Name] != nil {
			return pointer, id.Name, nil
		}
	case *ast.ArrayType:
		if id, ok := t.Elt.(*ast.Ident); ok && t.Len == nil {
			return m.sliceOf(id.Name)
		}
	case *ast.MapType:
		key, ok1 := t.Key.(*ast.Ident)
		value, ok2 := t.Value.(*ast.Ident)
		if ok1 && ok2 && key.Name == "string" && value.Name == "string" {
			return textMap, "", nil
		}
	}
	return 0, "", errors.New("a type that the codec does not know; see shapeOf in internal/gen/codec")
}

func (m *model) named(name string) (shape, string, error) {
	switch {
	case m.texts[name]:
		return text, "", nil
	case name == "bool":
		return boolean, "", nil
	case name == "int64":
		return integer, "", nil
	case name == "RawJSON":
		return raw, "", nil
	case m.structs[name] != nil:
		return object, name, nil
	}
	return 0, "", fmt.Errorf("%s is a type that the codec does not know; see shapeOf in internal/gen/codec", name)
}

func (m *model) sliceOf(name string) (shape, string, error) {
	switch {
	case name == "byte":
		return blob, "", nil
	case m.texts[name]:
		return texts, "", nil
	case m.structs[name] != nil:
		return objects, name, nil
	}
	return 0, "", fmt.Errorf("[]%s is a type that the codec does not know; see shapeOf in internal/gen/codec", name)
}
