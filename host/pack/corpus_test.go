package pack

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// recorded is a recording of an export of the greeter; what it did does not matter here.
func recorded(export string) *recording.Recording {
	return &recording.Recording{Format: recording.Format, Export: export, Input: []byte(`{"a":"<b>"}`), Outcome: recording.Outcome{Output: []byte("{}")}}
}

// withCorpus puts files into the folder's corpus.
func withCorpus(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	folder := filepath.Join(dir, CorpusDir)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func encoded(t *testing.T, r *recording.Recording) []byte {
	t.Helper()
	return must(t)(r.Encode())
}

func TestBuildPutsTheCorpusIn(t *testing.T) {
	dir, module := folder(t, greeterYAML(t), built(t))
	withCorpus(t, dir, map[string][]byte{
		"b-knock.json": encoded(t, recorded("receive")), "a-greet.json": encoded(t, recorded("send_message")), "README.md": []byte("no recording"),
	})
	output := filepath.Join(dir, "out.wasm")
	report, err := Build(t.Context(), Options{Dir: dir, Wasm: module, Output: output})
	if err != nil {
		t.Fatal(err)
	}
	wasm, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Open(wasm)
	if err != nil {
		t.Fatal(err)
	}
	want := recording.Corpus{{Name: "a-greet", Recording: recorded("send_message")}, {Name: "b-knock", Recording: recorded("receive")}}
	if !reflect.DeepEqual(p.Corpus, want) || report.Recordings != 2 {
		t.Errorf("the file holds %+v, reported are %d", p.Corpus, report.Recordings)
	}

	again := filepath.Join(dir, "again.wasm")
	if _, err := Build(t.Context(), Options{Dir: dir, Wasm: output, Output: again}); err != nil {
		t.Fatal(err)
	}
	if got := must(t)(os.ReadFile(again)); !bytes.Equal(got, wasm) {
		t.Error("packing the file again gave another")
	}
	if err := os.RemoveAll(filepath.Join(dir, "testdata")); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), Options{Dir: dir, Wasm: output, Output: again}); err != nil {
		t.Fatal(err)
	}
	if got := must(t)(os.ReadFile(again)); !bytes.Equal(got, built(t)) {
		t.Error("a corpus that is gone from the folder is still in the file")
	}
}

func TestBuildTellsWhichRecordingIsWrong(t *testing.T) {
	large := recorded("receive")
	large.Input = make([]byte, recording.MaxCorpusBytes)
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"no recording":            {[]byte("{}"), "testdata/corpus/one.json: read recording: not a recording"},
		"one of no ability":       {encoded(t, recorded("authorize_url")), `section patchbay.corpus is "one": it is a recording of "authorize_url"`},
		"one of another function": {encoded(t, recorded("_initialize")), `no ability of the plugin`},
		"one too large":           {encoded(t, large), "at most 1048576 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, module := folder(t, greeterYAML(t), built(t))
			withCorpus(t, dir, map[string][]byte{"one.json": tt.data})
			_, err := Build(t.Context(), Options{Dir: dir, Wasm: module, Output: filepath.Join(dir, "out.wasm")})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOpenBoundsTheCorpus(t *testing.T) {
	corpus := must(t)(recording.Corpus{{Name: "one", Recording: recorded("receive")}}.Encode())
	add := func(section []byte) []byte { return must(t)(binary.AppendCustom(built(t), recording.Section, section)) }
	for name, tt := range map[string]struct {
		wasm []byte
		want string
	}{
		"two corpora":       {must(t)(binary.AppendCustom(add(corpus), recording.Section, corpus)), "the file has 2 of them"},
		"no corpus":         {add([]byte("x")), "read corpus"},
		"a corpus too long": {add(bytes.Repeat([]byte(" "), recording.MaxCorpusBytes+1)), "at most 1048576 are allowed"},
	} {
		p, err := Open(tt.wasm)
		if err == nil || p != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Open answers %+v, %v; want %q", name, p, err, tt.want)
		}
	}
	if p, err := Open(add(corpus)); err != nil || len(p.Corpus) != 1 {
		t.Errorf("a good corpus came to %+v, %v", p, err)
	}
}
