package store

import (
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// PutMedia keeps what is known about an attachment, in the place of what was known under
// the same handle.
func (s *Store) PutMedia(ctx context.Context, m domain.Media) error {
	return s.update(ctx, "keep media", func(t *tx) error {
		t.putJSON(bucketMedia, key(m.Handle), m)
		return nil
	})
}

// Media returns what is known about an attachment; ErrNotFound if there is none. The
// caller compares the workspace.
func (s *Store) Media(ctx context.Context, handle contract.MediaHandle) (domain.Media, error) {
	return view(ctx, s, "read media", func(t *tx) (domain.Media, error) {
		m, err := load[domain.Media](t, bucketMedia, key(handle))
		if err != nil {
			return m, fmt.Errorf("media %q: %w", handle, err)
		}
		return m, nil
	})
}
