package emulator

import (
	"net/http"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// Step says how the platform treats one call of an operation. The zero Step plays by the
// rules.
type Step struct {
	// Op is the operation that the step is for; empty means any but the consent page.
	Op string
	// Times is how many calls it is for; 0 means 1.
	Times int

	// Status answers with this status whatever the request says; 0 plays by the rules. The call
	// takes no effect, unless Process is set.
	Status int
	// Header is added to the answer.
	Header http.Header
	// Body replaces the answer's body.
	Body string
	// Hold keeps the answer back until it is closed; nil answers at once. What the call brought
	// about has taken effect by then.
	Hold <-chan struct{}
	// HangUp closes the connection without an answer.
	HangUp bool
	// Process has the call take effect although Status or HangUp tells otherwise.
	Process bool

	// CallbackFirst sends the callbacks before the call is answered; otherwise they follow.
	CallbackFirst bool
	// NoCallback sends none.
	NoCallback bool
	// Repeats is how many times each callback is sent again.
	Repeats int
	// Outcome replaces the status in the callback, such as "error" for a channel, "failed" or
	// "inactive" for a session, "read" or "error" for a message; empty is the good one. Of the
	// consent page it is the error that a browser brings back, such as "access_denied".
	Outcome string
}

// script is the half of the script that tests use.
type script = emulate.Script[Step]

func newPlayer() *emulate.Player[Step] {
	return emulate.NewPlayer(func(step *Step) *int { return &step.Times })
}

// next takes the step for a call.
func (p *Platform) next(op string) Step {
	return p.player.Next(func(step Step) bool {
		return step.Op == op || step.Op == "" && op != OpConsent
	})
}
