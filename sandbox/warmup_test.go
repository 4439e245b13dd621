package sandbox

import (
	"slices"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// TestAPluginIsWarmedUpByWhatItCarries gives it a recording that fails, one that takes
// long, and one that is as it should be.
func TestAPluginIsWarmedUpByWhatItCarries(t *testing.T) {
	p := loadProbe(t)
	good := mustRecord(t, p, invocationOf("call_host", "\x02x"))
	bad := mustRecord(t, p, invocationOf("fail", "on purpose"))
	long := mustRecord(t, p, invocationOf("echo", "x"))
	long.Fuel = warmUpFuel + 1
	section, err := recording.Corpus{{Name: "bad", Recording: bad}, {Name: "good", Recording: good}, {Name: "long", Recording: long}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	wasm, err := binary.AppendCustom(buildPlugin(t, "testdata/probe"), recording.Section, section)
	if err != nil {
		t.Fatal(err)
	}
	warm := load(t, wasm, LoadOptions{HostFunctions: []string{"probe"}, WarmUp: OwnRecordings})
	if got, want := warm.Image(), []string{warmUpExport, "call_host", "call_host"}; !got.Frozen || got.Why != "" || !slices.Equal(got.WarmUp, want) {
		t.Errorf("the image is %+v, want it warmed up by %v", got, want)
	}
	again, _, err := warm.Record(t.Context(), invocationOf("call_host", "\x02x"))
	if err != nil || again.Fuel >= good.Fuel {
		t.Errorf("warmed up it used %d units, and before %d: %v", again.Fuel, good.Fuel, err)
	}
}
