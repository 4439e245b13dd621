package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// operation is one operation of the OpenAPI document of a running host.
type operation struct {
	method, path string

	ID         string   `json:"operationId"`
	Roles      []string `json:"x-roles"`
	Parameters []struct{ Name, In string }
	Body       *struct {
		Content map[string]struct {
			Example json.RawMessage `json:"example"`
		} `json:"content"`
	} `json:"requestBody"`
}

// operations reads what the host says that it can do: a new route is tested by itself.
func (h *host) operations() []operation {
	h.t.Helper()
	var document struct {
		Paths map[string]map[string]operation `json:"paths"`
	}
	answer := h.ask(nobody, http.MethodGet, "/openapi.json", "")
	if err := json.Unmarshal([]byte(answer.body), &document); err != nil {
		h.t.Fatal(err)
	}
	var all []operation
	for path, methods := range document.Paths {
		for method, op := range methods {
			op.method, op.path = strings.ToUpper(method), path
			all = append(all, op)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	if len(all) < 50 {
		h.t.Fatalf("the document has %d operations", len(all))
	}
	return all
}

// example is the documented example of the body.
func (op operation) example() string {
	if op.Body == nil {
		return ""
	}
	if e := op.Body.Content["application/json"].Example; e != nil {
		return string(e)
	}
	return "bytes"
}

// target fills the path in.
func (op operation) target(t *testing.T, ids map[string]string) string {
	t.Helper()
	return placeholder.ReplaceAllStringFunc(op.path, func(name string) string {
		id, ok := ids[strings.Trim(name, "{}")]
		if !ok {
			t.Fatalf("%s: this test knows no %s; add one to world.ids", op.ID, name)
		}
		return url.PathEscape(id)
	})
}

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// names lists the things in the path that belong to somebody.
func (op operation) names(kinds map[string]string) (found []string) {
	for _, name := range placeholder.FindAllString(op.path, -1) {
		if kind := strings.Trim(name, "{}"); kinds[kind] != "" {
			found = append(found, kind)
		}
	}
	return found
}

// nobody is who has no token.
const nobody = ""

// answered is an answer, or as much of it as came at once.
type answered struct {
	status int
	body   string
}

var requestID = regexp.MustCompile(`"request_id":"[^"]*"`)

// ask makes a request with a token. Of an event stream it reads what comes at once.
func (h *host) ask(token, method, target, body string, fields ...string) answered {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, h.at.Management+target, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if body != "" && body != "bytes" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != nobody {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := c.Do(r)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		stop := time.AfterFunc(200*time.Millisecond, cancel)
		defer stop.Stop()
	}
	read, err := io.ReadAll(answer.Body)
	if err != nil && !errors.Is(err, context.Canceled) {
		h.t.Fatalf("%s %s: %v", method, target, err)
	}
	return answered{answer.StatusCode, requestID.ReplaceAllString(string(read), `"request_id":""`)}
}

// token issues a token on the host itself, as "patchbay token issue" does.
func (h *host) token(role identity.Role, ws contract.WorkspaceID) string {
	h.t.Helper()
	token, err := stage.Token(h.folders.Data, role, ws)
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

// made makes something by the API and returns its id.
func (h *host) made(token, target, body string) string {
	h.t.Helper()
	got := h.ask(token, http.MethodPost, target, body)
	var thing struct {
		ID, Handle string
		Message    struct{ ID string }
		Subscriber struct{ ID string }
	}
	if err := json.Unmarshal([]byte(got.body), &thing); err != nil || got.status >= 300 {
		h.t.Fatalf("POST %s gave %d %s", target, got.status, got.body)
	}
	for _, id := range []string{thing.ID, thing.Handle, thing.Message.ID, thing.Subscriber.ID} {
		if id != "" {
			return id
		}
	}
	h.t.Fatalf("POST %s made nothing: %s", target, got.body)
	return ""
}
