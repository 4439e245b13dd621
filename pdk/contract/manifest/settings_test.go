package manifest_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

func TestCheckSettings(t *testing.T) {
	m := parse(t)
	for _, tt := range []struct{ name, setting, value, text string }{
		{"an origin", "company_url", "https://acme.test", ""},
		{"a port and a path", "company_url", "https://acme.test:8443/base", ""},
		{"http", "company_url", "http://acme.test", "scheme"},
		{"no scheme", "company_url", "acme.test", "scheme"},
		{"no host", "company_url", "https:///x", "no host"},
		{"only a port", "company_url", "https://:443", "no host"},
		{"opaque", "company_url", "https:acme.test", "no host"},
		{"a user", "company_url", "https://user:pw@acme.test", "user information"},
		{"an empty user", "company_url", "https://@acme.test", "user information"},
		{"a fragment", "company_url", "https://acme.test/#", "fragment"},
		{"a port that is none", "company_url", "https://acme.test:0", "port"},
		{"an empty port", "company_url", "https://acme.test:", "port"},
		{"a broken URL", "company_url", "https://acme.test/%zz", "no URL"},
		{"a long URL", "company_url", "https://acme.test/" + strings.Repeat("x", 512), "at most 512"},
		{"nothing where something is required", "company_url", "", "missing"},
		{"a choice", "policy", "never", ""},
		{"no choice", "policy", "nevr", `did you mean "never"?`},
		{"an enum unset", "policy", "", ""},
		{"the smallest number", "seconds", "1", ""},
		{"too small a number", "seconds", "0", "1 to 60"},
		{"too large a number", "seconds", "61", "1 to 60"},
		{"a plus", "seconds", "+5", "decimal"},
		{"a leading zero", "seconds", "05", "decimal"},
		{"a space", "seconds", "5 ", "decimal"},
		{"a flag", "notice", "false", ""},
		{"another flag", "notice", "yes", "true or false"},
		{"an empty text", "text", "", ""},
		{"a text beyond the default length", "text", strings.Repeat("x", 4097), "at most 4096"},
		{"a zero byte", "text", "a\x00b", "no text"},
		{"no UTF-8", "text", "\xff", "no text"},
		{"a list", "delays", "1,2", ""},
		{"an empty list", "delays", "", ""},
		{"an empty element", "delays", "1,,2", "element is empty"},
		{"a map", "keys", "a=b,c=", ""},
		{"no pair", "keys", "a", "malformed"},
		{"no key", "keys", "=b", "malformed"},
		{"a key twice", "keys", "a=1,a=2", "malformed"},
		{"an unknown setting", "polici", "auto", `did you mean "policy"?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			values := map[string]string{"company_url": "https://acme.test"}
			values[tt.setting] = tt.value
			problems := m.CheckSettings(values)
			switch {
			case tt.text == "" && len(problems) > 0:
				t.Errorf("%s = %q: %v, want no problem", tt.setting, tt.value, problems)
			case tt.text != "" && len(problems) != 1:
				t.Errorf("%s = %.60q: %d problems, want one with %q", tt.setting, tt.value, len(problems), tt.text)
			case tt.text != "" && (problems[0].Field != "settings."+tt.setting || !strings.Contains(problems[0].Error(), tt.text)):
				t.Errorf("%s = %.60q: %v, want a problem with %q", tt.setting, tt.value, &problems[0], tt.text)
			}
		})
	}
}

func TestWithDefaults(t *testing.T) {
	set := map[string]string{"company_url": "https://acme.test", "seconds": "", "delays": "", "text": "Hi", "unknown": "x"}
	want := map[string]string{
		"company_url": "https://acme.test", "policy": "auto", "seconds": "5", "notice": "true",
		"text": "Hi", "delays": "", "keys": "",
	}
	if got := parse(t).WithDefaults(set); !maps.Equal(got, want) {
		t.Errorf("WithDefaults(%v)\n got %v\nwant %v", set, got, want)
	}
}

func ExampleManifest_CheckSettings() {
	m, _ := manifest.ParseYAML([]byte(valid))
	for _, p := range m.CheckSettings(map[string]string{"polcy": "auto", "seconds": "90"}) {
		fmt.Println(&p)
	}
	// Output:
	// manifest: settings.company_url: it is missing; set it: Company
	// manifest: settings.polcy is "auto": there is no such setting; did you mean "policy"?
	// manifest: settings.seconds is "90": it is out of bounds; use 1 to 60
}
