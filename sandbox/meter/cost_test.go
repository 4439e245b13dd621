package meter_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/meter"
)

// TestTheCostsAreAsPublished holds each instruction to the one line of COSTS.md that
// has it.
func TestTheCostsAreAsPublished(t *testing.T) {
	published := map[binary.Opcode]int64{}
	text, err := os.ReadFile("COSTS.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[3], "0x") {
			continue
		}
		cost, err := strconv.ParseInt(strings.TrimSpace(cells[2]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range strings.Fields(cells[3]) {
			first, last := opcodes(t, r)
			for op := first; op <= last; op++ {
				if _, twice := published[op]; twice {
					t.Errorf("instruction %#x is there twice", uint16(op))
				}
				published[op] = cost
			}
		}
	}
	if len(published) < 400 {
		t.Fatalf("only %d instructions are published", len(published))
	}
	for op := binary.Opcode(0); op <= 0xff; op++ {
		if _, ok := published[op]; ok != binary.Known(op) {
			t.Errorf("instruction %#x is published: %v; it exists: %v", uint16(op), ok, binary.Known(op))
		}
	}
	for op, cost := range published {
		if got := meter.Cost(op); got != cost {
			t.Errorf("instruction %#x costs %d, and %d is published", uint16(op), got, cost)
		}
	}
}

// opcodes reads 0x6d or 0x6d–0x70.
func opcodes(t *testing.T, text string) (first, last binary.Opcode) {
	from, to, _ := strings.Cut(text, "–")
	if to == "" {
		to = from
	}
	a, err := strconv.ParseUint(from, 0, 16)
	if err != nil {
		t.Fatal(err)
	}
	b, err := strconv.ParseUint(to, 0, 16)
	if err != nil {
		t.Fatal(err)
	}
	return binary.Opcode(a), binary.Opcode(b)
}
