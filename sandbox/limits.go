package sandbox

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound what a plugin may take. A zero field means its default. They are
// checked once, by [Engine.Load].
type Limits struct {
	// ModuleBytes is the largest file that is loaded. Default 32 MiB.
	ModuleBytes int64
	// MemoryPages is the plugin's own memory, in pages of 64 KiB. Default 512 (32 MiB).
	// Beyond it memory.grow answers -1.
	MemoryPages uint32
	// TableEntries is how far each table of functions may grow. Default 65,536.
	TableEntries uint32
	// Fuel is how much a call may compute, in units of package meter, the start of the
	// plugin included where it is started for the call. Default 4 billion, which is a
	// second or two of ordinary code.
	Fuel int64
	// StackBytes is how much the plugin's calls of one another may take of the engine's
	// stack, as package meter estimates it from above. Default 32 MiB.
	StackBytes int64
	// Uses is how many calls one instance serves. Default 10,000.
	Uses int
	// Deadline is how long a call may take, host functions and the wait for memory
	// included. Default 5 s. An [Invocation] can ask for less. It is looked at every 20 ms.
	Deadline time.Duration
	// OutputBytes is the largest output. Default 4 MiB.
	OutputBytes int64
	// BlockBytes is how large the blocks that plugin and host pass each other may be
	// at a time, the input included. Default 16 MiB.
	BlockBytes int64
	// Blocks is how many of them there may be at a time. Default 16,384.
	Blocks int
	// HostCalls is how often a call may use the functions of [Invocation.Host].
	// Default 1,000.
	HostCalls int
	// LogLines is how many lines a call may log, its standard output and error
	// included. Default 200. What is beyond is counted, and dropped.
	LogLines int
	// LogLineBytes is where a line is cut. Default 4 KiB.
	LogLineBytes int
	// MessageBytes is where the texts of a plugin's errors and stacks are cut. Default
	// 4 KiB.
	MessageBytes int
}

// DefaultFuel is [Limits.Fuel] where nothing else is said.
const DefaultFuel = 4_000_000_000

// maxBlocks keeps a handle below 2^53: JavaScript's PDK counts in floating point.
const maxBlocks = 1 << 20

// withDefaults fills in defaults and says of every other field whether it can be.
func (l Limits) withDefaults() (Limits, error) {
	var wrong []error
	wrong = append(wrong,
		limit("ModuleBytes", &l.ModuleBytes, 32<<20, 1<<30),
		limit("MemoryPages", &l.MemoryPages, 512, 1<<16),
		limit("TableEntries", &l.TableEntries, 1<<16, 1<<24),
		limit("Fuel", &l.Fuel, DefaultFuel, 1<<60),
		limit("StackBytes", &l.StackBytes, 32<<20, 1<<32),
		limit("Uses", &l.Uses, 10_000, 1<<30),
		limit("Deadline", &l.Deadline, 5*time.Second, 24*time.Hour),
		limit("OutputBytes", &l.OutputBytes, 4<<20, 1<<30),
		limit("BlockBytes", &l.BlockBytes, 16<<20, 1<<30),
		limit("Blocks", &l.Blocks, 1<<14, maxBlocks),
		limit("HostCalls", &l.HostCalls, 1000, 1<<30),
		limit("LogLines", &l.LogLines, 200, 1<<20),
		limit("LogLineBytes", &l.LogLineBytes, 4<<10, 1<<20),
		limit("MessageBytes", &l.MessageBytes, 4<<10, 1<<20),
	)
	return l, errors.Join(wrong...)
}

// fuelOf is what a call gets that asks for so much.
func (l *Limits) fuelOf(asked int64) int64 {
	if asked > 0 {
		return min(l.Fuel, asked)
	}
	return l.Fuel
}

func limit[N int | int64 | uint32 | time.Duration](name string, v *N, standard, most N) error {
	if *v == 0 {
		*v = standard
	}
	if *v < 0 || *v > most {
		return fmt.Errorf("sandbox: limit %s is %v; set it from 1 to %v, or to 0 for %v", name, *v, most, standard)
	}
	return nil
}
