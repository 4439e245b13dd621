package payload_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

func parse(t *testing.T, body string) payload.Object {
	t.Helper()
	doc, err := payload.Parse([]byte(body), payload.Limits{})
	if err != nil {
		t.Fatalf("Parse(%s): %v", body, err)
	}
	return doc
}

func TestGettersReadWhatStandsThere(t *testing.T) {
	doc := parse(t, `{"s":"caf\u00e9 \"x\"","n":-7,"f":1.5,"t":true,"z":null,"big":12345678901234567890,
		"o":{"in":"side"},"a":[{"k":"1"},{"k":"2"}],"l":["x","y"],"e":""}`)
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"text", doc.String("s"), `café "x"`}, {"absent text", doc.String("nope"), ""}, {"null text", doc.String("z"), ""},
		{"number", doc.Int("n"), int64(-7)}, {"float", doc.Float("f"), 1.5}, {"whole float", doc.Float("n"), -7.0},
		{"true", doc.Bool("t"), true}, {"absent flag", doc.Bool("nope"), false},
		{"text id", doc.Identifier("s"), `café "x"`}, {"long id", doc.Identifier("big"), "12345678901234567890"},
		{"object", doc.Object("o").String("in"), "side"}, {"absent object", doc.Object("nope").Object("x").String("y"), ""},
		{"objects", len(doc.Objects("a")), 2}, {"second object", doc.Objects("a")[1].String("k"), "2"},
		{"texts", doc.Strings("l"), []string{"x", "y"}}, {"absent texts", doc.Strings("nope"), []string{}},
		{"raw", string(doc.Raw("a")), `[{"k":"1"},{"k":"2"}]`}, {"absent raw", doc.Raw("nope") == nil, true},
		{"has", doc.Has("e"), true}, {"null is absent", doc.Has("z"), false}, {"absent", doc.Object("nope").Present(), false},
		{"names", doc.Object("o").Names(), []string{"in"}},
	} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s: got %#v, want %#v", tt.name, tt.got, tt.want)
		}
	}
	if err := doc.Err(); err != nil {
		t.Errorf("Err() = %v after reading what stands there", err)
	}
}

func TestGettersBlameTheWrongType(t *testing.T) {
	const body = `{"d":{"s":1,"n":"1","f":1.5,"b":0,"o":[],"a":{},"l":["x",2],"m":[{"k":1},3],"k":[{"t":1}],"huge":9223372036854775808,"exp":1e999}}`
	for _, tt := range []struct {
		name, path string
		read       func(payload.Object) any
	}{
		{"number for text", "d.s", func(o payload.Object) any { return o.String("s") }},
		{"text for number", "d.n", func(o payload.Object) any { return o.Int("n") }},
		{"fraction for whole number", "d.f", func(o payload.Object) any { return o.Int("f") }},
		{"too large a number", "d.huge", func(o payload.Object) any { return o.Int("huge") }},
		{"infinite number", "d.exp", func(o payload.Object) any { return o.Float("exp") }},
		{"text for float", "d.n", func(o payload.Object) any { return o.Float("n") }},
		{"number for flag", "d.b", func(o payload.Object) any { return o.Bool("b") }},
		{"array for object", "d.o", func(o payload.Object) any { return o.Object("o").Present() }},
		{"object for array", "d.a", func(o payload.Object) any { return len(o.Objects("a")) != 0 }},
		{"number in texts", "d.l[1]", func(o payload.Object) any { return len(o.Strings("l")) != 0 }},
		{"number in objects", "d.m[1]", func(o payload.Object) any { return len(o.Objects("m")) != 0 }},
		{"fraction for id", "d.f", func(o payload.Object) any { return o.Identifier("f") }},
		{"object for id", "d.a", func(o payload.Object) any { return o.Identifier("a") }},
		{"number for text, inside an array", "d.k[0].t", func(o payload.Object) any { return o.Objects("k")[0].String("t") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := parse(t, body)
			if got := tt.read(doc.Object("d")); !reflect.ValueOf(got).IsZero() {
				t.Errorf("read %v, want the zero value", got)
			}
			blamed := new(contract.SyntaxError)
			if !errors.As(doc.Err(), &blamed) || blamed.Path != tt.path {
				t.Errorf("Err() = %v, want one at %s", doc.Err(), tt.path)
			}
		})
	}
}

func TestFold(t *testing.T) {
	for _, tt := range []struct{ name, body, want, blamed string }{
		{"another case", `{"file":{"URL":"u"}}`, "u", ""},
		{"the case asked for goes before", `{"file":{"URL":"u","url":"v"}}`, "v", ""},
		{"two other cases", `{"file":{"URL":"u","Url":"v"}}`, "u", "file.url"},
		{"a letter that only looks alike", `{"file":{"ur\u017f":"u"}}`, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := parse(t, tt.body).Fold()
			if got := doc.Object("file").String("url"); got != tt.want {
				t.Errorf("url = %q, want %q", got, tt.want)
			}
			blamed := new(contract.SyntaxError)
			errors.As(doc.Err(), &blamed)
			if blamed.Path != tt.blamed {
				t.Errorf("Err() = %v, want one at %q", doc.Err(), tt.blamed)
			}
		})
	}
	if got := parse(t, `{"URL":"u"}`).String("url"); got != "" {
		t.Errorf("without Fold, url = %q, want none", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		limits     payload.Limits
		why        string
	}{
		{"nothing", "", payload.Limits{}, "empty"},
		{"an array", "[]", payload.Limits{}, "an object is needed"},
		{"a name twice", `{"a":1,"a":2}`, payload.Limits{}, "stands twice"},
		{"a name twice, inside", `{"x":[{"a":1,"\u0061":2}]}`, payload.Limits{}, "stands twice"},
		{"invalid UTF-8", "{\"a\":\"\xff\"}", payload.Limits{}, "UTF-8"},
		{"half a surrogate", `{"a":"\ud800"}`, payload.Limits{}, "not valid"},
		{"an early end", `{"a":[`, payload.Limits{}, "ends in the middle"},
		{"trailing data", `{}{}`, payload.Limits{}, "something follows"},
		{"trailing garbage", `{}]`, payload.Limits{}, "not valid"},
		{"too many bytes", `{"a":1}`, payload.Limits{MaxBytes: 6}, "more than 6 bytes"},
		{"too deep", `{"a":[[1]]}`, payload.Limits{MaxDepth: 2}, "deeper than 2"},
		{"too deep by default", `{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, payload.Limits{}, "deeper than 32"},
		{"very deep", `{"a":` + strings.Repeat("[", 100_000), payload.Limits{}, "deeper than 32"},
		{"too many values", `{"a":[1,2,3]}`, payload.Limits{MaxValues: 4}, "more than 4 values"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := payload.Parse([]byte(tt.body), tt.limits)
			got := new(contract.SyntaxError)
			if !errors.As(err, &got) || !strings.Contains(got.Why, tt.why) {
				t.Errorf("Parse(%.60q) = %v, want a reason with %q", tt.body, err, tt.why)
			}
		})
	}
	if _, err := payload.Parse([]byte(`{"a":[1,2,3]}`), payload.Limits{MaxBytes: 13, MaxDepth: 2, MaxValues: 5}); err != nil {
		t.Errorf("a document that is exactly at the limits was refused: %v", err)
	}
}

func ExampleParse() {
	body := []byte(`{"type": "message", "data": {"chat": 5532, "text": 7}}`)
	doc, err := payload.Parse(body, payload.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	data := doc.Object("data")
	fmt.Println(doc.String("type"), data.Identifier("chat"))
	fmt.Printf("%q\n", data.String("text"))
	fmt.Println(doc.Err())
	// Output:
	// message 5532
	// ""
	// JSON: data.text: a text is needed (near byte 51)
}

// What Parse takes, encoding/json takes, and every field reads the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"type":"message","data":{"n":1,"f":1.5,"list":[{"a":null},["x"]],"b":false}}`))
	f.Add([]byte("{\"a\":\"\\ud83d\\ude00\"} \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := payload.Parse(data, payload.Limits{})
		if err != nil {
			return
		}
		var want map[string]any
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("Parse took %q, encoding/json refuses it: %v", data, err)
		}
		if len(doc.Names()) != len(want) {
			t.Errorf("%q: names %q, want those of %v", data, doc.Names(), want)
		}
		for _, name := range doc.Names() {
			if text, ok := want[name].(string); ok && doc.String(name) != text {
				t.Errorf("%q: %q reads %q, want %q", data, name, doc.String(name), text)
			}
			if doc.Has(name) != (want[name] != nil) {
				t.Errorf("%q: Has(%q) = %v, value is %v", data, name, doc.Has(name), want[name])
			}
		}
	})
}
