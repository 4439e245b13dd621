// Package emulator is Uspacy's side of the connector, for tests: portals with their messenger
// and file services, the tokens that guard them, and the Amazon SNS topic through which message
// events come, as shared/protocols/uspacy.md describes them.
//
// One [Platform] listens on one address of 127.0.0.1 and plays every host by its name, over
// HTTPS with certificates of its own authority. It does what the documents say, and what they
// leave open as [Options] say; a [Step] makes single requests go wrong. What it saw is kept
// ([Platform.Exchanges]), and so is what broke a rule ([Platform.Violations]).
package emulator
