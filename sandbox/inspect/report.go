package inspect

import "github.com/seed75a60ee1/patchbay/pdk/contract/manifest"

// Format names the shape of a [Report] in JSON. What is added to it later keeps the name.
const Format = "patchbay.inspection/1"

// Report is all that is known of a plugin file. Texts in it are the plugin's own,
// shortened and otherwise as they are; they are made harmless where they are printed.
type Report struct {
	Format    string    `json:"format"`
	Plugin    Identity  `json:"plugin"`
	Signature Signature `json:"signature"`
	Verdict   Verdict   `json:"verdict"`
	// Findings are ranked, the gravest first.
	Findings []Finding `json:"findings"`
	// Manifest is nil if the file has none that can be read.
	Manifest *manifest.Manifest `json:"manifest,omitempty"`
	// ManifestProblems is what is wrong with it.
	ManifestProblems []string     `json:"manifest_problems,omitempty"`
	Capabilities     []Capability `json:"capabilities"`
	// HostFunctions are the names imported from the module of host functions, sorted.
	HostFunctions []string  `json:"host_functions"`
	Imports       []Import  `json:"imports"`
	Exports       []Export  `json:"exports"`
	Code          Code      `json:"code"`
	Memory        *Bounds   `json:"memory,omitempty"`
	Tables        []Bounds  `json:"tables,omitempty"`
	Data          Data      `json:"data"`
	Sections      []Section `json:"sections"`
	Toolchain     Toolchain `json:"toolchain"`
	Freezing      Freezing  `json:"freezing"`
	// Measured is nil unless the plugin was loaded.
	Measured *Measured `json:"measured,omitempty"`
	// LeftOut counts, by list, the entries beyond what a report holds.
	LeftOut map[string]int `json:"left_out,omitempty"`
}

// Identity says which plugin and which file this is. The digest is a fact; the rest
// but for the size is the vendor's word.
type Identity struct {
	Name        string `json:"name,omitempty"`
	Version     string `json:"version,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Vendor      string `json:"vendor,omitempty"`
	VendorURL   string `json:"vendor_url,omitempty"`
	Contact     string `json:"contact,omitempty"`
	Licence     string `json:"licence,omitempty"`
	Contract    string `json:"contract,omitempty"`
	// Digest is "sha256:" and 64 hexadecimal digits of the whole file.
	Digest    string `json:"digest"`
	SizeBytes int64  `json:"size_bytes"`
}

// SignatureState says whether somebody vouches for the file.
type SignatureState string

// Unsigned is a file without a signature: every file, until there are signatures.
const Unsigned SignatureState = "unsigned"

// Signature is who vouches for the file.
type Signature struct {
	State SignatureState `json:"state"`
	Note  string         `json:"note"`
}

// Verdict is the report in one line. Level is that of the gravest finding.
type Verdict struct {
	Level Severity `json:"level"`
	Text  string   `json:"text"`
}

// CapabilityName is something a plugin can do to the world, in a reviewer's words.
type CapabilityName string

// The capabilities.
const (
	Network     CapabilityName = "network"
	Secrets     CapabilityName = "secrets"
	Credentials CapabilityName = "credentials"
	State       CapabilityName = "state"
	Routing     CapabilityName = "routing"
	Media       CapabilityName = "media"
	Delivery    CapabilityName = "delivery"
	Signatures  CapabilityName = "signatures"
)

// Capability holds what the manifest declares against what the code imports, and that
// against what its exports can reach.
type Capability struct {
	Name CapabilityName `json:"name"`
	// NeedsDeclaring is set if a manifest has words for it.
	NeedsDeclaring bool `json:"needs_declaring"`
	// Declared are names in the manifest: egress rules, secrets or credentials.
	Declared []string `json:"declared"`
	// Imported and Reachable are host functions.
	Imported  []string `json:"imported"`
	Reachable []string `json:"reachable"`
}

// Origin says whose function an import is.
type Origin string

// The origins.
const (
	FromHost    Origin = "host"    // a host function of the contract: a capability
	FromKernel  Origin = "kernel"  // the plugin ABI: bytes in and out, logs, configuration
	FromWASI    Origin = "wasi"    // what language runtimes need, none of it files or sockets
	FromNowhere Origin = "nowhere" // not offered: a host refuses the plugin
)

// Import is something the module needs. Imports of the same name are one.
type Import struct {
	Module string `json:"module"`
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	// Type is a function's, as in "(i64) -> i64".
	Type   string `json:"type,omitempty"`
	Origin Origin `json:"origin"`
	// Does says what the function does for a plugin; empty for one that is not offered.
	Does string `json:"does,omitempty"`
	// Refused says why no host offers it.
	Refused string `json:"refused,omitempty"`
	// Fix says what to do about that.
	Fix string `json:"fix,omitempty"`
	// Reachable is set if some export, or what runs before it, can reach it.
	Reachable bool `json:"reachable"`
	// Callers are functions that call it by name.
	Callers []string `json:"callers,omitempty"`
	// Path is a shortest way from an export to it, "(indirect)" standing for an indirect
	// call; only for host functions and for what is refused.
	Path []string `json:"path,omitempty"`
}

func (i *Import) String() string { return i.Module + "." + i.Name }

// ExportRole says what an export is for.
type ExportRole string

// The roles of exports.
const (
	RoleAbility ExportRole = "ability" // an export of the contract
	RoleStart   ExportRole = "start"   // runs before others
	RoleRuntime ExportRole = "runtime" // what language runtimes export, and no host calls
	RoleOther   ExportRole = "other"
)

// Export is something the module offers.
type Export struct {
	Name string     `json:"name"`
	Kind string     `json:"kind"`
	Type string     `json:"type,omitempty"`
	Role ExportRole `json:"role"`
	// Reaches are the imports that a call of it can come to, what runs before it
	// included: an upper bound. Only functions have it.
	Reaches []string `json:"reaches,omitempty"`
	// Directly are those of them that direct calls alone lead to.
	Directly []string `json:"directly,omitempty"`
}

// Code is what there is to say of the instructions.
type Code struct {
	Functions    int   `json:"functions"`
	Instructions int64 `json:"instructions"`
	Bytes        int64 `json:"bytes"`
	// Unreached counts functions that no export can come to.
	Unreached int `json:"unreached"`
	// Named counts functions with a name.
	Named int `json:"named"`
	// Loops counts loops, WithLoops the functions that have one.
	Loops     int `json:"loops"`
	WithLoops int `json:"with_loops"`
	// DirectCalls and IndirectCalls count call instructions.
	DirectCalls   int `json:"direct_calls"`
	IndirectCalls int `json:"indirect_calls"`
	// InTables counts functions that an indirect call may lead to.
	InTables int `json:"in_tables"`
	// Recursive counts functions that can come back to themselves by direct calls.
	Recursive int `json:"recursive"`
	// Cycles are some groups of such functions, the largest first.
	Cycles []Cycle `json:"cycles,omitempty"`
	// IndirectRecursion counts functions that can come back to themselves if indirect
	// calls lead wherever their types allow.
	IndirectRecursion int `json:"indirect_recursion"`
	// Biggest are the largest functions.
	Biggest []Function `json:"biggest,omitempty"`
	// Features are the parts of WebAssembly beyond its first version that it uses.
	Features []string `json:"features,omitempty"`
	// HasStart is set if the module has a start function, StartFunction is its name.
	HasStart      bool   `json:"has_start"`
	StartFunction string `json:"start_function,omitempty"`
	// BeforeCall are the imports that what runs before any export can reach.
	BeforeCall []string `json:"before_call,omitempty"`
}

// Cycle is a group of functions each of which can come back to itself.
type Cycle struct {
	Size      int      `json:"size"`
	Functions []string `json:"functions"`
}

// Function is a function by name and size.
type Function struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
}

// Bounds are those of a memory in pages of 64 KiB, or of a table in entries.
type Bounds struct {
	Min uint32 `json:"min"`
	// Max is nil if the module states none.
	Max *uint32 `json:"max,omitempty"`
	// Grows is set if the code has an instruction that grows it.
	Grows bool `json:"grows"`
}

// Data is what was found in data.
type Data struct {
	Segments int   `json:"segments"`
	Bytes    int64 `json:"bytes"`
	// Places are URLs, host names and addresses.
	Places []Place `json:"places,omitempty"`
	// Credentials are texts that look like one.
	Credentials []Credential `json:"credentials,omitempty"`
	// Payloads are files of a known executable kind.
	Payloads []Payload `json:"payloads,omitempty"`
	// Dense are stretches that look compressed or encrypted.
	Dense []Stretch `json:"dense,omitempty"`
	// Crowded is set if there was more that looks like something than is looked at.
	Crowded bool `json:"crowded,omitempty"`
	// Interpreters are language runtimes that take programs as data.
	Interpreters []string `json:"interpreters,omitempty"`
}

// PlaceKind says how a place is written.
type PlaceKind string

// The kinds of places.
const (
	PlaceURL     PlaceKind = "url"
	PlaceName    PlaceKind = "host"
	PlaceAddress PlaceKind = "address"
	PlaceHidden  PlaceKind = "hidden-url" // encoded or reversed
)

// Standing says what a place is in the light of the manifest.
type Standing string

// The standings.
const (
	Covered    Standing = "covered"     // an egress rule names the host
	NotCovered Standing = "not-covered" // none does
	Reference  Standing = "reference"   // documentation that runtimes and libraries carry
	Local      Standing = "local"       // this machine: loopback, unspecified
	Private    Standing = "private"     // somebody's own network
	Metadata   Standing = "metadata"    // a cloud's metadata service
)

// Place is somewhere on a network that data names.
type Place struct {
	Kind     PlaceKind `json:"kind"`
	Text     string    `json:"text"`
	Host     string    `json:"host"`
	Standing Standing  `json:"standing"`
	// Rules are the egress rules that cover it.
	Rules []string `json:"rules,omitempty"`
	// Segment and Offset are where it stands first, Count how often.
	Segment int `json:"segment"`
	Offset  int `json:"offset"`
	Count   int `json:"count"`
}

// Credential is a text that looks like a secret. It is never kept whole.
type Credential struct {
	Kind string `json:"kind"`
	// Masked is its first characters, at most 8.
	Masked string `json:"masked"`
	Length int    `json:"length"`
	Where  string `json:"where"`
}

// Payload is a file within the file.
type Payload struct {
	Kind  string `json:"kind"`
	Where string `json:"where"`
}

// Stretch is a run of bytes of high entropy.
type Stretch struct {
	Where string `json:"where"`
	Bytes int    `json:"bytes"`
	// BitsPerByte is the entropy of its densest block, from 0 to 8.
	BitsPerByte float64 `json:"bits_per_byte"`
}

// Section is a piece of the file.
type Section struct {
	// Name is such as "code" or "custom name".
	Name      string `json:"name"`
	SizeBytes int    `json:"size_bytes"`
	// Known is set for what the WebAssembly specification, its tools or Patchbay define.
	Known bool `json:"known"`
}

// Toolchain is what the module says it was made with.
type Toolchain struct {
	// Text is one line, perhaps empty.
	Text  string `json:"text,omitempty"`
	Tools []Tool `json:"tools,omitempty"`
	// Modules are the Go modules that were linked in, as the linker wrote them down.
	Modules []Module `json:"modules,omitempty"`
}

// Tool is a program that took part in making the module.
type Tool struct {
	// Field is "language", "processed-by" or "sdk".
	Field   string `json:"field"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	// Old says why the version should not be used any more.
	Old string `json:"old,omitempty"`
}

// Module is a dependency.
type Module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	// Replaced tells that another module was built in its place: that one is given.
	Replaced bool `json:"replaced,omitempty"`
}

// Freezing says whether an initialised instance can be frozen and used again.
type Freezing struct {
	Possible bool     `json:"possible"`
	Reasons  []Reason `json:"reasons,omitempty"`
}

// Measured is what an engine saw when it loaded the plugin. The caller fills it in;
// this package runs nothing.
type Measured struct {
	// Refusals are why the engine did not take it; with any, the rest is empty.
	Refusals []Refusal `json:"refusals,omitempty"`
	// LoadMicros is how long loading took, in microseconds: metering, compiling, starting,
	// warming up and freezing.
	LoadMicros int64 `json:"load_micros,omitempty"`
	// Image is nil where the engine does not say.
	Image *Image `json:"image,omitempty"`
}

// Refusal is one reason why an engine did not take a plugin.
type Refusal struct {
	// Part is what of the module it concerns, such as "import" or "memory".
	Part string `json:"part"`
	Text string `json:"text"`
}

// Image is what came of freezing.
type Image struct {
	Frozen bool `json:"frozen"`
	// Why tells why it was not frozen, or of a frozen one why it was not warmed up.
	Why string `json:"why,omitempty"`
	// WarmUp are the exports that were called before freezing.
	WarmUp []string `json:"warm_up,omitempty"`
	// Fuel is what initialisation and warm-up used.
	Fuel int64 `json:"fuel"`
	// Bytes is the size of the image.
	Bytes int64 `json:"bytes"`
}
