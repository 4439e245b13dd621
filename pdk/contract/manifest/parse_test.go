package manifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

const valid = `
contract: patchbay/1
name: acme
version: 1.4.0-rc.1
title: Acme chat
vendor: {name: Acme Ltd, url: "https://acme.test/patchbay", contact: security@acme.test}
abilities: [receive, send_message]
egress:
  api:
    purpose: Send messages.
    host: api.acme.test
    methods: [POST]
    paths: [/v1/messages]
  company:
    purpose: Call the tenant back.
    setting: company_url
    methods: [GET, POST]
    paths: ["/"]
secrets:
  token: {purpose: Proves who sends., generate_bytes: 32, send_to: [api, company]}
  other_token: {purpose: A second one., optional: true, default: token, send_to: [api]}
settings:
  company_url: {type: url, title: Company, required: true, max_length: 512}
  policy: {type: enum, title: Policy, values: [auto, never], default: auto}
  seconds: {type: integer, title: Seconds, min: 1, max: 60, default: "5"}
  notice: {type: boolean, title: Notice, default: "true"}
  text: {type: string, title: Text, default: Hello}
  delays: {type: list, title: Delays, default: "1,2,3"}
  keys: {type: map, title: Keys}
repeat_window_seconds: 60
capabilities:
  - {feature: text, support: full, max_chars: 4000}
`

func parse(t *testing.T) *manifest.Manifest {
	t.Helper()
	m, err := manifest.ParseYAML([]byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestParseYAMLReadsEveryField(t *testing.T) {
	m := parse(t)
	wantRule := manifest.EgressRule{Purpose: "Send messages.", Host: "api.acme.test", Methods: []string{"POST"}, Paths: []string{"/v1/messages"}}
	wantSecret := manifest.Secret{Purpose: "Proves who sends.", GenerateBytes: 32, SendTo: []string{"api", "company"}}
	wantSetting := manifest.Setting{Type: manifest.TypeInteger, Title: "Seconds", Min: 1, Max: 60, Default: "5"}
	wantAbilities := []contract.Export{contract.ExportReceive, contract.ExportSendMessage}
	switch {
	case m.Contract != contract.Version, m.Name != "acme", m.Version != "1.4.0-rc.1", m.RepeatWindowSeconds != 60:
		t.Errorf("the head reads %+v", m)
	case !reflect.DeepEqual(m.Egress["api"], wantRule):
		t.Errorf("egress.api reads %+v, want %+v", m.Egress["api"], wantRule)
	case !reflect.DeepEqual(m.Secrets["token"], wantSecret):
		t.Errorf("secrets.token reads %+v, want %+v", m.Secrets["token"], wantSecret)
	case !reflect.DeepEqual(m.Settings["seconds"], wantSetting):
		t.Errorf("settings.seconds reads %+v, want %+v", m.Settings["seconds"], wantSetting)
	case !slices.Equal(m.Abilities, wantAbilities):
		t.Errorf("abilities read %v, want %v", m.Abilities, wantAbilities)
	case len(m.Capabilities) != 1 || m.Capabilities[0].MaxChars != 4000:
		t.Errorf("capabilities read %+v", m.Capabilities)
	}
	again, err := manifest.ParseJSON(m.Encode())
	if err != nil || !reflect.DeepEqual(again, m) {
		t.Errorf("ParseJSON(Encode) = %+v, %v; want %+v", again, err, m)
	}
}

func TestEachProblemIsBlamedOnItsField(t *testing.T) {
	for _, tt := range []struct{ name, from, to, blamed, text string }{
		{"another contract", "patchbay/1", "patchbay/2", "contract", "speaks patchbay/1"},
		{"no contract", "contract: patchbay/1\n", "", "contract", "speaks patchbay/1"},
		{"an upper-case name", "name: acme", "name: Acme", "name", "a-z"},
		{"a name of one letter", "name: acme", "name: a", "name", "2 to 40"},
		{"a v before the version", "1.4.0-rc.1", "v1.4.0", "version", `"1.4.0"`},
		{"a version of two numbers", "1.4.0-rc.1", "1.4", "version", `put it in quotes: "1.4"`},
		{"a long title", "Acme chat", strings.Repeat("x", 61), "title", "at most 60"},
		{"a missing title", "title: Acme chat\n", "", "title", "missing"},
		{"an empty vendor", "name: Acme Ltd, ", "", "vendor.name", "missing"},
		{"a vendor's page without scheme", "https://acme.test/patchbay", "acme.test", "vendor.url", "absolute URL"},
		{"a contact without @", "security@acme.test", "security", "vendor.contact", "mail address"},
		{"an unknown ability", "receive, send_message", "receive, send_mesage", "abilities[1]", `did you mean "send_message"?`},
		{"an ability twice", "receive, send_message", "receive, receive", "abilities[1]", "twice"},
		{"no receive", "receive, send_message", "send_message", "abilities", "receive is not among them"},
		{"a number for an ability", "receive, send_message", "receive, 7", "abilities[1]", `"7"`},
		{"an unknown field", "title: Acme chat", "title: Acme chat\ntitel: x", "titel", `did you mean "title"?`},
		{"an unknown field in a rule", "host: api.acme.test", "hosts: api.acme.test\n    host: a.test", "egress.api.hosts", `did you mean "host"?`},
		{"an unknown field far from any", "title: Acme chat", "title: Acme chat\nzzzzzzzz: x", "zzzzzzzz", "use one of"},
		{"a wildcard host", "host: api.acme.test", `host: "*.acme.test"`, "egress.api.host", "more than one host"},
		{"an address", "host: api.acme.test", "host: 10.0.0.1", "egress.api.host", "address"},
		{"an address of another spelling", "host: api.acme.test", `host: "0x7f.1"`, "egress.api.host", "address"},
		{"a v6 address", "host: api.acme.test", `host: "[::1]"`, "egress.api.host", "address"},
		{"a host in upper case", "host: api.acme.test", "host: API.acme.test", "egress.api.host", "lower case"},
		{"a host with a port", "host: api.acme.test", `host: "api.acme.test:8443"`, "egress.api.host", "exact host name"},
		{"a host with a dot behind", "host: api.acme.test", "host: api.acme.test.", "egress.api.host", "exact host name"},
		{"localhost", "host: api.acme.test", "host: localhost", "egress.api.host", "public DNS"},
		{"neither host nor setting", "host: api.acme.test", "port: 443", "egress.api", "neither"},
		{"both host and setting", "setting: company_url", "setting: company_url\n    host: a.test", "egress.company", "both"},
		{"a setting that is not there", "setting: company_url", "setting: company_uri", "egress.company.setting", `did you mean "company_url"?`},
		{"a setting that is no url", "setting: company_url", "setting: policy", "egress.company.setting", `"enum"`},
		{"a port beside a setting", "setting: company_url", "setting: company_url\n    port: 8443", "egress.company.port", "the tenant's"},
		{"a port out of range", "host: api.acme.test", "host: api.acme.test\n    port: 70000", "egress.api.port", "65535"},
		{"a lower-case method", "methods: [POST]", "methods: [post]", "egress.api.methods[0]", "write POST"},
		{"an unknown method", "methods: [POST]", "methods: [CONNECT]", "egress.api.methods[0]", "may not use"},
		{"no method", "methods: [POST]", "methods: []", "egress.api.methods", "empty"},
		{"a method twice", "methods: [POST]", "methods: [POST, POST]", "egress.api.methods[1]", "twice"},
		{"a path without slash", "[/v1/messages]", "[v1]", "egress.api.paths[0]", "write /v1"},
		{"a path with a query", "[/v1/messages]", "[\"/v1?x=1\"]", "egress.api.paths[0]", "plain"},
		{"a path with dots", "[/v1/messages]", "[/v1/../admin]", "egress.api.paths[0]", "dot segment"},
		{"an encoded path", "[/v1/messages]", "[/v1%2fadmin]", "egress.api.paths[0]", "plain"},
		{"no purpose", "purpose: Send messages.", `purpose: " "`, "egress.api.purpose", "missing"},
		{"a rule with an odd name", "  api:", "  API-1:", "egress.API-1", "underscore"},
		{"a secret sent to nowhere", "send_to: [api, company]", "send_to: [api, company, apo]", "secrets.token.send_to[2]", `did you mean "api"?`},
		{"a stand-in that is not there", "default: token", "default: toke", "secrets.other_token.default", `did you mean "token"?`},
		{"a stand-in for itself", "default: token", "default: other_token", "secrets.other_token.default", "stand-in itself"},
		{"a stand-in that would go too far", "send_to: [api, company]", "send_to: [company]", "secrets.other_token.default", "would be sent to api"},
		{"a short generated secret", "generate_bytes: 32", "generate_bytes: 8", "secrets.token.generate_bytes", "16 to 128"},
		{"a generated secret that is optional", "generate_bytes: 32", "generate_bytes: 32, optional: true", "secrets.token.optional", "always there"},
		{"an unknown type", "type: boolean", "type: bool", "settings.notice.type", `use one of`},
		{"a default that does not fit", `default: "5"`, `default: "61"`, "settings.seconds.default", "1 to 60"},
		{"a default that is no text", `default: "5"`, "default: 5", "settings.seconds.default", `put it in quotes: "5"`},
		{"a default that is no choice", "default: auto", "default: atuo", "settings.policy.default", `did you mean "auto"?`},
		{"an enum of nothing", "values: [auto, never], default: auto", "default: auto", "settings.policy.values", "nothing can be chosen"},
		{"values of a text", "default: Hello", "default: Hello, values: [Hello]", "settings.text.values", "only an enum"},
		{"min beyond max", "min: 1, max: 60", "min: 61, max: 60", "settings.seconds.min", "more than max"},
		{"bounds of a text", "default: Hello", "default: Hello, max: 5", "settings.text.min", "only an integer"},
		{"a negative length", "max_length: 512", "max_length: -1", "settings.company_url.max_length", "out of bounds"},
		{"a fraction", "repeat_window_seconds: 60", "repeat_window_seconds: 1.5", "repeat_window_seconds", "a whole number is needed"},
		{"a window of days", "repeat_window_seconds: 60", "repeat_window_seconds: 864000", "repeat_window_seconds", "86400"},
		{"an unknown grade", "support: full", "support: ful", "capabilities[0].support", `did you mean "full"?`},
		{"a list for a set", "vendor: {name: Acme Ltd, url: \"https://acme.test/patchbay\", contact: security@acme.test}", "vendor: [Acme]", "vendor", "a set of fields is needed, and it is a list"},
		{"a name twice", "title: Acme chat", "title: Acme chat\ntitle: Acme chat", "title", "twice"},
		{"a name twice, inside", "host: api.acme.test", "host: api.acme.test\n    host: api.acme.test", "egress.api.host", "twice"},
		{"a name that is a number", "title: Acme chat", "title: Acme chat\n7: x", "7", "in quotes"},
		{"an anchor", "title: Acme chat", "title: &a Acme chat", "title", "anchor"},
		{"an alias", "title: Acme chat", "description: &a x\ntitle: *a", "title", "alias"},
		{"a merge", "default: Hello}", "default: Hello, <<: {help: x}}", "settings.text", "<<"},
		{"a tag", "title: Acme chat", "title: !secret Acme chat", "title", "in quotes"},
		{"a tag on a set", "secrets:", "secrets: !!set", "secrets", "remove !!set"},
		{"an infinite number", "repeat_window_seconds: 60", "repeat_window_seconds: .inf", "repeat_window_seconds", "usual number"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(valid, tt.from, tt.to, 1)
			if text == valid {
				t.Fatalf("%q does not stand in the manifest", tt.from)
			}
			_, err := manifest.ParseYAML([]byte(text))
			var problems manifest.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("ParseYAML = %v, want a problem with %s", err, tt.blamed)
			}
			i := slices.IndexFunc(problems, func(p *manifest.Problem) bool { return p.Field == tt.blamed })
			if i < 0 || !strings.Contains(problems[i].Error(), tt.text) {
				t.Errorf("problems:\n%v\nwant one of %s with %q", problems, tt.blamed, tt.text)
			}
			if i >= 0 && problems[i].Line == 0 {
				t.Errorf("problem has no line: %v", problems[i])
			}
		})
	}
}

func TestParseYAMLRefusesWhatIsNoManifest(t *testing.T) {
	bomb := "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\n"
	for _, tt := range []struct{ name, in, text string }{
		{"nothing", "", "empty"},
		{"a comment", "# nothing\n", "empty"},
		{"a text", "hello", "a set of fields is needed"},
		{"no YAML", "a: [", "not valid YAML"},
		{"two documents", valid + "---\nname: other\n", "something follows"},
		{"too long a file", valid + strings.Repeat("# padding\n", 30_000), "at most 262144"},
		{"nesting", strings.Repeat("[", 100) + strings.Repeat("]", 100), "deeper than 16"},
		{"a bomb of aliases", bomb, "alias"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := manifest.ParseYAML([]byte(tt.in))
			if err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("ParseYAML = %v, want a complaint with %q", err, tt.text)
			}
		})
	}
}

func TestParseJSONRefusesWhatEncodingJSONForgives(t *testing.T) {
	document := string(parse(t).Encode())
	for _, tt := range []struct{ name, in, text string }{
		{"nothing", "", "empty"},
		{"a name twice", strings.Replace(document, `"name"`, `"name":"evil","name"`, 1), "twice"},
		{"another case", strings.Replace(document, `"name"`, `"Name"`, 1), `did you mean "name"?`},
		{"invalid UTF-8", strings.Replace(document, "Acme chat", "Acme\xff", 1), "UTF-8"},
		{"trailing data", document + "{}", "JSON"},
		{"nesting", strings.Repeat("[", 100) + strings.Repeat("]", 100), "deeper than 16"},
		{"too large a number", strings.Replace(document, `"repeat_window_seconds":60`, `"repeat_window_seconds":99999999999999999999`, 1), "64 bits"},
		{"a point", strings.Replace(document, `"repeat_window_seconds":60`, `"repeat_window_seconds":60.0`, 1), "without point"},
		{"null for a text", strings.Replace(document, `"title":"Acme chat"`, `"title":null`, 1), "a text is needed, and it is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.in == document {
				t.Fatal("the case changes nothing")
			}
			_, err := manifest.ParseJSON([]byte(tt.in))
			if err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("ParseJSON = %v, want a complaint with %q", err, tt.text)
			}
		})
	}
}

func ExampleParseYAML() {
	_, err := manifest.ParseYAML([]byte(`contract: patchbay/1
name: acme
version: 1.0
title: Acme chat
vendor: {name: Acme Ltd}
abilities: [receive, send_mesage]
egress:
  api:
    purpose: Send messages.
    host: "*.acme.test"
    methods: [POST]
    path: [/v1]
`))
	fmt.Println(err)
	// Output:
	// manifest:3: version: a text is needed, and it is a number; put it in quotes: "1.0"
	// manifest:6: abilities[1] is "send_mesage": there is no such ability; did you mean "send_message"?
	// manifest:9: egress.api.paths: it is empty, so the rule allows nothing; list what is needed
	// manifest:10: egress.api.host is "*.acme.test": it grants more than one host; write one exact host name in lower case, such as "api.acme.test"; where the tenant decides, use a setting of type url
	// manifest:12: egress.api.path: there is no such field; did you mean "paths"?
}

// What is accepted means the same when it is written and read again.
func FuzzParseYAML(f *testing.F) {
	f.Add([]byte(valid))
	f.Add([]byte("a: &a [*a]\n? {b: c}\n: !!binary aGk=\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := manifest.ParseYAML(data); err == nil {
			survives(t, m)
		}
	})
}

func FuzzParseJSON(f *testing.F) {
	m, err := manifest.ParseYAML([]byte(valid))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.Encode())
	f.Add([]byte(`{"name":[],"egress":{"a":{"port":1e2}},"settings":{"":null}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := manifest.ParseJSON(data); err == nil {
			survives(t, m)
		}
	})
}

func survives(t *testing.T, m *manifest.Manifest) {
	t.Helper()
	encoded := m.Encode()
	again, err := manifest.ParseJSON(encoded)
	if err != nil || !bytes.Equal(again.Encode(), encoded) {
		t.Errorf("%s was accepted, then read as %+v, %v", encoded, again, err)
	}
	if !json.Valid(encoded) {
		t.Errorf("Encode() = %s, which is not JSON", encoded)
	}
}
