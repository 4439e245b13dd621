package hostile

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
	w "github.com/seed75a60ee1/patchbay/tests/hostile/asm"
)

// parrot answers what it is given, byte by byte.
func parrot() []byte {
	m := &w.Module{}
	offset, length := m.Import("extism:host/env", "input_offset", ":I"), m.Import("extism:host/env", "input_length", ":I")
	set := m.Import("extism:host/env", "output_set", "II:")
	m.Func("run", ":", "", w.Call(offset), w.Call(length), w.Call(set))
	return m.Bytes()
}

// output is what a host reads an export's output into.
type output interface {
	contract.Decodable
	Validate() error
}

func outputs() map[string]output {
	return map[string]output{"receive": &contract.ReceiveOutput{}, "route": &contract.RouteOutput{}, "a command": &contract.CommandOutput{}}
}

const valid = `{"response":{"status":200,"headers":[{"name":"A","value":"b"}],"body":"\u00e9\ud83d\ude00"},"dedupe_key":"k","commands":[{"payload":"x"}],` +
	`"events":[{"kind":"message.created","conversation":{"id":"c"},"message":{"conversation":{"id":"c"},"author":{"role":"customer","contact":{"id":"u"}},"parts":[{"kind":"text","text":{"plain":"t"}}]}}]}`

// garbage are outputs that are no document of the contract's, or one that is dear to read.
func garbage() map[string]string {
	all := map[string]string{
		"nothing": "", "null": "null", "a text": `"x"`, "an array": "[]", "not a number": `{"response":{"status":NaN}}`,
		"a number too large": `{"response":{"status":` + strings.Repeat("9", 1<<20) + `}}`,
		"a small number":     `{"response":{"status":1e-` + strings.Repeat("9", 1000) + `}}`,
		"a real number":      `{"response":{"status":200.5}}`, "half a rune": `{"response":{"body":"\ud800"}}`, "no text": "{\"response\":{\"body\":\"\xff\xfe\"}}",
		"a control character": "{\"response\":{\"body\":\"\x00\"}}", "the same twice": `{"response":{"status":200},"response":{"status":500}}`,
		"a byte order mark": "\ufeff" + valid, "two documents": valid + valid, "another type": `{"response":[200]}`, "zeros": strings.Repeat("\x00", 1<<20),
		"arrays in one another":  `{"events":` + strings.Repeat("[", 2_000_000) + strings.Repeat("]", 2_000_000) + "}",
		"objects in one another": strings.Repeat(`{"x":`, 600_000) + "1" + strings.Repeat("}", 600_000),
		"open for ever":          strings.Repeat(`{"response":`, 300_000), "white space": strings.Repeat(" \n", 2_000_000) + valid[:20],
		"a million events":       `{"response":{"status":200},"events":[` + strings.Repeat(`{},`, 1_000_000) + `{}]}`,
		"a million headers":      `{"response":{"status":200,"headers":[` + strings.Repeat(`{},`, 1_000_000) + `{}]}}`,
		"escapes without end":    `{"response":{"status":200,"body":"` + strings.Repeat(`\u0041`, 650_000) + `"}}`,
		"kinds that are unknown": `{"response":{"status":200},"events":[` + strings.Repeat(`{"kind":"`+strings.Repeat("k", 1000)+`"},`, 3000) + `{}]}`,
	}
	var names strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&names, `"unknown %d":0,`, i)
	}
	all["names that are unknown"] = "{" + names.String() + `"x":0}`
	return all
}

func TestGarbageIsRefusedAtAPriceThatIsBounded(t *testing.T) {
	e := newEngine(t, sandbox.EngineOptions{})
	n := moveIn(t, e)
	p := load(t, e, parrot(), sandbox.LoadOptions{})
	accepted := map[string]string{}
	take := func(name, document string) {
		result, err := p.Call(context.Background(), sandbox.Invocation{Export: "run", Input: []byte(document)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for export, out := range outputs() {
			err := contract.Unmarshal(result.Output, out)
			if err == nil {
				err = out.Validate()
			}
			if err == nil {
				accepted[name+" of "+export] = document
			} else if len(err.Error()) > 64<<10 {
				t.Errorf("%s of %s: the error has %d bytes: %.200s", name, export, len(err.Error()), err)
			}
		}
	}
	for name, document := range garbage() {
		cost := measure(t, func() { take(name, document) })
		if cost.took > patience*time.Second || cost.peak > 300*mib*slowdown {
			t.Errorf("%s: %v", name, cost)
		}
		if cost.took > 100*time.Millisecond || cost.peak > 64*mib {
			t.Logf("%-24s %v", name, cost)
		}
	}
	for at := range valid {
		take(fmt.Sprint("the first ", at, " bytes"), valid[:at])
	}
	// Unknown names are ignored, as is a field that an export's output does not have.
	for name := range accepted {
		if strings.HasPrefix(name, "the first") || !strings.HasSuffix(name, "a command") && !strings.HasSuffix(name, "route") && !strings.HasPrefix(name, "escapes") {
			t.Errorf("%s was accepted", name)
		}
	}
	n.unmoved("garbage")
}
