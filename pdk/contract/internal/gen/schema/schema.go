package main

import (
	"encoding/json"
	"reflect"

	"github.com/invopop/jsonschema"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/internal/documents"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// module is the import path of package contract, whose folder is the working directory.
const module = "github.com/seed75a60ee1/patchbay/pdk/contract"

// generate returns the schema files by name, relative to the folder of package contract.
func generate() (map[string][]byte, error) {
	constants, err := readConstants(".", "manifest")
	if err != nil {
		return nil, err
	}
	lenient, err := reflector(constants, false)
	if err != nil {
		return nil, err
	}
	strict, err := reflector(constants, true)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for _, d := range documents.All() {
		name := snake(reflect.TypeOf(d).Elem().Name())
		if files["schema/"+name+".json"], err = encode(lenient.Reflect(d)); err != nil {
			return nil, err
		}
	}
	files["manifest/schema.json"], err = encode(strict.Reflect(new(manifest.Manifest)))
	return files, err
}

// reflector makes schemas. A strict one refuses fields and words it does not know; a
// lenient one lists the known words as examples, since either side may be newer.
func reflector(constants map[string][]any, strict bool) (*jsonschema.Reflector, error) {
	r := &jsonschema.Reflector{AllowAdditionalProperties: !strict, Mapper: func(t reflect.Type) *jsonschema.Schema {
		words := constants[t.Name()]
		switch {
		case t == reflect.TypeFor[contract.RawJSON]():
			return new(jsonschema.Schema)
		case words == nil || t.Kind() != reflect.String:
			return nil
		case strict:
			return &jsonschema.Schema{Type: "string", Enum: words}
		default:
			return &jsonschema.Schema{Type: "string", Examples: words}
		}
	}}
	return r, r.AddGoComments(module, ".", jsonschema.WithFullComment())
}

func encode(s *jsonschema.Schema) ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "  ")
	return append(data, '\n'), err
}
