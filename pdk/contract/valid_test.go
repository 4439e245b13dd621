package contract

import (
	"strings"
	"testing"
)

// FuzzCertainlyValid holds that the validator takes nothing that the tokenizer refuses.
func FuzzCertainlyValid(f *testing.F) {
	for _, doc := range validSeeds {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		if certainlyValid(doc) {
			if err := verify([]byte(doc)); err != nil {
				t.Errorf("%q is taken, and the tokenizer says %v", doc, err)
			}
		}
	})
}

var validSeeds = []string{
	`{}`, ` { } `, `{"a":1}`, `{"a":1,}`, `{"a":1,"a":2}`, `{"a":{"a":1},"b":{"a":1}}`, `{"a":[1,2,[]],"b":[]}`, `{"a":[1,]}`, `{,}`,
	`{"a":-0.5e+10,"b":0,"c":10}`, `{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":1e}`, `{"a":.5}`, `{"a":+1}`, `{"a":truex}`, `{"a":true}`, `{"a":nul}`,
	`{"a":"\n\"\\"}`, `{"a":"\u0041"}`, `{"a":"\x"}`, `{"a":"` + "\x01" + `"}`, `{"a":"Привет, мир"}`, `{"a":"` + "\xff\xfe" + `"}`, `{"a":"` + "\xd0" + `"}`,
	`{"a":"abcdefgh` + "\x00" + `"}`, `{"a\n":1}`, `{"a":1}x`, `{"a":1} `, `[]`, `1`, ``, `{"a" :1 , "b":	2}`, `{"a":"unended`, `{"a":"unended\`,
	strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64), strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65),
}

// TestWhatWeWriteIsCertainlyValid holds that the fast way is the one that is taken.
func TestWhatWeWriteIsCertainlyValid(t *testing.T) {
	for _, v := range []Appendable{
		&ReceiveInput{Delivery: Delivery{ID: "dlv_1", Method: "POST", Headers: []Header{{Name: "Content-Type", Value: `text; charset="utf-8"`}}},
			Connection: Connection{ID: "con_1", Settings: map[string]string{"company_url": "https://acme.test", "title": "Привет"}}},
		&HTTPResult{Status: 200, Body: `{"a":"b\nc"}`},
		&KVListResult{Entries: []KVEntry{{Key: "a", Value: "1", Version: 7}, {Key: "b"}}, More: true},
	} {
		if doc := string(Marshal(v)); !certainlyValid(doc) {
			t.Errorf("%s takes the slow way", doc)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	doc := Marshal(&ReceiveInput{Delivery: Delivery{ID: "dlv_1", Method: "POST", Headers: []Header{{Name: "Content-Type", Value: "application/json"}, {Name: "User-Agent", Value: "platform/1.0"}}},
		Connection: Connection{ID: "con_1", Workspace: "wsp_1", Settings: map[string]string{"company_url": "https://acme.test"}}})
	b.Run("validator", func(b *testing.B) {
		for b.Loop() {
			if !certainlyValid(string(doc)) {
				b.Fatal(string(doc))
			}
		}
	})
	b.Run("tokenizer", func(b *testing.B) {
		for b.Loop() {
			if err := verify(doc); err != nil {
				b.Fatal(err)
			}
		}
	})
}
