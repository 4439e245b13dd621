package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readYAML turns a YAML document into a tree as JSON has it, with the line of each field.
// Only what JSON can say is taken: no anchors, aliases, merges or tags, so that what a
// reviewer reads is what counts, and a small file cannot become a large one.
func readYAML(data []byte) (tree any, lines map[string]int, err error) {
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil, Problems{{Why: "it is empty", Fix: `begin with "contract: patchbay/1"`}}
	case err != nil:
		return nil, nil, Problems{{Why: "it is not valid YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}}
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, nil, Problems{{Why: "something follows the document", Fix: "a file holds one manifest; remove the rest"}}
	}
	r := yamlReader{lines: make(map[string]int)}
	tree = r.value("", document.Content[0], 0)
	if len(r.found.list) > 0 {
		return nil, nil, r.found.err(r.lines)
	}
	return tree, r.lines, nil
}

// yamlReader walks a document.
type yamlReader struct {
	lines map[string]int
	found findings
}

func (r *yamlReader) value(path string, n *yaml.Node, depth int) any {
	r.lines[path] = n.Line
	switch {
	case depth > maxDepth:
		r.found.add(path, "", "it nests deeper than "+strconv.Itoa(maxDepth), "")
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.found.add(path, "", "it uses an anchor or an alias", "write the value out")
	case n.Kind == yaml.MappingNode && n.ShortTag() == "!!map":
		return r.mapping(path, n, depth)
	case n.Kind == yaml.SequenceNode && n.ShortTag() == "!!seq":
		return r.sequence(path, n, depth)
	case n.Kind == yaml.ScalarNode:
		return r.scalar(path, n)
	default:
		r.found.add(path, "", "its tag means nothing here", "remove "+n.Tag)
	}
	return nil
}

// mapping reads an object. A null counts as absent.
func (r *yamlReader) mapping(path string, n *yaml.Node, depth int) any {
	object := make(map[string]any)
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		r.lines[at] = key.Line
		switch {
		case key.ShortTag() == "!!merge":
			r.found.add(path, "", "it merges another value with <<", "write the value out")
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" || key.Anchor != "":
			r.found.add(at, "", "a name must be a text", "put it in quotes")
		case seen[key.Value]:
			r.found.add(at, "", "it stands twice, the second time on line "+strconv.Itoa(key.Line), "remove one")
		default:
			seen[key.Value] = true
			if v := r.value(at, value, depth+1); v != nil {
				object[key.Value] = v
			}
		}
	}
	return object
}

func (r *yamlReader) sequence(path string, n *yaml.Node, depth int) any {
	list := make([]any, 0, len(n.Content))
	for i, element := range n.Content {
		list = append(list, r.value(path+"["+strconv.Itoa(i)+"]", element, depth+1))
	}
	return list
}

func (r *yamlReader) scalar(path string, n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		return n.Value
	case "!!null":
		return nil
	case "!!bool":
		var flag bool
		if n.Decode(&flag) == nil {
			return flag
		}
	case "!!int":
		var number int64
		if n.Decode(&number) == nil {
			return json.Number(strconv.FormatInt(number, 10))
		}
	case "!!float":
		var number float64
		if n.Decode(&number) == nil && number-number == 0 { // neither infinite nor NaN
			return floatOf(n.Value, number)
		}
	}
	r.found.add(path, n.Value, "it is neither a text nor a usual number nor true or false", "if a text is meant, put it in quotes")
	return nil
}

// floatOf keeps a number as it was written, if JSON writes it so too.
func floatOf(text string, number float64) any {
	if json.Valid([]byte(text)) {
		return json.Number(text)
	}
	return number
}

// join is the path of a field.
func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}
