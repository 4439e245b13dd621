package store

import (
	"context"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const listMedia listing = 'f'

// mediaUseGrain is how exactly it is kept when an attachment was used last: so most uses
// cost no write.
const mediaUseGrain = 24 * time.Hour

// useMedia notes that attachments are named by something that is kept from now on, so that
// retention leaves them alone as long as that. What is not known is not noted.
func (t *tx) useMedia(at time.Time, handles []contract.MediaHandle) {
	for _, h := range handles {
		m, err := load[domain.Media](t, bucketMedia, key(h))
		if err != nil || at.Sub(m.CreatedAt) < mediaUseGrain || at.Sub(m.UsedAt) < mediaUseGrain {
			continue
		}
		m.UsedAt = at
		t.putJSON(bucketMedia, key(h), m)
	}
}

// mediaOf lists the attachments that a message names.
func mediaOf(m *contract.Message) (handles []contract.MediaHandle) {
	add := func(h contract.MediaHandle) {
		if h != "" {
			handles = append(handles, h)
		}
	}
	image := func(m *contract.Media) {
		if m != nil {
			add(m.Handle)
		}
	}
	add(m.Author.Contact.Avatar)
	for i := range m.Parts {
		part := &m.Parts[i]
		image(part.Media)
		if part.Contact != nil {
			add(part.Contact.Avatar)
		}
		if part.Card != nil {
			image(part.Card.Image)
		}
		if part.Carousel != nil {
			for _, card := range part.Carousel.Cards {
				image(card.Image)
			}
		}
	}
	return handles
}

// AllMedia lists what is known of the attachments of every workspace, in the order of their
// handles, with the cursor of the next page.
func (s *Store) AllMedia(ctx context.Context, p domain.Page) ([]domain.Media, string, error) {
	return paged(ctx, s, "list media", func(t *tx) ([]domain.Media, string, error) {
		after, err := listMedia.position(p.After)
		if err != nil {
			return nil, "", err
		}
		return collect(ctx, listMedia, p.Size(), t.scan(bucketMedia, nil, after), func(_, doc []byte) (domain.Media, bool, error) {
			m, err := decode[domain.Media](bucketMedia, doc)
			return m, true, err
		})
	})
}
