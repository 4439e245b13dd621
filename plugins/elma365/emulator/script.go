package emulator

import (
	"net/http"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// Outcome says what the platform reports about a message that it took.
type Outcome int

// The outcomes.
const (
	// OutcomeHonest reports success if every file could be downloaded, and failure
	// otherwise.
	OutcomeHonest Outcome = iota
	// OutcomeSuccess reports success.
	OutcomeSuccess
	// OutcomeFailure reports failure.
	OutcomeFailure
	// OutcomeNone reports nothing.
	OutcomeNone
)

// Step says how the platform treats one callback. The zero Step plays by the rules.
type Step struct {
	// Type is the callback that the step is for ("message", "disconnect", "userInfo");
	// empty means any.
	Type string
	// Times is how many callbacks it is for; 0 means 1.
	Times int

	// Status answers with this status whatever the request says; 0 plays by the rules.
	// Only a message answered 200 is processed, unless Process is set.
	Status int
	// Header is added to the answer.
	Header http.Header
	// Body replaces the answer's body.
	Body string
	// Hold keeps the answer back until it is closed; nil answers at once.
	Hold <-chan struct{}
	// HangUp closes the connection without an answer.
	HangUp bool
	// Process takes the message although Status or HangUp tells the messenger otherwise.
	Process bool

	// Outcome is what is reported about a message that was processed.
	Outcome Outcome
	// OutcomeFirst reports it before the callback is answered.
	OutcomeFirst bool
	// OutcomeHold keeps the report back until it is closed; nil reports at once.
	OutcomeHold <-chan struct{}
	// OutcomeRepeats is how many times it is reported again.
	OutcomeRepeats int
}

// script is the half of the script that tests use.
type script = emulate.Script[Step]

func newPlayer() *emulate.Player[Step] {
	return emulate.NewPlayer(func(step *Step) *int { return &step.Times })
}

// next takes the step for a callback.
func (p *Platform) next(kind string) Step {
	return p.player.Next(func(step Step) bool {
		return step.Type == "" || step.Type == kind
	})
}
