package registry_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// withRecording is a plugin with a recording of its export, which gives an empty output.
func withRecording(t *testing.T, version string, change func(*recording.Recording)) []byte {
	t.Helper()
	r := &recording.Recording{Format: recording.Format, Digest: "sha256:another build", Export: "receive"}
	change(r)
	section, err := recording.Corpus{{Name: "a delivery", Recording: r}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	wasm, err := binary.AppendCustom(plugin(t, "acme", version), recording.Section, section)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// TestAPluginIsHeldToItsOwnRecordings drops in one that does what its recordings say and
// one that does not.
func TestAPluginIsHeldToItsOwnRecordings(t *testing.T) {
	w := newWorld(t)
	w.compare = func(ctx context.Context, wasm []byte, corpus recording.Corpus) error {
		if end, limited := ctx.Deadline(); !limited || time.Until(end) > 15*time.Minute {
			t.Errorf("the comparison may take until %v", end)
		}
		engine, err := sandbox.NewEngine(sandbox.EngineOptions{})
		if err != nil {
			return err
		}
		err = engine.CompareEngines(ctx, wasm, sandbox.LoadOptions{}, corpus)
		return errors.Join(err, engine.Close(context.WithoutCancel(ctx)))
	}
	w.drop("good.wasm", withRecording(t, "1.0.0", func(*recording.Recording) {}))
	w.drop("bad.wasm", withRecording(t, "1.1.0", func(r *recording.Recording) { r.Outcome.Output = []byte("hello") }))
	w.drop("none.wasm", plugin(t, "acme", "1.2.0"))
	w.open()
	if got := w.versions(); !strings.Contains(got, "1.0.0 submitted") || strings.Contains(got, "1.1.0") || !strings.Contains(got, "1.2.0 submitted") {
		t.Errorf("versions: %s", got)
	}
	refusals, err := w.store.Refusals(t.Context())
	const want = "corpus: a delivery: it does not do what was recorded: the output is another: recorded is hello, now it is nothing"
	if err != nil || len(refusals) != 1 || refusals[0].File != "bad.wasm" || refusals[0].Reason != want {
		t.Errorf("refused %+v, %v; want bad.wasm because\n%s", refusals, err, want)
	}
}
