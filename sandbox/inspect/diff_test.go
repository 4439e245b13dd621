package inspect

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

// asking is a manifest with a rule and a secret, and both of them used.
func asking(d *manifest.Manifest) {
	d.Egress = rule(nil)
	d.Secrets = map[string]manifest.Secret{"token": {Purpose: "p", GenerateBytes: 32, SendTo: []string{"api"}}}
}

func TestANewVersionAsksForMoreOnlyIfAGrantWouldNotCoverIt(t *testing.T) {
	api := func(change func(*manifest.EgressRule)) func(*manifest.Manifest) {
		return func(d *manifest.Manifest) { d.Egress = rule(change) }
	}
	token := func(s manifest.Secret) func(*manifest.Manifest) {
		return func(d *manifest.Manifest) { s.Purpose = "p"; d.Secrets["token"] = s }
	}
	for _, tt := range []struct {
		name   string
		change func(*manifest.Manifest) // to the new manifest
		hosts  []string                 // host functions that the new code imports
		more   string                   // what more it asks for, or ""
	}{
		{"only another version", func(d *manifest.Manifest) { d.Version = "1.0.1" }, nil, ""},
		{"a host function", nil, []string{"http_send", "secret_equal", "kv_get"}, "kv_get (host functions)"},
		{"a host function fewer", nil, []string{"http_send"}, ""},
		{"another name", func(d *manifest.Manifest) { d.Name = "other" }, nil, "name (identity)"},
		{"another host", api(func(r *manifest.EgressRule) { r.Host = "evil.io" }), nil, "api (egress)"},
		{"another port", api(func(r *manifest.EgressRule) { r.Port = 444 }), nil, "api (egress)"},
		{"the port that it was", api(func(r *manifest.EgressRule) { r.Port = 443 }), nil, ""},
		{"a method", api(func(r *manifest.EgressRule) { r.Methods = []string{"POST", "DELETE"} }), nil, "api (egress)"},
		{"a path above", api(func(r *manifest.EgressRule) { r.Paths = []string{"/"} }), nil, "api (egress)"},
		{"a path beside", api(func(r *manifest.EgressRule) { r.Paths = []string{"/v1x/"} }), nil, "api (egress)"},
		{"a path below", api(func(r *manifest.EgressRule) { r.Paths = []string{"/v1/messages"} }), nil, ""},
		{"another purpose", api(func(r *manifest.EgressRule) { r.Purpose = "q" }), nil, ""},
		{"a rule", func(d *manifest.Manifest) {
			d.Egress = map[string]manifest.EgressRule{"api": d.Egress["api"], "more": d.Egress["api"]}
		}, nil, "more (egress)"},
		{"a secret", func(d *manifest.Manifest) {
			d.Secrets = map[string]manifest.Secret{"token": d.Secrets["token"], "key": {Purpose: "p"}}
		}, nil, "key (secrets)"},
		{"a secret that the tenant now brings", token(manifest.Secret{SendTo: []string{"api"}}), nil, "token (secrets)"},
		{"a secret that is sent nowhere any more", token(manifest.Secret{GenerateBytes: 32}), nil, ""},
		{"a secret that was the tenant's and is the operator's", token(manifest.Secret{GenerateBytes: 32, Scope: manifest.ScopeApp, SendTo: []string{"api"}}), nil, "token (secrets)"},
		{"a rule that receive may use now", api(func(r *manifest.EgressRule) { r.Cached, r.Methods = true, []string{"GET"} }), nil, "api (egress)"},
		{"a rate", api(func(r *manifest.EgressRule) {
			r.Rates = []manifest.Rate{{Per: manifest.ScopeApp, RequestsPerSecond: 5}}
		}), nil, ""},
		{"a member of its answers that it does not see", api(func(r *manifest.EgressRule) { r.Redact = []string{"token"} }), nil, ""},
		{"a credential", func(d *manifest.Manifest) {
			d.Credentials = map[string]manifest.Credential{"access_token": {Purpose: "p", SendTo: []string{"api"}}}
		}, nil, "access_token (credentials)"},
		{"an ability", func(d *manifest.Manifest) { d.Abilities = append(d.Abilities, contract.ExportRoute) }, nil, "route (abilities)"},
		{"a setting", func(d *manifest.Manifest) {
			d.Settings = map[string]manifest.Setting{"tone": {Type: manifest.TypeString, Title: "Tone"}}
		}, nil, ""},
		{"no manifest that can be read", func(d *manifest.Manifest) { d.Name = "" }, nil, "it has no valid manifest"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := analysed(t, described(sending("http_send", "secret_equal"), asking).Bytes())
			hosts := tt.hosts
			if hosts == nil {
				hosts = []string{"http_send", "secret_equal"}
			}
			after := analysed(t, described(sending(hosts...), func(d *manifest.Manifest) {
				asking(d)
				if tt.change != nil {
					tt.change(d)
				}
			}).Bytes())
			v := Compare(before, after).Verdict
			if v.AsksForMore != (tt.more != "") || !strings.Contains(v.Text, tt.more) {
				t.Errorf("got %+v, want more: %q", v, tt.more)
			}
		})
	}
}

func TestAPathLiesBelowAPrefixAtASlash(t *testing.T) {
	for _, tt := range []struct {
		path, prefix string
		want         bool
	}{
		{"/v1", "/v1", true}, {"/v1/x", "/v1", true}, {"/v1/x", "/v1/", true}, {"/x", "/", true},
		{"/v1x", "/v1", false}, {"/v1", "/v1/", false}, {"/", "/v1", false},
	} {
		if got := below(tt.path, tt.prefix); got != tt.want {
			t.Errorf("below(%q, %q) = %v", tt.path, tt.prefix, got)
		}
	}
}

func TestADiffTellsWhatChangedInTheCode(t *testing.T) {
	from, to := &w.Module{}, &w.Module{}
	for _, m := range []*w.Module{from, to} {
		host(m, "http_send")
		host(m, "kv_get")
		m.Memory(1)
	}
	from.Func("receive", ":i", "", useOf(0), w.I32Const(0))
	from.Func("debug", ":", "", useOf(1))
	from.Data(0, "https://old.acme.io/")
	to.Func("receive", ":i", "", w.Loop, w.End, useOf(0), useOf(1), w.I32Const(0))
	to.Func("trace", ":", "", w.Call(3))
	to.Data(0, "https://new.acme.io/")
	to.Global(0)
	d := Compare(analysed(t, described(from, nil).Bytes()), analysed(t, described(to, nil).Bytes()))
	for _, want := range []Change{
		{Area: AreaExport, Kind: Lost, What: "debug", Before: "() -> ()"},
		{Area: AreaExport, Kind: Gained, What: "trace", After: "() -> ()"},
		{Area: AreaReach, Kind: Changed, What: "receive", Before: "http_send", After: "http_send, kv_get"},
		{Area: AreaPlace, Kind: Gained, What: "https://new.acme.io/", After: "not-covered"},
		{Area: AreaPlace, Kind: Lost, What: "https://old.acme.io/", Before: "not-covered"},
		{Area: AreaFinding, Kind: Gained, What: "recursion", After: "info: 1 function can come back to itself by direct calls."},
		{Area: AreaCode, Kind: Changed, What: "functions with loops", Before: "0", After: "1"},
		{Area: AreaSection, Kind: Gained, What: "global", After: "8 bytes"},
	} {
		if !slices.Contains(d.Changes, want) {
			t.Errorf("%+v is not among %+v", want, d.Changes)
		}
	}
	if d.Verdict.AsksForMore {
		t.Errorf("the verdict is %+v", d.Verdict)
	}
	last := -1
	for _, c := range d.Changes {
		if at := slices.Index(Areas(), c.Area); at < last {
			t.Errorf("%s stands after %s", c.Area, Areas()[last])
		} else {
			last = at
		}
	}
}

func TestAnAnswerThatWasRedactedAndIsNoMoreIsMoreToSee(t *testing.T) {
	hiding := func(names ...string) *Report {
		return analysed(t, described(sending("http_send", "secret_equal"), func(d *manifest.Manifest) {
			asking(d)
			d.Egress = rule(func(r *manifest.EgressRule) { r.Redact = names })
		}).Bytes())
	}
	if v := Compare(hiding("token", "key"), hiding("key")).Verdict; !v.AsksForMore || !strings.Contains(v.Text, "api (egress)") {
		t.Errorf("got %+v", v)
	}
	if v := Compare(hiding("token"), hiding("key", "token")).Verdict; v.AsksForMore {
		t.Errorf("with a member more to hide: %+v", v)
	}
}
