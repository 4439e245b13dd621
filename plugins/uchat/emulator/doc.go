// Package emulator plays UChat toward one custom channel, over HTTPS on the loopback
// interface, so that the connector and the host around it can be tried without an account.
//
// A [Platform] answers for every host name that a workspace has to do with ([Platform.Names]),
// all on one address ([Platform.Addr]), told apart by the request's Host: the partner API, a
// reseller's endpoint, the bot URLs and the files. A [Workspace] has a webhook, which the
// channel sets through the partner API and which is verified by a handshake while that call
// is open. From then on it takes what the channel posts to its bot URL, and lets a test play
// the bot: [Workspace.Say].
//
// It follows shared/protocols/uchat.md. What is not documented there can be chosen: how the
// handshake is encoded, how messages are signed, in which of two families of payloads they
// are written, which identifiers they echo and which paths the partner API has. A [Step]
// answers with any status, late or never, or takes a message without saying so. What the
// channel does against the protocol is answered as the platform might and kept in
// [Platform.Violations].
//
// Every exchange is recorded and can be waited for ([Platform.Wait]); nothing sleeps.
package emulator
