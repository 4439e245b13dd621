package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// messenger is the other side: it answers webhooks as status says and posts callbacks.
type messenger struct {
	t      *testing.T
	server *httptest.Server
	client *http.Client
	// status answers a webhook of a type; a missing one is 200.
	mu     sync.Mutex
	status map[string]int
	bodies map[string][][]byte
}

const code = "c0nf-9tQ"

// play starts a platform and a messenger, and connects them.
func play(t *testing.T, opts Options) (*Platform, *messenger, *Channel) {
	t.Helper()
	p, err := Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	m := &messenger{t: t, status: map[string]int{}, bodies: map[string][][]byte{}}
	m.server = httptest.NewServer(m)
	m.client = emulate.Trusting(p.CAPEM(), "")
	t.Cleanup(func() {
		m.client.CloseIdleConnections()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		m.server.Close()
	})
	c, err := p.Connect(ctxOf(t), Messenger{Webhook: m.server.URL + "/in/1", Code: code})
	if err != nil {
		t.Fatal(err)
	}
	return p, m, c
}

// ctxOf bounds a test's waiting.
func ctxOf(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (m *messenger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		m.serveFile(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var in struct{ Type string }
	if err := json.Unmarshal(body, &in); err != nil {
		m.t.Errorf("the platform sent %q: %v", body, err)
	}
	m.mu.Lock()
	m.bodies[in.Type] = append(m.bodies[in.Type], body)
	status := m.status[in.Type]
	m.mu.Unlock()
	if status != 0 {
		w.WriteHeader(status)
	}
	_, _ = w.Write([]byte(`{"answer":"` + in.Type + `"}`))
}

func (m *messenger) serveFile(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/f/label.jpg" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = w.Write([]byte("a label"))
}

// answer sets the status for webhooks of a type.
func (m *messenger) answer(kind string, status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status[kind] = status
}

// got returns the webhooks of a type so far.
func (m *messenger) got(kind string) [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bodies[kind]
}

// post makes a callback and returns the status, or 0 if there was no answer.
func (m *messenger) post(url, body string) int {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		m.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := m.client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// message is the body of a customer's message.
func message(id, text, files string) string {
	return `{"type":"message","token":"` + code + `","data":{"externalMessageId":"` + id +
		`","externalChatId":"tg-1","externalChatName":"Dana Petrova","externalUserId":"tg-user-1","text":"` +
		text + `","files":[` + files + `]}}`
}
