package pdk_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

// runtimes load a plugin in each way that one can run, and return a function that calls
// an export: it gives the output, or the error that the plugin set.
var runtimes = []struct {
	name string
	load func(t *testing.T, wasm []byte, h *pdktest.Host) func(export string, input []byte) (output []byte, failure string)
}{
	{"the reference, eight bytes a call", loadReference},
	{"with bulk functions", loadBulk},
}

// everythingHost is the platform of testdata/everything.
func everythingHost() *pdktest.Host {
	h := pdktest.New(nil, nil)
	h.SetSecret("s", "secret")
	h.Answer("GET", "/x", pdktest.JSON(200, "answer"))
	return h
}

func TestGuest(t *testing.T) {
	wasm := buildPlugin(t, "everything")
	for _, runtime := range runtimes {
		t.Run(runtime.name, func(t *testing.T) {
			h := everythingHost()
			call := runtime.load(t, wasm, h)
			t.Run("tells its abilities", func(t *testing.T) {
				output, failure := call("patchbay_abilities", nil)
				if string(output) != `["receive","reconcile"]` || failure != "" {
					t.Errorf("patchbay_abilities = %s, %q", output, failure)
				}
			})
			t.Run("moves bodies of every length", func(t *testing.T) { movesBodies(t, call, h) })
			t.Run("reaches every host function", func(t *testing.T) { reachesEverything(t, call, h) })
			t.Run("turns every failure into an error", func(t *testing.T) { failsAsValues(t, call) })
		})
	}
}

type caller = func(export string, input []byte) (output []byte, failure string)

func movesBodies(t *testing.T, call caller, h *pdktest.Host) {
	for _, length := range []int{0, 1, 7, 8, 9, 64, 100_003} {
		body := make([]byte, length)
		for i := range body {
			body[i] = 'a' + byte(i%26)
		}
		h.SetBody(body)
		output, failure := call("receive", contract.Marshal(new(contract.ReceiveInput)))
		var out contract.ReceiveOutput
		if err := contract.Unmarshal(output, &out); err != nil || failure != "" {
			t.Fatalf("receive of %d bytes = %.100q, %q: %v", length, output, failure, err)
		}
		slices.Reverse(body)
		if out.Response.Body != string(body) {
			t.Errorf("a body of %d bytes came back as %.40q, want %.40q", length, out.Response.Body, body)
		}
	}
}

// reachesEverything compares what the guest was told with what the same calls tell
// natively.
func reachesEverything(t *testing.T, call caller, h *pdktest.Host) {
	output, failure := call("reconcile", contract.Marshal(new(contract.ReconcileInput)))
	var out contract.CommandOutput
	if err := contract.Unmarshal(output, &out); err != nil || failure != "" {
		t.Fatalf("reconcile = %q, %q: %v", output, failure, err)
	}
	const want = "delivery_body=!invalid kv_put=done kv_get=vyes kv_list=k kv_delete=done route_put=done route_delete=done " +
		"credentials_put=done secret_equal=yes hmac_sign=yes hmac_verify=yes jwt_sign=yes jwt_verify={\"a\":1} " +
		"signature_verify=!invalid http_send=answer http_send=!unreachable http_cached_get=answer media_fetch=x media_put=answer media_link=yes"
	if out.Health.Detail != want {
		t.Errorf("the guest was told\n%s\nwant\n%s", out.Health.Detail, want)
	}
	reached := h.Calls()
	for _, function := range contract.HostFunctions() {
		if !slices.Contains(reached, function) && function != contract.HostDeliveryBody {
			t.Errorf("%s was not reached", function)
		}
	}
	for _, level := range []pdk.LogLevel{pdk.LogTrace, pdk.LogDebug, pdk.LogInfo, pdk.LogWarn, pdk.LogError} {
		logged := func(l pdktest.Line) bool {
			return l.Level == level && l.Message == "level" && l.Fields["name"] == level.String()
		}
		if !slices.ContainsFunc(h.Lines(), logged) {
			t.Errorf("no line of level %s in %+v", level, h.Lines())
		}
	}
}

func failsAsValues(t *testing.T, call caller) {
	input := func(query string) []byte {
		return contract.Marshal(&contract.ReceiveInput{Delivery: contract.Delivery{Query: query}})
	}
	for _, tt := range []struct {
		name, export string
		input        []byte
		want         string
	}{
		{"an error", "receive", input("error"), "receive: no luck"},
		{"a panic of the runtime", "receive", input("panic"), "receive: the connector panicked: runtime error: index out of range [0] with length 0 at main.connector.Receive:"},
		{"a panic with somebody's data", "receive", input("panic with data"), "receive: the connector panicked at main.connector.Receive:"},
		{"no input", "receive", nil, "receive: JSON: document: it is empty"},
		{"an input that is no document", "receive", []byte("{"), "ends in the middle"},
		{"an ability that it has not", "send_message", []byte("{}"), "send_message: pdk: the connector has no such ability"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, failure := call(tt.export, tt.input); !strings.Contains(failure, tt.want) || strings.Contains(failure, "a person's data") {
				t.Errorf("%s(%s) failed with %q, want %q in it", tt.export, tt.input, failure, tt.want)
			}
		})
	}
	if output, failure := call("receive", input("")); failure != "" { // it goes on working
		t.Errorf("receive = %s, %q", output, failure)
	}
}

// logged passes a line of the guest on to the host, as the broker does.
func logged(h *pdktest.Host, level pdk.LogLevel, text string) {
	var line contract.LogLine
	if err := contract.Unmarshal([]byte(text), &line); err != nil {
		panic("the guest's line is no document: " + err.Error())
	}
	var fields []string
	for name, value := range line.Fields {
		fields = append(fields, name, value)
	}
	h.Log(level, line.Message, fields...)
}

// background is for runtimes whose calls need a context.
var background = context.Background()
