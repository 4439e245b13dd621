package sandbox

import (
	"slices"
	"strings"
	"testing"
)

func TestInspectSaysWhatAGoPluginIs(t *testing.T) {
	wasm := buildPlugin(t, "testdata/probe")
	s, err := Inspect(wasm)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.HostFunctions(); !slices.Equal(got, []string{"probe"}) {
		t.Errorf("host functions are %q, want the one it calls, without the bulk functions", got)
	}
	if !s.HasExport("echo") || s.HasExport("memory") || s.HasExport("receive") {
		t.Errorf("it has echo: %v, memory as a function: %v, receive: %v", s.HasExport("echo"), s.HasExport("memory"), s.HasExport("receive"))
	}
	if i := slices.Index(s.Imports, Import{"extism:host/user", "block_read", "function", "(i64, i64, i32, i32) -> i64"}); i < 0 {
		t.Errorf("block_read is not among %v", s.Imports)
	}
	if !strings.Contains(s.Toolchain, "go1.") || !strings.HasPrefix(s.Digest, "sha256:") || s.SizeBytes != int64(len(wasm)) {
		t.Errorf("toolchain %q, digest %s, %d bytes", s.Toolchain, s.Digest, s.SizeBytes)
	}
	if s.Memory == nil || len(s.Tables) != 1 || s.Tables[0].Min == 0 || s.Functions < 1000 || s.Globals == 0 {
		t.Errorf("memory %v, tables %v, %d functions, %d globals", s.Memory, s.Tables, s.Functions, s.Globals)
	}
	if s.CodeBytes < 1<<20 || s.DataBytes == 0 || s.CodeBytes+s.DataBytes > s.SizeBytes {
		t.Errorf("code of %d bytes, data of %d, in a file of %d", s.CodeBytes, s.DataBytes, s.SizeBytes)
	}
	sections := int64(8)
	for _, sec := range s.Sections {
		sections += int64(sec.SizeBytes)
	}
	if sections != s.SizeBytes {
		t.Errorf("the sections add up to %d of %d bytes", sections, s.SizeBytes)
	}
}
