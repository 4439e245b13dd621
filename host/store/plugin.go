package store

import (
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// PutPlugin keeps a plugin version, in the place of one with the same digest. Whether it
// is active is for ActivatePlugin to say; Active is not looked at.
func (s *Store) PutPlugin(ctx context.Context, p domain.Plugin) error {
	return s.update(ctx, "keep plugin", func(t *tx) error {
		t.putPlugin(p)
		return nil
	})
}

// putPlugin keeps a version. That it is active stands elsewhere, once per name, so that
// two can never be.
func (t *tx) putPlugin(p domain.Plugin) {
	p.Active = false
	t.putJSON(bucketPlugins, key(p.Digest), p)
}

// Plugin returns a plugin version; ErrNotFound if there is none with that digest.
func (s *Store) Plugin(ctx context.Context, digest string) (domain.Plugin, error) {
	return view(ctx, s, "read plugin", func(t *tx) (domain.Plugin, error) { return t.plugin(digest) })
}

func (t *tx) plugin(digest string) (domain.Plugin, error) {
	p, err := load[domain.Plugin](t, bucketPlugins, key(digest))
	if err != nil {
		return p, fmt.Errorf("plugin %q: %w", digest, err)
	}
	p.Active = string(t.get(bucketActive, key(p.Manifest.Name))) == digest
	return p, nil
}

// Plugins returns all plugin versions, in the order of their digests.
func (s *Store) Plugins(ctx context.Context) ([]domain.Plugin, error) {
	return view(ctx, s, "list plugins", func(t *tx) ([]domain.Plugin, error) {
		var plugins []domain.Plugin
		for digest := range t.scan(bucketPlugins, nil, nil) {
			p, err := t.plugin(string(digest))
			if err != nil {
				return nil, err
			}
			plugins = append(plugins, p)
		}
		return plugins, nil
	})
}

// UpdatePlugin changes a plugin version; its Digest, its name and Active stay as they are.
// An error of modify is returned and nothing is changed.
func (s *Store) UpdatePlugin(ctx context.Context, digest string, modify func(*domain.Plugin) error) (domain.Plugin, error) {
	return change(ctx, s, "update plugin", func(t *tx) (domain.Plugin, error) {
		before, err := t.plugin(digest)
		if err != nil {
			return before, err
		}
		after := before
		if err := modify(&after); err != nil {
			return after, err
		}
		after.Digest, after.Manifest.Name, after.Active = before.Digest, before.Manifest.Name, before.Active
		t.putPlugin(after)
		return after, nil
	})
}

// ActivatePlugin makes one version of a plugin the one that runs, and no other.
// ErrNotFound if the plugin has no such version.
func (s *Store) ActivatePlugin(ctx context.Context, name, digest string) error {
	return s.update(ctx, "activate plugin", func(t *tx) error {
		p, err := t.plugin(digest)
		if err != nil {
			return err
		}
		if p.Manifest.Name != name {
			return fmt.Errorf("plugin %q is a version of %q, not of %q: %w", digest, p.Manifest.Name, name, domain.ErrNotFound)
		}
		t.put(bucketActive, key(name), []byte(digest))
		return nil
	})
}

// PutRefusal keeps why a file could not become a plugin, in the place of what was said of
// the file before.
func (s *Store) PutRefusal(ctx context.Context, r domain.Refusal) error {
	return s.update(ctx, "keep refusal", func(t *tx) error {
		t.putJSON(bucketRefusals, key(r.File), r)
		return nil
	})
}

// DeleteRefusal forgets a refusal; ErrNotFound if there is none.
func (s *Store) DeleteRefusal(ctx context.Context, file string) error {
	return s.update(ctx, "delete refusal", func(t *tx) error {
		if !t.has(bucketRefusals, key(file)) {
			return fmt.Errorf("refusal of %q: %w", file, domain.ErrNotFound)
		}
		t.delete(bucketRefusals, key(file))
		return nil
	})
}

// Refusals returns all refusals, in the order of their files.
func (s *Store) Refusals(ctx context.Context) ([]domain.Refusal, error) {
	return view(ctx, s, "list refusals", func(t *tx) ([]domain.Refusal, error) {
		var refusals []domain.Refusal
		for _, doc := range t.scan(bucketRefusals, nil, nil) {
			r, err := decode[domain.Refusal](bucketRefusals, doc)
			if err != nil {
				return nil, err
			}
			refusals = append(refusals, r)
		}
		return refusals, nil
	})
}
