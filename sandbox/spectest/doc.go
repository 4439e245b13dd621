// Package spectest holds the tests of what package meter promises: that a module does
// the same rewritten as it did before, and that none is valid rewritten that was not.
//
//   - The WebAssembly specification's own test suite, which ships compiled inside
//     wazero's module, passes with rewritten modules as it does with the original ones.
//   - A generator makes modules of every instruction out of bytes, so that Go's fuzzing
//     can steer it; what comes out runs both ways, on both engines, with much and with
//     little fuel.
//   - Bytes that are no module, or nearly one, are refused rewritten if wazero refuses
//     them as they are.
//   - Programs whose instructions are counted by hand cost as much as the count.
//
// It has no code but tests.
package spectest
