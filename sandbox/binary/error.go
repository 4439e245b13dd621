package binary

import "fmt"

// Error is the first thing wrong with a module. Match on Section; Why is written
// for whoever built the module and may be reworded.
type Error struct {
	// Offset is where in the file it was noticed, in bytes.
	Offset int
	// Section is the name of the section, or "preamble".
	Section string
	// Why says what is wrong there.
	Why string
}

func (e *Error) Error() string {
	return fmt.Sprintf("not a usable WebAssembly module: %s section at byte %d: %s", e.Section, e.Offset, e.Why)
}
