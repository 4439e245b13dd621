package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestOperationsAreWhatTheyWere(t *testing.T) {
	h := open(t)
	var table bytes.Buffer
	for _, op := range h.operations() {
		security := "public"
		if len(op.Security) > 0 {
			security = "token: " + strings.Join(op.Roles, " ")
		}
		fmt.Fprintf(&table, "%-6s %-70s %-22s %s\n", op.method, op.path, op.ID, security)
	}
	golden(t, "operations.txt", table.String())
}

func TestEveryOperationIsDescribed(t *testing.T) {
	h := open(t)
	seen := map[string]bool{}
	for _, op := range h.operations() {
		if seen[op.ID] || op.ID == "" {
			t.Errorf("%s %s: the operation id %q is not its own", op.method, op.path, op.ID)
		}
		seen[op.ID] = true
		if op.Summary == "" || strings.HasSuffix(op.Summary, ".") || op.Description == "" || !strings.HasSuffix(op.Description, ".") || len(op.Tags) != 1 {
			t.Errorf("%s: summary %q, description %q, tags %q", op.ID, op.Summary, op.Description, op.Tags)
		}
		if op.Body != nil && op.Body.Content["application/json"].Example == nil && op.Body.Content["*/*"].Example == nil && op.ID != "upload-media" {
			t.Errorf("%s: the body has no example", op.ID)
		}
		op.wantResponses(t)
	}
}

// wantResponses checks that success and every refusal that a client must reckon with are
// declared, the refusals as problems.
func (op operation) wantResponses(t *testing.T) {
	t.Helper()
	want := []string{"500"}
	if len(op.Security) > 0 {
		want = append(want, "401", "403", "503")
	}
	if strings.Contains(op.path, "{") {
		want = append(want, "404", "422")
	}
	if op.Body != nil {
		want = append(want, "400", "413", "415")
	}
	for _, status := range want {
		if op.Responses[status].Content["application/problem+json"] == nil {
			t.Errorf("%s: %s is not declared as a problem", op.ID, status)
		}
	}
	succeeds := false
	for status, response := range op.Responses {
		succeeds = succeeds || status[0] == '2'
		if response.Description == "" {
			t.Errorf("%s: %s has no description", op.ID, status)
		}
	}
	if !succeeds {
		t.Errorf("%s: no success is declared", op.ID)
	}
}

func TestTheDocumentIsWhole(t *testing.T) {
	h := open(t)
	got := h.do("", "GET", "/openapi.json", "")
	var document struct {
		OpenAPI    string `json:"openapi"`
		Components struct {
			Schemas map[string]struct {
				Properties           map[string]struct{ Enum []string } `json:"properties"`
				AdditionalProperties any                                `json:"additionalProperties"`
			} `json:"schemas"`
			SecuritySchemes map[string]struct{ Type, Scheme string } `json:"securitySchemes"`
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(got.body), &document); err != nil {
		t.Fatal(err)
	}
	schemas := document.Components.Schemas
	for _, ref := range regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(got.body, -1) {
		if _, ok := schemas[ref[1]]; !ok {
			t.Errorf("%s leads nowhere", ref[0])
		}
	}
	if document.OpenAPI != "3.1.0" || document.Components.SecuritySchemes["token"].Scheme != "bearer" {
		t.Errorf("version %q, security %v", document.OpenAPI, document.Components.SecuritySchemes)
	}
	if schemas["NewMessage"].AdditionalProperties != false || schemas["Part"].AdditionalProperties != false {
		t.Error("what clients send may hold members that nobody knows")
	}
	if schemas["Connection"].AdditionalProperties != nil || schemas["Problem"].AdditionalProperties != nil {
		t.Error("what clients receive must not hold members that they do not know")
	}
	if len(schemas["Part"].Properties["kind"].Enum) != 8 {
		t.Errorf("the kinds of part are %q", schemas["Part"].Properties["kind"].Enum)
	}
	if _, leaked := schemas["Connection"].Properties["endpoint"]; leaked {
		t.Error("a connection has a member endpoint")
	}
}

func TestProbesAndMetrics(t *testing.T) {
	h := open(t)
	for path, want := range map[string]string{
		"/healthz": `{"status":"ok"}`, "/readyz": `{"status":"ok"}`, "/metrics": "patchbay_up 1", "/.well-known/jwks.json": `{"keys":[]}`,
	} {
		if got := h.do("", "GET", path, ""); got.status != 200 || strings.TrimSpace(got.body) != want {
			t.Errorf("%s gave %d %q", path, got.status, got.body)
		}
	}
	if kind := h.do("", "GET", "/.well-known/jwks.json", "").header.Get("Content-Type"); kind != "application/jwk-set+json" {
		t.Errorf("the key set is %q", kind)
	}
}
