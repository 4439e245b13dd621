package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// fakeAPI is a management API that knows the routes and nothing else: it answers each
// with the same canned thing, and keeps a transcript of what it was asked.
type fakeAPI struct {
	*httptest.Server
	mu         sync.Mutex
	transcript strings.Builder
}

func newFakeAPI() *fakeAPI {
	f := new(fakeAPI)
	mux := http.NewServeMux()
	routes := cannedRoutes()
	maps.Copy(routes, deadLetterRoutes())
	maps.Copy(routes, lifecycleRoutes())
	maps.Copy(routes, appRoutes())
	maps.Copy(routes, credentialRoutes())
	for _, route := range slices.Sorted(maps.Keys(routes)) {
		mux.HandleFunc(route, routes[route])
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { refuse(w, http.StatusNotFound, "there is no such route") })
	f.Server = httptest.NewServer(f.noting(mux))
	return f
}

// noting writes down each request before it is answered.
func (f *fakeAPI) noting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		fmt.Fprintf(&f.transcript, "%s %s\n", r.Method, r.URL.RequestURI())
		for _, name := range []string{"Authorization", "Idempotency-Key", "Last-Event-ID", "Accept", "Content-Type"} {
			if value := r.Header.Get(name); value != "" {
				fmt.Fprintf(&f.transcript, "%s: %s\n", name, value)
			}
		}
		if len(body) > 0 {
			fmt.Fprintf(&f.transcript, "%s\n", body)
		}
		f.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// takeTranscript returns what was asked since the last call.
func (f *fakeAPI) takeTranscript() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.transcript.Reset()
	return f.transcript.String()
}

// at is when everything happened.
var at = time.Date(2026, 10, 5, 12, 30, 0, 0, time.UTC)

func cannedRoutes() map[string]http.HandlerFunc {
	const ws = "/v1/workspaces/{ws}"
	const conn = ws + "/connections/{id}"
	return map[string]http.HandlerFunc{
		"POST /v1/workspaces":                             answers(201, workspace),
		"GET /v1/workspaces":                              answers(200, client.Page[domain.Workspace]{Items: []domain.Workspace{workspace}, Next: "ws_1"}),
		"GET " + ws:                                       answers(200, workspace),
		"PUT " + ws + "/plugins/{name}":                   answers(200, workspace),
		"GET " + ws + "/limits":                           answers(200, limited),
		"PUT " + ws + "/limits":                           answers(200, limited),
		"DELETE " + ws + "/plugins/{name}":                answers(200, workspace),
		"POST /v1/tokens":                                 answers(201, client.Token{Token: "jwt", ID: "tok_1", ExpiresAt: at.Add(time.Hour)}),
		"POST /v1/tokens/{id}/revoke":                     answers(204, nil),
		"GET /v1/plugins":                                 answers(200, client.Plugins{Items: []domain.Plugin{plugin}, Refusals: []domain.Refusal{{File: "bad.wasm", Reason: "manifest: name is \"\": it is missing", At: at}}}),
		"GET /v1/plugins/{digest}":                        answers(200, plugin),
		"POST /v1/plugins/{digest}/approve":               answers(200, plugin),
		"POST /v1/plugins/{digest}/revoke":                answers(200, plugin),
		"POST " + ws + "/connections":                     answers(201, connected),
		"GET " + ws + "/connections":                      answers(200, client.Page[client.Connection]{Items: []client.Connection{connected}}),
		"GET " + conn:                                     answers(200, connected),
		"PATCH " + conn:                                   answers(200, connected),
		"DELETE /v1/workspaces/{ws}/connections/con_idle": answers(204, nil),
		"DELETE " + conn:                                  answers(202, commandOf("teardown_connection")),
		"GET " + conn + "/setup":                          answers(200, map[string]any{"steps": []contract.SetupStep{{Label: "Webhook URL", Value: "https://in.test/in/e", Help: "Settings, Integrations"}}}),
		"POST " + conn + "/secrets/{name}/rotate":         answers(204, nil),
		"PUT " + conn + "/private-targets":                answers(200, connected),
		"GET " + conn + "/health":                         answers(200, healthOfConnection()),
		"POST " + conn + "/authorize":                     answers(201, client.Authorisation{URL: "https://in.test/oauth/start/t1cket", ExpiresAt: at.Add(10 * time.Minute)}),
		"POST " + conn + "/check":                         answers(202, commandOf("check_health")),
		"POST " + conn + "/contacts/{who}/lookup":         answers(202, commandOf("lookup_contact")),
		"POST " + ws + "/subscribers":                     answers(201, createdSubscriber()),
		"GET " + ws + "/subscribers":                      answers(200, client.Page[client.Subscriber]{Items: []client.Subscriber{subscribed}}),
		"GET " + ws + "/subscribers/{id}":                 answers(200, subscribed),
		"PATCH " + ws + "/subscribers/{id}":               answers(200, subscribed),
		"DELETE " + ws + "/subscribers/{id}":              answers(204, nil),
		"POST " + ws + "/subscribers/{id}/enable":         answers(200, subscribed),
		"POST " + ws + "/subscribers/{id}/pause":          answers(200, subscribed),
		"POST " + ws + "/subscribers/{id}/rewind":         answers(200, subscribed),
		"PUT " + ws + "/subscribers/{id}/private-targets": answers(200, subscribed),
		"POST " + ws + "/subscribers/{id}/secret/rotate":  answers(200, map[string]string{"secret": "whsec_new"}),
		"POST " + ws + "/subscribers/{id}/retry":          answers(200, map[string]int{"queued": 2}),
		"POST " + ws + "/subscribers/{id}/test":           answers(200, client.SubscriberTest{Taken: true, Status: 204, TookMillis: 12, Excerpt: "thanks"}),
		"POST " + ws + "/subscribers/sub_bad/test":        answers(200, client.SubscriberTest{Status: 500, TookMillis: 12, Reason: "The subscriber answered 500 Internal Server Error."}),
		"GET " + ws + "/subscribers/{id}/notifications":   answers(200, client.Page[client.Notification]{Items: []client.Notification{{Sequence: 7, State: domain.JobParked, Attempts: 3, NotBefore: at, Failure: &contract.Failure{Code: "http_500"}}}}),
		"POST " + ws + "/bridges":                         answers(201, bridged),
		"GET " + ws + "/bridges":                          answers(200, client.Page[client.Bridge]{Items: []client.Bridge{bridged}, Next: "brg_1"}),
		"GET " + ws + "/bridges/{id}":                     answers(200, bridged),
		"PATCH " + ws + "/bridges/{id}":                   answers(200, bridged),
		"DELETE " + ws + "/bridges/{id}":                  answers(204, nil),
		"GET " + ws + "/bridges/{id}/links":               answers(200, client.Page[client.BridgeLink]{Items: []client.BridgeLink{{Customers: "42", Agents: "brg-1", State: domain.LinkStopped, StateReason: "it came back several times", LastAt: at}}}),
		"POST " + conn + "/messages":                      answers(202, client.Accepted{Command: commandOf("send_message"), Message: message}),
		"GET " + conn + "/messages":                       answers(200, client.Page[domain.Message]{Items: []domain.Message{message}}),
		"GET " + conn + "/conversations":                  answers(200, client.Page[domain.ConversationSummary]{Items: []domain.ConversationSummary{{Conversation: contract.Conversation{ID: "42", Title: "Anna"}, LastMessageAt: at}}}),
		"GET " + ws + "/messages/{id}":                    answers(200, message),
		"POST " + ws + "/messages/{id}/status":            answers(202, commandOf("send_receipt")),
		"GET " + ws + "/commands":                         answers(200, client.Page[client.Command]{Items: []client.Command{commandOf("send_message")}}),
		"GET " + ws + "/commands/{id}":                    answers(200, commandOf("send_message")),
		"POST " + ws + "/commands/{id}/retry":             answers(200, commandOf("send_message")),
		"POST " + ws + "/commands/{id}/cancel":            answers(200, commandOf("send_message")),
		"GET " + ws + "/events":                           answers(200, client.Page[client.Event]{Items: []client.Event{event("1"), event("2")}, Next: "2"}),
		"GET " + ws + "/events/stream":                    streams,
		"GET " + ws + "/deliveries":                       answers(200, client.Page[domain.Delivery]{}),
		"GET " + ws + "/deliveries/{id}":                  answers(200, delivery),
		"POST " + ws + "/deliveries/{id}/replay":          answers(200, delivery),
		"POST " + ws + "/deliveries/del_2/replay":         answers(200, domain.Delivery{State: domain.DeliveryAccepted}),
		"POST " + ws + "/media":                           answers(201, domain.Media{Handle: "med_1", Name: "a.png", MIME: "image/png", SizeBytes: 4, SHA256: "ab"}),
		"GET " + ws + "/media/{handle}":                   downloads,
		"GET /v1/audit":                                   answers(200, client.Page[domain.AuditEntry]{Items: []domain.AuditEntry{{Seq: 1, At: at, Actor: "ann", Action: "plugin.approved", Target: plugin.Digest}}}),
		"GET /v1/workspaces/ws_full/connections":          refuses(http.StatusTooManyRequests, "workspace ws_full has reached its limit connections, which is 1; remove one that is not needed"),
		"GET /v1/workspaces/ws_denied/connections":        refuses(http.StatusForbidden, "the role workspace-reader may not read connections"),
		"GET /v1/workspaces/ws_ended/connections":         refuses(http.StatusUnauthorized, "the token has ended"),
		"GET /v1/workspaces/ws_busy/connections":          refuses(http.StatusServiceUnavailable, "the store takes no writes now"),
		"POST /v1/workspaces/ws_invalid/connections":      refuses(http.StatusUnprocessableEntity, "the connection is not valid"),
	}
}

// deadLetterRoutes are those that are about many things, or about what they left behind.
func deadLetterRoutes() map[string]http.HandlerFunc {
	const ws = "/v1/workspaces/{ws}"
	notices := answers(200, client.Page[domain.Notice]{Items: []domain.Notice{{Seq: 7, At: at, Kind: domain.NoticeJobParked,
		Workspace: "ws_1", Target: "cmd_1", Detail: "send_message failed for good after 12 runs"}}})
	recording := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"export":"receive"}`+"\n") }
	return map[string]http.HandlerFunc{
		"POST " + ws + "/commands/retry":                  inBatches,
		"POST " + ws + "/commands/cancel":                 inBatches,
		"POST " + ws + "/deliveries/replay":               inBatches,
		"GET " + ws + "/commands/{id}/recordings":         answers(200, client.Page[client.Run]{Items: []client.Run{{Run: 1}, {Run: 3}}}),
		"GET " + ws + "/commands/{id}/recordings/{run}":   recording,
		"GET " + ws + "/commands/cmd_none/recordings":     answers(200, client.Page[client.Run]{}),
		"GET " + ws + "/deliveries/{id}/recordings":       answers(200, client.Page[client.Run]{Items: []client.Run{{Run: 1}}}),
		"GET " + ws + "/deliveries/{id}/recordings/{run}": recording,
		"GET " + ws + "/notices":                          notices,
		"GET /v1/notices":                                 notices,
		"POST /v1/workspaces/ws_busy/commands/retry":      refuses(http.StatusServiceUnavailable, "the store takes no writes now"),
	}
}

// inBatches does the half of what it is asked, and the rest when asked again.
func inBatches(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	done := domain.Bulk{Matched: 2, Done: 2, Skipped: []domain.Skipped{}, Next: "half"}
	if strings.Contains(string(body), "half") {
		done = domain.Bulk{Matched: 2, Done: 1, Skipped: []domain.Skipped{{ID: "cmd_4", Why: "it is queued\x1b[2J"}}}
	}
	answers(200, done)(w, r)
}

func answers(status int, document any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if document != nil {
			_ = json.NewEncoder(w).Encode(document)
		}
	}
}

func refuses(status int, detail string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { refuse(w, status, detail) }
}

func refuse(w http.ResponseWriter, status int, detail string) {
	p := client.Problem{Status: status, Title: http.StatusText(status), Detail: detail}
	if status == http.StatusUnprocessableEntity {
		p.Errors = []client.FieldError{
			{Location: "body.settings.company_url", Message: "is not an https URL; write it like https://acme.test", Value: "acme"},
			{Location: "body.secrets.token", Message: "is missing"},
		}
	}
	switch status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "3")
	case http.StatusTooManyRequests: // a limit that does not pass by itself
		p.Code = "limit_connections"
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(p)
}

// streams sends the event after the one that was seen last, and then breaks; after the
// third event it says that there is no more.
func streams(w http.ResponseWriter, r *http.Request) {
	next, known := map[string]string{"": "1", "1": "2", "2": "3"}[r.Header.Get("Last-Event-ID")]
	if !known {
		refuse(w, http.StatusForbidden, "the token was revoked meanwhile")
		return
	}
	data, _ := json.Marshal(event(next))
	fmt.Fprintf(w, "retry: 1\n\nid: %s\nevent: %s\ndata: %s\n\n", next, event(next).Type, data)
}

func downloads(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Content-Disposition", `attachment; filename="../.a.png"`)
	_, _ = io.WriteString(w, "PNG!")
}

var (
	limited = client.WorkspaceLimits{Set: domain.Limits{DeliveriesPerSecond: -1, CommandsPerSecond: 2.5},
		Effective: domain.Limits{CommandsPerSecond: 2.5, QueuedJobs: 1000000, Connections: 20000}}
	workspace = domain.Workspace{ID: "ws_1", Name: "Acme", CreatedAt: at, Enabled: []string{"uchat"}}
	connected = client.Connection{
		ID: "con_1", Workspace: "ws_1", Plugin: "uchat", Name: "Shop", State: contract.StateNeedsAction,
		StateReason: "the platform refused the token", StateAction: "enter a new token",
		Settings: map[string]string{"company_url": "https://acme.test"}, ReceiveURL: "https://in.test/in/e",
		Capabilities: []contract.Capability{{Feature: "text", Support: contract.SupportFull, MaxChars: 4096}},
		CreatedAt:    at, UpdatedAt: at, LastInboundAt: at,
	}
	subscribed = client.Subscriber{
		ID: "sub_1", Workspace: "ws_1", Name: "CRM", URL: "https://crm.test/hooks", Kinds: []contract.EventKind{"message.created", "postback"},
		State: domain.SubscriberActive, Cursor: 40, Behind: 2, Queued: 3, Parked: 1, Failures: 4, FailingSince: at,
		LastFailure: &contract.Failure{Code: "http_500", Message: "The subscriber answered 500."}, LastFailedAt: at, CreatedAt: at, UpdatedAt: at, LastTakenAt: at,
	}
	bridged = client.Bridge{
		ID: "brg_1", Workspace: "ws_1", Name: "Shop to desk", Customers: "con_1", Agents: "con_2", State: domain.BridgePaused,
		StateReason: "the connection on the agents' side was removed", Behind: 3,
		Counts: domain.BridgeCounts{Forwarded: 5, Receipts: 2, Echoes: 1, Skipped: 4}, CreatedAt: at, UpdatedAt: at,
	}
	message = domain.Message{
		Message: contract.Message{
			ID: "msg_1", Conversation: contract.Conversation{ID: "42"},
			Author: contract.Author{Role: contract.RoleAgent, Contact: contract.Contact{Name: "Bob"}},
			Parts:  []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: "Hello\x1b[2J\nyou"}}},
			Status: contract.MessageQueued,
		},
		Workspace: "ws_1", Connection: "con_1", Direction: domain.Outbound, Command: "cmd_1", CreatedAt: at, UpdatedAt: at,
		Outcomes: []contract.PartOutcome{{Index: 0, Fate: contract.PartConverted, Note: "shown as text"}},
	}
	delivery = domain.Delivery{
		Delivery: contract.Delivery{ID: "del_1", ReceivedAt: at, Method: "POST", Path: "/hook", BodyBytes: 2,
			Headers: []contract.Header{{Name: "Content-Type", Value: "application/json"}}},
		Workspace: "ws_1", Connection: "con_1", Plugin: "uchat", State: domain.DeliveryFailed, Body: []byte("{}"),
		BodySHA256: "44136f", Code: "trap", Reason: "the plugin trapped", Response: contract.Response{Status: 503}, Attempts: 2,
	}
	plugin = domain.Plugin{
		Digest: "sha256:" + strings.Repeat("0", 64), State: domain.PluginApproved, Active: true, SizeBytes: 4096, File: "uchat.wasm",
		SubmittedAt: at, HostFunctions: []string{"http_send", "secret_equal"}, Exports: []string{"receive", "send_message"},
		Manifest: manifest.Manifest{
			Name: "uchat", Version: "1.0.0", Vendor: manifest.Vendor{Name: "Us"},
			Egress:  map[string]manifest.EgressRule{"api": {Purpose: "send messages", Host: "api.uchat.test"}},
			Secrets: map[string]manifest.Secret{"token": {Purpose: "verify deliveries"}},
		},
		Grant: &domain.Grant{Egress: []string{"api"}, Hosts: map[string][]string{"api": {"*.uchat.test"}},
			HostFunctions: []string{"http_send"}, GrantedBy: "ann", GrantedAt: at},
	}
)

func event(seq string) client.Event {
	return client.Event{
		SpecVersion: "1.0", ID: contract.EventID("evt_" + seq), Source: "/workspaces/ws_1/connections/con_1",
		Type: "patchbay.message.created", Subject: "42", Time: at, DataContentType: "application/json", Sequence: seq,
		Connection: "con_1", Data: contract.Event{Kind: contract.EventMessageCreated, Message: &contract.Message{
			Author: contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{Name: "Anna"}},
			Parts:  []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: "Hi " + seq}}},
		}},
	}
}

func commandOf(export contract.Export) client.Command {
	return client.Command{
		ID: "cmd_1", Kind: domain.JobCommand, Workspace: "ws_1", Connection: "con_1", State: domain.JobQueued, NotBefore: at,
		CreatedAt: at, UpdatedAt: at, Command: &domain.Command{ID: "cmd_1", Export: export, By: "ann"},
	}
}

// createdSubscriber is a subscriber with what is shown once.
func createdSubscriber() client.Subscriber {
	made := subscribed
	made.Secret = "whsec_once"
	return made
}

// healthOfConnection is a connection whose token cannot be renewed.
func healthOfConnection() client.ConnectionHealth {
	const reason, action = "The platform refused the token.", "Authorise the connection again."
	return client.ConnectionHealth{
		State: contract.StateNeedsAction, Code: "token_refused", Reason: reason, Action: action,
		Known: []client.KnownHealth{{By: domain.CausePlugin, State: contract.StateConnected},
			{By: domain.CauseCredentials, State: contract.StateNeedsAction, Code: "token_refused", Reason: reason, Action: action}},
		Credentials: &client.CredentialsHealth{ExpiresAt: at, RefreshedAt: at, Failures: 2, LastFailure: &contract.Failure{Code: "invalid_grant", Message: "The grant was revoked."}},
		Probe:       &client.ProbeHealth{LastAt: at, NextAt: at.Add(time.Minute), Failures: 1, Detail: "It answers 401."},
		Traffic:     client.TrafficHealth{LastInboundAt: at, LastOutboundAt: at},
	}
}
