package main

import (
	"fmt"
	"slices"
	"sync"
)

// witness gathers evidence from everybody who acts in a world.
type witness struct {
	mu sync.Mutex
	evidence
}

func newWitness(seed uint64) *witness { return &witness{evidence: evidence{Seed: seed}} }

// sends notes that a delivery is about to be sent for the first time.
func (w *witness) sends(d *delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Deliveries = append(w.Deliveries, d)
}

// answered notes an answer 200 to a delivery.
func (w *witness) answered(d *delivery, body string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(d.Answers, body) {
		d.Answers = append(d.Answers, body)
	}
}

// asks notes that a command is about to be asked for.
func (w *witness) asks(c *command) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Commands = append(w.Commands, c)
}

// acknowledged notes what a command was acknowledged as.
func (w *witness) acknowledged(c *command, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(c.IDs, id) {
		c.IDs = append(c.IDs, id)
	}
}

// acknowledgements counts what was promised so far.
func (w *witness) acknowledgements() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.Deliveries {
		n += min(len(d.Answers), 1)
	}
	for _, c := range w.Commands {
		n += min(len(c.IDs), 1)
	}
	return n
}

func (w *witness) died(d death) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Deaths = append(w.Deaths, d.String())
}

func (w *witness) crash(format string, args ...any)   { w.note(&w.Crashes, format, args...) }
func (w *witness) unclean(format string, args ...any) { w.note(&w.Unclean, format, args...) }
func (w *witness) stuck(format string, args ...any)   { w.note(&w.Stuck, format, args...) }
func (w *witness) refuse(format string, args ...any)  { w.note(&w.Refused, format, args...) }

func (w *witness) note(list *[]string, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*list = append(*list, fmt.Sprintf(format, args...))
}
