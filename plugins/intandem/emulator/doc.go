// Package emulator plays inTandem (vcita) toward communication apps, over HTTPS on the
// loopback interface, so that the connector and the host around it can be tried without an
// account.
//
// A [Platform] is the API, the OAuth endpoints and the consent page, under the names that
// the platform has ([Platform.Names]); whoever calls dials [Platform.Addr] instead of asking
// DNS, and trusts [Platform.CAPEM]. [Platform.AddApp] registers an app with its callback
// URL, [Platform.AddBusiness] a business with its clients. The app then gets a service token,
// has the business allow it, makes a channel, sessions and messages; the platform answers
// with something pending and tells the rest by callbacks. A test plays the business's
// staff with [Business.Say], [Business.Type] and [Business.Read].
//
// It follows shared/protocols/intandem.md where that is documented and is awkward where it is
// not: a [Step] fails an operation before or after it took effect, sends the callback before
// the answer, or leaves it out; tokens expire by a clock that tests set. What an app does
// against the protocol is answered as the platform would and kept in [Platform.Violations].
//
// Every exchange is recorded and can be waited for ([Platform.Wait]); nothing sleeps.
package emulator
