// Package contract holds the types that cross the border between a Patchbay host
// and a plugin, as JSON. The management API and the events that tenants receive
// are made of the same types.
//
// A plugin is a WebAssembly module that exports functions such as "receive" and
// "send_message" ([Export]). The host calls one with an input document
// ([ReceiveInput], [SendMessageInput], ...) and takes its output document
// ([ReceiveOutput], [CommandOutput]). While it runs, the plugin may call host
// functions ([HostFunction]); their arguments and results are documents of this
// package too ([HTTPRequest], [KVGetResult], ...).
//
// Both sides ignore fields they do not know, so that either can be newer than
// the other. Nothing else is forgiving: a known field of the wrong type, a
// duplicate name, invalid UTF-8 or trailing data is an error.
//
// The package depends on nothing of Patchbay's, and encodes and decodes without
// reflection: see codec_gen.go, made by "go generate".
//
//go:generate go run ./internal/gen/codec
//go:generate go run ./internal/gen/schema
package contract

// Version names this contract. A manifest declares the version it was written
// for, and a host refuses a plugin whose version it does not speak.
const Version = "patchbay/1"
