package recording

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestCompareFindsTheFirstDivergence(t *testing.T) {
	calls := []Call{{Function: "kv_get", Arguments: Bytes(`{"key":"a"}`), Answer: Bytes(`{"found":true}`)}, {Function: "clock"}}
	for _, tt := range []struct {
		name   string
		change func(*Recording)
		want   string
	}{
		{"nothing", func(*Recording) {}, "<nil>"},
		{"what does not count", func(r *Recording) { r.TookMicros, r.MemoryBytes, r.Logs = 1, 2, []Log{{Text: "x"}} }, "<nil>"},
		{"fuel", func(r *Recording) { r.Fuel = 11 }, "it used another amount of fuel: recorded are 10, now it is 11"},
		{"fuel of another file", func(r *Recording) { r.Fuel, r.Digest = 11, "sha256:bb" }, "<nil>"},
		{"another function", func(r *Recording) { r.Calls[0].Function = "kv_list" },
			`host call 1: recorded is kv_get({"key":"a"}), called was kv_list({"key":"a"})`},
		{"other arguments", func(r *Recording) { r.Calls[0].Arguments = Bytes(`{"key":"b"}`) },
			"host call 1: kv_get was called with other arguments\n  /key: recorded is \"a\", now it is \"b\""},
		{"the same arguments otherwise written", func(r *Recording) { r.Calls[0].Arguments = Bytes(`{ "key":"a"}`) },
			`host call 1: kv_get was called with other arguments: recorded is {"key":"a"}, now it is { "key":"a"}`},
		{"another answer", func(r *Recording) { r.Calls[0].Answer = Bytes(`{"found":false}`) },
			"host call 1: kv_get answered something else\n  /found: recorded is true, now it is false"},
		{"a failure for an answer", func(r *Recording) { r.Calls[1].Failure = &Failure{Kind: KindHost, Message: "no"} },
			`host call 2: clock answered something else: recorded is the output nothing, now it is the failure "no" (host)`},
		{"a call less", func(r *Recording) { r.Calls = r.Calls[:1] }, "host call 2: recorded is clock(nothing), and it was not called"},
		{"a call more", func(r *Recording) { r.Calls = append(r.Calls, Call{Function: "x"}) },
			"host call 3: nothing more is recorded, and it called x(nothing)"},
		{"another output", func(r *Recording) { r.Outcome.Output = Bytes("bye") }, "the output is another: recorded is hello, now it is bye"},
		{"a failure", func(r *Recording) { r.Outcome = Outcome{Failure: &Failure{Kind: KindTrap, Message: "run trapped"}} },
			`it ended in another way: recorded is the output hello; now it is the failure "run trapped" (trap)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			recording := func() *Recording {
				return &Recording{Digest: "sha256:aa", Calls: append([]Call{}, calls...), Outcome: Outcome{Output: Bytes("hello")}, Fuel: 10}
			}
			want, got := recording(), recording()
			tt.change(got)
			if d := fmt.Sprint(Compare(want, got)); d != tt.want {
				t.Errorf("got  %s\nwant %s", d, tt.want)
			}
		})
	}
}

func TestFailuresAreTheSameByWhatTheyState(t *testing.T) {
	failure := Failure{Kind: KindTrap, Message: "unreachable", Stack: "f()", Stderr: "x"}
	for _, tt := range []struct {
		name   string
		change func(*Failure)
		same   bool
	}{
		{"all", func(*Failure) {}, true},
		{"another stack", func(f *Failure) { f.Stack, f.Stderr = "g()", "" }, true},
		{"another message", func(f *Failure) { f.Message = "x" }, false},
		{"another kind", func(f *Failure) { f.Kind = KindLimit }, false},
		{"another code", func(f *Failure) { f.Code = 1 }, false},
		{"another limit", func(f *Failure) { f.Limit = "fuel" }, false},
		{"another function", func(f *Failure) { f.Function = "kv_get" }, false},
	} {
		want, got := failure, failure
		tt.change(&got)
		if d := Compare(&Recording{Outcome: Outcome{Failure: &want}}, &Recording{Outcome: Outcome{Failure: &got}}); (d == nil) != tt.same {
			t.Errorf("%s: got %v, want the same: %t", tt.name, d, tt.same)
		}
	}
}

func TestDifferencesArePlaces(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, tt := range []struct{ name, want, got, lines string }{
		{"equal", `{"a":1}`, `{"a":1}`, ""},
		{"written otherwise", `{"a":1,"b":2}`, `{"b":2, "a":1}`, ""},
		{"a member", `{"a":{"b/c":[1,2]}}`, `{"a":{"b/c":[1,3]}}`, "/a/b~1c/1: recorded is 2, now it is 3"},
		{"missing and new", `{"a":null}`, `{"b":""}`, "/a: recorded is null, now it is nothing\n" + `/b: recorded is nothing, now it is ""`},
		{"another type", `{"a":[]}`, `{"a":{}}`, "/a: recorded is [], now it is {}"},
		{"a scalar for an object", `{"a":{"b":1}}`, `{"a":7}`, `/a: recorded is {"b":1}, now it is 7`},
		{"an object for a scalar", `{"a":7}`, `{"a":{"b":1}}`, `/a: recorded is 7, now it is {"b":1}`},
		{"a spelling of a number", `[1.0]`, `[1]`, "/0: recorded is 1.0, now it is 1"},
		{"a longer list", `[1]`, `[1,2]`, "/1: recorded is nothing, now it is 2"},
		{"scalars", `1`, `2`, ""},
		{"an object and a list", `{}`, `[]`, ""},
		{"the middle of a long text", `["` + long + "a" + long + `"]`, `["` + long + "b" + long + `"]`,
			"/0: recorded is …" + strings.Repeat("x", before) + "a" + strings.Repeat("x", maxExcerpt-before-1) + "…, now it is …" +
				strings.Repeat("x", before) + "b" + strings.Repeat("x", maxExcerpt-before-1) + "…"},
		{"no document", `{`, `{}`, ""},
		{"two documents", `{}{}`, `{}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines []string
			for _, d := range diff([]byte(tt.want), []byte(tt.got)) {
				lines = append(lines, d.String())
			}
			if got := strings.Join(lines, "\n"); got != tt.lines {
				t.Errorf("got\n%s\nwant\n%s", got, tt.lines)
			}
		})
	}
	many := "[" + strings.Repeat("1,", 99) + "1]"
	if n := len(diff([]byte(many), []byte(strings.ReplaceAll(many, "1", "2")))); n != MaxDifferences {
		t.Errorf("%d differences are told, want %d", n, MaxDifferences)
	}
}

// FuzzDiff holds that documents that differ as values have a difference, and that nothing
// that is shown is unreadable or endless.
func FuzzDiff(f *testing.F) {
	f.Add([]byte(`{"a":[1,"x",null]}`), []byte(`{"a":[1,"y"]}`))
	f.Add([]byte("\xff"), []byte("\x00"))
	f.Fuzz(func(t *testing.T, want, got []byte) {
		d := Divergence{What: DifferentOutput}
		d.describe(want, got)
		if len(d.String()) > (MaxDifferences+1)*(2*8*maxExcerpt+2*len(want)+200) {
			t.Errorf("%d and %d bytes came to %d", len(want), len(got), len(d.String()))
		}
		a, oka := parse(want)
		b, okb := parse(got)
		if oka && okb && isComposite(a) && reflect.TypeOf(a) == reflect.TypeOf(b) && (written(a) == written(b)) != (len(d.Differences) == 0) {
			t.Errorf("%s and %s differ in %v", want, got, d.Differences)
		}
	})
}
