package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"iter"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// listing names a kind of listing, so that a cursor of one is refused by another.
type listing byte

const (
	listWorkspaces       listing = 'w'
	listConnections      listing = 'c'
	listDeliveries       listing = 'd'
	listMessages         listing = 'm'
	listConversations    listing = 'v'
	listJobs             listing = 'j'
	listAudit            listing = 'a'
	listNotices          listing = 'n'
	listOldestJobs       listing = 'J'
	listOldestDeliveries listing = 'D'
	listBridges          listing = 'b'
	listBridgeLinks      listing = 'l'
	listAppConnections   listing = 'A'
	listParked           listing = 'p'
	listHeldRoutes       listing = 'r'
)

// maxCursor is the longest cursor that is looked at. A position is at most two parts of
// a key and a number.
const maxCursor = 2048

// cursor makes the opaque text that stands for a position in a listing.
func (l listing) cursor(position []byte) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{byte(l)}, position...))
}

// position reads a cursor. Where it points is for the listing to confine: a cursor is
// whatever a caller makes up.
func (l listing) position(cursor string) ([]byte, error) {
	if cursor == "" {
		return nil, nil
	}
	if len(cursor) <= maxCursor {
		raw, err := base64.RawURLEncoding.DecodeString(cursor)
		if err == nil && len(raw) > 1 && l.cursor(raw[1:]) == cursor {
			return raw[1:], nil
		}
	}
	shown := cursor[:min(len(cursor), 64)]
	return nil, &domain.Invalid{Problems: []domain.Problem{{Field: "after", Value: shown,
		Why: "it is not a cursor of this listing", Fix: "pass the next value of the page before, unchanged"}}}
}

// collect reads one page off rows. read returns false for a row that the filter leaves
// out. The cursor is empty if nothing follows the page.
func collect[T any](
	ctx context.Context, l listing, size int, rows iter.Seq2[[]byte, []byte],
	read func(position, value []byte) (T, bool, error),
) ([]T, string, error) {
	var items []T
	var last []byte
	for position, value := range rows {
		if err := ctx.Err(); err != nil {
			return nil, "", err
		}
		item, ok, err := read(position, value)
		switch {
		case err != nil:
			return nil, "", fmt.Errorf("at %x: %w", position, err)
		case !ok:
			continue
		case len(items) == size:
			return items, l.cursor(last), nil
		}
		items, last = append(items, item), bytes.Clone(position)
	}
	return items, "", nil
}

// page is a page of a listing, on its way out of a transaction.
type page[T any] struct {
	items []T
	next  string
}

// paged runs a listing.
func paged[T any](ctx context.Context, s *Store, what string, read func(*tx) ([]T, string, error)) ([]T, string, error) {
	p, err := view(ctx, s, what, func(t *tx) (p page[T], err error) {
		p.items, p.next, err = read(t)
		return p, err
	})
	return p.items, p.next, err
}
