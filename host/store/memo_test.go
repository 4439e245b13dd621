package store_test

import (
	"path/filepath"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
)

// TestWhatIsRememberedIsNeverOutOfDate: a connection is read as it stands, also after a
// caller changed what it was handed, and whoever changed it in the file.
func TestWhatIsRememberedIsNeverOutOfDate(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "test.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_1", Enabled: []string{"acme"}}); err != nil {
		t.Fatal(err)
	}
	c := domain.Connection{ID: "con_1", Workspace: "wsp_1", Endpoint: "e", Settings: map[string]string{"a": "1"}, PrivateTargets: []string{"10.0.0.1:1"}}
	if err := s.CreateConnection(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := s.Connection(t.Context(), "con_1")
		if err != nil || got.Settings["a"] != "1" || got.PrivateTargets[0] != "10.0.0.1:1" {
			t.Fatalf("it is %+v, %v", got, err)
		}
		got.Settings["a"], got.PrivateTargets[0] = "mine", "mine"
		w, err := s.Workspace(t.Context(), "wsp_1")
		if err != nil || w.Enabled[0] != "acme" {
			t.Fatalf("the workspace is %+v, %v", w, err)
		}
		w.Enabled[0] = "mine"
	}
	_, err = s.UpdateConnection(t.Context(), "con_1", func(c *domain.Connection) error {
		c.Settings["a"] = "2"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.ConnectionByEndpoint(t.Context(), "e"); err != nil || got.Settings["a"] != "2" {
		t.Errorf("after a change it is %+v, %v", got, err)
	}
	if err := s.DeleteConnection(t.Context(), "con_1"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Connection(t.Context(), "con_1"); err == nil {
		t.Errorf("after its removal it is %+v", got)
	}
}
