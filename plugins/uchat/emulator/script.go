package emulator

import (
	"net/http"
	"slices"
	"sync"
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

// script hands out steps.
type script struct {
	mu    sync.Mutex
	steps []Step
	rest  Step
}

// Script adds steps. Each request takes the first one that is for its operation; when there
// is none, it is treated as [Platform.Otherwise] says.
func (p *Platform) Script(steps ...Step) {
	p.script.mu.Lock()
	defer p.script.mu.Unlock()
	p.script.steps = append(p.script.steps, steps...)
}

// Otherwise sets how requests are treated that no step is for. Its Type and Times are
// ignored. It starts as the zero [Step].
func (p *Platform) Otherwise(step Step) {
	p.script.mu.Lock()
	defer p.script.mu.Unlock()
	p.script.rest = step
}

// Unplayed returns how many steps no request has taken yet.
func (p *Platform) Unplayed() int {
	p.script.mu.Lock()
	defer p.script.mu.Unlock()
	return len(p.script.steps)
}

// next takes the step for a request.
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
