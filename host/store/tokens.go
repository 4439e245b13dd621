package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Tokens returns the token set of a connection or an app; ErrNotFound if there is none.
func (s *Store) Tokens(ctx context.Context, owner contract.ConnectionID) (domain.TokenSet, error) {
	return view(ctx, s, "read tokens", func(t *tx) (domain.TokenSet, error) {
		set, err := s.memos.tokens.load(t, bucketTokens, key(owner))
		if err != nil {
			return set, fmt.Errorf("tokens of %q: %w", owner, err)
		}
		return ownTokens(set), nil
	})
}

// ownTokens returns a token set that the caller may change.
func ownTokens(set domain.TokenSet) domain.TokenSet {
	set.Sealed = slices.Clone(set.Sealed)
	if set.FailedWith != nil {
		failure := *set.FailedWith
		set.FailedWith = &failure
	}
	return set
}

// PutTokens keeps a token set in the place of the one before. ErrConflict if its version is
// not the one that follows, which for the first one is 1; ErrNotFound if its owner is not
// there.
func (s *Store) PutTokens(ctx context.Context, set domain.TokenSet) error {
	return s.update(ctx, "keep tokens", func(t *tx) error { return t.putTokens(set) })
}

func (t *tx) putTokens(set domain.TokenSet) error {
	if err := t.owns(set.Workspace, set.Owner); err != nil {
		return err
	}
	before, err := t.tokensBefore(set.Owner)
	if err != nil {
		return err
	}
	if set.Version != before.Version+1 {
		return fmt.Errorf("tokens of %q: version %d is there, and %d was to follow: %w", set.Owner, before.Version, set.Version, domain.ErrConflict)
	}
	t.putJSON(bucketTokens, key(set.Owner), set)
	return nil
}

// tokensBefore returns the token set of an owner; the zero value if there is none.
func (t *tx) tokensBefore(owner contract.ConnectionID) (domain.TokenSet, error) {
	if !t.has(bucketTokens, key(owner)) {
		return domain.TokenSet{}, nil
	}
	return load[domain.TokenSet](t, bucketTokens, key(owner))
}

// UpdateTokens changes what is known of a token set, and begins one of version 0 where there
// is none. Owner, Workspace and Version stay as they are; an error of modify is returned and
// nothing is changed. ErrNotFound if the workspace has no such owner.
func (s *Store) UpdateTokens(ctx context.Context, ws contract.WorkspaceID, owner contract.ConnectionID, modify func(*domain.TokenSet) error) (domain.TokenSet, error) {
	return change(ctx, s, "update tokens", func(t *tx) (domain.TokenSet, error) {
		if err := t.owns(ws, owner); err != nil {
			return domain.TokenSet{}, err
		}
		before, err := t.tokensBefore(owner)
		if err != nil {
			return before, err
		}
		after := ownTokens(before)
		if err := modify(&after); err != nil {
			return after, err
		}
		after.Owner, after.Workspace, after.Version = owner, ws, before.Version
		t.putJSON(bucketTokens, key(owner), after)
		return after, nil
	})
}

// TokenOwners calls visit with every token set there is, and stops at its first error, which
// it returns. visit must not call the store.
func (s *Store) TokenOwners(ctx context.Context, visit func(domain.TokenSet) error) error {
	_, err := view(ctx, s, "read all tokens", func(t *tx) (struct{}, error) {
		for _, doc := range t.scan(bucketTokens, nil, nil) {
			set, err := decode[domain.TokenSet](bucketTokens, doc)
			if err == nil {
				err = visit(set)
			}
			if err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, ctx.Err()
	})
	return err
}

// AcceptRefresh queues a command that renews a token set, unless one is queued or running in
// its lane already: then that one is returned, with created false.
func (s *Store) AcceptRefresh(ctx context.Context, n domain.NewCommand) (job domain.Job, created bool, err error) {
	n.Lane = domain.CredentialsLane(n.Connection)
	a, err := change(ctx, s, "accept refresh", func(t *tx) (acceptance, error) {
		if head := t.laneHead(n.Lane); head > 0 {
			job, err := t.jobAt(packNumber(head))
			return acceptance{job, false}, err
		}
		return t.acceptCommand(n)
	})
	return a.job, a.created, err
}

// tokenSets checks that every token set stands where it belongs and belongs to somebody.
func (c *checker) tokenSets() {
	each(c, bucketTokens, func(position []byte, set domain.TokenSet) {
		if string(set.Owner) != string(position) || c.tx.owns(set.Workspace, set.Owner) != nil {
			c.report("tokens of %q: they stand at %q, or %q has no such connection", set.Owner, position, set.Workspace)
		}
		if set.Held() != (len(set.Sealed) > 0) {
			c.report("tokens of %q: version %d has %d bytes", set.Owner, set.Version, len(set.Sealed))
		}
	})
}
