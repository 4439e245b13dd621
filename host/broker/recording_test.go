package broker_test

import (
	"context"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/egress"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// echoing is a platform that says back all that it was sent.
func echoing(t *testing.T) (p *httptest.Server, ca string, saw *strings.Builder) {
	t.Helper()
	saw = &strings.Builder{}
	p = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		text := r.Header.Get("Authorization") + " " + r.URL.RawQuery + " " + string(body)
		saw.WriteString(text)
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(p.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return p, ca, saw
}

// TestNoSecretIsRecorded runs a command through the real broker and the real way out to a
// platform that says back what it was told, and records what crosses between the plugin
// and its host functions: the platform gets the secret, and the recording its name.
func TestNoSecretIsRecorded(t *testing.T) {
	platform, ca, saw := echoing(t)
	var recorded *recording.Recording
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		rec := recording.NewRecorder(recording.Recording{Export: g.Export, Input: g.Input})
		g.Host = recording.Wrap(rec, g.Host)
		const place = "{{secret:token}}"
		for _, r := range []contract.HTTPRequest{ // a request may name a secret once
			{URL: platform.URL + "/api", Headers: []contract.Header{{Name: "Authorization", Value: "Bearer " + place}}},
			{URL: platform.URL + "/api?key=" + place},
			{URL: platform.URL + "/api", Body: `{"key":"` + place + `"}`, Headers: []contract.Header{{Name: "Content-Type", Value: "application/json"}}},
		} {
			r.Method = "POST"
			if got := ask[contract.HTTPResult](g, contract.HostHTTPSend, &r); got.Status != 200 {
				t.Errorf("the platform was not reached: %+v", got)
			}
		}
		ask[contract.Verdict](g, contract.HostSecretEqual, &contract.SecretEqual{Name: "token", Value: "a guess"})
		output := contract.Marshal(&contract.CommandOutput{Sent: &contract.Sent{PlatformID: "p-1", Status: contract.MessageSent}})
		recorded = rec.End(recording.Outcome{Output: output}, 0, 0, 0)
		return output, nil
	})
	client, err := egress.New(egress.Options{CACertFile: ca})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	w.connection.PrivateTargets = []string{platform.Listener.Addr().String()}
	w.connection.Settings = map[string]string{"base": platform.URL}
	w.connection.ID, w.connection.Endpoint, w.connection.Name = "con_2", "other", "two"
	if err := w.store.CreateConnection(t.Context(), w.connection, nil); err != nil {
		t.Fatal(err)
	}
	w.opts.Egress, w.opts.CommandDeadline = client, time.Minute
	w.restart()
	w.run(t, w.sendOn(t, "con_2", "chat", "hi"))

	if recorded == nil || len(recorded.Calls) != 4 {
		t.Fatalf("recorded is %+v, want 4 host calls", recorded)
	}
	data, err := recorded.Encode()
	if err != nil {
		t.Fatal(err)
	}
	value := w.vault["token"]
	if n := strings.Count(saw.String(), value); n != 3 {
		t.Errorf("the platform saw the secret %d times, want 3: %s", n, saw)
	}
	if strings.Contains(string(data), value) {
		t.Errorf("the secret is in the recording:\n%s", data)
	}
	if n := strings.Count(string(data), "{{secret:token}}"); n < 6 { // three in requests, and as many said back
		t.Errorf("the secret's name is %d times in the recording, want at least 6:\n%s", n, data)
	}
	if again, err := recording.Decode(data); err != nil || len(again.Calls) != 4 {
		t.Errorf("the recording does not come back: %v", err)
	}
}
