package pdk

import (
	"runtime"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// registered is what [Register] was given, or what was wrong with that.
var registered struct {
	connector Connector
	problem   string
}

// Register makes c the connector of this plugin. Call it once, from init:
//
//	func init() { pdk.Register(connector{}) }
//
// Natively it only remembers c. A wrong registration does not panic, which would leave
// the host with a trap and no reason: every export then fails with the reason.
func Register(c Connector) {
	switch {
	case c == nil:
		registered.problem = "pdk.Register was given nil; give it the connector"
	case registered.connector != nil:
		registered.problem = "pdk.Register was called twice; a plugin is one connector"
	}
	registered.connector = c
}

// connector returns the registered connector, or why there is none.
func connector() (Connector, string) {
	if registered.problem == "" && registered.connector == nil {
		return nil, "no connector is registered; call pdk.Register from init"
	}
	return registered.connector, registered.problem
}

// run carries out an export of the plugin. Every failure, also a panic, is a text for
// the host; it is empty if there is an output. It holds nothing of a panic's value but
// the runtime's own words, since a value may be somebody's data.
func run(h Host, export contract.Export, input []byte) (output []byte, failure string) {
	c, problem := connector()
	if problem != "" {
		return nil, problem
	}
	defer func() {
		if reason := recover(); reason != nil {
			output, failure = nil, panicText(export, reason)
		}
	}()
	out, err := invoke(c, h, export, input)
	if err != nil {
		return nil, string(export) + ": " + err.Error()
	}
	return encode(out), ""
}

// runAbilities carries out the export patchbay_abilities: a JSON array of names.
func runAbilities() (output []byte, failure string) {
	c, problem := connector()
	if problem != "" {
		return nil, problem
	}
	names := make([]string, 0, len(abilities))
	for _, export := range Abilities(c) {
		names = append(names, strconv.Quote(string(export)))
	}
	return []byte("[" + strings.Join(names, ",") + "]"), ""
}

// panicText describes a panic that was just recovered.
func panicText(export contract.Export, reason any) string {
	text := string(export) + ": the connector panicked"
	if err, ok := reason.(runtime.Error); ok {
		text += ": " + err.Error()
	}
	if place := panicPlace(); place != "" {
		text += " at " + place
	}
	return text
}

// panicPlace returns the function and line that panicked, or "". It must be called while
// the panic is being recovered.
func panicPlace() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	panicking := false
	for {
		frame, more := frames.Next()
		if panicking && !strings.HasPrefix(frame.Function, "runtime.") {
			return frame.Function + ":" + strconv.Itoa(frame.Line)
		}
		panicking = panicking || frame.Function == "runtime.gopanic"
		if !more {
			return ""
		}
	}
}
