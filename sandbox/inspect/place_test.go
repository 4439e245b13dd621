package inspect

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

func TestHostsAreReadOutOfURLs(t *testing.T) {
	for _, tt := range []struct{ url, host string }{
		{"https://api.acme.test/v1", "api.acme.test"},
		{"https://API.Acme.Test:8443/v1", "api.acme.test"},
		{"https://user:pass@evil.io/x", "evil.io"},
		{"https://api.acme.test@evil.io/x", "evil.io"},
		{"http://[fd00:ec2::254]/x", "fd00:ec2::254"},
		{"http://localhost:8080", "localhost"},
		{"http://10.0.0.7/x", "10.0.0.7"},
		{"https://%s/x", ""},
		{"https://nodot/x", ""},
		{"https://", ""},
		{"https://[nonsense]/", ""},
	} {
		if got := hostOf(tt.url); got != tt.host {
			t.Errorf("hostOf(%q) = %q, want %q", tt.url, got, tt.host)
		}
	}
}

func TestStandingIsJudgedByTheWholeName(t *testing.T) {
	m := &manifest.Manifest{Egress: map[string]manifest.EgressRule{"api": {Host: "api.acme.test"}, "also": {Host: "api.acme.test"}}}
	for _, tt := range []struct {
		host  string
		text  string
		want  Standing
		rules string
	}{
		{"api.acme.test", "", Covered, "also api"},
		{"api.acme.test.evil.io", "", NotCovered, ""},
		{"evilapi.acme.io", "", NotCovered, ""},
		{"go.dev", "", Reference, ""},
		{"pkg.go.dev", "", Reference, ""},
		{"evilgo.dev", "", NotCovered, ""},
		{"github.com", "https://github.com/golang/go/issues", Reference, ""},
		{"github.com", "https://github.com/evil/go", NotCovered, ""},
		{"169.254.169.254", "", Metadata, ""},
		{"169.254.1.1", "", Private, ""},
		{"192.168.0.1", "", Private, ""},
		{"100.64.0.1", "", Private, ""},
		{"::1", "", Local, ""},
		{"8.8.8.8", "", NotCovered, ""},
		{"vault.corp", "", Private, ""},
		{"app.localhost", "", Local, ""},
	} {
		got, rules := standing(tt.host, tt.text, m)
		if got != tt.want || strings.Join(rules, " ") != tt.rules {
			t.Errorf("standing(%q) = %s %v, want %s %s", tt.host, got, rules, tt.want, tt.rules)
		}
	}
}

// Compilers put texts side by side; only who uses one knows where it ends.
func TestATextIsCutWhereItsUseSaysThatItEnds(t *testing.T) {
	const url, data = "https://api.acme.io", "https://api.acme.ioThe next text"
	store := []byte{0x37, 3, 0}
	for _, tt := range []struct {
		name, data string
		code       []byte
		want       string
	}{
		{"nobody uses it", data, nil, "https://api.acme.ioThe"},
		{"LLVM pushes address and length", data, w.Code(w.I32Const(1024), w.I32Const(19), w.Drop, w.Drop), url},
		{"LLVM pushes something in between", data, w.Code(w.I32Const(1024), w.Drop, w.I32Const(19), w.Drop), "https://api.acme.ioThe"},
		{"Go stores address and length", data, w.Code(
			w.I32Const(0), w.I64Const(1024), store, w.I32Const(0), w.I64Const(8), w.Drop, w.I64Const(19), store), url},
		{"the whole text begins earlier", "see: " + data, w.Code(w.I32Const(1024), w.I32Const(24), w.Drop, w.Drop), url},
		{"a pair in data", data + strings.Repeat("\x00", 32-len(data)%32) + "\x00\x04\x00\x00\x13\x00\x00\x00", nil, url},
		{"a pair of 64 bits in data", data + strings.Repeat("\x00", 32-len(data)%32) + "\x00\x04\x00\x00\x00\x00\x00\x00\x13\x00\x00\x00\x00\x00\x00\x00", nil, url},
		{"a cut within a name is not believed", "https://api.acme.io.evil.io/x", w.Code(w.I32Const(1024), w.I32Const(19), w.Drop, w.Drop), "https://api.acme.io.evil.io/x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &w.Module{}
			m.Memory(1)
			m.Func("receive", ":", "", tt.code)
			m.Data(1024, tt.data)
			places := analysed(t, m.Bytes()).Data.Places
			if len(places) != 1 || places[0].Text != tt.want {
				t.Errorf("got %+v, want %q", places, tt.want)
			}
		})
	}
}

func TestNoSecretIsShownWhole(t *testing.T) {
	secrets := []string{
		"AKIAIOSFODNN7EXAMPLE",
		"ghp_abcdefghijklmnopqrstuvwxyz0123456789",
		"xoxb-123456789012-abcdefghijkl",
		"sk_live_abcdefghijklmnop1234",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.c2lnbmF0dXJlc2lnbmF0dXJl",
		"123456789:AAabcdefghijklmnopqrstuvwxyz-123456",
		"AIzaabcdefghijklmnopqrstuvwxyz012345678",
		"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MhgHcTz6sE2I2yPB\n-----END RSA PRIVATE KEY-----",
		"https://bot:hunter22@chat.acme.io/",
		"https://hooks.slack.com/services/T00000000/B00000000/abcdefghijklmnopqrstuvwx",
		"https://api.telegram.org/bot123456789:AAabcdefghijklmnopqrstuvwxyz-123456/send",
	}
	for _, secret := range secrets {
		m := plain()
		m.Data(0, "x = '"+secret+"'")
		r := analysed(t, m.Bytes())
		if len(r.Data.Credentials) != 1 {
			t.Errorf("%q: found %+v, want one", secret, r.Data.Credentials)
			continue
		}
		var out strings.Builder
		if err := r.WriteText(&out); err != nil {
			t.Fatal(err)
		}
		shown := r.Data.Credentials[0].Masked
		if len(shown) > 30 || slices.ContainsFunc([]string{"hunter22", "mnopqrst", "hbGciOi", "MIIEpAIB"}, func(part string) bool { return strings.Contains(out.String(), part) }) {
			t.Errorf("of %q is shown %q:\n%s", secret, shown, out.String())
		}
	}
	for _, harmless := range []string{"AKIA", "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "-----BEGIN PRIVATE KEY-----", "eyJ.eyJ.x", "https://host:8080/"} {
		m := plain()
		m.Data(0, "x = '"+harmless+"'")
		if found := analysed(t, m.Bytes()).Data.Credentials; len(found) > 0 {
			t.Errorf("%q is taken for %+v", harmless, found)
		}
	}
}

func TestAURLIsShownWithoutWhatItKeeps(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"https://api.acme.io/v1?key=0123456789abcdef0123&page=2", "https://api.acme.io/v1?key=0123…&page=2"},
		{"https://a:b@c@evil.io/x@y", "https://…@evil.io/x@y"},
		{"https://api.acme.io/v1?page=2", "https://api.acme.io/v1?page=2"},
	} {
		if got := redacted(tt.url); got != tt.want {
			t.Errorf("redacted(%q) = %q, want %q", tt.url, got, tt.want)
		}
	}
}

func TestGoModulesAreRead(t *testing.T) {
	m := plain()
	m.Data(0, "junk"+string(modulesBegin)+"path\tacme\nmod\tacme\t(devel)\t\ndep\texample.org/a\tv1.2.3\th1:x=\ndep\texample.org/b\tv1.0.0\n=>\texample.org/fork\tv2.0.0\th1:y=\n"+string(modulesEnd)+"junk")
	got := analysed(t, m.Bytes()).Toolchain.Modules
	if len(got) != 2 || got[0] != (Module{Path: "example.org/a", Version: "v1.2.3"}) || got[1] != (Module{Path: "example.org/fork", Version: "v2.0.0", Replaced: true}) {
		t.Errorf("got %+v", got)
	}
}
