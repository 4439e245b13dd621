package emulator

import (
	"net/http"
	"slices"
	"sync"
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

// script hands out steps.
type script struct {
	mu    sync.Mutex
	steps []Step
	rest  Step
}

// Script adds steps. Each callback takes the first one that is for its type; when there
// is none, it is treated as [Platform.Otherwise] says.
func (p *Platform) Script(steps ...Step) {
	p.script.mu.Lock()
	defer p.script.mu.Unlock()
	p.script.steps = append(p.script.steps, steps...)
}

// Otherwise sets how callbacks are treated that no step is for. Its Type and Times are
// ignored. It starts as the zero [Step].
func (p *Platform) Otherwise(step Step) {
	p.script.mu.Lock()
	defer p.script.mu.Unlock()
	p.script.rest = step
}

// Unplayed returns how many steps no callback has taken yet.
func (p *Platform) Unplayed() int {
	p.script.mu.Lock()
	defer p.script.mu.Unlock()
	return len(p.script.steps)
}

// next takes the step for a callback.
func (s *script) next(kind string) Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, step := range s.steps {
		if step.Type != "" && step.Type != kind {
			continue
		}
		if step.Times > 1 {
			s.steps[i].Times--
		} else {
			s.steps = slices.Delete(s.steps, i, i+1)
		}
		return step
	}
	return s.rest
}
