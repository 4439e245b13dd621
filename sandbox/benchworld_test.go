package sandbox

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// benchWorld is the least host under which ELMA365's webhooks run: key-value state
// in a map, a secret that is always right, and the body of the last delivery.
type benchWorld struct {
	tb   testing.TB
	dir  string
	body []byte
	mu   sync.Mutex // of kv: calls may run side by side
	kv   map[string]string
}

func newBenchWorld(tb testing.TB, dir string) *benchWorld {
	return &benchWorld{tb: tb, dir: dir, kv: map[string]string{}}
}

func (w *benchWorld) functions() map[string]HostFunc {
	all := map[string]HostFunc{}
	for _, name := range contract.HostFunctions() {
		all[string(name)] = func(context.Context, []byte) ([]byte, error) { return []byte("{}"), nil }
	}
	all[string(contract.HostDeliveryBody)] = func(context.Context, []byte) ([]byte, error) { return w.body, nil }
	all[string(contract.HostSecretEqual)] = func(context.Context, []byte) ([]byte, error) { return json.Marshal(contract.Verdict{OK: true}) }
	all[string(contract.HostKVGet)] = func(_ context.Context, args []byte) ([]byte, error) {
		var get contract.KVGet
		if err := json.Unmarshal(args, &get); err != nil {
			return nil, err
		}
		w.mu.Lock()
		value, found := w.kv[get.Key]
		w.mu.Unlock()
		return json.Marshal(contract.KVGetResult{Found: found, Value: value, Version: 1})
	}
	all[string(contract.HostKVPut)] = func(_ context.Context, args []byte) ([]byte, error) {
		var put contract.KVPut
		if err := json.Unmarshal(args, &put); err != nil {
			return nil, err
		}
		w.mu.Lock()
		w.kv[put.Key] = put.Value
		w.mu.Unlock()
		return []byte("{}"), nil
	}
	return all
}

// delivery makes a file of the plugin's testdata the body, and returns the input.
func (w *benchWorld) delivery(file string) []byte {
	body, err := os.ReadFile(filepath.Join(w.dir, "testdata", file))
	if err != nil {
		w.tb.Fatal(err)
	}
	w.body = body
	input, err := json.Marshal(contract.ReceiveInput{
		Delivery: contract.Delivery{
			ID: "dlv_1", ReceivedAt: time.Unix(1_700_000_000, 0).UTC(), Method: "POST", BodyBytes: int64(len(body)),
			Headers: []contract.Header{{Name: "Content-Type", Value: "application/json"}},
		},
		Connection: contract.Connection{
			ID: "con_1", Workspace: "ws_1", State: contract.StateConnected,
			Settings: map[string]string{"company_url": "https://acme.elma365.example"},
		},
	})
	if err != nil {
		w.tb.Fatal(err)
	}
	return input
}

// connect makes the connection and a chat known, and checks that a message then is an
// event.
func (w *benchWorld) connect(tb testing.TB, g guest) {
	clear(w.kv)
	w.kv["chat/tg-553201"] = `{"title":"Dana Petrova","user":"tg-user-553201"}`
	mustCall(tb, g, "receive", w.delivery("connect.json"))
	if got := mustCall(tb, g, "receive", w.delivery("message.json")); !strings.Contains(string(got), "message.created") {
		tb.Fatalf("a message came to %s", got)
	}
}
