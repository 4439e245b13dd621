// Package pdk is what a vendor imports to write a Patchbay connector in Go.
//
// A connector is a value with the method Receive ([Connector]) and one more method for
// each further ability ([MessageSender], [HealthChecker], ...). [Register] it from init,
// leave main empty, and build with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o connector.wasm .
//
// The result is an Extism plugin: this package makes the exports, decodes each input,
// finds the method and encodes its output. All that a connector can do to the outside
// goes through the [Host] that it is handed, and a host function that it never calls does
// not appear among the imports of the binary, where a reviewer looks.
//
// Natively the same code compiles and runs under [Invoke] against any Host; package
// pdktest has one in memory, and the suite that every connector must pass.
package pdk
