package pdktest

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// outcome is what came of one invocation.
type outcome struct {
	host   *Host
	output output
	err    error
	panics bool
}

func (o *outcome) receive() *contract.ReceiveOutput {
	out, _ := o.output.(*contract.ReceiveOutput)
	return out
}

func (o *outcome) command() *contract.CommandOutput {
	out, _ := o.output.(*contract.CommandOutput)
	return out
}

// effects lists what the invocation would have changed.
func (o *outcome) effects() string {
	var list []string
	note := func(n int, what string) {
		if n > 0 {
			list = append(list, fmt.Sprintf("%d %s", n, what))
		}
	}
	if out := o.receive(); out != nil && out.Rejected == nil {
		note(len(out.Events), "events")
		note(len(out.Commands), "commands")
	}
	if out, ok := o.output.(*contract.RouteOutput); ok {
		if !out.Answered {
			return "" // nothing of it takes effect
		}
		note(len(out.Events), "events")
		note(len(out.Commands), "commands")
	}
	if out := o.receive(); out == nil || out.Rejected == nil {
		note(len(o.host.pending.writes)+len(o.host.pending.deletes), "key-value writes")
		note(len(o.host.pending.routes), "routes")
	}
	return strings.Join(list, ", ")
}

// world returns a fresh host for one invocation.
func (s *suite) world(prepare func(*Host)) *Host {
	h := New(s.manifest, s.Settings)
	for _, ready := range []func(*Host){s.Prepare, prepare} {
		if ready != nil {
			ready(h)
		}
	}
	h.Commit()
	h.calls = nil
	return h
}

// connection is the connection that samples run for.
func (s *suite) connection() contract.Connection {
	return contract.Connection{
		ID: "con_pdktest", Workspace: "wsp_pdktest", Name: "pdktest",
		State: contract.StateConnected, Settings: s.settings(manifest.ScopeConnection), App: s.ownApp(),
	}
}

// ownApp is the app of the connection that samples run for; nil if the plugin has no apps.
func (s *suite) ownApp() *contract.App {
	if !s.manifest.HasApps() {
		return nil
	}
	return &contract.App{ID: "app_pdktest", Settings: s.settings(manifest.ScopeApp)}
}

// app is the app as samples in app scope see it.
func (s *suite) app() contract.Connection {
	return contract.Connection{ID: "app_pdktest", Workspace: "wsp_host", Name: "pdktest", State: contract.StateConnected,
		Settings: s.settings(manifest.ScopeApp), IsApp: true}
}

// settings are those of one scope, defaults filled in.
func (s *suite) settings(scope manifest.Scope) map[string]string {
	return s.manifest.In(scope).WithDefaults(s.Settings)
}

// filled puts the values of secrets into a sample's body.
func filled(h *Host, body string) string {
	for name := range h.secrets {
		body = strings.ReplaceAll(body, "{{secret:"+name+"}}", h.Secret(name))
	}
	return body
}

// deliver invokes receive or route with a body, signed anew.
func (s *suite) deliver(sample string, h *Host, d Delivery, body string) *outcome {
	d = s.signed(h, d, body)
	return s.deliverInput(sample, h, d, s.deliveryInput(h, d))
}

// signed is a delivery with another body, as the platform would have signed it. What that
// takes of the host does not count among the connector's calls.
func (s *suite) signed(h *Host, d Delivery, body string) Delivery {
	d.Body = body
	d.Headers = slices.Clone(d.Headers)
	if s.Sign == nil {
		return d
	}
	faults := h.faults
	h.faults = nil
	s.Sign(h, &d)
	h.calls, h.faults = nil, faults
	return d
}

// deliverInput invokes receive or route with an encoded input.
func (s *suite) deliverInput(sample string, h *Host, d Delivery, input []byte) *outcome {
	h.SetBody([]byte(d.Body))
	if d.Routed {
		return s.invoke(sample, h, contract.ExportRoute, input, new(contract.RouteOutput))
	}
	return s.invoke(sample, h, contract.ExportReceive, input, new(contract.ReceiveOutput))
}

func (s *suite) deliveryInput(h *Host, d Delivery) []byte {
	method := d.Method
	if method == "" {
		method = "POST"
	}
	delivery := contract.Delivery{
		ID: "dlv_pdktest", ReceivedAt: h.Now(), Method: method, Path: d.Path, Query: d.Query,
		Headers: d.Headers, BodyBytes: int64(len(d.Body)),
	}
	if d.Routed {
		return contract.Marshal(&contract.RouteInput{Delivery: delivery, Settings: s.settings(manifest.ScopeApp), App: "app_pdktest"})
	}
	return contract.Marshal(&contract.ReceiveInput{Delivery: delivery, Connection: s.connection(), Routed: d.From})
}

// commandInput returns a sample's input with what every command has.
func (s *suite) commandInput(c Command) (contract.Export, []byte) {
	export, info, connection := command(c.Input)
	savedInfo, savedConnection := *info, *connection
	if info.ID == "" {
		*info = contract.CommandInfo{ID: "cmd_pdktest", Attempt: 1, CreatedAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	}
	if connection.ID == "" && c.App {
		*connection = s.app()
	} else if connection.ID == "" {
		*connection = s.connection()
	}
	input := contract.Marshal(c.Input)
	*info, *connection = savedInfo, savedConnection
	return export, input
}

// carryOut invokes a command's export.
func (s *suite) carryOut(sample string, h *Host, c Command) *outcome {
	export, input := s.commandInput(c)
	return s.invoke(sample, h, export, input, new(contract.CommandOutput))
}

// invoke runs an export and notes what is never right: a panic, an output that is not
// valid, something that the manifest does not allow, a secret that got out.
func (s *suite) invoke(sample string, h *Host, export contract.Export, input []byte, out output) *outcome {
	o := &outcome{host: h, output: out}
	func() {
		defer func() {
			if reason := recover(); reason != nil {
				o.panics = true
				s.fail(sample, fmt.Sprintf("%s panicked: %v\n%s", export, reason, debug.Stack()))
			}
		}()
		o.err = h.invoke(s.Connector, export, input, out)
	}()
	invalid := new(contract.InvalidError)
	if asInvalid(o.err, &invalid) {
		s.fail(sample, fmt.Sprintf("%s answered what no host takes:\n%v", export, invalid))
	}
	for _, problem := range h.problems {
		s.fail(sample, problem)
	}
	s.leaks(sample, o)
	return o
}
