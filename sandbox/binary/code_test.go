package binary_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

func repeat(n int, parts ...[]byte) []byte { return bytes.Repeat(w.Code(parts...), n) }

// function is a module with one function of that code.
func function(locals int, body ...[]byte) []byte {
	m := &w.Module{}
	m.Memory(1)
	m.Func("run", ":", strings.Repeat("I", locals), body...)
	return m.Bytes()
}

// TestASmallModuleCannotKeepACompilerBusy has the shapes of code for which wazero took
// seconds to minutes, or gigabytes, for some kilobytes.
func TestASmallModuleCannotKeepACompilerBusy(t *testing.T) {
	block, brIf := []byte{0x02, 0x40}, []byte{0x0d, 0x00}
	wide := &w.Module{}
	wide.Func("run", ":"+strings.Repeat("I", 9), "", w.Unreachable)
	for _, tt := range []struct {
		name string
		wasm []byte
		why  string
	}{
		{"blocks in blocks", function(0, repeat(20_000, block), repeat(20_000, w.End)), "blocks and branches"},
		{"loops in loops", function(0, repeat(65, w.Loop), repeat(65, w.End)), "loops in one another"},
		{"loops in a row", function(0, repeat(4_000, w.Loop, w.End)), "blocks and branches"},
		{"loops over many variables", function(4000, repeat(20, w.Loop, w.I32Const(1), brIf), repeat(20, w.End)), "up to this one"},
		{"a function of many calls", function(0, repeat(20_001, w.Call(0))), "calls"},
		{"blocks in a row", function(0, repeat(10_000, block, w.I32Const(1), brIf, w.End)), "blocks and branches"},
		{"a branch table", function(0, w.I32Const(0), []byte{0x0e}, w.U32(20_000), repeat(20_001, []byte{0})), "branch targets"},
		{
			"blocks times variables", function(3000, repeat(1000, block, w.I32Const(1), brIf, w.End)),
			"2000 blocks and branches over 3000 variables",
		},
		{"few blocks over very many variables", function(9900, repeat(200, block, w.I32Const(1), brIf, w.End)), "up to this one"},
		{"a long function", function(0, repeat(1<<19, w.I32Const(0), w.Drop)), "bytes"},
		{"a function of many results", wide.Bytes(), "results"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := binary.Decode(tt.wasm)
			var wrong *binary.Error
			if !errors.As(err, &wrong) || !strings.Contains(wrong.Why, tt.why) {
				t.Errorf("got %v, want %q", err, tt.why)
			}
		})
	}
	t.Run("nor can many functions together", func(t *testing.T) {
		m := &w.Module{}
		for range 2 {
			m.Func("", ":", "", repeat(16_000, block), repeat(16_000, w.End))
		}
		if _, err := binary.Decode(m.Bytes()); err == nil || !strings.Contains(err.Error(), "up to this one") {
			t.Errorf("got %v, want a refusal of what they take together", err)
		}
	})
}

func TestTheWalkOverCodeKnowsEveryKindOfOperand(t *testing.T) {
	ok := [][]byte{
		{0x41, 0x80, 0x80, 0x80, 0x80, 0x78, 0x1a},                           // i32.const, drop
		{0x44, 1, 2, 3, 4, 5, 6, 7, 0x0b, 0x1a},                              // f64.const with an end in it
		{0x02, 0x7f, 0x41, 0x00, 0x0b, 0x1a},                                 // block with a result
		{0x41, 0x00, 0x04, 0x40, 0x05, 0x0b},                                 // if, else
		{0x41, 0x00, 0x0e, 0x02, 0x00, 0x00, 0x00},                           // br_table
		{0x41, 0x00, 0x41, 0x00, 0x41, 0x00, 0x1c, 0x01, 0x7f, 0x1a},         // select of a type
		{0xfc, 0x0a, 0x00, 0x00},                                             // memory.copy
		{0xfd, 0x0c, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x0b, 12, 13, 14, 15}, // v128.const
		{0xfd, 0x15, 0x0b},                                                   // i8x16.extract_lane_s
		{0xfd, 0x54, 0x00, 0x0b, 0x0b},                                       // v128.load8_lane
		{0xd0, 0x70, 0x1a},                                                   // ref.null
		{0x28, 0x02, 0xff, 0xff, 0xff, 0xff, 0x0f},                           // i32.load
	}
	for _, code := range ok {
		if _, err := binary.Decode(function(0, code)); err != nil {
			t.Errorf("code %x: %v", code, err)
		}
	}
	for _, code := range [][]byte{
		{0x14, 0x00},       // a call by reference
		{0xfe, 0x00, 0x00}, // an atomic
		{0xfd, 0x80, 0x02}, // a relaxed vector instruction
		{0x0b},             // an end too many
		{0x02, 0x40},       // an end too few
		{0x02, 0x05},       // a block of a type that does not exist
		{0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00},
	} {
		if _, err := binary.Decode(function(0, code)); err == nil {
			t.Errorf("code %x was accepted", code)
		}
	}
}
