package manifest

import (
	"bytes"
	_ "embed" // schema.json
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Schema is the JSON Schema of a manifest, for editors and for other languages. It knows
// shapes and words; what one field says of another only [ParseYAML] and [ParseJSON] know.
//
//go:embed schema.json
var Schema []byte

// schemaURL is what the compiler calls the schema. It is absolute, because a relative one is
// looked for in the working directory, which may be gone.
const schemaURL = "file:///manifest.json"

// compiled is Schema, ready to use. It is checked in and tested, so it compiles.
var compiled = sync.OnceValue(func() *jsonschema.Schema {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		panic("manifest: schema.json: " + err.Error())
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaURL, document); err != nil {
		panic("manifest: schema.json: " + err.Error())
	}
	return c.MustCompile(schemaURL)
})

// shape is what the schema finds wrong with a tree: values of the wrong type, of which
// the rules saw only a zero value, and the rest.
type shape struct{ mistyped, rest findings }

func schemaProblems(tree any) *shape {
	found := new(shape)
	invalid := new(jsonschema.ValidationError)
	if errors.As(compiled().Validate(tree), &invalid) {
		leaves(invalid, func(e *jsonschema.ValidationError) { found.describe(tree, e) })
	}
	return found
}

// leaves visits the errors that have no further cause.
func leaves(e *jsonschema.ValidationError, visit func(*jsonschema.ValidationError)) {
	if len(e.Causes) == 0 {
		visit(e)
	}
	for _, cause := range e.Causes {
		leaves(cause, visit)
	}
}

// describe puts one finding of the schema into a vendor's words.
func (s *shape) describe(tree any, e *jsonschema.ValidationError) {
	field, value := locate(tree, e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			s.rest.add(join(field, name), "", "there is no such field", suggestion(name, properties(e.SchemaURL)))
		}
	case *kind.Required:
		for _, name := range k.Missing {
			s.rest.add(join(field, name), "", "it is missing", "add it")
		}
	case *kind.Type:
		why, fix := typeText(k, value)
		s.mistyped.add(field, "", why, fix)
	case *kind.Enum:
		words := make([]string, len(k.Want))
		for i, word := range k.Want {
			words[i] = fmt.Sprint(word)
		}
		s.rest.add(field, fmt.Sprint(value), "there is no such word", suggestion(fmt.Sprint(value), words))
	default:
		s.rest.add(field, fmt.Sprint(value), "it is out of bounds", "see the schema")
	}
}

// typeText says what a value is and should be.
func typeText(k *kind.Type, value any) (why, fix string) {
	names := map[string]string{
		"string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
		"array": "a list", "object": "a set of fields", "null": "empty",
	}
	why = names[k.Want[0]] + " is needed, and it is " + names[k.Got]
	scalar := k.Got == "boolean" || k.Got == "number" || k.Got == "integer"
	if k.Want[0] == "string" && scalar {
		fix = fmt.Sprintf(`put it in quotes: "%v"`, value)
	}
	return why, fix
}

// locate returns the path that a location means, and the value there.
func locate(tree any, location []string) (path string, value any) {
	value = tree
	for _, step := range location {
		switch at := value.(type) {
		case map[string]any:
			path, value = join(path, step), at[step]
		case []any:
			i, _ := strconv.Atoi(step)
			path, value = path+"["+step+"]", at[i]
		}
	}
	return path, value
}

// definitions holds the names of the fields of each type of the schema.
var definitions = sync.OnceValue(func() map[string][]string {
	var schema struct {
		Definitions map[string]struct {
			Properties map[string]json.RawMessage
		} `json:"$defs"`
	}
	if err := json.Unmarshal(Schema, &schema); err != nil {
		panic("manifest: schema.json: " + err.Error())
	}
	names := make(map[string][]string)
	for definition, of := range schema.Definitions {
		for name := range of.Properties {
			names[definition] = append(names[definition], name)
		}
		slices.Sort(names[definition])
	}
	return names
})

// properties lists the fields of the type at a place of the schema.
func properties(schemaURL string) []string {
	_, definition, _ := strings.Cut(schemaURL, "#/$defs/")
	return definitions()[definition]
}

// into adds what the schema found to what the rules found. Where both speak of a field,
// the rules tell it better, unless the value was of a type that they never saw.
func (s *shape) into(found *findings) {
	for _, p := range s.mistyped.list {
		found.list = slices.DeleteFunc(found.list, func(other *Problem) bool {
			rest, within := strings.CutPrefix(other.Field, p.Field)
			return within && (rest == "" || rest[0] == '.' || rest[0] == '[')
		})
	}
	for _, p := range slices.Concat(s.mistyped.list, s.rest.list) {
		found.add(p.Field, p.Value, p.Why, p.Fix)
	}
}
