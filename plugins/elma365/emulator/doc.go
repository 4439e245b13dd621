// Package emulator plays ELMA365 toward one messenger, over HTTPS on the loopback
// interface, so that the connector and the host around it can be tried without an
// account.
//
// A [Platform] is one company with its live chats. [Platform.Connect] adds an arbitrary
// messenger, as an administrator does on the Messengers tab: it makes a [Channel] and
// sends connect. From then on the channel takes what the messenger posts to its callback
// URL, downloads the files, reports a messageOutcome, and lets a test play the operator:
// [Channel.Reply], [Channel.MarkRead], [Channel.AskUserInfo], [Channel.Disconnect].
//
// It follows shared/protocols/elma365.md where that is documented and is awkward where
// it is not: a [Step] answers with any status, late or never, and reports outcomes
// before the answer, twice, wrongly or not at all. What the messenger does against the
// protocol is answered as the platform would and kept in [Platform.Violations].
//
// Every exchange is recorded and can be waited for ([Platform.Wait]); nothing sleeps.
package emulator
