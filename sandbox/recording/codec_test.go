package recording

import (
	"bytes"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// sample is a recording with something in every field.
func sample() *Recording {
	return &Recording{
		Format: Format, Digest: "sha256:" + strings.Repeat("0a", 32), Export: "receive",
		Input: Bytes(`{"delivery":{"id":"dlv_1"}}`), Config: map[string]string{"mode": "test"},
		Now: time.Date(2026, 3, 2, 10, 0, 0, 125e6, time.UTC), Seed: Seed{1, 2, 3},
		Limits: Limits{Fuel: 5e9, StackBytes: 16 << 20},
		Calls: []Call{
			{Function: "delivery_body", Answer: Bytes("text=a%20b\n")},
			{Function: "http_send", Arguments: Bytes(`{"url":"https://api.acme.test","headers":[{"name":"Authorization","value":"Bearer {{secret:token}}"}]}`),
				Answer: Bytes(`{"status":200}`)},
			{Function: "media_fetch", Arguments: Bytes("\x00\xff"), Failure: &Failure{Kind: KindHost, Message: "the disk is full"}},
		},
		Logs: []Log{{Level: slog.LevelWarn, Source: "stderr", Text: "careful"}},
		Outcome: Outcome{Failure: &Failure{
			Kind: KindTrap, Message: "receive trapped: unreachable", Code: 2, Limit: "fuel", Function: "kv_get", Stack: "main.main()", Stderr: "panic",
		}},
		Fuel: 123_456, MemoryBytes: 4 << 20, TookMicros: 700, Incomplete: "no",
	}
}

func mustEncode(t testing.TB, r *Recording) []byte {
	t.Helper()
	data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestTheFormIsStable holds the written form: recordings that people keep must be read by
// later versions, so a change here calls for another Format.
func TestTheFormIsStable(t *testing.T) {
	file := filepath.Join("testdata", "recording.json")
	if *update {
		if err := os.WriteFile(file, mustEncode(t, sample()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := mustEncode(t, sample()); !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant, from %s,\n%s", got, file, want)
	}
	if got, err := Decode(want); err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("read back as\n%+v, %v\nwant\n%+v", got, err, sample())
	}
}

// TestTheSampleHasEveryField holds that the sample lacks no field, so that the test above
// misses none.
func TestTheSampleHasEveryField(t *testing.T) {
	for _, v := range []any{*sample(), sample().Calls[1], *sample().Outcome.Failure, sample().Limits, sample().Logs[0]} {
		for i := range reflect.TypeOf(v).NumField() {
			if f := reflect.TypeOf(v).Field(i); reflect.ValueOf(v).Field(i).IsZero() && f.Name != "Failure" {
				t.Errorf("%T.%s is zero in the sample", v, f.Name)
			}
		}
	}
}

func TestDecodeTellsWhatIsWrong(t *testing.T) {
	good := string(mustEncode(t, sample()))
	for _, tt := range []struct{ name, data, want string }{
		{"no JSON", "PNG", "invalid character"},
		{"another document", `{"name":"x"}`, `it has no member "format"`},
		{"a later format", strings.Replace(good, `"format": 1`, `"format": 2, "novelty": 1`, 1), "it is of format 2, and this program reads 1"},
		{"no export", strings.Replace(good, `"export": "receive"`, `"export": ""`, 1), "does not name the export"},
		{"an unknown member", strings.Replace(good, `"export"`, `"exprot"`, 1), "exprot"},
		{"a member twice", strings.Replace(good, `"export"`, `"digest"`, 1), "duplicate"},
		{"an unknown form of bytes", strings.Replace(good, `"base64": "AP8="`, `"hex": "00ff"`, 1), `"hex" is no form of bytes`},
		{"a damaged form of bytes", strings.Replace(good, `"base64": "AP8="`, `"base64": "AP8"`, 1), "illegal base64"},
		{"bytes as a number", strings.Replace(good, `{
        "base64": "AP8="
      }`, "17", 1), "neither null, nor a string"},
		{"a short seed", strings.Replace(good, `"seed": "0102`, `"seed": "`, 1), "a seed is 64 hexadecimal digits"},
		{"something after it", good + "{}", "after top-level value"},
		{"too many host calls", strings.Replace(good, `"calls": [`, `"calls": [`+strings.Repeat(`{"function":"kv_get","arguments":null},`, MaxCalls), 1), "at most 10000"},
		{"too many bytes", strings.Repeat(" ", MaxBytes+1), "at most 67108864 are allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Decode([]byte(tt.data))
			if err == nil || r != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v, %v; want an error with %q", r, err, tt.want)
			}
		})
	}
	if _, err := Decode([]byte(`{"format":2}`)); !errors.Is(err, ErrFormat) {
		t.Errorf("got %v, want ErrFormat", err)
	}
}

func TestEncodeRefusesWhatCannotBeReadBack(t *testing.T) {
	for name, change := range map[string]func(*Recording){
		"another format":          func(r *Recording) { r.Format = 0 },
		"no export":               func(r *Recording) { r.Export = "" },
		"a year without a name":   func(r *Recording) { r.Now = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"a name that is no text":  func(r *Recording) { r.Export = "\xff" },
		"more calls than allowed": func(r *Recording) { r.Calls = make([]Call, MaxCalls+1) },
		"more logs than allowed":  func(r *Recording) { r.Logs = make([]Log, MaxLogs+1) },
	} {
		r := sample()
		change(r)
		if data, err := r.Encode(); err == nil {
			t.Errorf("%s: encoded as %.200s", name, data)
		}
	}
}

// documents are JSON in many spellings, of which some come back only as text.
func documents() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		leaf := rapid.SampledFrom([]string{"0", "-0", "1e999", "10000000000000000000001", `"\u0041"`, `"a/\/<&>"`, `"\ud83d\ude00"`, `"\ud800"`, "\"\u2028\"", "null", "true", " 1", `""`})
		text := leaf.Draw(t, "leaf")
		for range rapid.IntRange(0, 120).Draw(t, "depth") {
			text = rapid.SampledFrom([]string{"[" + text + "]", `{"a":` + text + "}", `{"a":1,"a":` + text + "}", "[" + text + ", 2]"}).Draw(t, "around")
			if len(text) > 500 {
				break
			}
		}
		return []byte(text)
	})
}

// TestBytesComeBackExactly holds that whatever bytes a recording holds, they come back.
func TestBytesComeBackExactly(t *testing.T) {
	anything := rapid.OneOf(rapid.SliceOf(rapid.Byte()), documents(),
		rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) }),
		rapid.Just([]byte(nil)), rapid.Just([]byte{}), rapid.Just([]byte(strings.Repeat("[", 200)+strings.Repeat("]", 200))))
	rapid.Check(t, func(t *rapid.T) {
		r := sample()
		r.Input, r.Calls[0].Arguments, r.Calls[0].Answer = anything.Draw(t, "input"), anything.Draw(t, "arguments"), anything.Draw(t, "answer")
		r.Outcome.Output = anything.Draw(t, "output")
		data, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Decode(data); err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("%+v\ncame back as\n%+v, %v\nby\n%s", r, got, err, data)
		}
	})
}

func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestBytesAreReadable(t *testing.T) {
	for _, tt := range []struct{ name, bytes, want string }{
		{"a document", `{"a":"<b>","n":1.0}`, `{"json":{"a":"<b>","n":1.0}}`},
		{"a document with white space", `{"a": 1}`, `"{\"a\": 1}"`},
		{"text", "naïve", `"naïve"`},
		{"a scalar", "17", `"17"`},
		{"bytes", "\xff\x00", `{"base64":"/wA="}`},
		{"control characters", "\x00\x01\x02\x03", `{"base64":"AAECAw=="}`},
		{"nothing", "", `""`},
		{"a spelling", `{"a":"\u0041\/","n":[1E5,-0]}`, `{"json":{"a":"\u0041\/","n":[1E5,-0]}}`},
		{"a name twice", `{"a":1,"a":2}`, `"{\"a\":1,\"a\":2}"`},
		{"half a character", `{"a":"\ud800"}`, `"{\"a\":\"\\ud800\"}"`},
		{"a deep document", deep(maxInlineDepth), `{"json":` + deep(maxInlineDepth) + `}`},
		{"a deeper document", deep(maxInlineDepth + 1), `"` + deep(maxInlineDepth+1) + `"`},
	} {
		if got, err := encode(Bytes(tt.bytes)); err != nil || string(got) != tt.want {
			t.Errorf("%s: got %s, %v; want %s", tt.name, got, err, tt.want)
		}
	}
}

func TestALongRecordingStaysBelowTheBound(t *testing.T) {
	nested := strings.Repeat("[", 90) + strings.Repeat("1,", 4<<20) + "1" + strings.Repeat("]", 90)
	quotes := strings.Repeat(`"`, 12<<20)
	r := NewRecorder(Recording{Export: "run", Input: []byte(nested)}).End(Outcome{Output: []byte(quotes)}, 0, 0, 0)
	if r.Incomplete != "" {
		t.Fatalf("the recording is incomplete: %s", r.Incomplete)
	}
	if data, err := r.Encode(); err != nil {
		t.Errorf("what a recorder keeps cannot be written: %v", err)
	} else if got, err := Decode(data); err != nil || !bytes.Equal(got.Input, r.Input) || !bytes.Equal(got.Outcome.Output, r.Outcome.Output) {
		t.Errorf("it came back otherwise: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(mustEncode(f, sample()))
	f.Add(mustEncode(f, &Recording{Format: Format, Export: "run"}))
	f.Add([]byte(`{"format":1,"export":"run","input":{"json":[1, 2]},"outcome":{"output":{"base64":""}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			return
		}
		again, err := Decode(mustEncode(t, r))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%+v was read, and came back as %+v, %v", r, again, err)
		}
	})
}

func TestACorpusComesBack(t *testing.T) {
	want := Corpus{{"one", sample()}, {"two", sample()}}
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeCorpus(data); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("came back as %+v, %v", got, err)
	}
}

func TestACorpusIsBounded(t *testing.T) {
	large, foreign := sample(), sample()
	large.Input, foreign.Format = make([]byte, MaxCorpusBytes), 2
	for _, tt := range []struct {
		name   string
		corpus Corpus
		want   string
	}{
		{"too many recordings", make(Corpus, MaxCorpusRecordings+1), "at most 64"},
		{"two of a name", Corpus{{"one", sample()}, {"one", sample()}}, "or of two"},
		{"a name alone", Corpus{{"one", nil}}, "has no recording"},
		{"another format within", Corpus{{"one", foreign}}, "format 2"},
		{"too large", Corpus{{"one", large}}, "at most 1048576"},
	} {
		if _, err := tt.corpus.Encode(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Encode answers %v, want %q", tt.name, err, tt.want)
		}
	}
	for _, data := range []string{`{"format":1,"recordings":[{"name":"one","recording":null}]}`, `{"format":1,"recordings":[],"more":1}`, `{"recordings":[]}`,
		strings.Repeat(" ", MaxCorpusBytes+1)} {
		if c, err := DecodeCorpus([]byte(data)); err == nil {
			t.Errorf("%.60s was read as %+v", data, c)
		}
	}
}

func FuzzDecodeCorpus(f *testing.F) {
	data, err := Corpus{{"one", sample()}}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := DecodeCorpus(data)
		if err != nil {
			return
		}
		data, err = c.Encode()
		if err != nil {
			return // white space was all that kept it below the bound, or the other way round
		}
		if again, err := DecodeCorpus(data); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%+v was read, and came back as %+v, %v", c, again, err)
		}
	})
}
