package tenant_test

import (
	"errors"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestTokensAreRenewedByHandByThoseWhoseTheyAre(t *testing.T) {
	w := newWorld(t)
	c := w.connection(t)
	var invalid *domain.Invalid
	if _, err := w.RefreshCredentials(t.Context(), boss, w.workspace.ID, c.ID); !errors.As(err, &invalid) {
		t.Errorf("a plugin that cannot renew tokens: %v", err)
	}
	w.plugins.version.Manifest.Abilities = append(w.plugins.version.Manifest.Abilities, contract.ExportRefreshCredentials)
	if _, err := w.RefreshCredentials(t.Context(), boss, w.workspace.ID, c.ID); !errors.As(err, &invalid) {
		t.Errorf("without a token set: %v", err)
	}
	if _, err := w.tokens.Put(t.Context(), c, &contract.CredentialsPut{AccessToken: "a", RefreshToken: "r"}, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	job, err := w.RefreshCredentials(t.Context(), boss, w.workspace.ID, c.ID)
	if err != nil || job.Command.Export != contract.ExportRefreshCredentials || job.Command.By != boss.Subject || job.Command.Refresh.Reason != contract.RefreshAsked {
		t.Fatalf("queued %+v, %v", job.Command, err)
	}
	if again, err := w.RefreshCredentials(t.Context(), boss, w.workspace.ID, c.ID); err != nil || again.ID != job.ID {
		t.Errorf("asked again, %s is queued beside %s: %v", again.ID, job.ID, err)
	}
	for name, err := range map[string]error{
		"refresh": func() error { _, err := w.RefreshCredentials(t.Context(), boss, w.rival.ID, c.ID); return err }(),
		"read":    func() error { _, err := w.Credentials(t.Context(), w.rival.ID, c.ID); return err }(),
	} {
		if !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("%s by another workspace: %v", name, err)
		}
	}
	status, err := w.Credentials(t.Context(), w.workspace.ID, c.ID)
	if err != nil || !status.Held || !status.Valid || status.State != domain.TokensValid || !status.CanRefresh {
		t.Errorf("the status is %+v, %v", status, err)
	}
	entries, _, err := w.store.AuditEntries(t.Context(), domain.AuditFilter{Workspace: w.workspace.ID}, domain.Page{})
	if err != nil || len(entries) == 0 || entries[0].Action != "credentials.refresh" || entries[0].Target != job.ID {
		t.Errorf("the audit log says %+v, %v", entries, err)
	}
}
