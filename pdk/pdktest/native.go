package pdktest

import (
	"os"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// Output is what an export answers.
type Output interface {
	contract.Decodable
	Validate() error
}

// Invoke calls a connector natively as the guest's export does, through the encoding of in
// and out, over any host. The test has failed if the connector returns an error, or what
// the contract does not allow.
func Invoke(t testing.TB, c pdk.Connector, h pdk.Host, export contract.Export, in contract.Appendable, out Output) {
	t.Helper()
	answer, err := pdk.Invoke(c, h, export, contract.Marshal(in))
	if err != nil {
		t.Errorf("%s: %v", export, err) // not Fatal: a server under test may be what calls
		return
	}
	if err = contract.Unmarshal(answer, out); err == nil {
		err = out.Validate()
	}
	if err != nil {
		t.Errorf("%s answered %s, against the contract: %v", export, answer, err)
	}
}

// LoadManifest reads a plugin.yaml. The test ends if it is not right.
func LoadManifest(t testing.TB, path string) *manifest.Manifest {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.ParseYAML(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
