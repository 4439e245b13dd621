package store

import (
	"context"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// CountConnections counts the connections of a workspace.
func (s *Store) CountConnections(ctx context.Context, ws contract.WorkspaceID) (int64, error) {
	return view(ctx, s, "count connections", func(t *tx) (int64, error) {
		var n int64
		for range t.scan(bucketByWorkspace, workspaceKey(ws), nil) {
			n++
		}
		return n, nil
	})
}
