// Package pdktest tests connectors without a host.
//
// [Host] is a [pdk.Host] in memory: it answers requests from a script, keeps key-value
// state with versions, knows secrets by name, and is as strict as a real host about what
// the manifest allows. It serves a connector's own tests.
//
// [Run] is the suite that every connector must pass, ours and vendors'. It takes a
// [Case]: the connector, its manifest, and samples of what its platform sends and of what
// tenants ask for. It then invokes the connector with those samples, and with everything
// hostile that can be derived from them.
package pdktest
