package inspect

import (
	"fmt"
	"strings"
)

func (a *analysis) findSecretsInside() {
	var evidence []string
	for _, c := range a.Data.Credentials {
		evidence = append(evidence, fmt.Sprintf("%s: %s (%s) in %s", c.Kind, c.Masked, count(c.Length, "character"), c.Where))
	}
	if len(evidence) > 0 {
		a.find(High, "credential-embedded", fmt.Sprintf("It carries %s that looks like a credential.", count(len(evidence), "text")),
			"Everybody who has the file has the credential, for every tenant alike; and a plugin that brings its own can talk to somebody else's account.",
			"Have the vendor revoke it, and declare a secret in the manifest instead.", evidence...)
	}
}

// findPlacesInside holds what data names against the egress rules.
func (a *analysis) findPlacesInside() {
	by := map[Standing][]string{}
	var hidden, plain []string
	for _, p := range a.Data.Places {
		line := fmt.Sprintf("%s (data segment %d)", p.Text, p.Segment)
		switch {
		case p.Kind == PlaceHidden:
			hidden = append(hidden, line)
			continue
		case p.Kind == PlaceAddress && p.Standing == NotCovered:
			by["address"] = append(by["address"], line)
		default:
			by[p.Standing] = append(by[p.Standing], line)
		}
		if strings.HasPrefix(strings.ToLower(p.Text), "http://") && p.Standing == Covered {
			plain = append(plain, line)
		}
	}
	const enforced = "Egress refuses it, whatever the code does. But "
	if list := by[Metadata]; len(list) > 0 {
		a.find(High, "address-metadata", "Its data names a cloud's metadata service.",
			enforced+"a connector has no business there: that is where a machine's own credentials are stolen.",
			"Do not approve it before the vendor explains.", list...)
	}
	if len(hidden) > 0 {
		a.find(High, "url-hidden", fmt.Sprintf("Its data holds %s in disguise.", count(len(hidden), "URL")),
			"They are encoded or written backwards, which keeps them from being found and has no honest use that is common.",
			"Ask the vendor what they are for.", hidden...)
	}
	if list := by[Private]; len(list) > 0 {
		a.find(Medium, "address-private", fmt.Sprintf("Its data names %s in a private network.", count(len(list), "place")),
			enforced+"it means that the code was made for, or probes, somebody's own network.",
			"Ask the vendor what is there.", list...)
	}
	if list := by[NotCovered]; len(list) > 0 {
		a.find(Medium, "url-not-covered", fmt.Sprintf("Its data names %s that no egress rule covers.", count(len(list), "URL")),
			enforced+"the manifest may keep quiet about a destination, or hope for a later version; or it is only a text.",
			"See what each is for, most of all where a host is not the platform's or the vendor's.", list...)
	}
	if list := by["address"]; len(list) > 0 {
		a.find(Low, "address-public", fmt.Sprintf("Its data holds %s in numbers.", count(len(list), "address")),
			"An address says nothing about whose it is, and no egress rule can name one. It may also be a version number.",
			"Ask the vendor, if it is no version number.", list...)
	}
	if list := by[Local]; len(list) > 0 {
		a.find(Info, "address-local", "Its data names the machine itself.",
			"Egress refuses it. Libraries carry such texts.", "Nothing.", list...)
	}
	if len(plain) > 0 {
		a.find(Low, "url-plain-http", "Its data names covered hosts without encryption.",
			"Who listens on the way could read and change the traffic. Egress uses https unless http was granted.",
			"Do not grant http.", plain...)
	}
}

// findCrowd finds that the search for something was given up.
func (a *analysis) findCrowd() {
	if a.Data.Crowded || a.LeftOut["places"] > 0 {
		a.find(Medium, "data-crowded", "Its data holds more that looks like URLs or credentials than this report looks at.",
			"Among so many another one does not show. Somebody may want that.",
			"Ask the vendor what they are, and search the data with a tool of your own.")
	}
}

// muchDense is more than tables of numbers have, such as those for printing floats.
const muchDense = 32 << 10

// findPayloadsInside looks at what else may be hidden in the file.
func (a *analysis) findPayloadsInside() {
	var payloads, dense, unknown []string
	for _, p := range a.Data.Payloads {
		payloads = append(payloads, p.Kind+" in "+p.Where)
	}
	if len(payloads) > 0 {
		a.find(High, "payload-program", "It carries another program.",
			"What that does is in no part of this report.", "Ask the vendor what it is for and how it is run.", payloads...)
	}
	if len(a.Data.Interpreters) > 0 {
		a.find(Medium, "payload-interpreter", "It carries an interpreter.",
			"What it does is then decided by a script in its data, or by one that it receives. The calls in this report show what the interpreter can do at most.",
			"Read the script, and judge the plugin by what is granted.", a.Data.Interpreters...)
	}
	total := 0
	for _, s := range a.Data.Dense {
		total += s.Bytes
		dense = append(dense, fmt.Sprintf("%s, %s, %.2f bits per byte", s.Where, bytesText(int64(s.Bytes)), s.BitsPerByte))
	}
	if total >= muchDense {
		severity := Low
		if total >= 4*muchDense {
			severity = Medium
		}
		a.find(severity, "data-dense", fmt.Sprintf("%s of its data look compressed or encrypted.", bytesText(int64(total))),
			"Nobody can see what is in there. Tables of cryptography, fonts and pictures look the same.",
			"Ask the vendor what it is.", dense...)
	}
	large := 0
	for _, s := range a.Sections {
		if !s.Known {
			large = max(large, s.SizeBytes)
			unknown = append(unknown, fmt.Sprintf("%s, %s", s.Name, bytesText(int64(s.SizeBytes))))
		}
	}
	if len(unknown) > 0 {
		severity := Info
		if large >= 4<<10 {
			severity = Low
		}
		a.find(severity, "section-unknown", fmt.Sprintf("It has %s that no known tool writes.", count(len(unknown), "custom section")),
			"No engine reads them, and neither can the plugin. They are a place to bring something past a reviewer.",
			"Have the vendor strip them, if they do not say what they are.", unknown...)
	}
}

// findOpaque finds what makes the file hard to judge.
func (a *analysis) findOpaque() {
	c := &a.Code
	if c.Functions > 0 && c.Named*2 < c.Functions {
		a.find(Medium, "names-stripped", fmt.Sprintf("Only %s of %s functions have a name.", thousands(int64(c.Named)), thousands(int64(c.Functions))),
			"The stack of a failure is numbers, and so is most of this report. Vendors who want to be understood leave the names in.",
			"Ask the vendor to build without stripping (no -s, no --strip-all).")
	}
	if old := a.oldTools(); len(old) > 0 {
		a.find(Low, "toolchain-old", "It was made with an old compiler.",
			"The faults of its standard library are in the plugin.", "Ask the vendor to build it anew.", old...)
	}
	if a.Toolchain.Text == "" && len(a.Toolchain.Tools) == 0 {
		a.find(Info, "toolchain-unknown", "It does not say what it was made with.",
			"Compilers write that down; somebody took it out, or wrote the module by hand.", "Ask the vendor how it is built.")
	}
	if a.Code.HasStart {
		a.find(Info, "start-function", "It has a start function.",
			"Its code runs as soon as an instance is made, before anybody calls an export. It counts for every export in this report.",
			"Nothing; the host meters it like any call.", a.Code.StartFunction)
	}
	debug := 0
	for _, s := range a.Sections {
		if strings.HasPrefix(s.Name, "custom .debug_") {
			debug += s.SizeBytes
		}
	}
	if debug > 0 {
		a.find(Info, "debug-information", fmt.Sprintf("%s of the file are debug information.", bytesText(int64(debug))),
			"It is never read here, and may tell paths of the vendor's machine.", "Nothing.")
	}
}

func (a *analysis) oldTools() []string {
	var old []string
	for _, t := range a.Toolchain.Tools {
		if t.Old != "" {
			old = append(old, fmt.Sprintf("%s %s: %s", t.Name, t.Version, t.Old))
		}
	}
	return old
}

// bytesText writes a size for people.
func bytesText(n int64) string {
	switch {
	case n < 1<<10:
		return count(n, "byte")
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
