package inspect

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

// sending is a plugin that imports and uses some host functions.
func sending(names ...string) *w.Module {
	m := &w.Module{}
	var code []byte
	for i, name := range names {
		host(m, name)
		code = append(code, useOf(i)...)
	}
	m.Memory(1)
	m.Func("receive", ":i", "", code, w.I32Const(0))
	return m
}

func rule(change func(*manifest.EgressRule)) map[string]manifest.EgressRule {
	r := manifest.EgressRule{Purpose: "p", Host: "api.acme.test", Methods: []string{"POST"}, Paths: []string{"/v1/"}}
	if change != nil {
		change(&r)
	}
	return map[string]manifest.EgressRule{"api": r}
}

func random(n int) string {
	rnd, data := rand.New(rand.NewPCG(5, 0)), make([]byte, n)
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	return string(data)
}

func TestEachFindingIsFoundWhereItBelongs(t *testing.T) {
	none := func(*manifest.Manifest) {}
	withData := func(data string) *w.Module { m := plain(); m.Data(0, data); return m }
	for _, tt := range []struct {
		id       string
		module   *w.Module
		change   func(*manifest.Manifest) // nil for a file without a manifest
		severity Severity
		evidence string // a part of it
	}{
		{"manifest-missing", plain(), nil, Critical, ""},
		{"manifest-invalid", plain(), func(m *manifest.Manifest) { m.Name = "" }, Critical, "name"},
		{"export-receive-missing", &w.Module{}, none, Critical, ""},
		{"abilities-differ", plain(), func(m *manifest.Manifest) { m.Abilities = append(m.Abilities, contract.ExportRoute) }, Critical, "route is in the manifest"},
		{"import-refused", sending("mult"), none, Critical, "extism:host/user.mult: patchbay/1 has no such host function"},
		{"credential-embedded", withData("key=AKIAIOSFODNN7EXAMPLE;"), none, High, "AWS access key: AKIAI… (20 characters) in data segment 0"},
		{"address-metadata", withData("http://169.254.169.254/latest/meta-data"), none, High, "169.254.169.254"},
		{"address-metadata", withData("x metadata.google.internal y"), none, High, "metadata.google.internal"},
		{"address-private", withData("dial 10.1.2.3 now"), none, Medium, "10.1.2.3"},
		{"address-private", withData("https://ldap.acme.internal/"), none, Medium, "ldap.acme.internal"},
		{"address-public", withData("dial 45.33.32.156 now"), none, Low, "45.33.32.156"},
		{"address-local", withData("dial 127.0.0.1 now"), none, Info, "127.0.0.1"},
		{"url-hidden", withData("aHR0cHM6Ly9ldmlsLmlvL3g="), none, High, "https://evil.io/x"},
		{"url-hidden", withData(" x/oi.live//:sptth "), none, High, "https://evil.io/x"},
		{"url-not-covered", withData("https://evil.io/x"), none, Medium, "https://evil.io/x"},
		{"url-plain-http", withData("http://api.acme.test/v1/x"), func(m *manifest.Manifest) { m.Egress = rule(nil) }, Low, "http://api.acme.test/v1/x"},
		{"payload-program", withData("....\x7fELF\x02\x01\x01"), none, High, "ELF program in data segment 0 at byte 4"},
		{"payload-interpreter", withData("...github.com/dop251/goja.New"), none, Medium, "goja"},
		{"data-dense", withData(random(40 << 10)), none, Low, "bits per byte"},
		{"data-dense", withData(random(140 << 10)), none, Medium, "bits per byte"},
		{"data-crowded", withData(strings.Repeat("eyJ ", maxTries+1)), none, Medium, ""},
		{"data-crowded", withData(strings.Repeat("aHR0cDovL", maxMarks+1)), none, Medium, ""},
		{"capability-undeclared", sending("http_send"), none, Medium, "http_send, by receive > extism:host/user.http_send"},
		{"capability-undeclared", sending("secret_equal"), none, Medium, "secret_equal"},
		{"capability-unused", plain(), func(m *manifest.Manifest) { m.Egress = rule(nil) }, Low, "api"},
		{"egress-tenant-host", sending("http_send"), func(m *manifest.Manifest) {
			m.Egress = rule(func(r *manifest.EgressRule) { r.Host, r.Setting = "", "url" })
			m.Settings = map[string]manifest.Setting{"url": {Type: manifest.TypeURL, Title: "URL"}}
		}, Low, "whatever a tenant enters as url"},
		{"egress-whole-host", sending("http_send"), func(m *manifest.Manifest) {
			m.Egress = rule(func(r *manifest.EgressRule) { r.Paths = []string{"/"} })
		}, Info, "all of api.acme.test"},
		{"egress-port", sending("http_send"), func(m *manifest.Manifest) {
			m.Egress = rule(func(r *manifest.EgressRule) { r.Port = 8443 })
		}, Low, "api.acme.test:8443"},
		{"secret-to-tenant-host", sending("http_send"), func(m *manifest.Manifest) {
			m.Egress = rule(func(r *manifest.EgressRule) { r.Host, r.Setting = "", "url" })
			m.Settings = map[string]manifest.Setting{"url": {Type: manifest.TypeURL, Title: "URL"}}
			m.Secrets = map[string]manifest.Secret{"token": {Purpose: "p", SendTo: []string{"api"}}}
		}, Medium, "token, by rule api"},
		{"secret-to-tenant-host", sending("http_send"), func(m *manifest.Manifest) {
			m.Egress = rule(func(r *manifest.EgressRule) { r.Host, r.Setting = "", "url" })
			m.Settings = map[string]manifest.Setting{"url": {Type: manifest.TypeURL, Title: "URL"}}
			m.Credentials = map[string]manifest.Credential{"access_token": {Purpose: "p", SendTo: []string{"api"}}}
		}, Medium, "credential access_token, by rule api"},
		{"app-secret-to-tenant-host", sending("http_send"), func(m *manifest.Manifest) {
			m.Egress = rule(func(r *manifest.EgressRule) { r.Host, r.Setting = "", "url" })
			m.Settings = map[string]manifest.Setting{"url": {Type: manifest.TypeURL, Title: "URL"}}
			m.Secrets = map[string]manifest.Secret{"client_secret": {Purpose: "p", Scope: manifest.ScopeApp, SendTo: []string{"api"}}}
		}, High, "client_secret, by rule api"},
		{"app-secret-to-tenant-host", sending("http_send"), func(m *manifest.Manifest) {
			m.Egress = rule(func(r *manifest.EgressRule) { r.Host, r.Setting = "", "url" })
			m.Settings = map[string]manifest.Setting{"url": {Type: manifest.TypeURL, Title: "URL"}}
			m.Credentials = map[string]manifest.Credential{"app_access_token": {Purpose: "p", SendTo: []string{"api"}}}
		}, High, "credential app_access_token, by rule api"},
		{"secret-unused", plain(), func(m *manifest.Manifest) {
			m.Egress = rule(nil)
			m.Credentials = map[string]manifest.Credential{"access_token": {Purpose: "p", SendTo: []string{"api"}}}
		}, Low, "credential access_token"},
		{"capability-undeclared", sending("http_cached_get"), func(m *manifest.Manifest) { m.Egress = rule(nil) }, Medium, "http_cached_get"},
		{"capability-undeclared", sending("http_send"), func(m *manifest.Manifest) {
			m.Egress = rule(func(r *manifest.EgressRule) { r.Cached, r.Methods = true, []string{"GET"} })
		}, Medium, "http_send"},
		{"secret-unused", plain(), func(m *manifest.Manifest) {
			m.Secrets = map[string]manifest.Secret{"token": {Purpose: "p"}}
		}, Low, "token"},
		{"memory-large", func() *w.Module {
			m := &w.Module{}
			m.Memory(513)
			m.Func("receive", ":i", "", w.I32Const(0))
			return m
		}(), none, High, ""},
		{"start-function", func() *w.Module { m := plain(); m.Start(m.Func("", ":", "")); return m }(), none, Info, "function 1"},
		{"export-unknown", func() *w.Module { m := plain(); m.Func("backdoor", ":", ""); return m }(), none, Info, "backdoor () -> ()"},
		{"names-stripped", func() *w.Module { m := plain(); m.Func("", ":", ""); m.Func("", ":", ""); return m }(), none, Medium, ""},
		{"function-huge", func() *w.Module { m := plain(); m.Func("big", ":", "", make([]byte, 0), nops(hugeFunction)); return m }(), none, Low, "big, 128.0 KiB"},
		{"toolchain-unknown", plain(), none, Info, ""},
		{"toolchain-old", func() *w.Module { m := plain(); m.Custom("producers", producers("TinyGo", "0.28.1")); return m }(), none, Low, "TinyGo 0.28.1: 0.37 or newer"},
		{"section-unknown", func() *w.Module { m := plain(); m.Custom("cargo", nops(10)); return m }(), none, Info, "custom cargo"},
		{"section-unknown", func() *w.Module { m := plain(); m.Custom("cargo", nops(10_000)); return m }(), none, Low, "custom cargo, 9.8 KiB"},
		{"debug-information", func() *w.Module { m := plain(); m.Custom(".debug_info", nops(10)); return m }(), none, Info, ""},
		{"text-deceptive", func() *w.Module { m := plain(); m.Func("a\x1b[2Jb", ":", ""); return m }(), none, High, "the name of export 2"},
		{"code-unreached", func() *w.Module {
			m := plain()
			for range 12 {
				m.Func("", ":", "")
			}
			return m
		}(), none, Info, ""},
		{"import-unreachable", func() *w.Module {
			m := &w.Module{}
			host(m, "kv_get")
			m.Memory(1)
			m.Func("receive", ":i", "", w.I32Const(0))
			return m
		}(), none, Low, "kv_get"},
	} {
		t.Run(tt.id+" "+tt.evidence, func(t *testing.T) {
			if tt.change != nil {
				described(tt.module, tt.change)
			}
			r := analysed(t, tt.module.Bytes())
			f := r.finding(tt.id)
			if f == nil {
				t.Fatalf("not found among %+v", r.Findings)
			}
			if f.Severity != tt.severity || tt.evidence != "" && !strings.Contains(strings.Join(f.Evidence, "\n"), tt.evidence) {
				t.Errorf("got %s with evidence %q, want %s with %q", f.Severity, f.Evidence, tt.severity, tt.evidence)
			}
			if f.What == "" || f.Why == "" || f.Do == "" {
				t.Errorf("it does not say everything: %+v", f)
			}
			if slices.Index(Severities(), r.Verdict.Level) > slices.Index(Severities(), f.Severity) {
				t.Errorf("the verdict is %s with a finding that is %s", r.Verdict.Level, f.Severity)
			}
		})
	}
}

func nops(n int) []byte { return []byte(strings.Repeat("\x01", n)) }

func producers(name, version string) []byte {
	text := func(s string) []byte { return append(w.U32(len(s)), s...) }
	return w.Code(w.U32(1), text("processed-by"), w.U32(1), text(name), text(version))
}

// A plugin that is as it should be has nothing found but what is good to know.
func TestAnHonestPluginIsNotAccused(t *testing.T) {
	m := sending("http_send", "secret_equal")
	m.Data(0, "https://api.acme.test/v1/messages https://go.dev/issue/1 v1.2.3 0.11.4.0 1.0.0.0 {\"a\":1}")
	m.Data(4096, random(8<<10)) // as tables for printing floats look
	m.Custom("producers", producers("Go cmd/compile", "go1.26.8"))
	r := analysed(t, described(m, func(d *manifest.Manifest) {
		d.Egress = rule(nil)
		d.Secrets = map[string]manifest.Secret{"token": {Purpose: "p", SendTo: []string{"api"}}}
	}).Bytes())
	if len(r.Findings) != 0 || r.Verdict.Level != Info {
		t.Errorf("found %+v", r.Findings)
	}
}

func TestAFindingListsOnlySomeOfItsPlaces(t *testing.T) {
	m := plain()
	for i := range 40 {
		m.Data(i*100, fmt.Sprintf("https://h%d.evil.io/x", i))
	}
	f := analysed(t, m.Bytes()).finding("url-not-covered")
	if f == nil || len(f.Evidence) != maxEvidence+1 || f.Evidence[maxEvidence] != "and 28 more" {
		t.Errorf("got %+v", f)
	}
}

// What is measured is told, and a refusal that the import section explains is told once.
func TestWhatTheEngineSaysIsTold(t *testing.T) {
	wasm := described(sending("mult"), nil).Bytes()
	refused := Refusal{Part: "import", Text: "plugin refused: import mult"}
	for _, tt := range []struct {
		name     string
		measured Measured
		found    string
	}{
		{"a refused import", Measured{Refusals: []Refusal{refused}}, ""},
		{"a refused memory", Measured{Refusals: []Refusal{refused, {Part: "memory", Text: "too much"}}}, "load-refused"},
		{"not frozen", Measured{Image: &Image{Why: "it does not start"}}, "not-frozen"},
		{"frozen", Measured{LoadMicros: 1500, Image: &Image{Frozen: true, Fuel: 12345}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Analyse(wasm, &tt.measured)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range []string{"load-refused", "not-frozen"} {
				if (r.finding(id) != nil) != (id == tt.found) {
					t.Errorf("%s is found: %v", id, r.finding(id))
				}
			}
			var text strings.Builder
			if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "WHAT CAME OF LOADING IT") {
				t.Errorf("the text does not tell: %v", err)
			}
		})
	}
}
