package emulate

import (
	"slices"
	"sync"
)

// Script is how a platform treats requests, as tests write it: steps of type S, each for
// some requests. It is played by a [Player].
type Script[S any] struct {
	times func(*S) *int

	mu    sync.Mutex
	steps []S
	rest  S
}

// Player plays a [Script].
type Player[S any] struct{ Script[S] }

// NewPlayer makes a player of an empty script. times is where a step says how many
// requests it is for; 0 means 1.
func NewPlayer[S any](times func(*S) *int) *Player[S] {
	return &Player[S]{Script[S]{times: times}}
}

// Script adds steps. Each request takes the first one that is for it; when there is none,
// it is treated as Otherwise says.
func (s *Script[S]) Script(steps ...S) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, steps...)
}

// Otherwise sets how requests are treated that no step is for. What the step says of
// which and how many requests it is for is ignored. It starts as the zero step, which
// plays by the rules.
func (s *Script[S]) Otherwise(step S) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = step
}

// Unplayed returns how many steps have not been used up yet.
func (s *Script[S]) Unplayed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.steps)
}

// Unscript forgets the steps that have not been used up yet.
func (s *Script[S]) Unscript() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = nil
}

// Next takes the first step that fits a request, or else the one for all others.
func (p *Player[S]) Next(fits func(S) bool) S {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.steps, fits)
	if i < 0 {
		return p.rest
	}
	step := p.steps[i]
	if times := p.times(&p.steps[i]); *times > 1 {
		*times--
	} else {
		p.steps = slices.Delete(p.steps, i, i+1)
	}
	return step
}
