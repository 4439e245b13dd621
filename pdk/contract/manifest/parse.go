package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// What a manifest may be at most. It comes from a vendor, who may be anybody.
const (
	// MaxBytes is the longest manifest, in bytes.
	MaxBytes = 256 << 10
	// maxDepth is how deep a manifest may nest; a valid one nests 4 deep.
	maxDepth = 16
)

// ParseYAML reads a plugin.yaml and checks everything that a manifest alone can tell.
// Its error is [Problems]: all there are.
func ParseYAML(data []byte) (*Manifest, error) {
	if err := checkSize(data); err != nil {
		return nil, err
	}
	tree, lines, err := readYAML(data)
	if err != nil {
		return nil, err
	}
	return check(tree, lines)
}

// ParseJSON reads a manifest as [Manifest.Encode] writes it, and checks it like
// [ParseYAML].
func ParseJSON(data []byte) (*Manifest, error) {
	if err := checkSize(data); err != nil {
		return nil, err
	}
	if err := checkJSON(data); err != nil {
		return nil, err
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, Problems{{Why: "it is not valid JSON"}}
	}
	return check(tree, nil)
}

// Encode returns the manifest as JSON, the same for the same manifest.
func (m *Manifest) Encode() []byte {
	data, err := json.Marshal(m)
	if err != nil { // no field of a manifest can fail
		panic("manifest: encode: " + err.Error())
	}
	return data
}

func checkSize(data []byte) error {
	if len(data) <= MaxBytes {
		return nil
	}
	return Problems{{Why: "it has " + strconv.Itoa(len(data)) + " bytes", Fix: "a manifest has at most " + strconv.Itoa(MaxBytes)}}
}

// checkJSON refuses what encoding/json forgives: a name twice, invalid UTF-8, nesting
// without end.
func checkJSON(data []byte) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(data))
	for {
		_, err := d.ReadToken()
		switch {
		case err == io.EOF && d.InputOffset() > 0:
			return nil
		case err != nil:
			wrong := new(contract.SyntaxError)
			errors.As(contract.DescribeError(d, err), &wrong)
			return Problems{{Field: wrong.Path, Why: wrong.Why}}
		case d.StackDepth() > maxDepth:
			return Problems{{Why: "it nests deeper than " + strconv.Itoa(maxDepth)}}
		}
	}
}

// check turns a tree of maps, slices, texts, numbers and flags into a manifest. What the
// schema finds does not keep the rules from being checked on the rest.
func check(tree any, lines map[string]int) (*Manifest, error) {
	var (
		m     Manifest
		found findings
	)
	data, err := json.Marshal(tree)
	if err != nil {
		return nil, Problems{{Why: "it cannot be read: " + err.Error()}}
	}
	shape := schemaProblems(tree)
	mismatch := new(json.UnmarshalTypeError)
	if err := json.Unmarshal(data, &m); errors.As(err, &mismatch) && len(shape.mistyped.list) == 0 {
		shape.mistyped.add(mismatch.Field, "", "a whole number of 64 bits, without point and exponent, is needed", "")
	}
	m.check(&found)
	shape.into(&found)
	if err := found.err(lines); err != nil {
		return nil, err
	}
	return &m, nil
}
