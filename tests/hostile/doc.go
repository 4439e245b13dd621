// Package hostile is the zoo: plugins that mean harm, kept as source, and the tests that
// let them out. It has no code but tests.
//
// Each animal is to be contained, which is a typed error or a harmless answer; blamed,
// which is that the error names the limit that it met; bounded, in time and in the
// host's memory; and without effect: a neighbour that runs right after it gives the
// answer that it gave before. Animals that a compiler writes are in testdata and are
// built by the tests; those that no compiler would write are built with package asm.
//
// Counts of what Go code does are smaller under the race detector; the isolation proof is
// not. With -long the Go variant of that proof has its ten thousand rounds too, and a
// large plugin is malformed in twenty thousand places:
//
//	go test ./tests/hostile
//	go test ./tests/hostile -race -run 'Isolation|Chance'
//	go test ./tests/hostile -long -timeout 1h
package hostile
