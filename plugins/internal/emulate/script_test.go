package emulate

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// treat is a step of these tests.
type treat struct {
	op    string
	times int
	do    string
}

func TestPlayerPlaysTheScriptInOrder(t *testing.T) {
	p := NewPlayer(func(s *treat) *int { return &s.times })
	p.Script.Script(treat{op: "get", do: "1"}, treat{times: 2, do: "any"}, treat{op: "get", do: "2"})
	p.Otherwise(treat{do: "rest"})
	var got []string
	for _, op := range []string{"get", "put", "get", "get", "get"} {
		got = append(got, p.Next(func(s treat) bool { return s.op == "" || s.op == op }).do)
	}
	if want := []string{"1", "any", "any", "2", "rest"}; !slices.Equal(got, want) {
		t.Errorf("played %q, want %q", got, want)
	}
}

func TestUnplayedCountsWhatWaits(t *testing.T) {
	p := NewPlayer(func(s *treat) *int { return &s.times })
	p.Script.Script(treat{op: "get", times: 2}, treat{op: "put"})
	get := func(s treat) bool { return s.op == "get" }
	for _, want := range []int{2, 1, 1} { // one was for two requests
		p.Next(get)
		if got := p.Unplayed(); got != want {
			t.Errorf("%d steps wait, want %d", got, want)
		}
	}
}

func TestUnscriptLeavesWhatIsForAllOthers(t *testing.T) {
	p := NewPlayer(func(s *treat) *int { return &s.times })
	p.Script.Script(treat{op: "get", do: "1"})
	p.Otherwise(treat{do: "rest"})
	p.Unscript()
	if got := p.Next(func(treat) bool { return true }).do; got != "rest" || p.Unplayed() != 0 {
		t.Errorf("played %q with %d left, want the rest", got, p.Unplayed())
	}
}

func TestIDsHaveTheirForm(t *testing.T) {
	bytes := rand.NewChaCha8([32]byte{1})
	if id := Hex(bytes, 12); len(id) != 24 || strings.Trim(id, "0123456789abcdef") != "" {
		t.Errorf("Hex made %q", id)
	}
	id := UUID(bytes)
	lengths := []int{}
	for group := range strings.SplitSeq(id, "-") {
		lengths = append(lengths, len(group))
	}
	if !slices.Equal(lengths, []int{8, 4, 4, 4, 12}) {
		t.Errorf("UUID made %q", id)
	}
}
