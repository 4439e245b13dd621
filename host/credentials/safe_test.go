package credentials_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// safe is a store of token sets in memory. Every connection is one of wsp_1.
type safe struct {
	mu     sync.Mutex
	sets   map[contract.ConnectionID]domain.TokenSet
	health map[contract.ConnectionID]*contract.StateChange
	said   contract.ConnectionState
	queued map[contract.ConnectionID]domain.Job
	asked  []asked // every refresh that was queued
	err    error
}

// asked is one refresh that was queued.
type asked struct {
	owner contract.ConnectionID
	at    time.Time
	domain.Refresh
}

func newSafe() *safe {
	return &safe{sets: map[contract.ConnectionID]domain.TokenSet{}, health: map[contract.ConnectionID]*contract.StateChange{},
		queued: map[contract.ConnectionID]domain.Job{}, said: contract.StateConnected}
}

func (s *safe) Tokens(_ context.Context, owner contract.ConnectionID) (domain.TokenSet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set, ok := s.sets[owner]
	if !ok {
		return set, domain.ErrNotFound
	}
	return set, s.err
}

func (s *safe) PutTokens(_ context.Context, set domain.TokenSet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set.Version != s.sets[set.Owner].Version+1 {
		return domain.ErrConflict
	}
	s.sets[set.Owner] = set
	return s.err
}

func (s *safe) UpdateTokens(_ context.Context, ws contract.WorkspaceID, owner contract.ConnectionID, modify func(*domain.TokenSet) error) (domain.TokenSet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.sets[owner]
	set.Owner, set.Workspace = owner, ws
	if err := modify(&set); err != nil {
		return set, err
	}
	s.sets[owner] = set
	return set, s.err
}

func (s *safe) TokenOwners(_ context.Context, visit func(domain.TokenSet) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, owner := range slices.Sorted(maps.Keys(s.sets)) {
		if err := visit(s.sets[owner]); err != nil {
			return err
		}
	}
	return s.err
}

func (s *safe) AcceptRefresh(_ context.Context, n domain.NewCommand) (domain.Job, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if job, ok := s.queued[n.Connection]; ok {
		return job, false, nil
	}
	command := n.Command
	job := domain.Job{ID: fmt.Sprintf("cmd_%d", len(s.asked)+1), Connection: n.Connection, Workspace: n.Workspace, Command: &command}
	s.queued[n.Connection] = job
	s.asked = append(s.asked, asked{n.Connection, n.At, *command.Refresh})
	return job, true, s.err
}

func (s *safe) Connection(_ context.Context, id contract.ConnectionID) (domain.Connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == "con_gone" {
		return domain.Connection{}, domain.ErrNotFound
	}
	return domain.Connection{ID: id, Workspace: "wsp_1", Plugin: "acme",
		Health: domain.Health{Said: contract.StateChange{State: s.said}, Credentials: s.health[id]}}, nil
}

func (s *safe) SetHealth(_ context.Context, c contract.ConnectionID, cause domain.HealthCause, change *contract.StateChange, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cause != domain.CauseCredentials {
		return errors.New("it is not ours to say")
	}
	s.health[c] = change
	return nil
}

// end ends the refresh that is queued, and returns it.
func (s *safe) end(owner contract.ConnectionID) domain.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	job := s.queued[owner]
	delete(s.queued, owner)
	return job
}

func (s *safe) refreshes() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *safe) state(c contract.ConnectionID) (contract.ConnectionState, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.health[c] == nil {
		return "", ""
	}
	return s.health[c].State, s.health[c].Code
}

func (s *safe) queuedOf(owner contract.ConnectionID) (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if job, ok := s.queued[owner]; ok {
		ids = append(ids, job.ID)
	}
	return ids
}
