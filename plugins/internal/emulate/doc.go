// Package emulate is what the emulators of our platforms have in common, whatever their
// protocols: an HTTPS server with a certificate authority of its own ([Listen]), the
// record of what happened and the ways to wait for it ([Recorder]), the script by which a
// test has single requests go wrong ([Player]), calls to whoever is tested ([Do], [Get]),
// and ids ([Hex], [UUID]).
//
// Two types come in halves, so that a platform can embed the half that tests use under a
// name of its own and keep the other: a [Recorder] is written by the platform and its
// [Record] read by tests; a [Script] is written by tests and played by the platform's
// [Player].
//
// No connector imports it: a connector sees what any vendor sees, which is pdk.
package emulate
