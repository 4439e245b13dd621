// Package sandbox runs one vendor's WebAssembly with the authority it was granted,
// and no more.
//
// A plugin is a [Spec] until [Engine.Load] accepts it and a [Plugin] after that. A
// Spec is data: reading or printing one starts nothing. A Plugin owns compiled code
// and must be closed. [Plugin.Call] runs one of its exports in an instance that is as if
// newly started: no byte of one call is visible to another.
//
// It is, because a plugin is started once and frozen. Package meter rewrites its code, so
// that it counts its fuel and its stack and hands out its globals; package image keeps
// its memory and undoes what a call wrote. An [Engine] lends out instances, tenants in
// turn, and holds as much memory as it was told.
//
// What a plugin can reach is in its [Invocation] and nowhere else: an input, named
// host functions, a configuration, a pinned clock, a random seed. There are no files,
// no sockets, no environment and no sleep, and whatever it can take of the host's is
// bounded by [Limits]. So a call can be recorded whole ([Plugin.Record]) and run again
// without its host ([Replay]).
//
// The plugin ABI is Extism's, implemented in package kernel over wazero, so that
// every Extism PDK can make a plugin; package binary reads a stranger's file before
// anything else does.
//
// Nothing in this package knows about HTTP, storage or any messaging platform.
package sandbox
