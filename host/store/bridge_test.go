package store_test

import (
	"context"
	"errors"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// furnishBridge patches con_1 to a second connection, with a stopped link and a message
// that was forwarded.
func furnishBridge(ctx context.Context, s *store.Store) error {
	messages, _, err := s.Messages(ctx, "wsp_1", domain.MessageFilter{Connection: "con_1"}, domain.Page{})
	if err != nil || len(messages) < 2 {
		return errors.Join(err, errors.New("two messages are needed"))
	}
	err = errors.Join(s.CreateConnection(ctx, domain.Connection{ID: "con_2", Workspace: "wsp_1", Plugin: "acme", Endpoint: "e2"}, nil),
		s.CreateBridge(ctx, domain.Bridge{ID: "brg_1", Workspace: "wsp_1", Customers: "con_1", Agents: "con_2", State: domain.BridgeActive}))
	if err != nil {
		return err
	}
	b, err := s.Bridge(ctx, "wsp_1", "brg_1")
	if err != nil {
		return err
	}
	_, err = s.StepBridge(ctx, domain.BridgeStep{Workspace: "wsp_1", Bridge: "brg_1", Revision: b.Revision, After: b.Progress.Cursor, Cursor: b.Progress.Cursor,
		Links:    []domain.BridgeLink{{Bridge: "brg_1", Customers: "chat", Agents: "brg-chat", State: domain.LinkStopped}},
		Forwards: []domain.BridgeForward{{Bridge: "brg_1", Source: messages[0].ID, Target: messages[1].ID, From: domain.CustomersSide}}})
	return err
}

// A bridge's links are five kinds of entry in one bucket; each that is lost shows.
func TestCheckSeesEveryKindOfLinkThatIsLost(t *testing.T) {
	for _, kind := range []string{"l", "a", "x", "m", "r"} {
		t.Run(kind, func(t *testing.T) {
			s := furnished(t)
			tampered(t, s, func(tx *bbolt.Tx) error {
				b := tx.Bucket([]byte("bridge_links"))
				k, _ := b.Cursor().Seek([]byte(kind))
				if k == nil || string(k[:1]) != kind {
					return errors.New("the test needs such an entry")
				}
				return b.Delete(k)
			})
			if problems := s.Check(t.Context()); len(problems) == 0 {
				t.Error("Check sees nothing")
			}
		})
	}
}

// One workspace's bridges are told apart from those of another whose id begins alike.
func TestBridgesOfWorkspacesWithSimilarIDs(t *testing.T) {
	s := open(t)
	for _, ws := range []contract.WorkspaceID{"wsp_1", "wsp_11"} {
		for _, err := range []error{
			s.CreateWorkspace(t.Context(), domain.Workspace{ID: ws}),
			s.CreateConnection(t.Context(), domain.Connection{ID: contract.ConnectionID("a" + ws), Workspace: ws, Endpoint: "a" + string(ws)}, nil),
			s.CreateConnection(t.Context(), domain.Connection{ID: contract.ConnectionID("b" + ws), Workspace: ws, Endpoint: "b" + string(ws)}, nil),
			s.CreateBridge(t.Context(), domain.Bridge{ID: domain.BridgeID("brg_" + ws), Workspace: ws, Customers: contract.ConnectionID("a" + ws),
				Agents: contract.ConnectionID("b" + ws), State: domain.BridgeActive}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	got, _, err := s.Bridges(t.Context(), "wsp_1", domain.Page{})
	if err != nil || len(got) != 1 || got[0].ID != "brg_wsp_1" {
		t.Errorf("Bridges = %+v, %v", got, err)
	}
}
