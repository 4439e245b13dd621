package store

import (
	"maps"
	"slices"
	"sync"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// memo keeps what records of one bucket say, so that those that every delivery asks for
// are decoded once. It cannot be out of date: what it keeps counts only as long as the
// record in the reader's own transaction has the very bytes that it was decoded from.
type memo[T any] struct {
	mu   sync.RWMutex
	kept map[string]decoded[T]
}

// decoded is a record and what it was decoded from.
type decoded[T any] struct {
	doc    string
	record T
}

// mostDecoded is how many records a memo keeps; beyond them it begins anew.
const mostDecoded = 20_000

// load is the function load with a memory. Slices and maps in what it returns are shared.
func (m *memo[T]) load(t *tx, bucket []byte, k key) (T, error) {
	doc := t.get(bucket, k)
	if doc == nil {
		var none T
		return none, domain.ErrNotFound
	}
	m.mu.RLock()
	known, ok := m.kept[string(k)]
	m.mu.RUnlock()
	if ok && known.doc == string(doc) {
		return known.record, nil
	}
	record, err := decode[T](bucket, doc)
	if err == nil {
		m.keep(string(k), decoded[T]{string(doc), record})
	}
	return record, err
}

func (m *memo[T]) keep(k string, d decoded[T]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil || len(m.kept) >= mostDecoded {
		m.kept = map[string]decoded[T]{}
	}
	m.kept[k] = d
}

// memos is what one store remembers.
type memos struct {
	connections memo[domain.Connection]
	workspaces  memo[domain.Workspace]
	secrets     memo[domain.Secret]
	tokens      memo[domain.TokenSet]
}

// ownConnection returns a connection that the caller may change.
func ownConnection(c domain.Connection) domain.Connection {
	c.Settings = maps.Clone(c.Settings)
	c.PrivateTargets, c.Setup, c.Capabilities = slices.Clone(c.PrivateTargets), slices.Clone(c.Setup), slices.Clone(c.Capabilities)
	c.Health = c.Health.Clone()
	return c
}
