package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/seed75a60ee1/patchbay/host/failpoint"
)

// killsPerWorld is how often the host dies in one data folder before the oracle looks.
const killsPerWorld = 10

// totals is what many worlds came to.
type totals struct {
	Kills        int `json:"kills"`
	Recoveries   int `json:"recoveries"`
	Acknowledged int `json:"acknowledged"`
	Lost         int `json:"lost"`
	Duplicated   int `json:"duplicated"`
	Reordered    int `json:"reordered"`
	Stuck        int `json:"stuck"`
	Unclean      int `json:"unclean"`
	Crashed      int `json:"crashed"`
	// Uncertain counts commands that wait for somebody to decide, after a death of the host;
	// HungUp those whose platform gave no answer.
	Uncertain int `json:"uncertain"`
	HungUp    int `json:"hung_up"`
	// Reached counts the deaths at each failpoint, and Unreached those that were to be and
	// came by the clock.
	Reached   map[failpoint.Name]int `json:"reached"`
	Unreached map[failpoint.Name]int `json:"unreached"`
	// Kept is the folders of the worlds in which something was wrong.
	Kept []string      `json:"kept,omitempty"`
	Took time.Duration `json:"took_ns"`
}

// enough is how often a failpoint must have been missed, and never met, to count as one that
// the harness does not reach.
const enough = 8

// unproven lists the failpoints at which no host ever died, although many were to.
func (t *totals) unproven() (names []failpoint.Name) {
	for _, name := range failpoint.Names() {
		if t.Reached[name] == 0 && t.Unreached[name] >= enough {
			names = append(names, name)
		}
	}
	return names
}

func (t *totals) clean() bool {
	return len(t.unproven()) == 0 && t.Lost+t.Duplicated+t.Reordered+t.Stuck+t.Unclean+t.Crashed == 0
}

func (t *totals) add(v *verdict) {
	t.Uncertain, t.HungUp = t.Uncertain+v.Uncertain, t.HungUp+v.HungUp
	for _, f := range v.Findings {
		switch f.Fault {
		case lost:
			t.Lost++
		case duplicated:
			t.Duplicated++
		case reordered:
			t.Reordered++
		case stuck:
			t.Stuck++
		case unclean:
			t.Unclean++
		case crashed:
			t.Crashed++
		}
	}
}

// campaign kills hosts until there were runs deaths. progress is told of every world.
type campaign struct {
	product  *product
	dir      string // where worlds are; those that were in order are removed
	seed     uint64
	runs     int
	progress func(world int, t *totals, v *verdict)
}

func (c *campaign) run(ctx context.Context) (*totals, error) {
	began := time.Now()
	t := &totals{Reached: map[failpoint.Name]int{}, Unreached: map[failpoint.Name]int{}}
	var errs []error
	fates := &fates{}
	for i := 0; t.Kills < c.runs && ctx.Err() == nil; i++ {
		v, err := c.world(ctx, i, fates, t)
		if err != nil {
			errs = append(errs, err)
			break
		}
		t.add(v)
		c.progress(i, t, v)
	}
	t.Took = time.Since(began)
	return t, errors.Join(append(errs, ctx.Err())...)
}

// world plays one world from its making to its verdict.
func (c *campaign) world(ctx context.Context, i int, fates *fates, t *totals) (*verdict, error) {
	root, err := os.MkdirTemp(c.dir, "world-")
	if err != nil {
		return nil, err
	}
	w, err := newWorld(ctx, c.product, c.seed+uint64(i), root)
	defer w.close()
	if err != nil {
		return nil, err
	}
	fates.rnd, w.fates = w.rnd, fates // what one world was not dealt, the next is
	if err := w.play(ctx, min(killsPerWorld, c.runs-t.Kills), t); err != nil {
		return nil, err
	}
	v := judge(&w.seen.evidence)
	t.Acknowledged += w.seen.acknowledgements()
	if len(v.Findings) == 0 {
		w.close()
		return v, os.RemoveAll(root)
	}
	t.Kept = append(t.Kept, root)
	return v, w.keep(v)
}

// play kills the host again and again, lets it come to rest, and gathers the evidence. A
// host that cannot go on ends the play, and is evidence.
func (w *world) play(ctx context.Context, kills int, t *totals) error {
	l := w.startLoad(ctx)
	defer l.quit()
	w.seen.died(death{}) // the life that set everything up ends under load as well
	w.host.kill()
	for range kills {
		d := w.fates.next()
		w.seen.died(d)
		asTold, err := w.die(ctx, d)
		t.Kills++
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil || w.inspect(ctx) != nil:
			return nil
		case d.point != "" && asTold:
			t.Reached[d.point]++
		case d.point != "":
			t.Unreached[d.point]++
		}
		t.Recoveries++
	}
	return w.rest(ctx, l)
}

// rest is the last life: everything is acknowledged, everything is done, and the host ends
// as it is told to.
func (w *world) rest(ctx context.Context, l *load) error {
	if err := w.revive(ctx, ""); err != nil {
		return err
	}
	if w.await(ctx, false) != nil {
		return ctx.Err()
	}
	l.finish()
	if err := w.quiet(ctx); err != nil {
		return err
	}
	if err := w.collect(ctx); err != nil {
		return err
	}
	w.inbox.Close()
	if err := w.host.stop(); err != nil {
		w.seen.crash("%v", err)
	}
	_ = w.inspect(ctx) // what is wrong is noted
	return ctx.Err()
}

// keep writes the evidence and the verdict beside the data folder and the logs.
func (w *world) keep(v *verdict) error {
	for name, document := range map[string]any{"evidence.json": &w.seen.evidence, "verdict.json": v} {
		data, err := json.MarshalIndent(document, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(w.root, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
