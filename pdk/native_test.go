package pdk

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// parrot has every ability, and says in its answer which method was called with what.
type parrot struct{}

func (parrot) Receive(_ Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	return &contract.ReceiveOutput{DedupeKey: "receive " + string(in.Connection.ID)}, nil
}

func (parrot) Route(_ Host, in *contract.RouteInput) (*contract.RouteOutput, error) {
	return &contract.RouteOutput{Key: "route " + in.Delivery.Query}, nil
}

func said(method string, c contract.Connection) (*contract.CommandOutput, error) {
	return &contract.CommandOutput{URL: method + " " + string(c.ID)}, nil
}

func (parrot) SendMessage(_ Host, in *contract.SendMessageInput) (*contract.CommandOutput, error) {
	return said("send_message", in.Connection)
}
func (parrot) EditMessage(_ Host, in *contract.EditMessageInput) (*contract.CommandOutput, error) {
	return said("edit_message", in.Connection)
}
func (parrot) DeleteMessage(_ Host, in *contract.DeleteMessageInput) (*contract.CommandOutput, error) {
	return said("delete_message", in.Connection)
}
func (parrot) SendTyping(_ Host, in *contract.SendTypingInput) (*contract.CommandOutput, error) {
	return said("send_typing", in.Connection)
}
func (parrot) SendReceipt(_ Host, in *contract.SendReceiptInput) (*contract.CommandOutput, error) {
	return said("send_receipt", in.Connection)
}
func (parrot) SetupConnection(_ Host, in *contract.SetupConnectionInput) (*contract.CommandOutput, error) {
	return said("setup_connection", in.Connection)
}
func (parrot) TeardownConnection(_ Host, in *contract.TeardownConnectionInput) (*contract.CommandOutput, error) {
	return said("teardown_connection", in.Connection)
}
func (parrot) RefreshCredentials(_ Host, in *contract.RefreshCredentialsInput) (*contract.CommandOutput, error) {
	return said("refresh_credentials", in.Connection)
}
func (parrot) CheckHealth(_ Host, in *contract.CheckHealthInput) (*contract.CommandOutput, error) {
	return said("check_health", in.Connection)
}
func (parrot) AuthorizeURL(_ Host, in *contract.AuthorizeURLInput) (*contract.CommandOutput, error) {
	return said("authorize_url", in.Connection)
}
func (parrot) ExchangeCode(_ Host, in *contract.ExchangeCodeInput) (*contract.CommandOutput, error) {
	return said("exchange_code", in.Connection)
}
func (parrot) Reconcile(_ Host, in *contract.ReconcileInput) (*contract.CommandOutput, error) {
	return said("reconcile", in.Connection)
}
func (parrot) LookupContact(_ Host, in *contract.LookupContactInput) (*contract.CommandOutput, error) {
	return said("lookup_contact", in.Connection)
}

// deaf has no ability but to receive, and does so badly.
type deaf struct{ fault string }

func (d deaf) Receive(Host, *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	var parts []contract.Part
	switch d.fault {
	case "error":
		return nil, errors.New("out of luck")
	case "runtime panic":
		parts[3].Fallback = ""
	case "panic":
		panic("a person's data")
	}
	return nil, nil
}

func TestEveryExportReachesItsMethod(t *testing.T) {
	for _, export := range contract.Exports() {
		input := `{"connection":{"id":"con_1"},"delivery":{"query":"con_1"},"unknown":[]}`
		output, err := Invoke(parrot{}, nil, export, []byte(input))
		if want := string(export) + " con_1"; err != nil || !strings.Contains(string(output), want) {
			t.Errorf("Invoke(%s) = %s, %v; want %q in it", export, output, err, want)
		}
	}
	if got := Abilities(parrot{}); !slices.Equal(got, contract.Exports()) {
		t.Errorf("Abilities = %v, want %v", got, contract.Exports())
	}
}

func TestWhatAConnectorLacks(t *testing.T) {
	if got := Abilities(deaf{}); !slices.Equal(got, []contract.Export{contract.ExportReceive}) {
		t.Errorf("Abilities = %v, want only receive", got)
	}
	for _, export := range append(contract.Exports()[1:], "unknown") {
		if output, err := Invoke(deaf{}, nil, export, []byte("{}")); !errors.Is(err, ErrNoAbility) {
			t.Errorf("Invoke(%s) = %s, %v; want ErrNoAbility", export, output, err)
		}
	}
}

func TestInvokeReportsWhatIsWrong(t *testing.T) {
	wrong := new(contract.SyntaxError)
	if _, err := Invoke(parrot{}, nil, contract.ExportSendMessage, []byte(`{"connection":{"id":7}}`)); !errors.As(err, &wrong) || wrong.Path != "connection.id" {
		t.Errorf("an input of the wrong type gave %v, want one at connection.id", err)
	}
	if _, err := Invoke(deaf{"error"}, nil, contract.ExportReceive, []byte("{}")); err == nil || err.Error() != "out of luck" {
		t.Errorf("a method that failed gave %v", err)
	}
	output, err := Invoke(deaf{}, nil, contract.ExportReceive, []byte("{}"))
	if err != nil || string(output) != `{"response":{"status":0}}` {
		t.Errorf("a method that returned nothing gave %s, %v; want an empty output", output, err)
	}
}

// register gives a test a registration of its own.
func register(t *testing.T, connectors ...Connector) {
	t.Helper()
	saved := registered
	t.Cleanup(func() { registered = saved })
	registered.connector, registered.problem = nil, ""
	for _, c := range connectors {
		Register(c)
	}
}

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name       string
		connectors []Connector
		export     contract.Export
		failure    string
	}{
		{"nothing registered", nil, contract.ExportReceive, "no connector is registered"},
		{"nil registered", []Connector{nil}, contract.ExportReceive, "was given nil"},
		{"two registered", []Connector{parrot{}, parrot{}}, contract.ExportReceive, "called twice"},
		{"an ability it has", []Connector{parrot{}}, contract.ExportReconcile, ""},
		{"an ability it has not", []Connector{deaf{}}, contract.ExportReconcile, "reconcile: pdk: the connector has no such ability"},
		{"an error", []Connector{deaf{"error"}}, contract.ExportReceive, "receive: out of luck"},
		{"a panic of the runtime", []Connector{deaf{"runtime panic"}}, contract.ExportReceive, "receive: the connector panicked: runtime error: index out of range [3] with length 0 at github.com/seed75a60ee1/patchbay/pdk.deaf.Receive:"},
		{"a panic with data", []Connector{deaf{"panic"}}, contract.ExportReceive, "receive: the connector panicked at github.com/seed75a60ee1/patchbay/pdk.deaf.Receive:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			register(t, tt.connectors...)
			output, failure := run(nil, tt.export, []byte("{}"))
			if !strings.Contains(failure, tt.failure) || (failure == "") != (tt.failure == "") {
				t.Errorf("run failed with %q, want %q", failure, tt.failure)
			}
			if (output == nil) != (failure != "") || strings.Contains(failure, "a person's data") {
				t.Errorf("run = %q, %q", output, failure)
			}
		})
	}
}

func TestRunAbilities(t *testing.T) {
	register(t, deaf{})
	if output, failure := runAbilities(); string(output) != `["receive"]` || failure != "" {
		t.Errorf("runAbilities = %s, %q", output, failure)
	}
	register(t)
	if output, failure := runAbilities(); output != nil || failure == "" {
		t.Errorf("runAbilities without a connector = %s, %q; want a failure", output, failure)
	}
}

func TestLogLine(t *testing.T) {
	line := logLine("m", []string{"a", "1", "b", "2", "a", "3", "odd"})
	if want := map[string]string{"a": "3", "b": "2", "odd": ""}; !maps.Equal(line.Fields, want) {
		t.Errorf("fields %v, want %v", line.Fields, want)
	}
	if line := logLine("m", nil); line.Fields != nil || line.Message != "m" {
		t.Errorf("a line without fields is %+v", line)
	}
}

func TestInert(t *testing.T) {
	for in, want := range map[string]string{
		"hello":                    "hello",
		"{{name}} and {x}":         "{{name}} and {x}",
		"{{secret:token}}":         "{\u2060{secret:token}}",
		"a{{credential:x}}b":       "a{\u2060{credential:x}}b",
		"{{{secret:x}}}":           "{{\u2060{secret:x}}}",
		"{{ \tsecret :x}}":         "{\u2060{ \tsecret :x}}",
		"{{secret:{{secret:x}}}}":  "{\u2060{secret:{\u2060{secret:x}}}}",
		"{{media_base64:h}}{{":     "{\u2060{media_base64:h}}{{",
		"{{receive_url}}":          "{\u2060{receive_url}}",
		"{\u2060{secret:x}} again": "{\u2060{secret:x}} again",
	} {
		if got := Inert(in); got != want {
			t.Errorf("Inert(%q) = %q, want %q", in, got, want)
		}
	}
}

// Nothing that Inert returns begins a placeholder, and nothing but joiners was added.
func FuzzInert(f *testing.F) {
	f.Add("{{secret:a}}{{ credential :b}}{{{media_base64:}}")
	f.Fuzz(func(t *testing.T, text string) {
		got := Inert(text)
		for i := range len(got) {
			if strings.HasPrefix(got[i:], "{{") && beginsPlaceholder(got[i+2:]) {
				t.Errorf("Inert(%q) = %q, which still has a placeholder", text, got)
			}
		}
		if strings.ReplaceAll(got, "\u2060", "") != strings.ReplaceAll(text, "\u2060", "") {
			t.Errorf("Inert(%q) = %q, which says something else", text, got)
		}
	})
}

func TestLogLevelNames(t *testing.T) {
	for level, want := range map[LogLevel]string{LogTrace: "trace", LogError: "error", -1: "unknown", 5: "unknown"} {
		if got := level.String(); got != want {
			t.Errorf("LogLevel(%d) = %q, want %q", level, got, want)
		}
	}
}
