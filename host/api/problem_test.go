package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/api"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	messagesPath    = "/v1/workspaces/wsp_1/connections/con_1/messages"
	connectionsPath = "/v1/workspaces/wsp_1/connections"
	rotatePath      = "/v1/workspaces/wsp_1/connections/con_1/secrets/token/rotate"
)

func TestRefusedDocuments(t *testing.T) {
	message := func(part string) string {
		return `{"conversation":{"id":"c"},"author":{"role":"agent"},"parts":[` + part + `]}`
	}
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		locations                string
	}{
		{"no document", "POST", "/v1/workspaces", "", 400, ""},
		{"no JSON", "POST", "/v1/workspaces", `{"name":`, 400, "body"},
		{"a name twice", "POST", "/v1/workspaces", `{"name":"a","name":"b"}`, 400, "body"},
		{"a name twice, deep down", "POST", connectionsPath, `{"plugin":"a","name":"b","settings":{"x":"1","x":"2"}}`, 400, "body"},
		{"two documents", "POST", "/v1/workspaces", `{"name":"a"}{}`, 400, "body"},
		{"no UTF-8", "POST", "/v1/workspaces", "{\"name\":\"\xff\"}", 400, "body"},
		{"an unknown member", "POST", "/v1/workspaces", `{"name":"a","nmae":"b"}`, 422, "body.nmae"},
		{"a member in capitals", "POST", "/v1/workspaces", `{"Name":"a"}`, 422, "body.name body.Name"},
		{"a missing member", "POST", "/v1/workspaces", `{}`, 422, "body.name"},
		{"a wrong type", "POST", "/v1/workspaces", `{"name":7}`, 422, "body.name"},
		{"a kind of part that is none", "POST", messagesPath, message(`{"kind":"song"}`), 422, "body.parts[0].kind"},
		{"an unknown member of a part", "POST", messagesPath, message(`{"kind":"text","text":{"plain":"x","html":"<b>"}}`), 422, "body.parts[0].text.html"},
		{"no parts", "POST", messagesPath, message(""), 422, "body.parts"},
		{"an attachment to be fetched", "POST", messagesPath, message(`{"kind":"media","media":{"kind":"image","source_url":"http://169.254.169.254/"}}`), 422, "body.parts[0].media"},
		{"an attachment with header fields", "POST", messagesPath, message(`{"kind":"media","media":{"kind":"image","handle":"med_1","source_headers":[{"name":"Authorization","value":"{{secret:token}}"}]}}`), 422, "body.parts[0].media"},
		{"one in a carousel", "POST", messagesPath, message(`{"kind":"carousel","carousel":{"cards":[{"title":"a","image":{"kind":"image","source_url":"x"}}]}}`), 422, "body.parts[0].carousel.cards[0].image"},
		{"an unknown parameter", "GET", "/v1/workspaces?limt=5", "", 422, "query.limt"},
		{"a limit that is too large", "GET", "/v1/workspaces?limit=1001", "", 422, "query.limit"},
		{"a limit that is no number", "GET", "/v1/workspaces?limit=many", "", 422, "query.limit"},
		{"a state that is none", "GET", "/v1/workspaces/wsp_1/commands?state=lost", "", 422, "query.state"},
		{"a sequence that is none", "GET", "/v1/workspaces/wsp_1/events?after=-1", "", 422, "query.after"},
		{"a negative overlap", "POST", rotatePath, `{"overlap_seconds":-1}`, 422, "body.overlap_seconds"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t)
			p := h.do("operator", tt.method, tt.path, tt.body).problem(t, tt.status)
			var locations []string
			for _, e := range p.Errors {
				locations = append(locations, e.Location)
			}
			if got := strings.Join(locations, " "); got != tt.locations {
				t.Errorf("blamed %q, want %q: %+v", got, tt.locations, p)
			}
			if calls := h.called(); len(calls) > 0 {
				t.Errorf("did %q", calls)
			}
		})
	}
}

func TestRefusedBodies(t *testing.T) {
	h := open(t)
	for _, tt := range []struct {
		name, body string
		fields     []string
		status     int
	}{
		{"another type", `name=Acme`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"an encoded one", `{"name":"a"}`, []string{"Content-Encoding", "gzip"}, 415},
		{"one that is too large", `{"name":"` + strings.Repeat("a", maxBody) + `"}`, nil, 413},
		{"one that is far too large", `{"name":"` + strings.Repeat("a", 100*maxBody) + `"}`, nil, 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.do("operator", "POST", "/v1/workspaces", tt.body, tt.fields...).problem(t, tt.status)
		})
	}
	if got := h.do("operator", "POST", "/v1/workspaces", `{"name":"a"`+strings.Repeat(" ", maxBody-12)+`}`); got.status != 201 {
		t.Errorf("a document of the largest size gave %d %s", got.status, got.body)
	}
	for _, status := range []int{h.do("", "GET", "/v1/nothing", "").problem(t, 404).Status, h.do("", "DELETE", "/v1/plugins", "").problem(t, 405).Status} {
		if status == 0 {
			t.Error("no status")
		}
	}
}

func TestErrorsOfTheRooms(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		code   string
	}{
		{domain.ErrNotFound, 404, "not_found"},
		{domain.ErrExists, 409, "exists"},
		{domain.ErrConflict, 409, "conflict"},
		{&domain.WrongState{State: domain.JobDone, Wanted: "parked"}, 409, "conflict"},
		{domain.ErrIdempotencyMismatch, 422, "idempotency_mismatch"},
		{domain.ErrQuota, 429, "quota"},
		{domain.ErrUnavailable, 503, "unavailable"},
		{context.DeadlineExceeded, 503, "unavailable"},
		{&domain.Invalid{Problems: []domain.Problem{{Field: "plugin", Value: "x", Why: "no such plugin", Fix: "enable it"}}}, 422, "invalid"},
		{&contract.HostError{Code: contract.HostInvalid, Message: "it is empty"}, 422, "invalid"},
		{errors.New("the disk said db-password"), 500, "internal"},
	} {
		t.Run(tt.err.Error(), func(t *testing.T) {
			h := open(t)
			h.fail(fmt.Errorf("send to connection con_1: %w", tt.err))
			got := h.do("member", "POST", messagesPath, `{"conversation":{"id":"c"},"author":{"role":"agent"},"parts":[{"kind":"text","text":{"plain":"hi"}}]}`)
			p := got.problem(t, tt.status)
			if p.Code != tt.code || strings.Contains(got.body, "db-password") || (tt.status == 503) != (got.header.Get("Retry-After") != "") {
				t.Errorf("got %s with %v", got.body, got.header)
			}
			if tt.status == 500 && !(strings.Contains(h.log.String(), "db-password") && strings.Contains(h.log.String(), "req_1")) {
				t.Errorf("the log tells nothing: %s", h.log)
			}
		})
	}
}

func TestProblemsOfTheRoomsNameThePartOfTheRequest(t *testing.T) {
	for _, tt := range []struct{ field, method, path, body, want string }{
		{"settings.url", "POST", connectionsPath, `{"plugin":"p","name":"n"}`, "body.settings.url"},
		{"name", "POST", rotatePath, `{}`, "path.name"},
		{"plugin", "PUT", "/v1/workspaces/wsp_1/plugins/p", "", "path.plugin"},
		{"Idempotency-Key", "POST", messagesPath, `{"conversation":{"id":"c"},"author":{"role":"agent"},"parts":[{"kind":"raw"}]}`, "header.Idempotency-Key"},
	} {
		t.Run(tt.field, func(t *testing.T) {
			h := open(t)
			h.fail(&domain.Invalid{Problems: []domain.Problem{{Field: tt.field, Value: "x", Why: "no", Fix: "mend it"}}})
			p := h.do("operator", tt.method, tt.path, tt.body).problem(t, http.StatusUnprocessableEntity)
			if len(p.Errors) != 1 || p.Errors[0].Location != tt.want || p.Errors[0].Message != "no; mend it" || p.Errors[0].Value != "x" {
				t.Errorf("got %+v, want %q", p.Errors, tt.want)
			}
		})
	}
}

func TestSecretsAreNotRepeatedInProblems(t *testing.T) {
	for _, tt := range []struct {
		name, path, body string
		err              error
	}{
		{"of a wrong type", connectionsPath, `{"plugin":"p","name":"n","secrets":{"token":["s3cret"]}}`, nil},
		{"in no JSON", connectionsPath, `{"secrets":{"token":"s3cret"}`, nil},
		{"too long", rotatePath, `{"value":"` + strings.Repeat("s3cret", 3000) + `"}`, nil},
		{"beside an unknown member", connectionsPath, `{"plugin":"p","name":"n","secrets":{"token":"s3cret"},"x":{"token":"s3cret"}}`, nil},
		{"blamed by a room", connectionsPath, `{"plugin":"p","name":"n"}`,
			&domain.Invalid{Problems: []domain.Problem{{Field: "secrets.token", Value: "s3cret", Why: "too short"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t, func(o *api.Options) { o.MaxBodyBytes = 1 << 20 })
			h.fail(tt.err)
			got := h.do("admin", "POST", tt.path, tt.body)
			if got.status < 400 || strings.Contains(got.body, "s3cret") || strings.Contains(h.log.String(), "s3cret") {
				t.Errorf("got %d %s; log %s", got.status, got.body, h.log)
			}
		})
	}
}

func TestReadinessTellsWhyNot(t *testing.T) {
	h := open(t, func(o *api.Options) {
		o.Ready = func(context.Context) error { return errors.New("the store is read-only") }
	})
	p := h.do("", "GET", "/readyz", "").problem(t, http.StatusServiceUnavailable)
	if !strings.Contains(p.Detail, "the store is read-only") {
		t.Errorf("got %+v", p)
	}
	if got := h.do("", "GET", "/healthz", ""); got.status != 200 {
		t.Errorf("/healthz gave %d", got.status)
	}
}

func TestAnswersAreNotForBrowsers(t *testing.T) {
	h := open(t)
	for _, path := range []string{"/v1/plugins", "/v1/nothing", "/openapi.json"} {
		got := h.do("operator", "GET", path, "", "Origin", "https://evil.test")
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox", "X-Request-Id": "req_1", "Access-Control-Allow-Origin": ""} {
			if value := got.header.Get(name); value != want {
				t.Errorf("%s: %s is %q, want %q", path, name, value, want)
			}
		}
	}
}
