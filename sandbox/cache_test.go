package sandbox

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// TestWhatIsKeptOfALoadIsOnlyAHint has a plugin loaded again from what is kept of it,
// and from what is left of that after damage of every kind.
func TestWhatIsKeptOfALoadIsOnlyAHint(t *testing.T) {
	dir := t.TempDir()
	loadAgain := func() {
		t.Helper()
		e, err := NewEngine(EngineOptions{CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		p := mustLoad(t, e, leaky(), LoadOptions{})
		output(t, p, Invocation{Export: "write", Input: []byte("8 bytes!")})
		output(t, p, Invocation{Export: "read"})
		if err := e.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	loadAgain()
	kept, err := filepath.Glob(filepath.Join(dir, "metered-*", "*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%d files are kept: %v", len(kept), err)
	}
	whole, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"nothing":                  whole,
		"the end is missing":       whole[:len(whole)-5],
		"a bit of the code":        append(append([]byte(nil), whole[:len(whole)-9]...), append([]byte{whole[len(whole)-9] ^ 1}, whole[len(whole)-8:]...)...),
		"all of it":                nil,
		"it is not even the right": []byte("{}\n\x00asm\x01\x00\x00\x00"),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(kept[0], damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := readRewritten(kept[0]) != nil; got != (name == "nothing") {
				t.Errorf("it is taken for whole: %v", got)
			}
			loadAgain()
		})
	}
}
