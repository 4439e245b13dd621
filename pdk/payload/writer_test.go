package payload_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

func TestWriterWritesEachKindOfMember(t *testing.T) {
	got := payload.New().Text("a", `"x"`+"\n").Number("b", -7).Flag("c", true).Raw("d", `[1,{}]`).Text("", "é").End()
	if want := `{"a":"\"x\"\n","b":-7,"c":true,"d":[1,{}],"":"é"}`; got != want {
		t.Errorf("wrote %s, want %s", got, want)
	}
	if got := payload.New().End(); got != "{}" {
		t.Errorf("nothing is %s, want {}", got)
	}
}

func TestLenCountsWhatWasWritten(t *testing.T) {
	w := payload.New().Text("a", "b")
	if want := len(`{"a":"b"`); w.Len() != want {
		t.Errorf("Len = %d, want %d", w.Len(), want)
	}
}

func TestWordsBringNoPlaceholderAlong(t *testing.T) {
	const secret = "{{secret:token}}"
	if got := payload.New().Words("a", secret).End(); strings.Contains(got, secret) {
		t.Errorf("Words wrote %s", got)
	}
	if got := payload.New().Text("a", secret).End(); !strings.Contains(got, secret) {
		t.Errorf("Text wrote %s without the placeholder", got)
	}
}

// FuzzWriter claims that what is written reads back the same, by another reader, and that
// what is no UTF-8 is replaced.
func FuzzWriter(f *testing.F) {
	f.Add("name", "text\x00\u2028\"\\")
	f.Add("\xff", "\xed\xa0\x80")
	f.Fuzz(func(t *testing.T, name, text string) {
		wrote := payload.New().Text(name, text).Number("n"+name, 3).End()
		var back map[string]any
		if err := json.Unmarshal([]byte(wrote), &back); err != nil {
			t.Fatalf("%q, %q was written as %s: %v", name, text, wrote, err)
		}
		name, text = string([]rune(name)), string([]rune(text))
		if back[name] != text || back["n"+name] != 3.0 {
			t.Errorf("%q, %q was written as %s", name, text, wrote)
		}
	})
}
