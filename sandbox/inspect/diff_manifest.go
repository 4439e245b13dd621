package inspect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// manifests compares what the manifests ask for. A manifest that is missing or wrong
// asks for nothing.
func (d *Diff) manifests(from, to *Report) {
	before, after := from.Manifest, to.Manifest
	if before == nil {
		before = new(manifest.Manifest)
	}
	if after == nil {
		after = new(manifest.Manifest)
	}
	d.sets(AreaAbility, names(before.Abilities), names(after.Abilities), true)
	d.egress(before, after)
	d.secrets(before, after)
	d.credentials(before, after)
	settings := func(m *manifest.Manifest) map[string]string {
		texts := map[string]string{}
		for name, s := range m.Settings {
			texts[name] = settingText(s)
		}
		return texts
	}
	d.keyed(AreaSetting, settings(before), settings(after), never)
}

func names[S ~string](list []S) []string {
	texts := make([]string, len(list))
	for i, one := range list {
		texts[i] = string(one)
	}
	return texts
}

func (d *Diff) egress(before, after *manifest.Manifest) {
	keys := map[string]bool{}
	for name := range before.Egress {
		keys[name] = true
	}
	for name := range after.Egress {
		keys[name] = true
	}
	for _, name := range sortedKeys(keys) {
		o, was := before.Egress[name]
		n, is := after.Egress[name]
		more := is && (!was || widensRule(o, n) || before.Settings[o.Setting].Type != after.Settings[n.Setting].Type ||
			!tenantDecides(o, before) && tenantDecides(n, after))
		d.add(AreaEgress, name, ruleText(o, before, was), ruleText(n, after, is), more)
	}
}

func ruleText(r manifest.EgressRule, m *manifest.Manifest, there bool) string {
	if !there {
		return ""
	}
	return fmt.Sprintf("%s %s below %s", methodsText(r), targetText(r, m), strings.Join(r.Paths, ", "))
}

// widensRule tells whether a rule allows a request that it did not allow before, or shows more
// of an answer. What is for http_cached_get is for other callers than what is not.
func widensRule(before, after manifest.EgressRule) bool {
	if before.Cached != after.Cached || before.Host != after.Host || before.Setting != after.Setting || port(before) != port(after) {
		return true
	}
	method := func(m string) bool { return !slices.Contains(before.Methods, m) }
	path := func(p string) bool {
		return !slices.ContainsFunc(before.Paths, func(old string) bool { return below(p, old) })
	}
	shown := func(name string) bool { return !slices.Contains(after.Redact, name) }
	return slices.ContainsFunc(after.Methods, method) || slices.ContainsFunc(after.Paths, path) || slices.ContainsFunc(before.Redact, shown)
}

func port(r manifest.EgressRule) int64 {
	if r.Port == 0 && r.Host != "" {
		return 443
	}
	return r.Port
}

// below tells whether a path lies under a prefix, however a host reads prefixes.
func below(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
}

func (d *Diff) secrets(before, after *manifest.Manifest) {
	keys := map[string]bool{}
	for name := range before.Secrets {
		keys[name] = true
	}
	for name := range after.Secrets {
		keys[name] = true
	}
	for _, name := range sortedKeys(keys) {
		o, was := before.Secrets[name]
		n, is := after.Secrets[name]
		d.add(AreaSecret, name, secretText(o, was), secretText(n, is), is && (!was || widensSecret(o, n)))
	}
}

// credentials compares what of token sets is sent where, and how those are kept fresh.
func (d *Diff) credentials(before, after *manifest.Manifest) {
	keys := map[string]bool{}
	for name := range before.Credentials {
		keys[name] = true
	}
	for name := range after.Credentials {
		keys[name] = true
	}
	text := func(c manifest.Credential, there bool) string {
		if !there {
			return ""
		}
		return "sent to " + strings.Join(c.SendTo, ", ")
	}
	for _, name := range sortedKeys(keys) {
		o, was := before.Credentials[name]
		n, is := after.Credentials[name]
		d.add(AreaCredential, name, text(o, was), text(n, is), is && (!was || sentFurther(o.SendTo, n.SendTo)))
	}
	tokens := func(m *manifest.Manifest) map[string]string {
		texts := map[string]string{}
		for owner, t := range m.Tokens {
			texts["tokens of the "+owner] = tokensText(t)
		}
		return texts
	}
	d.keyed(AreaCredential, tokens(before), tokens(after), never)
}

// sentFurther tells whether a value goes somewhere new.
func sentFurther(before, after []string) bool {
	return slices.ContainsFunc(after, func(rule string) bool { return !slices.Contains(before, rule) })
}

func secretText(s manifest.Secret, there bool) string {
	if !there {
		return ""
	}
	text := "from " + originText(s)
	if len(s.SendTo) > 0 {
		text += ", sent to " + strings.Join(s.SendTo, ", ")
	}
	if s.Optional {
		text += ", optional"
	}
	return text
}

// widensSecret tells whether a secret goes somewhere new, or is now somebody else's.
func widensSecret(before, after manifest.Secret) bool {
	return before.GenerateBytes > 0 && after.GenerateBytes == 0 || after.Default != "" && before.Default != after.Default ||
		owner(before) != owner(after) || sentFurther(before.SendTo, after.SendTo)
}

func settingText(s manifest.Setting) string {
	text := string(s.Type)
	if valid := validText(s); valid != "" {
		text += " " + valid
	}
	if s.Required {
		text += ", required"
	}
	if s.Default != "" {
		text += ", or else " + s.Default
	}
	return text
}
