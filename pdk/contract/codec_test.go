package contract_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/internal/documents"
)

// Whatever one of the two codecs writes, both read the same.
func TestCodecAgreesWithEncodingJSON(t *testing.T) {
	t.Run("ReceiveInput", rapid.MakeCheck(agrees[contract.ReceiveInput]))
	t.Run("ReceiveOutput", rapid.MakeCheck(agrees[contract.ReceiveOutput]))
	t.Run("RouteOutput", rapid.MakeCheck(agrees[contract.RouteOutput]))
	t.Run("SendMessageInput", rapid.MakeCheck(agrees[contract.SendMessageInput]))
	t.Run("SendReceiptInput", rapid.MakeCheck(agrees[contract.SendReceiptInput]))
	t.Run("CommandOutput", rapid.MakeCheck(agrees[contract.CommandOutput]))
	t.Run("HTTPResult", rapid.MakeCheck(agrees[contract.HTTPResult]))
	t.Run("KVListResult", rapid.MakeCheck(agrees[contract.KVListResult]))
	t.Run("HMACVerify", rapid.MakeCheck(agrees[contract.HMACVerify]))
	t.Run("JWTSign", rapid.MakeCheck(agrees[contract.JWTSign]))
	t.Run("MediaLinkResult", rapid.MakeCheck(agrees[contract.MediaLinkResult]))
	t.Run("MediaPut", rapid.MakeCheck(agrees[contract.MediaPut]))
}

func agrees[T any](t *rapid.T) {
	value := rapid.MakeCustom[T](valid).Draw(t, "value")
	ours := contract.Marshal(any(&value).(contract.Appendable))
	theirs, err := json.Marshal(&value)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(generic(t, ours), generic(t, theirs)) {
		t.Fatalf("Marshal = %s\nencoding/json = %s", ours, theirs)
	}
	var decoded, want T
	if err := contract.Unmarshal(theirs, any(&decoded).(contract.Decodable)); err != nil {
		t.Fatalf("Unmarshal(%s): %v", theirs, err)
	}
	if err := json.Unmarshal(theirs, &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(decoded, want) {
		t.Fatalf("Unmarshal(%s)\n got %+v\nwant %+v", theirs, decoded, want)
	}
}

// valid makes values that encoding/json takes.
var valid = rapid.MakeConfig{Types: map[reflect.Type]*rapid.Generator[any]{
	reflect.TypeFor[time.Time](): rapid.Custom(func(t *rapid.T) any {
		seconds := rapid.Int64Range(-62135596800, 253402300799).Draw(t, "seconds") // years 1 to 9999
		return time.Unix(seconds, rapid.Int64Range(0, 999999999).Draw(t, "nanoseconds")).UTC()
	}),
	reflect.TypeFor[contract.RawJSON](): rapid.Custom(func(t *rapid.T) any {
		values := []string{`{"a":[1,{"b":"c"}],"d":""}`, `[]`, `"text"`, `-1.5e300`, `true`}
		return contract.RawJSON(rapid.SampledFrom(values).Draw(t, "raw"))
	}),
}}

func generic(t *rapid.T, data []byte) any {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return v
}

func TestMarshalNeverSpoilsADocument(t *testing.T) {
	bad := "a\xffb\xed\xa0\x80"
	for _, tt := range []struct {
		name string
		in   contract.Appendable
		want string
	}{
		{"a text that is not UTF-8", &contract.KVGet{Key: bad}, "{\"key\":\"a\ufffdb\ufffd\ufffd\ufffd\"}"},
		{"keys that become equal", &contract.LogLine{Fields: map[string]string{"\xff": "1", "\xfe": "2"}}, "{\"message\":\"\",\"fields\":{\"\ufffd\":\"2\"}}"},
		{"a year beyond RFC 3339", &contract.Event{At: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, `{"kind":"","at":"0001-01-01T00:00:00Z"}`},
		{"raw that is no JSON", &contract.Raw{JSON: contract.RawJSON(`{"a":`)}, `{"kind":"","json":null}`},
		{"raw with a name twice", &contract.Raw{JSON: contract.RawJSON(`{"a":1,"a":2}`)}, `{"kind":"","json":null}`},
		{"raw that is two values", &contract.Raw{JSON: contract.RawJSON(`1 2`)}, `{"kind":"","json":null}`},
		{"raw that is too deep", &contract.Raw{JSON: nested(contract.MaxRawDepth + 1)}, `{"kind":"","json":null}`},
		{"raw as deep as allowed", &contract.Raw{JSON: nested(contract.MaxRawDepth)}, `{"kind":"","json":` + string(nested(contract.MaxRawDepth)) + `}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := string(contract.Marshal(tt.in))
			if got != tt.want {
				t.Errorf("Marshal(%+v) = %s, want %s", tt.in, got, tt.want)
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("Marshal(%+v) = %s, which is not JSON", tt.in, got)
			}
		})
	}
}

// nested returns depth arrays in one another.
func nested(depth int) contract.RawJSON {
	return contract.RawJSON(strings.Repeat("[", depth) + strings.Repeat("]", depth))
}

func TestUnmarshalRefuses(t *testing.T) {
	deepest := strings.Repeat(`{"x":`, contract.MaxDepth) + "1" + strings.Repeat("}", contract.MaxDepth)
	for _, tt := range []struct{ name, in, path, why string }{
		{"nothing", ``, "", "empty"},
		{"white space", " \n", "", "empty"},
		{"a null document", `null`, "", "an object is needed, not null"},
		{"an array", `[{}]`, "", "an object is needed, not an array"},
		{"a number for a text", `{"message":{"parts":[{},{},{},{"fallback":7}]}}`, "message.parts[3].fallback", "a text is needed, not a number"},
		{"an object for a list", `{"message":{"parts":{}}}`, "message.parts", "an array is needed, not an object"},
		{"null in a list", `{"message":{"parts":[null]}}`, "message.parts[0]", "an object is needed, not null"},
		{"a text for a flag", `{"strict":"yes"}`, "strict", "true or false is needed, not a text"},
		{"a fraction", `{"command":{"attempt":1.5}}`, "command.attempt", "a whole number"},
		{"an exponent", `{"command":{"attempt":1e3}}`, "command.attempt", "a whole number"},
		{"a number beyond 64 bits", `{"command":{"attempt":9223372036854775808}}`, "command.attempt", "a whole number"},
		{"a day without time", `{"command":{"created_at":"2026-01-31"}}`, "command.created_at", "RFC 3339"},
		{"a number in a map", `{"connection":{"settings":{"a b":1}}}`, `connection.settings["a b"]`, "a text is needed, not a number"},
		{"a known name twice", `{"strict":true,"strict":true}`, "strict", "stands twice"},
		{"a known name twice, once escaped", `{"strict":true,"str\u0069ct":true}`, "strict", "stands twice"},
		{"an unknown name twice", `{"x":{"y":1,"y":1}}`, "x.y", "stands twice"},
		{"a broken text", "{\"x\":\"\xff\"}", "x", "not valid UTF-8"},
		{"half a surrogate", `{"connection":{"name":"\ud800"}}`, "connection.name", "not valid"},
		{"an early end", `{"message":{"parts":[`, "message.parts", "ends in the middle"},
		{"a second document", `{} {}`, "", "something follows"},
		{"garbage behind", `{}x`, "", "not valid JSON"},
		{"a comment", `{/**/}`, "", "not valid JSON"},
		{"very many elements", `{"message":{"parts":[` + strings.Repeat("{},", 50_000) + `{}]}}`, "message.parts[50000]", "50000 elements"},
		{"nesting", `{"x":` + deepest + `}`, strings.Repeat("x.", contract.MaxDepth-1) + "x", "deeper than 64"},
		{"nesting without end", `{"x":` + strings.Repeat("[", 1<<20), "x" + strings.Repeat("[0]", contract.MaxDepth-1), "deeper than 64"},
		{"raw nesting", `{"message":{"parts":[{"raw":{"json":` + string(nested(contract.MaxRawDepth+1)) + `}}]}}`, "message.parts[0].raw.json", "deeper than 48"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := contract.Unmarshal([]byte(tt.in), new(contract.SendMessageInput))
			got := new(contract.SyntaxError)
			if !errors.As(err, &got) || got.Path != tt.path || !strings.Contains(got.Why, tt.why) {
				t.Errorf("Unmarshal(%.80q) = %v\nwant path %q and a reason with %q", tt.in, err, tt.path, tt.why)
			}
			if got.Offset < 0 || got.Offset > int64(len(tt.in)) {
				t.Errorf("Unmarshal(%.80q) blamed byte %d of %d", tt.in, got.Offset, len(tt.in))
			}
		})
	}
}

func TestUnmarshalIgnoresWhatItDoesNotKnow(t *testing.T) {
	in := `{"strict":true,"new":{"deep":[1,{"x":null}]},"Strict":false,"message":{"parts":[{"kind":"te\u0078t","future":"f"}]},"command":null}`
	var got contract.SendMessageInput
	if err := contract.Unmarshal([]byte(in), &got); err != nil {
		t.Fatal(err)
	}
	want := contract.SendMessageInput{Strict: true, Message: contract.Message{Parts: []contract.Part{{Kind: contract.PartText}}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Unmarshal(%s)\n got %+v\nwant %+v", in, got, want)
	}
}

func TestNullIsAbsent(t *testing.T) {
	for name, of := range documents.Reachable() {
		null := make(map[string]any)
		for i := range of.NumField() {
			field, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			null[field] = nil
		}
		data, err := json.Marshal(null)
		if err != nil {
			t.Fatal(err)
		}
		got := reflect.New(of)
		if err := contract.Unmarshal(data, got.Interface().(contract.Decodable)); err != nil || !got.Elem().IsZero() {
			t.Errorf("%s from %s = %+v, %v; want the zero value", name, data, got.Elem(), err)
		}
	}
}

// Texts are read eight bytes at a time, so what is special about one may stand anywhere in
// a word, and the document may end with it.
func TestTextsAreReadAsEncodingJSONDoes(t *testing.T) {
	for _, special := range []string{"", `\\`, `\"`, `\n\t`, `\/`, `\u00e9`, `\ud83d\ude00`, "é", "привет", "\u007f"} {
		for length := range 20 {
			for at := range length + 1 {
				text := strings.Repeat("a", at) + special + strings.Repeat("b", length-at)
				for _, in := range []string{
					`{"key":"` + text + `"}`,
					"{ \"key\" :\n\"" + text + `" } `,
					`{"x` + text + `":"` + text + `","key":"` + text + `","y":0}`,
				} {
					var got, want contract.KVGet
					err := contract.Unmarshal([]byte(in), &got)
					if wanted := json.Unmarshal([]byte(in), &want); err != nil || wanted != nil || got != want {
						t.Fatalf("Unmarshal(%s) = %q, %v; want %q, %v", in, got.Key, err, want.Key, wanted)
					}
				}
			}
		}
	}
}

func TestUnmarshalKeepsNoReferenceToItsInput(t *testing.T) {
	in := []byte(`{"claims":{"sub":"dana"},"name":"key","algorithm":"HS256"}`)
	var got contract.JWTSign
	if err := contract.Unmarshal(in, &got); err != nil {
		t.Fatal(err)
	}
	want := contract.Marshal(&got)
	clear(in)
	if after := contract.Marshal(&got); !bytes.Equal(after, want) {
		t.Errorf("after the input was overwritten the document is %s, was %s", after, want)
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"message":{"conversation":{"id":"c"},"author":{"role":"bot","contact":{}},"parts":[{"kind":"raw","raw":{"kind":"k","json":{"a":[1]}}}]}}`))
	f.Add([]byte(`{"response":{"status":200,"headers":[{"name":"A","value":"\u00e9"}]},"events":[{"kind":"typing","typing":{"author":{},"on":true}}]}`))
	f.Add([]byte(`{"mac":"AAE=","message":"","over_body":true,"error":{"code":"denied","certain":true}}`))
	f.Add([]byte(`{"expires_at":"2026-01-31T09:30:00.5+02:00","form":{"a":"b"},"media":{"size_bytes":-1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, d := range documents.All() {
			if contract.Unmarshal(data, d) != nil {
				continue
			}
			if !json.Valid(data) {
				t.Fatalf("%T was read from %q, which is not JSON", d, data)
			}
			encoded := contract.Marshal(d)
			again := reflect.New(reflect.TypeOf(d).Elem()).Interface().(documents.Document)
			if err := contract.Unmarshal(encoded, again); err != nil {
				t.Fatalf("%T from %q became %q, which is refused: %v", d, data, encoded, err)
			}
			if twice := contract.Marshal(again); !bytes.Equal(twice, encoded) {
				t.Fatalf("%T from %q became %q, then %q", d, data, encoded, twice)
			}
		}
	})
}
