package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// serve starts a host that answers every request as answer does, and returns a client of it.
func serve(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	host := httptest.NewServer(answer)
	t.Cleanup(host.Close)
	c := New(host.URL+"/", "secret")
	t.Cleanup(c.Close)
	return c
}

func TestClientPresentsItsToken(t *testing.T) {
	var got string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") })
	if err := c.RevokeToken(t.Context(), "tok_1"); err != nil || got != "Bearer secret" {
		t.Errorf("Authorization was %q, error %v; want %q", got, err, "Bearer secret")
	}
}

func TestClientEscapesWhatItPutsIntoAPath(t *testing.T) {
	var got string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { got = r.URL.EscapedPath() })
	_, err := c.LookupContact(t.Context(), "ws_1", "../../ws_2", "+49 / 30?x=1#y")
	want := "/v1/workspaces/ws_1/connections/..%2F..%2Fws_2/contacts/+49%20%2F%2030%3Fx=1%23y/lookup"
	if err != nil || got != want {
		t.Errorf("asked for %s, error %v; want %s", got, err, want)
	}
}

func TestClientAsksForNothingThatHasNoName(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.URL) })
	for _, id := range []contract.WorkspaceID{"", ".", ".."} {
		if _, err := c.Workspace(t.Context(), id); err == nil || !strings.Contains(err.Error(), "names nothing") {
			t.Errorf("Workspace(%q) answered %v, want an error that it names nothing", id, err)
		}
	}
}

func TestClientTellsWhatTheHostRefused(t *testing.T) {
	for _, tt := range []struct {
		name, kind, body string
		want             Problem
	}{
		{"a problem", "application/problem+json; charset=utf-8",
			`{"title":"Unprocessable","status":422,"detail":"the settings are wrong","errors":[{"location":"body.settings.url","message":"not https","value":"http://x"}]}`,
			Problem{Title: "Unprocessable", Detail: "the settings are wrong",
				Errors: []FieldError{{Location: "body.settings.url", Message: "not https", Value: "http://x"}}}},
		{"a proxy's page", "text/html", "<h1>no</h1>", Problem{}},
		{"a problem cut off", "application/problem+json", `{"title":"Unproc`, Problem{}},
		{"a problem that lies about its status", "application/problem+json", `{"status":200,"title":"fine"}`, Problem{Title: "fine"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", tt.kind)
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(http.StatusUnprocessableEntity)
				_, _ = io.WriteString(w, tt.body)
			})
			_, err := c.CreateWorkspace(t.Context(), "acme")
			got := new(Problem)
			errors.As(err, &got)
			tt.want.Status, tt.want.RetryAfter, tt.want.Method, tt.want.Path = 422, 7*time.Second, "POST", "/v1/workspaces"
			if !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got %+v (%v), want %+v", *got, err, tt.want)
			}
		})
	}
}

func TestProblemListsEveryField(t *testing.T) {
	p := &Problem{Method: "POST", Path: "/v1/x", Status: 422, Title: "Unprocessable Entity", Errors: []FieldError{
		{Location: "body.name", Message: "is empty", Value: ""}, {Message: "too many", Value: 7},
	}}
	want := "POST /v1/x: Unprocessable Entity (HTTP 422)\n  body.name: is empty\n  too many (got 7)"
	if p.Error() != want {
		t.Errorf("got %q, want %q", p.Error(), want)
	}
}

func TestClientTellsThatNobodyAnswered(t *testing.T) {
	host := httptest.NewServer(http.NotFoundHandler())
	host.Close()
	c := New(host.URL, "")
	if _, err := c.Plugins(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want ErrUnreachable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Plugins(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want context.Canceled alone: it was we who gave up", err)
	}
}

func TestClientTellsAnAnswerItDoesNotKnow(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>") })
	if _, err := c.Workspaces(t.Context(), domain.Page{}); err == nil || !strings.Contains(err.Error(), "is "+c.base+" a Patchbay host") {
		t.Errorf("got %v, want a doubt whether that is a host", err)
	}
}

func TestDownloadStreams(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("Content-Disposition", `attachment; filename="a b.png"; filename*=utf-8''%C3%A4%20b.png`)
		_, _ = io.WriteString(w, "\x89PNG")
	})
	d, err := c.Download(t.Context(), "ws_1", "med_1")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Body.Close()
	body, err := io.ReadAll(d.Body)
	if string(body) != "\x89PNG" || err != nil || d.Name != "ä b.png" || d.MIME != "image/png" || d.SizeBytes != 4 {
		t.Errorf("got %+v with body %q, error %v", d, body, err)
	}
}
