package pdktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// grease adds fields that nobody knows to every input, and to what the platform sends.
func (s *suite) grease() {
	for _, d := range s.Deliveries {
		h := s.world(d.Prepare)
		d = s.signed(h, d, filled(h, d.Body))
		input := s.deliveryInput(h, d)
		plain := s.deliverInput(d.Name, h, d, input)
		greased := s.deliverInput(d.Name+", with unknown fields", s.world(d.Prepare), d, greasedInput(input))
		s.mustAgree(d.Name, plain, greased)
		if !d.Forged && isObject(d.Body) {
			s.greaseBody(d, plain)
		}
	}
	for _, c := range s.Commands {
		export, input := s.commandInput(c)
		plain := s.invoke(c.Name, s.world(c.Prepare), export, input, new(contract.CommandOutput))
		greased := s.invoke(c.Name+", with unknown fields", s.world(c.Prepare), export, greasedInput(input), new(contract.CommandOutput))
		s.mustAgree(c.Name, plain, greased)
	}
}

func (s *suite) mustAgree(sample string, plain, greased *outcome) {
	a, b := masked(contract.Marshal(plain.output)), masked(contract.Marshal(greased.output))
	if (plain.err == nil) != (greased.err == nil) || a != b {
		s.fail(sample, fmt.Sprintf("unknown fields in its input changed the answer\nfrom %s, %v\nto   %s, %v", a, plain.err, b, greased.err))
	}
}

// greaseBody adds a field to the platform's body. Platforms do so without notice, and no
// connector may fall over it.
func (s *suite) greaseBody(d Delivery, plain *outcome) {
	object := decoded(d.Body)
	object["x_pdktest"] = map[string]any{"added": []any{"later"}}
	body := encoded(object)
	o := s.deliver(d.Name, s.world(d.Prepare), d, string(body))
	was, is := plain.receive(), o.receive()
	if was == nil || o.panics {
		return
	}
	if (o.err == nil) != (plain.err == nil) || (is.Rejected == nil) != (was.Rejected == nil) || len(is.Events) != len(was.Events) {
		s.fail(d.Name, "an unknown field in the platform's body changed what became of it; platforms add fields without notice")
	}
}

// open names the fields whose value is a map of texts, where any name is a known one, or
// a platform's own document.
var open = []string{"settings", "attributes", "form", "fields", "json", "claims"}

// greasedInput adds unknown fields to every object of an input.
func greasedInput(input []byte) []byte {
	root := decoded(string(input))
	greaseValue(root)
	return encoded(root)
}

func greaseValue(value any) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			greaseValue(element)
		}
	case map[string]any:
		for name, child := range v {
			if !slices.Contains(open, name) {
				greaseValue(child)
			}
		}
		v["x_pdktest"] = map[string]any{"later": []any{json.Number("1"), nil, "x"}}
	}
}

var timestamps = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`)

// masked is a document without its times, which may differ between two runs.
func masked(document []byte) string {
	return timestamps.ReplaceAllString(string(document), "TIME")
}

func sortedKeys(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }
