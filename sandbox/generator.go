package sandbox

import (
	"encoding/binary"
	"math/rand/v2"
)

// generator is where in a plugin's memory a ChaCha8 random number generator of Go lies:
// the one from which Go's runtime seeds others, one for each of its threads, and any of
// the plugin's own. They are seeded while a plugin starts, so that all that are in an
// image must be seeded anew for each call.
//
// The layout is that of internal/chacha8rand.State, which Go 1.22 to 1.26 have: what was
// generated and not yet used, the seed, and the counters i, n and c.
type generator uint32

const (
	generatorWords   = 32 // of 8 bytes, that are generated at a time
	generatorSeed    = generatorWords * 8
	generatorIndex   = generatorSeed + 32
	generatorCount   = generatorIndex + 4
	generatorCounter = generatorCount + 4
	generatorBytes   = generatorCounter + 4
	generatorStep    = 4  // by which the counter moves with each turn
	generatorTurns   = 16 // where the counter begins anew, with a seed from the last 4 words
	generatorKept    = 28 // how many words the last turn gives out
)

// findGenerators looks for what can be nothing else: words, and the seed that they come
// from.
func findGenerators(memory []byte) []generator {
	var all []generator
	for at := 0; at+generatorBytes <= len(memory); at += 8 {
		if isGenerator(memory[at : at+generatorBytes]) {
			all = append(all, generator(at))
		}
	}
	return all
}

func isGenerator(state []byte) bool {
	index := binary.LittleEndian.Uint32(state[generatorIndex:])
	count := binary.LittleEndian.Uint32(state[generatorCount:])
	counter := binary.LittleEndian.Uint32(state[generatorCounter:])
	want := uint32(generatorWords)
	if counter == generatorTurns-generatorStep {
		want = generatorKept
	}
	if count != want || index > count || counter%generatorStep != 0 || counter >= generatorTurns {
		return false
	}
	source := rand.NewChaCha8([32]byte(state[generatorSeed:generatorIndex]))
	for range counter / generatorStep * generatorWords {
		source.Uint64()
	}
	for i := range int(count) {
		if binary.LittleEndian.Uint64(state[i*8:]) != source.Uint64() {
			return false
		}
	}
	return true
}

// seed has the generator begin anew with the call's randomness, by making it look like one
// that is at the start of its last turn. Its seed alone would be enough, but to generate
// what the host has at hand costs a plugin as much as a small document to read.
func (g generator) seed(memory []byte, w *world) {
	state := memory[g : g+generatorBytes]
	w.fill(state[:generatorSeed])
	binary.LittleEndian.PutUint32(state[generatorIndex:], 0)
	binary.LittleEndian.PutUint32(state[generatorCount:], generatorKept)
	binary.LittleEndian.PutUint32(state[generatorCounter:], generatorTurns-generatorStep)
}
