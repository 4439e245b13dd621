package manifest

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

var (
	pluginName = regexp.MustCompile(`^[a-z][a-z0-9-]{1,39}$`)
	entryName  = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)
	// semantic is the expression that semver.org gives.
	semantic = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)` +
		`(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?` +
		`(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$`)
	feature = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)
)

// What a manifest may hold at most. Lengths are in characters.
const (
	maxTitle    = 60
	maxSentence = 300
	maxProse    = 2000
	maxEntries  = 64
)

// check notes what is wrong with a manifest, as far as its own text tells.
func (m *Manifest) check(f *findings) {
	if m.Contract != contract.Version {
		f.add("contract", m.Contract, "this Patchbay speaks "+contract.Version, `write "contract: `+contract.Version+`" and build against that version of the pdk`)
	}
	if !pluginName.MatchString(m.Name) {
		f.add("name", m.Name, "it is no name of a plugin", "use 2 to 40 of a-z, 0-9 and hyphen, beginning with a letter")
	}
	if !semantic.MatchString(m.Version) || len(m.Version) > 64 {
		f.add("version", m.Version, "it is no semantic version", `write it without "v", such as "1.4.0"`)
	}
	f.prose("title", m.Title, maxTitle, true)
	f.prose("description", m.Description, maxProse, false)
	f.prose("licence", m.Licence, maxSentence, false)
	m.Vendor.check(f)
	m.checkAbilities(f)
	f.entries("egress", slices.Sorted(maps.Keys(m.Egress)), func(field, name string) { m.checkEgress(f, field, m.Egress[name]) })
	f.entries("secrets", slices.Sorted(maps.Keys(m.Secrets)), func(field, name string) { m.checkSecret(f, field, name) })
	f.entries("credentials", slices.Sorted(maps.Keys(m.Credentials)), func(field, name string) { m.checkCredential(f, field, name) })
	f.entries("tokens", slices.Sorted(maps.Keys(m.Tokens)), func(field, name string) { m.checkTokens(f, field, name) })
	f.entries("settings", slices.Sorted(maps.Keys(m.Settings)), func(field, name string) { m.Settings[name].check(f, field) })
	if m.RepeatWindowSeconds < 0 || m.RepeatWindowSeconds > 86400 {
		f.add("repeat_window_seconds", strconv.FormatInt(m.RepeatWindowSeconds, 10), "it is out of bounds", "use 0 to 86400")
	}
	checkCapabilities(f, m.Capabilities)
}

// prose checks a text for people.
func (f *findings) prose(field, text string, limit int, required bool) {
	switch n := utf8.RuneCountInString(text); {
	case n > limit:
		f.add(field, text, fmt.Sprintf("it has %d characters", n), fmt.Sprintf("use at most %d", limit))
	case required && strings.TrimSpace(text) == "":
		f.add(field, text, "it is missing", "say it in a few words; people read it")
	}
}

// entries checks the names of a set, and then each entry.
func (f *findings) entries(field string, names []string, check func(field, name string)) {
	if len(names) > maxEntries {
		f.add(field, "", fmt.Sprintf("it has %d entries", len(names)), fmt.Sprintf("use at most %d", maxEntries))
	}
	for _, name := range names {
		if !entryName.MatchString(name) {
			f.add(join(field, name), "", "it is no name", "use 1 to 40 of a-z, 0-9 and underscore")
		}
		check(join(field, name), name)
	}
}

func (v Vendor) check(f *findings) {
	f.prose("vendor.name", v.Name, maxSentence, true)
	if v.URL != "" {
		if u, err := url.Parse(v.URL); err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
			f.add("vendor.url", v.URL, "it is no web page", `write an absolute URL, such as "https://acme.test/patchbay"`)
		}
	}
	if v.Contact != "" {
		if name, host, ok := strings.Cut(v.Contact, "@"); !ok || name == "" || hostProblem(host) != "" || strings.ContainsAny(name, " \t\r\n<>@") {
			f.add("vendor.contact", v.Contact, "it is no mail address", `write one, such as "security@acme.test"`)
		}
	}
}

func (m *Manifest) checkAbilities(f *findings) {
	var known []string
	for _, export := range contract.Exports() {
		known = append(known, string(export))
	}
	for i, ability := range m.Abilities {
		field := fmt.Sprintf("abilities[%d]", i)
		switch {
		case !slices.Contains(known, string(ability)):
			f.add(field, string(ability), "there is no such ability", suggestion(string(ability), known))
		case slices.Contains(m.Abilities[:i], ability):
			f.add(field, string(ability), "it stands twice", "remove one")
		}
	}
	if !slices.Contains(m.Abilities, contract.ExportReceive) {
		f.add("abilities", "", "receive is not among them", "add it; every plugin has it")
	}
}

func (m *Manifest) checkSecret(f *findings, field, name string) {
	s := m.Secrets[name]
	f.prose(field+".purpose", s.Purpose, maxSentence, true)
	s.Scope.check(f, field+".scope")
	if s.GenerateBytes != 0 && (s.GenerateBytes < 16 || s.GenerateBytes > 128) {
		f.add(field+".generate_bytes", strconv.FormatInt(s.GenerateBytes, 10), "it is out of bounds", "use 16 to 128, or leave it out where the tenant brings the secret")
	}
	if s.GenerateBytes != 0 && s.Optional {
		f.add(field+".optional", "true", "a secret that the host generates is always there", "remove optional or generate_bytes")
	}
	m.checkSendTo(f, field, s.SendTo)
	m.checkStandIn(f, field, name)
}

// checkSendTo checks the rules toward which something may be filled in.
func (m *Manifest) checkSendTo(f *findings, field string, sendTo []string) {
	rules := slices.Sorted(maps.Keys(m.Egress))
	for i, rule := range sendTo {
		at := fmt.Sprintf("%s.send_to[%d]", field, i)
		switch {
		case !slices.Contains(rules, rule):
			f.add(at, rule, "there is no such rule in egress", suggestion(rule, rules))
		case slices.Contains(sendTo[:i], rule):
			f.add(at, rule, "it stands twice", "remove one")
		}
	}
}

// check notes a scope that there is not.
func (s Scope) check(f *findings, field string) {
	if s != "" && s != ScopeConnection && s != ScopeApp {
		f.add(field, string(s), "there is no such scope", `write "connection" or "app"`)
	}
}

// credentialNames lists what a token set holds.
var credentialNames = []string{
	contract.CredentialAccessToken, contract.CredentialAppAccessToken, contract.CredentialReceiveURL, contract.CredentialRefreshToken,
}

func (m *Manifest) checkCredential(f *findings, field, name string) {
	if !slices.Contains(credentialNames, name) {
		f.add(field, name, "there is no such credential", suggestion(name, credentialNames))
	}
	c := m.Credentials[name]
	f.prose(field+".purpose", c.Purpose, maxSentence, true)
	if len(c.SendTo) == 0 {
		f.add(field+".send_to", "", "it is empty, so it is of no use", "name the egress rules that need it")
	}
	m.checkSendTo(f, field, c.SendTo)
}

// maxKeepAlive bounds a keep-alive: a year, in seconds.
const maxKeepAlive = 366 * 24 * 3600

func (m *Manifest) checkTokens(f *findings, field, name string) {
	t := m.Tokens[name]
	if name != string(ScopeConnection) && name != string(ScopeApp) {
		f.add(field, name, "there are no such token sets", `write "connection" or "app"`)
	}
	if t.RefreshAheadPercent < 0 || t.RefreshAheadPercent > 90 {
		f.add(field+".refresh_ahead_percent", strconv.FormatInt(t.RefreshAheadPercent, 10), "it is out of bounds", "use 1 to 90, or leave it out")
	}
	if t.KeepAliveSeconds < 0 || t.KeepAliveSeconds > maxKeepAlive || t.KeepAliveSeconds > 0 && t.KeepAliveSeconds < 60 {
		f.add(field+".keep_alive_seconds", strconv.FormatInt(t.KeepAliveSeconds, 10), "it is out of bounds", "use 60 to 31622400, or leave it out")
	}
	if !slices.Contains(m.Abilities, contract.ExportRefreshCredentials) {
		f.add(field, name, "the plugin cannot refresh_credentials", "add the ability, or remove this")
	}
}

// checkStandIn checks the secret that stands in for another one: it goes wherever that
// one may go.
func (m *Manifest) checkStandIn(f *findings, field, name string) {
	s := m.Secrets[name]
	if s.Default == "" {
		return
	}
	other, ok := m.Secrets[s.Default]
	switch {
	case !ok:
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(m.Secrets)), func(n string) bool { return n == name })
		f.add(field+".default", s.Default, "there is no such secret", suggestion(s.Default, names))
		return
	case s.Default == name || other.Default != "":
		f.add(field+".default", s.Default, "it has a stand-in itself", "name a secret without default")
		return
	}
	for _, rule := range s.SendTo {
		if !slices.Contains(other.SendTo, rule) {
			f.add(field+".default", s.Default, "it would be sent to "+rule+", which its own send_to does not name", "add "+rule+" to secrets."+s.Default+".send_to, or name another secret")
		}
	}
}

func checkCapabilities(f *findings, list []contract.Capability) {
	seen := make(map[string]bool)
	grades := []string{
		string(contract.SupportFull), string(contract.SupportPartial), string(contract.SupportFallback),
		string(contract.SupportDropped), string(contract.SupportRejected),
	}
	for i, c := range list {
		field := fmt.Sprintf("capabilities[%d]", i)
		switch {
		case !feature.MatchString(c.Feature):
			f.add(field+".feature", c.Feature, "it is no name of a feature", `use a kind of part or an ability, such as "text" or "edit"`)
		case seen[c.Feature]:
			f.add(field+".feature", c.Feature, "it stands twice", "remove one")
		}
		seen[c.Feature] = true
		if !slices.Contains(grades, string(c.Support)) {
			f.add(field+".support", string(c.Support), "there is no such grade", suggestion(string(c.Support), grades))
		}
		if c.MaxChars < 0 || c.MaxBytes < 0 || c.MaxCount < 0 {
			f.add(field, "", "a limit is negative", "use 0 or leave it out where there is none")
		}
		f.prose(field+".note", c.Note, maxSentence, false)
	}
}
