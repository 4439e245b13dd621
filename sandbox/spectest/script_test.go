package spectest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// script is one file of the suite, as wast2json writes it.
type script struct {
	Commands []command `json:"commands"`
}

// command is one line of a script.
type command struct {
	Type       string  `json:"type"`
	Line       int     `json:"line"`
	Name       string  `json:"name"`        // of a module
	Filename   string  `json:"filename"`    // of a module's code
	ModuleType string  `json:"module_type"` // "text" is for parsers of text
	As         string  `json:"as"`          // what a module is registered as
	Action     action  `json:"action"`
	Expected   []value `json:"expected"`
	Text       string  `json:"text"` // what is wrong
}

// action is something done with a module.
type action struct {
	Type   string  `json:"type"` // "invoke" or "get"
	Module string  `json:"module"`
	Field  string  `json:"field"`
	Args   []value `json:"args"`
}

func (a action) arguments() []uint64 {
	var words []uint64
	for _, v := range a.Args {
		words = append(words, v.words()...)
	}
	return words
}

// value is a number, a reference or a vector. Numbers are the decimal form of their bits.
type value struct {
	Type     string `json:"type"`
	LaneType string `json:"lane_type"`
	Lanes    lanes  `json:"value"`
}

// lanes are those of a vector, or the one of a number.
type lanes []string

func (l *lanes) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*l = lanes{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

// width is how many bits each lane has.
func (v value) width() int {
	kind := v.Type
	if kind == "v128" {
		kind = v.LaneType
	}
	switch kind {
	case "i8":
		return 8
	case "i16":
		return 16
	case "i32", "f32":
		return 32
	}
	return 64
}

// words is the value as wazero takes it: two words for a vector, lower half first.
func (v value) words() []uint64 {
	words := make([]uint64, 1, 2)
	if v.Type == "v128" {
		words = words[:2]
	}
	for i, lane := range v.Lanes {
		at := i * v.width()
		words[at/64] |= v.bits(lane) << (at % 64)
	}
	return words
}

// bits are those of a lane. An external reference is one more than its number, because
// zero is null to wazero.
func (v value) bits(lane string) uint64 {
	if lane == "null" {
		return 0
	}
	n, err := strconv.ParseUint(lane, 10, v.width())
	if err != nil {
		panic(fmt.Sprintf("BUG: %q is no value of type %s", lane, v.Type))
	}
	if v.Type == "externref" {
		n++
	}
	return n
}

// take compares the first of words with the value, and returns the others.
func (v value) take(words []uint64) (rest []uint64, equal bool) {
	n := len(value{Type: v.Type}.words())
	if len(words) < n || len(v.Lanes) == 0 {
		return nil, false
	}
	width := v.width()
	for i, lane := range v.Lanes {
		at := i * width
		got := words[at/64] >> (at % 64) & (1<<width - 1)
		if strings.HasPrefix(lane, "nan:") {
			if !isNaN(lane, got, width) {
				return nil, false
			}
		} else if got != v.bits(lane) {
			return nil, false
		}
	}
	return words[n:], true
}

// isNaN tells whether bits are a quiet NaN, and one without payload if that is asked for.
func isNaN(class string, bits uint64, width int) bool {
	quiet := uint64(0x7fc00000)
	if width == 64 {
		quiet = 0x7ff8000000000000
	}
	if class == "nan:canonical" {
		return bits&(1<<(width-1)-1) == quiet
	}
	return bits&quiet == quiet
}

// equal compares results with what a script expects.
func equal(results []uint64, expected []value) bool {
	for _, v := range expected {
		var ok bool
		if results, ok = v.take(results); !ok {
			return false
		}
	}
	return len(results) == 0
}

// traps are the causes that wazero gives for what the suite expects a trap to say.
var traps = map[string]string{
	"out of bounds memory access":   "out of bounds memory access",
	"indirect call type mismatch":   "indirect call type mismatch",
	"indirect call":                 "indirect call type mismatch",
	"undefined element":             "invalid table access",
	"undefined":                     "invalid table access",
	"uninitialized":                 "invalid table access",
	"uninitialized element":         "invalid table access",
	"uninitialized element 2":       "invalid table access",
	"uninitialized element 7":       "invalid table access",
	"out of bounds table access":    "invalid table access",
	"integer overflow":              "integer overflow",
	"invalid conversion to integer": "invalid conversion to integer",
	"integer divide by zero":        "integer divide by zero",
	"unreachable":                   "unreachable",
}
