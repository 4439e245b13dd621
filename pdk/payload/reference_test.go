package payload

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// refNode is one value, as jsontext reads it.
type refNode struct {
	kind    jsontext.Kind
	raw     []byte
	start   int64
	members []refMember
	items   []*refNode
}

type refMember struct {
	name  string
	value *refNode
}

// refParser reads a document with jsontext's decoder, which says what [Parse] has to take
// and to refuse, and with which error.
type refParser struct {
	body    []byte
	limits  Limits
	decoder *jsontext.Decoder
	values  int
}

func refParse(body []byte, limits Limits) (*refNode, error) {
	limits = limits.orDefaults()
	if len(body) > limits.MaxBytes {
		return nil, &contract.SyntaxError{Why: "it has more than " + strconv.Itoa(limits.MaxBytes) + " bytes"}
	}
	p := refParser{body: body, limits: limits, decoder: jsontext.NewDecoder(bytes.NewBuffer(body))}
	root, err := p.document()
	if err != nil {
		return nil, contract.DescribeError(p.decoder, err)
	}
	return root, nil
}

func (p *refParser) document() (*refNode, error) {
	root, err := p.value()
	if err != nil {
		return nil, err
	}
	if root.kind != '{' {
		return nil, &contract.SyntaxError{Why: "an object is needed"}
	}
	switch _, err := p.decoder.ReadToken(); err {
	case io.EOF:
		return root, nil
	case nil:
		return nil, p.refuse("something follows the document")
	default:
		return nil, err
	}
}

func (p *refParser) value() (*refNode, error) {
	n := &refNode{kind: p.decoder.PeekKind()}
	if n.kind != '{' && n.kind != '[' {
		raw, err := p.decoder.ReadValue()
		n.raw, n.start = raw, p.decoder.InputOffset()-int64(len(raw))
		return n, p.counted(err)
	}
	if _, err := p.decoder.ReadToken(); err != nil {
		return nil, err
	}
	n.start = p.decoder.InputOffset() - 1
	if p.decoder.StackDepth() > p.limits.MaxDepth {
		return nil, p.refuse("arrays and objects nest deeper than " + strconv.Itoa(p.limits.MaxDepth))
	}
	if err := p.children(n); err != nil {
		return nil, err
	}
	_, err := p.decoder.ReadToken()
	n.raw = p.body[n.start:p.decoder.InputOffset()]
	return n, p.counted(err)
}

func (p *refParser) children(n *refNode) error {
	for kind := p.decoder.PeekKind(); kind != '}' && kind != ']'; kind = p.decoder.PeekKind() {
		name := ""
		if n.kind == '{' {
			token, err := p.decoder.ReadToken()
			if err != nil {
				return err
			}
			name = token.String()
		}
		value, err := p.value()
		if err != nil {
			return err
		}
		if n.kind == '{' {
			n.members = append(n.members, refMember{name, value})
		} else {
			n.items = append(n.items, value)
		}
	}
	return nil
}

func (p *refParser) counted(err error) error {
	if p.values++; err == nil && p.values > p.limits.MaxValues {
		return p.refuse("it holds more than " + strconv.Itoa(p.limits.MaxValues) + " values")
	}
	return err
}

func (p *refParser) refuse(why string) error {
	return &contract.SyntaxError{Offset: p.decoder.InputOffset(), Why: why}
}

// differences lists where a node is not what it should be.
func differences(d *document, i int, want *refNode) (list []string) {
	n := d.nodes[i]
	differ := func(what string, got, want any) {
		if !reflect.DeepEqual(got, want) {
			list = append(list, fmt.Sprintf("byte %d: %s is %q, want %q", n.start, what, got, want))
		}
	}
	differ("kind", n.kind, byte(want.kind))
	differ("start", int64(n.start), want.start)
	differ("end", int64(n.end), want.start+int64(len(want.raw)))
	if n.kind == '"' {
		text, err := jsontext.AppendUnquote(nil, want.raw)
		differ("text", d.meaning(i), string(text))
		differ("its error", err, nil)
	}
	var names, wantNames []string
	children := want.items
	for _, m := range want.members {
		wantNames, children = append(wantNames, m.name), append(children, m.value)
	}
	if n.kind != '{' && n.kind != '[' {
		return list
	}
	differ("size", d.count(i), len(children))
	for child := range d.children(i) {
		if n.kind == '{' {
			names = append(names, d.nodes[child].name)
		}
		list = append(list, differences(d, child, children[0])...)
		children = children[1:]
	}
	differ("list of names", names, wantNames)
	return list
}

// compare parses a body both ways.
func compare(t *testing.T, body []byte, limits Limits) {
	t.Helper()
	got, err := Parse(body, limits)
	want, wantErr := refParse(body, limits)
	if reason, ok := wantErr.(*contract.SyntaxError); ok && strings.Contains(reason.Why, "UTF-8") && bytes.Contains(body, []byte("UTF-8")) {
		return // jsontext's error may quote the body, which then reads like another error
	}
	if !reflect.DeepEqual(err, wantErr) {
		t.Fatalf("Parse(%.300q, %+v)\n gave %v,\n want %v", body, limits, err, wantErr)
	}
	if err == nil {
		if text := got.doc.text[:len(body)]; text != string(body) {
			t.Errorf("Parse(%.300q) keeps %.300q", body, text)
		}
		for _, difference := range differences(got.doc, got.node, want) {
			t.Errorf("Parse(%.300q): %s", body, difference)
		}
	}
}

// message is what a platform's webhook looks like.
const message = `{ "type": "message", "token": "c0nf-9tQ", "channelId": "5d0e6f0a-6a0c-4a36-9a55-0f9b6f6d1b11",
  "data": { "targetChatId": "tg-553201", "text": "The courier is on the way.",
            "files": [ { "name": "route.pdf", "size": 48211, "URL": "https://acme.example/files/route.pdf?sig=9a2" } ] } }`

// awkward are bodies that are refused, or only just not.
var awkward = []string{
	"", " ", "\x00", "\xef\xbb\xbf{}", "1", "-", `"a"`, `"a`, "tru", "trux", "nul", ",", ":", ",1", "}", "]", "[]", "x",
	`{}`, `{}}`, `{}]`, `{},`, `{} :`, `{}{`, `{}[`, `{} 1`, `{} 1.`, `{} -`, `{} "a"`, `{} "a`, `{} tru`, `{} x`, "{}\x00", "{}\n ",
	`{`, `[`, `{]`, `[}`, `[1,2}`, `{"a":1]`, `{"x":{"a":1]`, `[[1}`, `{"a":]`, `{"a":}`, `{"a"}`, `{"a" ]`, `{"a" x`, `{"a"`, `{"a":`, `{"a":1`,
	`{"a":1,}`, `{"a":1,]`, `[1,]`, `[,1]`, `[1 2]`, `[1,`, `[,`, `{"a",`, `{"a":1:`, `[1,,2]`, `{"a"::1}`, `{"a":1 x`, `{"a":1,x`, `{"a":x`, `[x`, `[1,x`, `[1 x`,
	`{1:2}`, `{-:2}`, `{true:1}`, `{tru`, `{trux`, `{{}:1}`, `{[]:1}`, `{x`, `{,`, `{:`,
	`{"a":0,"b":-0.0e-1,"c":1E5,"d":12.50e+07}`, `{"a":01}`, `{"a":-01}`, `{"a":1.}`, `{"a":1.`, `{"a":.5}`, `{"a":1e`, `{"a":1e+`, `{"a":1e+x`, `{"a":-`, `{"a":+1}`, `[1.2.3]`,
	`{"a":"\`, `{"a":"\x"}`, `{"a":"\u`, `{"a":"\u12`, `{"a":"\u12"`, `{"a":"\u12x4"}`, `{"a":"\uABcd\u0000\/\b\f\n\r\t\"\\"}`,
	`{"a":"\ud83d\ude00"}`, `{"a":"\uD83D\uDE00"}`, `{"a":"\ud800`, `{"a":"\ud800"`, `{"a":"\ud800\`, `{"a":"\ud800\u`, `{"a":"\ud800\ud`, `{"a":"\ud800\ud8`, `{"a":"\ud800\udc`, `{"a":"\ud800\udc0`, `{"a":"\ud800\udc00`,
	`{"a":"\ud800\ud800"}`, `{"a":"\ud800x"}`, `{"a":"\ud800\x"}`, `{"a":"\ud800\u00`, `{"a":"\ud800\udcx0"}`, `{"a":"\udc00\udc00"}`, `{"a":"\udc00\udc00`, `{"a":"\udc00\udc`, `{"a":"\ud800UTF-8"}`,
	"{\"a\":\"\x01\"}", "{\"a\":\"\x7f\"}", "{\"a\":\"\x00\"}", "{\"a\":\x00}", "{\"a\":\"1234567\x1f\"}", "{\"a\":\"\x80\"}", "{\"a\":\"\xff\"}", "{\"a\xff\":1}", "{\"a\":\"\xc3", "{\"a\":\"\xc3\"}", "{\"a\":\"\xc1\x80\"}",
	"{\"a\":\"\xe2\x82", "{\"a\":\"€ 😀 \ufffd\"}", "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"\xf4\x90\x80\x80\"}", "{\"a\":\"привет, мир \xd0", "{\"a\":\"привет, \\u043c\\u0438\\u0440\"}",
	`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"":1,"":2}`, `{"a":{"b":1,"b":2}}`, `[{"a":1,"a":2}]`, `[0,{"a":[{"b":1,"b`,
	`{"a/b~c":{"x.y":[1,{"":[tru`, `{"~1/0":[[],[{"k":x`, ` { "a" : [ 1 , true , false , null , "x" ] , "b" : { } } `,
	`{"type":"message","data":{"n":1,"f":1.5,"list":[{"a":null},["x"]],"b":false}}`,
}

func TestParseIsWhatJSONTextReads(t *testing.T) {
	for _, body := range awkward {
		compare(t, []byte(body), Limits{})
		compare(t, []byte(body), Limits{MaxDepth: 1, MaxValues: 3})
	}
	for end := range len(message) {
		compare(t, []byte(message[:end]), Limits{})
	}
}

func TestParseOfManyNamesIsWhatJSONTextReads(t *testing.T) {
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, `"n%03d":{"n":%d},`, i, i)
		if i%50 != 0 && (i < maxScannedNames-3 || i > maxScannedNames+3) {
			continue
		}
		for _, last := range []string{`"n":0`, `"n000":0`, `"\u006e000":0`, fmt.Sprintf(`"n%03d":0`, i), `"n":{"a":1,"a":2}`} {
			compare(t, []byte(`{"in":{`+b.String()+last+`},"n000":1}`), Limits{})
		}
	}
}

func TestParseOfDeepNestingIsWhatJSONTextReads(t *testing.T) {
	for _, depth := range []int{31, 32, 33, 9_999, 10_000, 10_001, 50_000} {
		for _, limit := range []int{0, 10_000, 100_000} {
			compare(t, []byte(strings.Repeat(`[0,`, depth)), Limits{MaxDepth: limit, MaxValues: 1 << 20})
			compare(t, []byte(strings.Repeat(`{"a":`, depth)+"0"+strings.Repeat("}", depth)), Limits{MaxDepth: limit})
		}
	}
}

func TestParseAllocatesForADocumentNotForItsValues(t *testing.T) {
	body := []byte(`{"a":[1,2,3,"x",{"b":"c"},null,true],"d":{"e":{"f":{"g":"h"}}},` + strings.Repeat(" ", 500) + `"i":"j"}`)
	got := testing.AllocsPerRun(100, func() {
		doc, err := Parse(body, Limits{})
		if err != nil || doc.Object("d").Object("e").String("nope") != "" || doc.String("i") != "j" {
			t.Errorf("Parse(%s) = %+v, %v", body, doc, err)
		}
	})
	if got > 3 {
		t.Errorf("Parse and reading made %v allocations, want 3: the text, the nodes, and what is shared", got)
	}
}

// What jsontext takes Parse takes, with the same values; what one refuses the other does,
// with the same error.
func FuzzParseIsWhatJSONTextReads(f *testing.F) {
	for _, body := range awkward {
		f.Add([]byte(body), 0, 0)
	}
	f.Add([]byte(`{"a":[[1]]}`), 2, 0)
	f.Add([]byte(`{"a":[1,2,3]}`), 0, 4)
	f.Fuzz(func(t *testing.T, body []byte, depth, values int) {
		compare(t, body, Limits{MaxDepth: depth, MaxValues: values})
	})
}

func BenchmarkParse(b *testing.B) {
	var many strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&many, `"name %d":%d,`, i, i)
	}
	for _, doc := range []struct{ name, body string }{
		{"message", message},
		{"long text", `{"text":"` + strings.Repeat("The courier is on the way. ", 2_000) + `"}`},
		{"Cyrillic", `{"text":"` + strings.Repeat("Курьер уже в пути. ", 2_000) + `"}`},
		{"many names", `{` + many.String() + `"":0}`},
	} {
		body := []byte(doc.body)
		b.Run(doc.name+"/ours", func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(body, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(doc.name+"/jsontext", func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := refParse(body, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
