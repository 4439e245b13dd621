package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/pack"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox"
)

type pluginInspect struct {
	File string `arg:"" help:"The plugin file."`
}

// Run reports what can be read of the file, and then fails if it is no plugin.
func (c *pluginInspect) Run(s *session) error {
	wasm, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	p, err := pack.Examine(wasm)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if err := s.show(inspectionOf(p), func() { printInspection(s, p) }); err != nil {
		return err
	}
	if len(p.Problems) > 0 {
		return fmt.Errorf("%s is no plugin that a host would take:\n%w", c.File, errors.Join(p.Problems...))
	}
	return nil
}

// inspection is the report for programs.
type inspection struct {
	Digest        string             `json:"digest"`
	SizeBytes     int64              `json:"size_bytes"`
	Manifest      *manifest.Manifest `json:"manifest,omitempty"`
	HostFunctions []string           `json:"host_functions"`
	Imports       []string           `json:"imports"`
	Exports       []string           `json:"exports"`
	Memory        *memoryBounds      `json:"memory,omitempty"`
	Tables        []tableBounds      `json:"tables,omitempty"`
	Sections      []sectionSize      `json:"sections"`
	Toolchain     string             `json:"toolchain,omitempty"`
	Problems      []string           `json:"problems,omitempty"`
}

// memoryBounds are in pages of 64 KiB; MaxPages is nil if the module states none.
type memoryBounds struct {
	MinPages uint32  `json:"min_pages"`
	MaxPages *uint32 `json:"max_pages,omitempty"`
}

// tableBounds are in entries; Max is nil if the module states none.
type tableBounds struct {
	Min uint32  `json:"min"`
	Max *uint32 `json:"max,omitempty"`
}

type sectionSize struct {
	Name      string `json:"name"`
	SizeBytes int    `json:"size_bytes"`
}

func inspectionOf(p *pack.Package) inspection {
	i := inspection{Digest: p.Spec.Digest, SizeBytes: p.Spec.SizeBytes, Manifest: p.Manifest,
		HostFunctions: p.Spec.HostFunctions(), Sections: sectionsOf(p.Spec), Toolchain: p.Spec.Toolchain}
	for _, one := range p.Spec.Imports {
		i.Imports = append(i.Imports, one.String())
	}
	for _, one := range p.Spec.Exports {
		i.Exports = append(i.Exports, one.Name)
	}
	if m := p.Spec.Memory; m != nil {
		i.Memory = &memoryBounds{m.MinPages, bound(m.MaxPages, m.HasMax)}
	}
	for _, t := range p.Spec.Tables {
		i.Tables = append(i.Tables, tableBounds{t.Min, bound(t.Max, t.HasMax)})
	}
	for _, problem := range p.Problems {
		i.Problems = append(i.Problems, problem.Error())
	}
	return i
}

func bound(most uint32, stated bool) *uint32 {
	if !stated {
		return nil
	}
	return &most
}

func sectionsOf(spec *sandbox.Spec) []sectionSize {
	var sections []sectionSize
	for _, section := range spec.Sections {
		sections = append(sections, sectionSize{strings.TrimSpace(section.ID + " " + section.Name), section.SizeBytes})
	}
	return sections
}

// printInspection prints the report for people.
func printInspection(s *session, p *pack.Package) {
	m := p.Manifest
	if m == nil {
		m = new(manifest.Manifest)
	}
	printFields(s.stdout,
		field{"plugin", strings.TrimSpace(m.Name + " " + m.Version)}, field{"title", m.Title}, field{"description", m.Description},
		field{"vendor", m.Vendor.Name}, field{"vendor page", m.Vendor.URL}, field{"security reports", m.Vendor.Contact},
		field{"licence", m.Licence}, field{"contract", m.Contract}, field{"digest", p.Spec.Digest},
		field{"bytes", strconv.FormatInt(p.Spec.SizeBytes, 10)}, field{"made with", p.Spec.Toolchain},
		field{"abilities", joined(m.Abilities)}, field{"memory", memoryText(p.Spec.Memory)}, field{"tables", tablesText(p.Spec.Tables)},
	)
	printHostFunctions(s, p.Spec)
	printEgress(s, m)
	printSecrets(s, m)
	printSettings(s, m)
	section(s, "What the file is made of")
	printTable(s.stdout, sectionsOf(p.Spec),
		column[sectionSize]{"section", func(one sectionSize) string { return one.Name }},
		column[sectionSize]{"bytes", func(one sectionSize) string { return strconv.Itoa(one.SizeBytes) }},
	)
}

// section begins a part of the report.
func section(s *session, title string) { fmt.Fprintf(s.stdout, "\n%s\n", title) }

func printHostFunctions(s *session, spec *sandbox.Spec) {
	section(s, "The most that it can ask of a host, read from its code")
	names := spec.HostFunctions()
	if len(names) == 0 {
		fmt.Fprintln(s.stdout, "nothing")
		return
	}
	printTable(s.stdout, names,
		column[string]{"host function", func(name string) string { return name }},
		column[string]{"does", func(name string) string { return hostFunctionText(contract.HostFunction(name)) }},
	)
}

func printEgress(s *session, m *manifest.Manifest) {
	if len(m.Egress) == 0 {
		return
	}
	section(s, "Where it wants to send requests")
	printTable(s.stdout, slices.Sorted(maps.Keys(m.Egress)),
		column[string]{"rule", func(name string) string { return name }},
		column[string]{"host", func(name string) string { return targetText(m.Egress[name]) }},
		column[string]{"methods", func(name string) string { return strings.Join(m.Egress[name].Methods, ", ") }},
		column[string]{"paths below", func(name string) string { return strings.Join(m.Egress[name].Paths, ", ") }},
		column[string]{"purpose", func(name string) string { return m.Egress[name].Purpose }},
	)
}

// targetText tells whom an egress rule leads to.
func targetText(r manifest.EgressRule) string {
	switch {
	case r.Setting != "":
		return "any that a tenant enters as " + r.Setting
	case r.Port != 0:
		return r.Host + ":" + strconv.FormatInt(r.Port, 10)
	}
	return r.Host
}

func printSecrets(s *session, m *manifest.Manifest) {
	if len(m.Secrets) == 0 {
		return
	}
	section(s, "The secrets that are used for it; it never sees their values")
	printTable(s.stdout, slices.Sorted(maps.Keys(m.Secrets)),
		column[string]{"secret", func(name string) string { return name }},
		column[string]{"from", func(name string) string { return originText(m.Secrets[name]) }},
		column[string]{"sent to", func(name string) string { return strings.Join(m.Secrets[name].SendTo, ", ") }},
		column[string]{"optional", func(name string) string { return yes(m.Secrets[name].Optional) }},
		column[string]{"purpose", func(name string) string { return m.Secrets[name].Purpose }},
	)
}

func originText(secret manifest.Secret) string {
	switch {
	case secret.Default != "":
		return "the tenant, or else " + secret.Default
	case secret.GenerateBytes > 0:
		return fmt.Sprintf("the host, %d random bytes", secret.GenerateBytes)
	}
	return "the tenant"
}

func printSettings(s *session, m *manifest.Manifest) {
	if len(m.Settings) == 0 {
		return
	}
	section(s, "What a tenant can set")
	printTable(s.stdout, slices.Sorted(maps.Keys(m.Settings)),
		column[string]{"setting", func(name string) string { return name }},
		column[string]{"type", func(name string) string { return string(m.Settings[name].Type) }},
		column[string]{"required", func(name string) string { return yes(m.Settings[name].Required) }},
		column[string]{"default", func(name string) string { return m.Settings[name].Default }},
		column[string]{"valid", func(name string) string { return validText(m.Settings[name]) }},
		column[string]{"title", func(name string) string { return m.Settings[name].Title }},
	)
}

func validText(s manifest.Setting) string {
	switch {
	case len(s.Values) > 0:
		return strings.Join(s.Values, ", ")
	case s.Min != 0 || s.Max != 0:
		return fmt.Sprintf("%d to %d", s.Min, s.Max)
	case s.MaxLength > 0:
		return fmt.Sprintf("at most %d bytes", s.MaxLength)
	}
	return ""
}

func memoryText(m *sandbox.MemorySpec) string {
	if m == nil {
		return "none of its own"
	}
	if !m.HasMax {
		return fmt.Sprintf("%d KiB at first, and as much more as the host allows", m.MinPages*64)
	}
	return fmt.Sprintf("%d KiB at first, at most %d KiB", m.MinPages*64, uint64(m.MaxPages)*64)
}

func tablesText(tables []sandbox.TableSpec) string {
	var texts []string
	for _, t := range tables {
		text := fmt.Sprintf("%d entries at first, and as many more as the host allows", t.Min)
		if t.HasMax {
			text = fmt.Sprintf("%d entries at first, at most %d", t.Min, t.Max)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

func joined[S ~string](words []S) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
	}
	return strings.Join(texts, ", ")
}

// hostFunctionText says for a reviewer what a host function lets a plugin do.
func hostFunctionText(f contract.HostFunction) string {
	text, known := map[contract.HostFunction]string{
		contract.HostHTTPSend:        "send a request to a host that was granted",
		contract.HostHTTPCachedGet:   "read a public document of a host that was granted",
		contract.HostKVGet:           "read what it keeps for its connection",
		contract.HostKVPut:           "keep something for its connection",
		contract.HostKVDelete:        "forget something it keeps for its connection",
		contract.HostKVList:          "list what it keeps for its connection",
		contract.HostRoutePut:        "name a key by which deliveries find its connection",
		contract.HostRouteDelete:     "take such a key back",
		contract.HostSecretEqual:     "compare a text with a secret that was granted",
		contract.HostHMACVerify:      "verify an HMAC with a secret that was granted",
		contract.HostHMACSign:        "sign with a secret that was granted (HMAC)",
		contract.HostJWTVerify:       "verify a JWT with a secret that was granted",
		contract.HostJWTSign:         "sign a JWT with a secret that was granted",
		contract.HostSignatureVerify: "verify a signature with a public key of its own",
		contract.HostCredentialsPut:  "hand over tokens for the host to keep",
		contract.HostMediaFetch:      "have an attachment fetched from a host that was granted",
		contract.HostMediaPut:        "have an attachment sent to a host that was granted",
		contract.HostMediaLink:       "make a link to an attachment that works for a while",
		contract.HostDeliveryBody:    "read the body of the delivery it was called for",
	}[f]
	if !known {
		return "unknown to " + contract.Version + ": no host offers it"
	}
	return text
}
