package pdktest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

func TestAGoodConnectorPasses(t *testing.T) { pdktest.Run(t, acmeCase(acme{})) }

// Each flaw must be found, by the check that is there for it.
func TestTheSuiteFindsFlaws(t *testing.T) {
	for _, tt := range []struct{ flaw, check, why string }{
		{"parses leniently", "malformed bodies have no effect", "it was accepted, and had effects: 1 events, 1 key-value writes"},
		{"fails on malformed bodies", "malformed bodies have no effect", "set Rejected instead"},
		{"rejects with 500", "malformed bodies have no effect", "rejected with status 500"},
		{"verifies nothing", "forged deliveries are rejected", "not rejected"},
		{"verifies nothing", "a failed verification accepts nothing", "not rejected"},
		{"trusts what it cannot verify", "a failed verification accepts nothing", "it was not verified, and had effects"},
		{"refuses unknown fields", "unknown fields are ignored", "platforms add fields without notice"},
		{"logs the token", "genuine deliveries are accepted", "the value of the secret token stands in a log line"},
		{"keeps the token", "genuine deliveries are accepted", "stands in a key-value entry"},
		{"calls out", "genuine deliveries are accepted", "receive may not call out"},
		{"panics", "genuine deliveries are accepted", "panicked"},
		{"answers with status 0", "genuine deliveries are accepted", "response.status"},
		{"names a kind without its field", "genuine deliveries are accepted", "events[0].typing: it is missing"},
		{"passes placeholders on", "placeholders of other people stay text", "use pdk.Inert"},
		{"sends elsewhere", "commands give valid answers", "no egress rule of the manifest covers it"},
		{"sends a secret where it may not go", "commands give valid answers", "may not be sent there"},
		{"sends an unknown secret", "commands give valid answers", "names no secret of the manifest"},
		{"takes silence for success", "nothing is sent if the platform refuses", "says that the message was sent"},
		{"takes every answer for success", "nothing is sent if the platform refuses", "says that the message was sent"},
		{"says nothing", "commands give valid answers", "neither Sent nor Failure"},
		{"fails as a command", "commands give valid answers", "not today"},
		{"routes nothing", "genuine deliveries are accepted", "it was rejected as malformed"},
		{"routes the forged", "forged deliveries are rejected", "route found a connection for it"},
		{"answers the forged", "forged deliveries are rejected", "route answered it 204"},
		{"answers whatever comes", "malformed bodies have no effect", "it was answered, and had effects: 1 key-value writes"},
		{"forgets choices", "every part has its outcome", "what became of 0 parts out of 1"},
		{"drops without a word", "every part has its outcome", "no note says why"},
		{"grades wrongly", "every part has its outcome", "a card part is native, and the capabilities grade it fallback"},
		{"is never strict", "every part has its outcome", "strict refuses the message instead"},
		{"is stricter than it says", "every part has its outcome", "without strict every part is sent as it is"},
		{"sends what it rejects", "every part has its outcome", "the whole message is then refused"},
		{"refuses without a word", "every part has its outcome", "what became of 0 parts"},
		{"puts every message off", "every part has its outcome", "no sample comes to Sent"},
		{"has no voice", "every part has its outcome", "a media part is converted, and the capabilities grade it dropped"},
		{"forgets a feature", "capabilities are those of the manifest", `leave out "contact"`},
		{"promises too much", "capabilities are those of the manifest", `name "reaction", which the manifest does not list`},
		{"repeats itself", "capabilities are those of the manifest", `name "text" twice`},
		{"promises otherwise", "every part has its outcome", "a text part is native, and the capabilities grade it fallback"},
		{"ignores errors", "failing host calls are survived", "panicked"},
	} {
		t.Run(tt.flaw, func(t *testing.T) { mustFind(t, acmeCase(acme{tt.flaw}), tt.check, tt.why) })
	}
}

func mustFind(t *testing.T, c pdktest.Case, check, why string) {
	t.Helper()
	failures, err := pdktest.Check(c)
	if err != nil {
		t.Fatal(err)
	}
	found := func(f pdktest.Failure) bool { return f.Check == check && strings.Contains(f.Why, why) }
	if !slices.ContainsFunc(failures, found) {
		t.Errorf("got %d failures, none of %q with %q:", len(failures), check, why)
		for _, f := range failures {
			t.Logf("%s: %s: %.200s", f.Check, f.Sample, f.Why)
		}
	}
}

type receiver struct{ acme }

func (receiver) SendMessage() {} // hides the ability

func TestTheSuiteComparesAbilitiesAndSamples(t *testing.T) {
	mustFind(t, acmeCase(receiver{}), "abilities are those of the manifest", "has no method for it")
	mustFind(t, acmeCase(typist{}), "abilities are those of the manifest", "the manifest does not list it")
	without := acmeCase(acme{})
	without.Commands = without.Commands[:1]
	mustFind(t, without, "every ability has a sample", "no sample for it")
	wrong := acmeCase(acme{})
	wrong.Commands[0].Input = new(contract.Event)
	mustFind(t, wrong, "every ability has a sample", "is the input of no command")
}

type typist struct{ acme }

func (typist) SendTyping(pdk.Host, *contract.SendTypingInput) (*contract.CommandOutput, error) {
	return nil, nil
}

// scribe edits, and does not say what became of the parts.
type scribe struct{ acme }

func (scribe) EditMessage(_ pdk.Host, in *contract.EditMessageInput) (*contract.CommandOutput, error) {
	return &contract.CommandOutput{Sent: &contract.Sent{PlatformID: in.Message.PlatformID, Status: contract.MessageSent}}, nil
}

func TestTheSuiteWantsTheOutcomesOfAnEdit(t *testing.T) {
	c := acmeCase(scribe{})
	message := c.Commands[0].Input.(*contract.SendMessageInput).Message
	message.PlatformID = "m1"
	c.Commands = append(c.Commands, pdktest.Command{Name: "an edit", Input: &contract.EditMessageInput{Message: message}})
	mustFind(t, c, "every part has its outcome", "what became of 0 parts out of 1")
}

// twofold says something else of its app than of its connections.
type twofold struct{ acme }

func (c twofold) CheckHealth(h pdk.Host, in *contract.CheckHealthInput) (*contract.CommandOutput, error) {
	if in.Connection.IsApp {
		return &contract.CommandOutput{Health: &contract.Health{CredentialsValid: true},
			Capabilities: []contract.Capability{{Feature: "reaction", Support: contract.SupportFull}}}, nil
	}
	return c.acme.CheckHealth(h, in)
}

func TestCapabilitiesAreThoseOfConnections(t *testing.T) {
	c := acmeCase(twofold{})
	c.Commands = append([]pdktest.Command{{Name: "a probe of the app", App: true, Input: new(contract.CheckHealthInput)}}, c.Commands...)
	failures, err := pdktest.Check(c)
	if err != nil || len(failures) > 0 {
		t.Errorf("Check = %v, %v; want no failure", failures, err)
	}
}

// choosy answers differently when its input has fields that it does not know.
type choosy struct{ acme }

func (c choosy) Receive(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	out, err := c.acme.Receive(h, in)
	if err == nil && in.Delivery.BodyBytes > 90 {
		out.DedupeKey = "long"
	}
	return out, err
}

func TestCheckNeedsAManifest(t *testing.T) {
	for _, path := range []string{"testdata/none.yaml", "acme_test.go"} {
		c := acmeCase(acme{})
		c.Manifest = path
		if _, err := pdktest.Check(c); err == nil {
			t.Errorf("Check with the manifest %s gave no error", path)
		}
	}
}

// The body's grease compares what became of a delivery, not every byte of the answer.
func TestGreaseAllowsAnswersThatDependOnTheBody(t *testing.T) {
	failures, err := pdktest.Check(acmeCase(choosy{}))
	if err != nil || len(failures) > 0 {
		t.Errorf("Check = %v, %v; want no failure", failures, err)
	}
}
