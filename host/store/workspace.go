package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// CreateWorkspace keeps a new workspace; ErrExists if the id is taken.
func (s *Store) CreateWorkspace(ctx context.Context, w domain.Workspace) error {
	return s.update(ctx, "create workspace", func(t *tx) error {
		if t.has(bucketWorkspaces, key(w.ID)) {
			return fmt.Errorf("workspace %q: %w", w.ID, domain.ErrExists)
		}
		t.putJSON(bucketWorkspaces, key(w.ID), w)
		return nil
	})
}

// Workspace returns a workspace; ErrNotFound if there is none.
func (s *Store) Workspace(ctx context.Context, id contract.WorkspaceID) (domain.Workspace, error) {
	return view(ctx, s, "read workspace", func(t *tx) (domain.Workspace, error) {
		w, err := s.memos.workspaces.load(t, bucketWorkspaces, key(id))
		if err != nil {
			return w, fmt.Errorf("workspace %q: %w", id, err)
		}
		w.Enabled = slices.Clone(w.Enabled)
		return w, nil
	})
}

func (t *tx) workspace(id contract.WorkspaceID) (domain.Workspace, error) {
	w, err := load[domain.Workspace](t, bucketWorkspaces, key(id))
	if err != nil {
		return w, fmt.Errorf("workspace %q: %w", id, err)
	}
	return w, nil
}

// Workspaces lists workspaces, oldest first, with the cursor of the next page.
func (s *Store) Workspaces(ctx context.Context, p domain.Page) ([]domain.Workspace, string, error) {
	return paged(ctx, s, "list workspaces", func(t *tx) ([]domain.Workspace, string, error) {
		after, err := listWorkspaces.position(p.After)
		if err != nil {
			return nil, "", err
		}
		return collect(ctx, listWorkspaces, p.Size(), t.scan(bucketWorkspaces, nil, after),
			func(_, doc []byte) (domain.Workspace, bool, error) {
				w, err := decode[domain.Workspace](bucketWorkspaces, doc)
				return w, true, err
			})
	})
}

// UpdateWorkspace changes a workspace; its ID and CreatedAt stay as they are. An error of
// change is returned and nothing is changed.
func (s *Store) UpdateWorkspace(ctx context.Context, id contract.WorkspaceID, modify func(*domain.Workspace) error) (domain.Workspace, error) {
	return change(ctx, s, "update workspace", func(t *tx) (domain.Workspace, error) {
		before, err := t.workspace(id)
		if err != nil {
			return before, err
		}
		after := before
		after.Enabled = append([]string(nil), before.Enabled...)
		if err := modify(&after); err != nil {
			return after, err
		}
		after.ID, after.CreatedAt = before.ID, before.CreatedAt
		t.putJSON(bucketWorkspaces, key(id), after)
		return after, nil
	})
}
