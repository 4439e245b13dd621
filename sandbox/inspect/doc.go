// Package inspect makes the report that a reviewer reads before a stranger's plugin
// is let in. The report is made from the file itself: what the vendor says of it in
// the manifest is shown, and held against what the code can do.
//
// [Analyse] reads a file and runs nothing of it. Its [Report] is data, and prints
// itself as text, as JSON and as a page of HTML. [Compare] says what changed from one
// version to the next, above all whether the new one asks for more.
//
// Everything in a plugin may have been written to deceive: a name can hold escape
// sequences, a count can be made to exhaust the reader. So the work is linear in the
// file, every list is bounded and says how much was left out, and no text of the
// plugin's is printed before it was made harmless.
//
// What code can reach is an upper bound. An indirect call may lead to every function
// of its type that a table can hold; of Go's code nearly everything is reached so.
package inspect
