package store

import (
	"context"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// AddNotice keeps a notice. Its Seq is filled in.
func (s *Store) AddNotice(ctx context.Context, n domain.Notice) error {
	return s.update(ctx, "keep notice", func(t *tx) error {
		t.notice(n)
		return nil
	})
}

// notice keeps a notice with whatever else the transaction keeps.
func (t *tx) notice(n domain.Notice) {
	n.Seq, n.At = t.next(bucketNotices), n.At.UTC()
	t.putJSON(bucketNotices, newKey().number(n.Seq), n)
}

// Notices lists notices, newest first, with the cursor of the next page. It reads every
// notice on its way.
func (s *Store) Notices(ctx context.Context, f domain.NoticeFilter, p domain.Page) ([]domain.Notice, string, error) {
	return paged(ctx, s, "list notices", func(t *tx) ([]domain.Notice, string, error) {
		before, err := listNotices.position(p.After)
		if err != nil {
			return nil, "", err
		}
		return collect(ctx, listNotices, p.Size(), t.scanBack(bucketNotices, nil, before),
			func(_, doc []byte) (domain.Notice, bool, error) {
				n, err := decode[domain.Notice](bucketNotices, doc)
				return n, (f.Workspace == "" || f.Workspace == n.Workspace) && (f.Kind == "" || f.Kind == n.Kind), err
			})
	})
}
