package hostile

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox"
)

// unique are the sources whose answers are long enough that no two may be the same. The
// choices of select are not among them: they come from a number of Go's scheduler that is
// part of the image, and of which nothing else is made.
var unique = map[string]bool{
	"crypto/rand": true, "crypto/rand text": true, "math/rand": true, "math/rand/v2": true, "maphash of a new seed": true,
	"map iteration": true,
}

func TestTwoInvocationsNeverShareChance(t *testing.T) {
	e := newEngine(t, sandbox.EngineOptions{})
	p := load(t, e, build(t, "chance"), sandbox.LoadOptions{})
	if image := p.Image(); !image.Frozen {
		t.Fatalf("not frozen: %s", image.Why)
	}
	draw := func(export string, n int) string {
		result, err := p.Call(context.Background(), sandbox.Invocation{Export: export, Seed: sha256.Sum256([]byte{byte(n), byte(n >> 8)})})
		if err != nil {
			t.Errorf("%d: %v", n, err)
			return ""
		}
		return string(result.Output)
	}
	const goroutines, each = 8, 125
	answers := make([]string, goroutines*each)
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range each {
				answers[g*each+i] = draw("draw_all", g*each+i)
			}
		})
	}
	all.Wait()
	seen := map[string]int{}
	for n, answer := range answers {
		for line := range strings.Lines(answer) {
			source, _, _ := strings.Cut(line, "\t")
			if before, again := seen[line]; again && unique[source] {
				t.Errorf("invocations %d and %d both drew %q", before, n, line)
			}
			seen[line] = n
		}
	}
	if len(seen) < len(unique)*len(answers) {
		t.Errorf("%d lines of %d invocations differ, want %d and more", len(seen), len(answers), len(unique)*len(answers))
	}
	for n, before := range answers {
		if n%100 == 0 && draw("draw_all", n) != before {
			t.Errorf("invocation %d draws something else when it is repeated", n)
		}
	}
	for n := range 20 {
		one := draw("own_generators", n)
		if seeded, _, _ := strings.Cut(one, " "); seen[seeded] != 0 {
			t.Errorf("the plugin's own ChaCha8 gave %s to two invocations", seeded)
		} else {
			seen[seeded] = n + 1
		}
	}
}
