package emulator

import (
	"net/http"
	"slices"
	"sync"
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
	// "inactive" for a session, "read" or "error" for a message; empty is the good one.
	Outcome string
}

// script hands out steps.
type script struct {
	mu    sync.Mutex
	steps []Step
}

// Script adds steps. Each call takes the first one that is for its operation; when there is
// none, it plays by the rules.
func (p *Platform) Script(steps ...Step) {
	p.script.mu.Lock()
	defer p.script.mu.Unlock()
	p.script.steps = append(p.script.steps, steps...)
}

// Unplayed returns how many steps no call has taken yet.
func (p *Platform) Unplayed() int {
	p.script.mu.Lock()
	defer p.script.mu.Unlock()
	return len(p.script.steps)
}

// next takes the step for a call.
func (s *script) next(op string) Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, step := range s.steps {
		if step.Op != op && (step.Op != "" || op == OpConsent) {
			continue
		}
		if step.Times > 1 {
			s.steps[i].Times--
		} else {
			s.steps = slices.Delete(s.steps, i, i+1)
		}
		return step
	}
	return Step{}
}
