package inspect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// rules are all there are. Each adds the findings that it is named after; among
// findings of one severity those of an earlier rule come first.
var rules = []func(*analysis){
	(*analysis).findDeception,
	(*analysis).findRefusals,
	(*analysis).findManifest,
	(*analysis).findAbilities,
	(*analysis).findSecretsInside,
	(*analysis).findPlacesInside,
	(*analysis).findPayloadsInside,
	(*analysis).findCrowd,
	(*analysis).findUndeclared,
	(*analysis).findEgress,
	(*analysis).findSecretUse,
	(*analysis).findMemory,
	(*analysis).findOpaque,
	(*analysis).findCode,
	(*analysis).findMeasured,
}

// findDeception finds texts made to deceive whoever has them printed.
func (a *analysis) findDeception() {
	for i := range a.names {
		if strings.IndexFunc(a.names[i], suspicious) >= 0 && i >= uint32(len(a.slotOf)) {
			a.deceptive = append(a.deceptive, "the names of functions")
			break
		}
	}
	for _, s := range a.m.Sections {
		if strings.IndexFunc(s.Name, suspicious) >= 0 {
			a.deceptive = append(a.deceptive, "the name of a custom section")
			break
		}
	}
	for _, p := range a.m.Producers() {
		if strings.IndexFunc(p.Field+p.Name+p.Version, suspicious) >= 0 {
			a.deceptive = append(a.deceptive, "the section producers")
			break
		}
	}
	if len(a.deceptive) > 0 {
		a.find(High, "text-deceptive", "Texts hold control characters or characters that hide others.",
			"They move the cursor of a terminal or turn the direction of writing, so that people read something else than what is there. No compiler writes them.",
			"Ask the vendor how they came in. This report shows them as numbers.", a.deceptive...)
	}
}

func (a *analysis) findRefusals() {
	var refused []string
	for i := range a.Imports {
		if imp := &a.Imports[i]; imp.Refused != "" {
			refused = append(refused, fmt.Sprintf("%s: %s; %s", imp, imp.Refused, imp.Fix))
		}
	}
	if len(refused) > 0 {
		a.find(Critical, "import-refused", fmt.Sprintf("It needs %s that no host offers.", count(len(refused), "import")),
			"A host refuses the file as a whole, whether or not the code ever gets there.",
			"Send it back to the vendor with the replacements below.", refused...)
	}
	if len(a.calls.unreadable) > 0 {
		a.find(Critical, "code-unreadable", "Some functions hold an instruction that cannot be read.",
			"What stands behind it is in no part of this report. No compiler writes such code, and no engine runs it.",
			"Do not approve it.", a.functionList(a.calls.unreadable)...)
	}
}

func (a *analysis) functionList(list []uint32) []string {
	var names []string
	for _, v := range list[:min(len(list), maxEvidence+1)] {
		names = append(names, functionName(a.names, v))
	}
	return names
}

func (a *analysis) findManifest() {
	const remake = "Have the vendor make the file with \"patchbay plugin build\"."
	switch {
	case a.manifests == 0:
		a.find(Critical, "manifest-missing", "The file has no manifest.",
			"Nobody answers for it, and nothing says what it should be granted. A host does not take it.", remake)
	case a.manifests > 1:
		a.find(Critical, "manifest-twice", fmt.Sprintf("The file has %d manifests.", a.manifests),
			"A reviewer could be shown one and a host obey the other. A host does not take it.", remake)
	case a.Manifest == nil:
		a.find(Critical, "manifest-invalid", "The manifest is wrong.",
			"What cannot be read cannot be granted. A host does not take it.", remake, a.ManifestProblems...)
	}
}

// findAbilities holds the exports against the manifest and the contract.
func (a *analysis) findAbilities() {
	exported := map[string]bool{}
	var other []string
	for _, e := range a.Exports {
		if e.Role == RoleAbility {
			exported[e.Name] = true
		}
		if e.Role == RoleOther && e.Kind == "function" {
			other = append(other, e.Name+" "+e.Type)
		}
	}
	if !exported[string(contract.ExportReceive)] {
		a.find(Critical, "export-receive-missing", "It does not export receive.",
			"Every plugin takes deliveries. A host does not take one that cannot.", "Send it back to the vendor.")
	}
	var differ []string
	if a.Manifest != nil {
		for _, ability := range a.Manifest.Abilities {
			if !exported[string(ability)] {
				differ = append(differ, fmt.Sprintf("%s is in the manifest and not in the code", ability))
			}
		}
		for _, ability := range slices.Sorted(maps.Keys(exported)) {
			if !slices.Contains(a.Manifest.Abilities, contract.Export(ability)) {
				differ = append(differ, fmt.Sprintf("%s is in the code and not in the manifest", ability))
			}
		}
	}
	if len(differ) > 0 {
		a.find(Critical, "abilities-differ", "The manifest states other abilities than the code has.",
			"What is granted by the manifest would not be what runs. A host does not take it.",
			"Have the vendor make the file with \"patchbay plugin build\".", differ...)
	}
	if len(other) > 0 {
		a.find(Info, "export-unknown", fmt.Sprintf("It exports %s that the contract does not know.", count(len(other), "function")),
			"A host calls only what the contract knows, so they do nothing here. They may be left over, or meant for another host.",
			"Nothing, unless a name is surprising.", other...)
	}
}

// findEgress looks at what the manifest's egress rules would allow.
func (a *analysis) findEgress() {
	if a.Manifest == nil {
		return
	}
	var anywhere, wide, ports []string
	for _, name := range slices.Sorted(maps.Keys(a.Manifest.Egress)) {
		r := a.Manifest.Egress[name]
		switch {
		case tenantDecides(r, a.Manifest):
			anywhere = append(anywhere, fmt.Sprintf("%s: whatever a tenant enters as %s", name, r.Setting))
		case strings.Contains(r.Host, "*"):
			anywhere = append(anywhere, fmt.Sprintf("%s: %s", name, r.Host))
		}
		if slices.Contains(r.Paths, "/") && r.Setting == "" {
			wide = append(wide, fmt.Sprintf("%s: all of %s, with %s", name, r.Host, strings.Join(r.Methods, ", ")))
		}
		if r.Port != 0 && r.Port != 443 {
			ports = append(ports, fmt.Sprintf("%s: %s:%d", name, r.Host, r.Port))
		}
	}
	if len(anywhere) > 0 {
		a.find(Low, "egress-tenant-host", fmt.Sprintf("%s to a host that a tenant names.", leads(len(anywhere))),
			"Until a tenant enters it nobody knows the host, and a tenant may be talked into a wrong one. Private addresses are refused in any case.",
			"Narrow it when approving, such as with --host 'RULE=*.vendor.example'.", anywhere...)
	}
	if len(wide) > 0 {
		a.find(Info, "egress-whole-host", fmt.Sprintf("%s to every path of a host.", leads(len(wide))),
			"The rule does not keep it to the part of the platform's interface that it needs.",
			"Ask the vendor for path prefixes, if the platform's interface has some.", wide...)
	}
	if len(ports) > 0 {
		a.find(Low, "egress-port", fmt.Sprintf("%s to an unusual port.", leads(len(ports))),
			"Platforms answer on 443; another port is often another service.", "Ask the vendor what is there.", ports...)
	}
}

func leads(n int) string {
	if n == 1 {
		return "1 egress rule leads"
	}
	return fmt.Sprintf("%d egress rules lead", n)
}

// findSecretUse looks at what the manifest would have done with secrets.
func (a *analysis) findSecretUse() {
	if a.Manifest == nil {
		return
	}
	var open, shared, unused, dead []string
	for _, name := range slices.Sorted(maps.Keys(a.Manifest.Credentials)) {
		leaks := a.openTo("credential "+name, a.Manifest.Credentials[name].SendTo)
		if name == contract.CredentialAppAccessToken {
			shared = append(shared, leaks...)
		} else {
			open = append(open, leaks...)
		}
		if !a.imports(toNetwork...) {
			dead = append(dead, "credential "+name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Manifest.Secrets)) {
		s := a.Manifest.Secrets[name]
		if leaks := a.openTo(name, s.SendTo); s.Scope == manifest.ScopeApp {
			shared = append(shared, leaks...)
		} else {
			open = append(open, leaks...)
		}
		if len(s.SendTo) == 0 && !a.imports(toSecrets...) {
			unused = append(unused, name)
		}
		if len(s.SendTo) > 0 && !a.imports(toNetwork...) {
			dead = append(dead, name)
		}
	}
	if len(shared) > 0 {
		a.find(High, "app-secret-to-tenant-host", fmt.Sprintf("%s of the operator's can be sent to a host that a tenant names.", count(len(shared), "secret")),
			"It is the same for every tenant of the app. A tenant who enters a host of its own is sent it, unless the code looks at the host first; nothing but a grant makes sure of that.",
			"Narrow the rule when approving, such as with --host 'RULE=*.vendor.example', to hosts that no tenant can have.", shared...)
	}
	if len(open) > 0 {
		a.find(Medium, "secret-to-tenant-host", fmt.Sprintf("%s can be sent to a host that a tenant names.", count(len(open), "secret")),
			"The host fills the value in for whatever host stands in the setting. Who controls the setting controls where the secret goes.",
			"Narrow the rule when approving, such as with --host 'RULE=*.vendor.example', or make sure that the secret is the tenant's own.", open...)
	}
	if unused = append(unused, dead...); len(unused) > 0 {
		a.find(Low, "secret-unused", fmt.Sprintf("%s declared and cannot be used.", isAre(len(unused), "secret")),
			"The code imports no host function that could use it, so a grant of it is wider than needed.",
			"Do not grant it, or ask the vendor to take it out.", unused...)
	}
}

// openTo says by which of the rules a value goes to a host that a tenant names.
func (a *analysis) openTo(what string, sendTo []string) (open []string) {
	for _, rule := range sendTo {
		if r := a.Manifest.Egress[rule]; tenantDecides(r, a.Manifest) {
			open = append(open, fmt.Sprintf("%s, by rule %s, to whatever a tenant enters as %s", what, rule, r.Setting))
		} else if strings.Contains(r.Host, "*") {
			open = append(open, fmt.Sprintf("%s, by rule %s, to %s", what, rule, r.Host))
		}
	}
	return open
}

func isAre(n int, word string) string {
	if n == 1 {
		return "1 " + word + " is"
	}
	return count(n, word) + " are"
}

// imports tells whether one of these host functions is imported.
func (a *analysis) imports(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(a.HostFunctions, name) })
}
