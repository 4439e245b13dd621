package pdktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// mutant is a sample's body, changed for the worse.
type mutant struct{ name, body string }

// malformed delivers bodies that no platform sends.
func (s *suite) malformed() {
	for _, d := range s.Deliveries {
		h := s.world(d.Prepare)
		body := filled(h, d.Body)
		if d.From != nil && !d.Forged {
			s.brokenPayloads(d)
		}
		if d.Forged || d.From != nil || !isObject(body) {
			continue
		}
		for _, m := range brokenBodies(body) {
			s.deliverMutant(d, m)
		}
		for _, m := range s.mistyped(d, body) {
			s.deliverMutant(d, m)
		}
	}
}

// brokenPayloads hands receive payloads that route never made. A plugin may fail over them,
// and must not fall.
func (s *suite) brokenPayloads(d Delivery) {
	for _, m := range brokenBodies(d.From.Payload) {
		broken := d
		broken.From = &contract.Routed{Key: d.From.Key, Payload: m.body}
		h := s.world(d.Prepare)
		o := s.deliver(d.Name+", with a payload that is "+m.name, h, broken, filled(h, d.Body))
		if o.err != nil && o.effects() != "" {
			s.fail(d.Name, "with a payload that is "+m.name+" it failed, and had effects: "+o.effects())
		}
	}
}

func isObject(body string) bool {
	return jsontext.Value(body).IsValid() && jsontext.Value(body).Kind() == '{'
}

func (s *suite) deliverMutant(d Delivery, m mutant) {
	sample := d.Name + ", " + m.name
	o := s.deliver(sample, s.world(d.Prepare), d, m.body)
	out := o.receive()
	switch {
	case o.panics:
	case o.err != nil:
		s.fail(sample, fmt.Sprintf("it failed, so the host would keep the delivery and try again: %v; set Rejected instead", o.err))
	case out == nil: // route has no effects but those of an answer
		if effects := o.effects(); effects != "" {
			s.fail(sample, "it was answered, and had effects: "+effects)
		}
	case out.Rejected != nil:
		s.rejectedWell(sample, out)
	case o.effects() != "":
		s.fail(sample, "it was accepted, and had effects: "+o.effects())
	}
}

// brokenBodies lists what is not the JSON object that a platform sends, whatever is in it.
func brokenBodies(body string) []mutant {
	trimmed := strings.TrimSpace(body)
	deep := strings.Repeat(`{"a":[`, 5000) + strings.Repeat(`]}`, 5000)
	list := []mutant{
		{"empty", ""}, {"white space", " \n"}, {"null", "null"}, {"a text", `"x"`}, {"a number", "1e999"},
		{"in a list", "[" + trimmed + "]"}, {"twice", trimmed + trimmed}, {"with garbage behind", trimmed + "}"},
		{"with a byte order mark", "\xef\xbb\xbf" + trimmed}, {"NUL bytes", "\x00\x00\x00\x00"},
		{"invalid UTF-8", trimmed[:len(trimmed)-1] + ",\"x\":\"\xff\xfe\"}"},
		{"half a surrogate", trimmed[:len(trimmed)-1] + `,"x":"\ud800"}`},
		{"deep nesting", trimmed[:len(trimmed)-1] + `,"x":` + deep + "}"},
		{"deep nesting without end", strings.Repeat("[", 100_000)},
	}
	for _, quarter := range []int{1, 2, 3} {
		list = append(list, mutant{fmt.Sprintf("cut after %d/4", quarter), trimmed[:len(trimmed)*quarter/4]})
	}
	list = append(list, mutant{"cut before the end", trimmed[:len(trimmed)-1]})
	if name, value, ok := firstMember(trimmed); ok {
		list = append(list, mutant{"a name twice", "{" + name + ":" + value + "," + trimmed[1:]})
	}
	return list
}

// firstMember returns the first member of an object, as it stands.
func firstMember(object string) (name, value string, ok bool) {
	d := jsontext.NewDecoder(strings.NewReader(object))
	if _, err := d.ReadToken(); err != nil || d.PeekKind() != '"' {
		return "", "", false
	}
	first, err := d.ReadValue()
	if err != nil {
		return "", "", false
	}
	name = string(first)
	second, err := d.ReadValue()
	return name, string(second), err == nil
}

// mistyped lists bodies in which one field that the connector reads has another type. A
// field counts as read if the connector's answer changes when it is left out.
func (s *suite) mistyped(d Delivery, body string) []mutant {
	baseline := s.fingerprint(d, body)
	var list []mutant
	for _, path := range fieldPaths(body) {
		without := edited(body, path, func(parent map[string]any, name string) { delete(parent, name) })
		if s.fingerprint(d, without) == baseline {
			continue
		}
		wrong := edited(body, path, func(parent map[string]any, name string) { parent[name] = otherType(parent[name]) })
		list = append(list, mutant{"another type of " + strings.Join(path, "."), wrong})
	}
	return list
}

// fingerprint is the connector's answer to a body, as text.
func (s *suite) fingerprint(d Delivery, body string) string {
	failures := s.failures
	o := s.deliver(d.Name, s.world(d.Prepare), d, body)
	s.failures = failures // other checks look at these
	var b bytes.Buffer
	fmt.Fprint(&b, o.err, o.panics, masked(contract.Marshal(o.output)), o.host.pending)
	return b.String()
}

// otherType returns a value of a type that no platform is of two minds about.
func otherType(value any) any {
	switch value.(type) {
	case map[string]any, []any:
		return "pdktest"
	default:
		return map[string]any{"pdktest": []any{}}
	}
}

// fieldPaths lists the fields of an object and of the objects in it, not in lists.
func fieldPaths(body string) [][]string {
	var object map[string]any
	if json.Unmarshal([]byte(body), &object) != nil {
		return nil
	}
	var paths [][]string
	var walk func(prefix []string, object map[string]any)
	walk = func(prefix []string, object map[string]any) {
		for _, name := range sortedKeys(object) {
			path := append(append([]string(nil), prefix...), name)
			paths = append(paths, path)
			if child, ok := object[name].(map[string]any); ok {
				walk(path, child)
			}
		}
	}
	walk(nil, object)
	return paths
}

// edited returns a body with one field changed.
func edited(body string, path []string, edit func(parent map[string]any, name string)) string {
	root := decoded(body)
	parent := root
	for _, name := range path[:len(path)-1] {
		parent = parent[name].(map[string]any)
	}
	edit(parent, path[len(path)-1])
	return string(encoded(root))
}

// decoded returns an object with its numbers as they stand.
func decoded(body string) map[string]any {
	var object map[string]any
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&object); err != nil {
		panic("pdktest: " + err.Error()) // the caller checked it
	}
	return object
}

// encoded returns what [decoded] made, as JSON again.
func encoded(object map[string]any) []byte {
	data, err := json.Marshal(object)
	if err != nil {
		panic("pdktest: " + err.Error()) // it was decoded from JSON
	}
	return data
}
