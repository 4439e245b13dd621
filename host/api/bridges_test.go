package api_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/bridges"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func aBridge(id domain.BridgeID) domain.BridgeStatus {
	return domain.BridgeStatus{
		Bridge: domain.Bridge{ID: id, Workspace: owner(id), Name: "Shop to desk", Customers: "con_1", Agents: "con_3", State: domain.BridgeActive,
			CreatedAt: now, UpdatedAt: now, Revision: 7},
		Progress: domain.BridgeProgress{Cursor: 40, Behind: 2, Counts: domain.BridgeCounts{Forwarded: 3, Echoes: 1}},
	}
}

func (f *fake) CreateBridge(_ context.Context, by domain.Actor, ws contract.WorkspaceID, n bridges.NewBridge) (domain.BridgeStatus, error) {
	return aBridge("brg_1"), f.did("create bridge %s %s %s %s by %s", ws, n.Name, n.Customers, n.Agents, by.Subject)
}

func (f *fake) Bridge(_ context.Context, ws contract.WorkspaceID, id domain.BridgeID) (domain.BridgeStatus, error) {
	if owner(id) != ws {
		return domain.BridgeStatus{}, missing("bridge")
	}
	return aBridge(id), nil
}

func (f *fake) Bridges(_ context.Context, _ contract.WorkspaceID, p domain.Page) ([]domain.BridgeStatus, string, error) {
	return []domain.BridgeStatus{aBridge("brg_1")}, f.paged(p), nil
}

func (f *fake) UpdateBridge(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id domain.BridgeID, p bridges.Patch) (domain.BridgeStatus, error) {
	name, state := "", domain.BridgeState("")
	if p.Name != nil {
		name = *p.Name
	}
	if p.State != nil {
		state = *p.State
	}
	return aBridge(id), f.did("update bridge %s %s %q %q", ws, id, name, state)
}

func (f *fake) DeleteBridge(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id domain.BridgeID) error {
	return f.did("delete bridge %s %s", ws, id)
}

func (f *fake) BridgeLinks(_ context.Context, ws contract.WorkspaceID, id domain.BridgeID, p domain.Page) ([]domain.BridgeLink, string, error) {
	if owner(id) != ws {
		return nil, "", missing("bridge")
	}
	return []domain.BridgeLink{{Bridge: id, Customers: "chat-17", Agents: "brg-1", State: domain.LinkStopped, StateReason: "it went round", CreatedAt: now,
		Watch: domain.BridgeWatch{ToAgents: []domain.BridgeSent{{Says: "hash-of-words"}}}}}, f.paged(p), nil
}

const (
	bridgesURL  = "/v1/workspaces/wsp_1/bridges"
	shownBridge = `{"id":"brg_1","workspace":"wsp_1","name":"Shop to desk","customers":"con_1","agents":"con_3","state":"active","behind":2,` +
		`"counts":{"forwarded":3,"edited":0,"deleted":0,"typing":0,"receipts":0,"echoes":1,"skipped":0},` +
		`"created_at":"2026-11-22T10:30:00Z","updated_at":"2026-11-22T10:30:00Z"}`
)

func TestBridges(t *testing.T) {
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		answer, did              string
	}{
		{"one is made", "POST", bridgesURL, `{"name":"Shop to desk","customers":"con_1","agents":"con_3"}`,
			201, shownBridge, "create bridge wsp_1 Shop to desk con_1 con_3 by anna"},
		{"one is read", "GET", bridgesURL + "/brg_1", "", 200, shownBridge, ""},
		{"all are listed", "GET", bridgesURL, "", 200, `{"items":[` + shownBridge + `],"next":"cursor"}`, ""},
		{"one is paused", "PATCH", bridgesURL + "/brg_1", `{"state":"paused"}`, 200, shownBridge, `update bridge wsp_1 brg_1 "" "paused"`},
		{"one is renamed", "PATCH", bridgesURL + "/brg_1", `{"name":"New"}`, 200, shownBridge, `update bridge wsp_1 brg_1 "New" ""`},
		{"one is deleted", "DELETE", bridgesURL + "/brg_1", "", 204, "", "delete bridge wsp_1 brg_1"},
		{"its links are listed, without what loops are noticed by", "GET", bridgesURL + "/brg_1/links", "", 200,
			`{"items":[{"customers":"chat-17","agents":"brg-1","state":"stopped","state_reason":"it went round","created_at":"2026-11-22T10:30:00Z"}],"next":"cursor"}`, ""},
		{"a state that is none is refused", "PATCH", bridgesURL + "/brg_1", `{"state":"broken"}`, 422, "", ""},
		{"one end is not enough", "POST", bridgesURL, `{"name":"x","customers":"con_1"}`, 422, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t)
			got := h.do("admin", tt.method, tt.path, tt.body)
			did := ""
			if calls := h.called(); len(calls) > 0 {
				did = calls[0]
			}
			if got.status != tt.status || did != tt.did || tt.answer != "" && got.body != tt.answer+"\n" {
				t.Errorf("got %d %s, and did %q; want %d %s, %q", got.status, got.body, did, tt.status, tt.answer, tt.did)
			}
		})
	}
}

func TestABridgeThatWouldCloseACircle(t *testing.T) {
	h := open(t)
	h.fail(&domain.Invalid{Problems: []domain.Problem{{Field: "agents", Value: "con_3", Why: "it goes round", Fix: "choose another"}}})
	got := h.do("admin", "POST", bridgesURL, `{"name":"x","customers":"con_1","agents":"con_3"}`).problem(t, http.StatusUnprocessableEntity)
	if len(got.Errors) != 1 || got.Errors[0].Location != "body.agents" || got.Errors[0].Message != "it goes round; choose another" {
		t.Errorf("got %+v", got)
	}
}
