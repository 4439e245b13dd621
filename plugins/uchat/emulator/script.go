package emulator

import (
	"net/http"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// Step says how the platform treats one request. The zero Step plays by the rules.
type Step struct {
	// Type is the operation that the step is for, one of the Op... constants; empty means any.
	Type string
	// Times is how many requests it is for; 0 means 1.
	Times int

	// Status answers with this status whatever the request says; 0 plays by the rules. The
	// request then has no effect, unless Process is set.
	Status int
	// Header is added to the answer.
	Header http.Header
	// Body replaces the answer's body.
	Body string
	// Hold keeps the answer back until it is closed; nil answers at once.
	Hold <-chan struct{}
	// HangUp closes the connection without an answer.
	HangUp bool
	// Process lets the request take effect although Status or HangUp tells otherwise.
	Process bool
}

// script is the half of the script that tests use.
type script = emulate.Script[Step]

func newPlayer() *emulate.Player[Step] {
	return emulate.NewPlayer(func(step *Step) *int { return &step.Times })
}

// next takes the step for a request.
func (p *Platform) next(kind string) Step {
	return p.player.Next(func(step Step) bool {
		return step.Type == "" || step.Type == kind
	})
}
