// Package meter rewrites a WebAssembly module so that what runs is metered, bounded
// and can be set back to where it was, on an engine that knows nothing of it.
//
// [Rewrite] takes a decoded module and returns another that computes the same and
//
//   - counts down fuel: at a function's entry, at a loop's header and where a branch
//     leads to much code, by what the straight-line code after it costs ([Cost]); and
//     before an instruction that works on a length, by that length;
//   - counts down the stack that calls take, and counts it up when they return;
//   - cannot grow a table beyond a maximum;
//   - exports its mutable globals, and leaves to its host what an engine would do
//     at instantiation: to write the data, and to call the start function.
//
// Where fuel or stack run out the module executes unreachable, and one of the two
// globals is negative. The module cannot reach them: what it names is checked
// against what it has, since an index that was invalid before would name them now.
//
// The functions keep their indexes, so that stacks and tables mean what they did.
// The same module and input cost the same fuel on any machine and engine.
package meter
