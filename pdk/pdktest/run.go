package pdktest

import (
	"os"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// Case is what [Run] needs to know of a connector.
type Case struct {
	// Connector is the connector.
	Connector pdk.Connector
	// Manifest is the path of its plugin.yaml.
	Manifest string
	// Settings are the connection's; the manifest's defaults are filled in.
	Settings map[string]string
	// Deliveries are samples of what the platform sends: at least one of each kind that
	// the connector understands.
	Deliveries []Delivery
	// Commands are samples of what is asked of the connector: at least one for each
	// ability.
	Commands []Command
	// Prepare readies a fresh host before each invocation: it scripts the platform's
	// answers, and sets what every connection has. It may be nil.
	Prepare func(h *Host)
	// Sign makes a delivery genuine again after the suite changed its body, on platforms
	// that sign: it sets header fields. It may be nil.
	Sign func(h *Host, d *Delivery)
}

// Delivery is a sample of what a platform sends.
type Delivery struct {
	// Name says what it is, such as "text message".
	Name string
	// Routed tells that it is a sample for the export route instead of receive.
	Routed bool
	// From is what receive is told of a delivery that route believed; nil for one that came to
	// the connection's own address.
	From *contract.Routed
	// Method is the request method; empty means POST.
	Method string
	// Path and Query are as in [contract.Delivery].
	Path, Query string
	// Headers holds the header fields.
	Headers []contract.Header
	// Body is the raw body; {{secret:NAME}} stands for the value of that secret.
	Body string
	// Forged tells that the connector must reject it.
	Forged bool
	// Prepare readies the host after [Case.Prepare]; it may be nil.
	Prepare func(h *Host)
}

// Command is a sample of what is asked of a connector.
type Command struct {
	// Name says what it is, such as "text with a picture".
	Name string
	// Input is the input; Command and Connection are filled in where they are empty.
	Input contract.Appendable
	// App runs it in app scope.
	App bool
	// Prepare readies the host after [Case.Prepare]; it may be nil.
	Prepare func(h *Host)
}

// Failure is one way in which a connector does not conform.
type Failure struct {
	// Check is the check that failed, such as "malformed bodies are rejected".
	Check string
	// Sample names the sample that it failed on; may be empty.
	Sample string
	// Why says what happened and what should have.
	Why string
}

// Run checks that a connector conforms, each check as a subtest. pdk/README.md says what
// each of them tries.
func Run(t *testing.T, c Case) {
	t.Helper()
	s, err := newSuite(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range checks {
		t.Run(check.name, func(t *testing.T) {
			for _, f := range s.run(check) {
				t.Errorf("%s: %s", f.Sample, f.Why)
			}
		})
	}
}

// Check returns every [Failure] of a connector; an error if the manifest cannot be read.
func Check(c Case) ([]Failure, error) {
	s, err := newSuite(c)
	if err != nil {
		return nil, err
	}
	var failures []Failure
	for _, check := range checks {
		failures = append(failures, s.run(check)...)
	}
	return failures, nil
}

// check is one claim about connectors, and how to try to refute it.
type check struct {
	name string
	try  func(s *suite)
}

var checks = []check{
	{"abilities are those of the manifest", (*suite).abilities},
	{"every ability has a sample", (*suite).samples},
	{"genuine deliveries are accepted", (*suite).genuine},
	{"forged deliveries are rejected", (*suite).forged},
	{"a failed verification accepts nothing", (*suite).unverified},
	{"malformed bodies have no effect", (*suite).malformed},
	{"unknown fields are ignored", (*suite).grease},
	{"commands give valid answers", (*suite).commands},
	{"capabilities are those of the manifest", (*suite).capabilities},
	{"every part has its outcome", (*suite).parts},
	{"nothing is sent if the platform refuses", (*suite).refused},
	{"failing host calls are survived", (*suite).faults},
	{"placeholders of other people stay text", (*suite).injection},
}

// suite is one run.
type suite struct {
	Case
	manifest *manifest.Manifest
	check    string
	failures []Failure
}

func newSuite(c Case) (*suite, error) {
	data, err := os.ReadFile(c.Manifest)
	if err != nil {
		return nil, err
	}
	m, err := manifest.ParseYAML(data)
	if err != nil {
		return nil, err
	}
	return &suite{Case: c, manifest: m}, nil
}

// run tries one check and returns what it found.
func (s *suite) run(c check) []Failure {
	s.check, s.failures = c.name, nil
	c.try(s)
	return s.failures
}

// fail notes a failure, once.
func (s *suite) fail(sample, why string) {
	f := Failure{Check: s.check, Sample: sample, Why: why}
	for _, known := range s.failures {
		if known == f {
			return
		}
	}
	s.failures = append(s.failures, f)
}
