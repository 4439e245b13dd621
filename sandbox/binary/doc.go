// Package binary decodes and edits a WebAssembly module: its sections, and everything
// in them but the instructions, over which it only walks.
//
// It is the first thing that touches a stranger's file, and the only thing that
// may: [Decode] reads nothing twice, believes no count before it has looked at how
// many bytes are left, and refuses what is beyond the maxima of this package. What
// it accepts is safe to hand to a decoder that allocates what a module asks for,
// which is what most do.
//
// A [Module] is data, holds views into the bytes it was decoded from, and is not
// to be changed. An edit such as [AppendCustom] takes bytes and returns new ones;
// every section it does not concern is copied bit by bit, so that what was signed
// or measured stays what it was.
package binary
