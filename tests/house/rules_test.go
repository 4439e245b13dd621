package house

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		// importer imports imported, in a test if inTest.
		importer, imported string
		inTest             bool
		// blamed is part of the reason; empty means that the import is allowed.
		blamed string
	}{
		{"pdk imports pdk", "pdk", Module + "/pdk/contract", false, ""},
		{"pdk imports the host", "pdk", Module + "/host/domain", false, "depends on nothing of ours"},
		{"pdk imports the sandbox", "pdk/pdktest", Module + "/sandbox", false, "depends on nothing of ours"},
		{"pdk imports the sandbox in a test", "pdk", Module + "/sandbox", true, "depends on nothing of ours"},
		{"pdk imports a plugin in a test", "pdk", Module + "/plugins/uspacy", true, "depends on nothing of ours"},

		{"a plugin imports pdk", "plugins/uspacy", Module + "/pdk/payload", false, ""},
		{"a plugin imports its own emulator in a test", "plugins/uspacy", Module + "/plugins/uspacy/emulator", true, ""},
		{"a plugin imports another vendor's", "plugins/uspacy", Module + "/plugins/uchat", false, "what any vendor sees"},
		{"a plugin whose name begins like another's", "plugins/uspacy", Module + "/plugins/uspacytwo", false, "what any vendor sees"},
		{"a plugin imports the host", "plugins/uspacy", Module + "/host/pack", false, "what any vendor sees"},
		{"a plugin imports the sandbox in a test", "plugins/uspacy/emulator", Module + "/sandbox", true, "what any vendor sees"},

		{"an emulator imports what emulators share", "plugins/uspacy/emulator", Module + "/plugins/internal/emulate", false, ""},
		{"what emulators share imports pdk", "plugins/internal/emulate", Module + "/pdk", false, ""},
		{"what emulators share imports a plugin", "plugins/internal/emulate", Module + "/plugins/uspacy", false, "what any vendor sees"},
		{"a connector imports what emulators share", "plugins/uspacy", Module + "/plugins/internal/emulate", false, "a connector sees"},
		{"a connector's test imports what emulators share", "plugins/uspacy", Module + "/plugins/internal/emulate", true, ""},

		{"the sandbox imports the contract", "sandbox", Module + "/pdk/contract", false, ""},
		{"the sandbox imports the manifest", "sandbox/inspect", Module + "/pdk/contract/manifest", false, ""},
		{"the sandbox imports pdk", "sandbox/inspect", Module + "/pdk", false, "knows the contract at most"},
		{"the sandbox imports the host", "sandbox/kernel", Module + "/host/domain", false, "knows the contract at most"},

		{"the host imports the sandbox's rooms", "host/pack", Module + "/sandbox/binary", false, ""},
		{"the host imports the manifest", "host/registry", Module + "/pdk/contract/manifest", false, ""},
		{"the host imports pdk", "host/broker", Module + "/pdk", false, "knows none"},
		{"the host imports pdk in a test", "host/broker", Module + "/pdk", true, "knows none"},
		{"the host imports a plugin", "host/server", Module + "/plugins/uchat", false, "knows none"},
		{"the host imports a plugin in a test", "host/server", Module + "/plugins/uchat", true, "knows none"},
		{"the host imports tests", "host/server", Module + "/tests/house", false, "knows none"},

		{"tests import anything", "tests/e2e", Module + "/plugins/uchat", true, ""},
		{"a folder that nobody planned", "tools/lint", Module + "/pdk", false, "no rule says"},

		{"the broker imports the store", "host/broker", Module + "/host/store", false, "only host/server knows"},
		{"jobs import the store", "host/jobs", Module + "/host/store", false, "only host/server knows"},
		{"the registry imports the store", "host/registry", Module + "/host/store", false, "only host/server knows"},
		{"credentials import egress", "host/credentials", Module + "/host/egress", false, "the way out is handed in"},
		{"a tenant imports the store", "host/tenant", Module + "/host/store", false, "only host/server knows"},
		{"the broker's test uses the real store", "host/broker", Module + "/host/store", true, ""},
		{"the server imports the store", "host/server", Module + "/host/store", false, ""},
		{"the store imports its own rooms", "host/store/storetest", Module + "/host/store", false, ""},
		{"a room imports the server", "host/api", Module + "/host/server", false, "none of them may know it"},
		{"the CLI runs the reference", "host/cmd/patchbay", Module + "/host/reference", false, ""},
		{"the server runs the reference", "host/server", Module + "/host/reference", false, "without a sandbox"},
		{"the reference imports the go-sdk", "host/reference", "github.com/extism/go-sdk", false, ""},
		{"the server imports the go-sdk", "host/server", "github.com/extism/go-sdk", false, "the reference"},
		{"the CLI imports the server", "host/cmd/patchbay", Module + "/host/server", false, ""},

		{"ingress imports Fiber", "host/ingress", "github.com/gofiber/fiber/v2", false, ""},
		{"the broker imports Fiber", "host/broker", "github.com/gofiber/fiber/v2", false, "lends its buffers"},
		{"the store imports bbolt", "host/store", "go.etcd.io/bbolt", false, ""},
		{"jobs import bbolt", "host/jobs", "go.etcd.io/bbolt/errors", false, "no bbolt type"},
		{"the broker imports wazero", "host/broker", "github.com/tetratelabs/wazero/api", false, "runs in the sandbox"},
		{"the sandbox imports wazero", "sandbox/kernel", "github.com/tetratelabs/wazero/api", false, ""},
		{"the sandbox imports the go-sdk", "sandbox", "github.com/extism/go-sdk", false, "the reference"},
		{"the sandbox compares with the go-sdk", "sandbox", "github.com/extism/go-sdk", true, ""},
		{"pdk imports the go-sdk", "pdk", "github.com/extism/go-sdk", false, "the reference"},
		{"pdk runs a guest on the go-sdk", "pdk", "github.com/extism/go-sdk", true, ""},
		{"pdk sees the go-sdk's wazero in a test", "pdk", "github.com/tetratelabs/wazero/api", true, ""},
		{"the host runs code in a test", "host/broker", "github.com/tetratelabs/wazero", true, "runs in the sandbox"},
		{"anybody imports anything else", "host/jobs", "golang.org/x/time/rate", false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Package{Path: tt.importer, Documented: true, Imports: []string{tt.imported}}
			if tt.inTest {
				p.Imports, p.TestImports = nil, p.Imports
			}
			expect(t, Check([]Package{p}), tt.blamed)
		})
	}
}

func TestCheckWantsPackageComments(t *testing.T) {
	expect(t, Check([]Package{{Path: "host/jobs"}}), "a newcomer reads it")
	expect(t, Check([]Package{{Path: "host/jobs", Documented: true}}), "")
}

func TestCheckTree(t *testing.T) {
	long := "package a\n" + strings.Repeat("\n", MaxGoLines)
	for _, tt := range []struct {
		name, path, content string
		blamed              string
	}{
		{"a file in its place", "host/jobs/lane.go", "package jobs\n", ""},
		{"a dot-file", ".ci/run", "#!/bin/bash\n", ""},
		{"a folder at the top", "scripts/build", "", "not one of its words"},
		{"a large file", "tests/data.json", strings.Repeat("x", MaxFileBytes+1), "for ever"},
		{"a file as large as allowed", "tests/data.json", strings.Repeat("x", MaxFileBytes), ""},
		{"a compiled module", "plugins/uchat/uchat.wasm", "\x00asm", "nobody can review it"},
		{"a long file", "host/api/api.go", long, "one subject"},
		{"a long generated file", "pdk/contract/codec_gen.go", "// Code generated by gen. DO NOT EDIT.\n" + long, ""},
		{"a file as long as allowed", "host/api/api.go", strings.Repeat("\n", MaxGoLines), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := []File{{Path: tt.path, Content: []byte(tt.content)}}
			for _, top := range TopLevel {
				files = append(files, File{Path: top})
			}
			expect(t, CheckTree(files), tt.blamed)
		})
	}
	t.Run("a top folder is missing", func(t *testing.T) {
		var files []File
		for _, top := range TopLevel[1:] {
			files = append(files, File{Path: top})
		}
		expect(t, CheckTree(files), "a newcomer looks for it")
	})
}

func TestCheckTreeReadsDocuments(t *testing.T) {
	const table = "| Operation | End to end | Why |\n|---|---|---|\n"
	for _, tt := range []struct{ name, text, blamed string }{
		{"a test that is there", "held by TestLanes, FuzzLanes", ""},
		{"a test that is gone", "held by TestLaners", "finds nothing"},
		{"the beginning of a name", "held by TestLa… and Fuzz", ""},
		{"the beginning of no name", "held by TestLo…", "finds nothing"},
		{"a test that the document shows", "func TestMine(t *testing.T) {}, then run TestMine", ""},
		{"an act that is there", table + `| open | "a day in a lane" | "a whim" |`, ""},
		{"an act that is gone", table + `| open | "a day in a lane", "a night" | |`, "finds nothing"},
		{"an act of a test elsewhere", table + `| open | "a unit" | |`, "finds nothing"},
		{"a quotation in another table", table + "| open | | |\n\n| Operation | Meaning |\n|---|---|\n| open | \"a night\" |", ""},
		{"a link to a file", "[it](../tests/e2e/lane_test.go#top)", ""},
		{"a link to a folder", "[it](../tests/e2e)", ""},
		{"a link within the document", "[it](#lanes)", ""},
		{"a link elsewhere", "[it](https://example.com/x)", ""},
		{"a link to nothing", "[it](e2e/lane_test.go)", "leads nowhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := []File{{Path: "host/README.md", Content: []byte(tt.text)},
				{Path: "host/lane_test.go", Content: []byte("func TestLanes(t *testing.T) {}\nfunc FuzzLanes(f *testing.F) {} // \"a unit\"\n")},
				{Path: "tests/e2e/lane_test.go", Content: []byte("func TestLanes2(t *testing.T) { t.Run(\"a day in a lane\", lane) }\n")}}
			for _, top := range TopLevel {
				files = append(files, File{Path: top})
			}
			expect(t, CheckTree(files), tt.blamed)
		})
	}
}

// expect wants exactly one violation for the reason blamed, or none if it is empty.
func expect(t *testing.T, got []Violation, blamed string) {
	t.Helper()
	switch {
	case blamed == "" && len(got) > 0:
		t.Errorf("got %v, want no violation", got)
	case blamed != "" && (len(got) != 1 || !strings.Contains(got[0].Why, blamed)):
		t.Errorf("got %v, want one violation because %q", got, blamed)
	}
}
