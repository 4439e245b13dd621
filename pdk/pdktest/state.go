package pdktest

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// The bounds that the contract states.
const (
	maxKeyBytes   = 256
	maxValueBytes = 64 << 10
	maxRouteBytes = 512
	maxListing    = 1000
)

// state is what is committed.
type state struct {
	entries     map[string]entry
	routes      map[string]bool
	credentials *contract.CredentialsPut
}

type entry struct {
	value   string
	version int64
	expires time.Time // zero means never
}

func newState() state {
	return state{entries: make(map[string]entry), routes: make(map[string]bool)}
}

func (s *state) put(key, value string, expires time.Time) {
	s.entries[key] = entry{value, s.entries[key].version + 1, expires}
}

func (s *state) get(key string, now time.Time) (entry, bool) {
	e, ok := s.entries[key]
	return e, ok && (e.expires.IsZero() || now.Before(e.expires))
}

func (s *state) values(now time.Time) map[string]string {
	values := make(map[string]string)
	for key := range s.entries {
		if e, ok := s.get(key, now); ok {
			values[key] = e.value
		}
	}
	return values
}

// pending is what an invocation wrote so far.
type pending struct {
	writes      map[string]contract.KVPut
	deletes     map[string]bool
	routes      map[string]bool // true registers, false removes
	credentials *contract.CredentialsPut
}

func newPending() pending {
	return pending{writes: make(map[string]contract.KVPut), deletes: make(map[string]bool), routes: make(map[string]bool)}
}

// Commit makes what was written so far permanent.
func (h *Host) Commit() {
	for key, w := range h.pending.writes {
		expires := time.Time{}
		if w.TTLSeconds > 0 {
			expires = h.now.Add(time.Duration(w.TTLSeconds) * time.Second)
		}
		h.state.put(key, w.Value, expires)
	}
	for key := range h.pending.deletes {
		delete(h.state.entries, key)
	}
	for key, registered := range h.pending.routes {
		if registered {
			h.state.routes[key] = true
		} else {
			delete(h.state.routes, key)
		}
	}
	if h.pending.credentials != nil {
		h.state.credentials = h.pending.credentials
	}
	h.Discard()
}

// Discard drops what was written since the last commit.
func (h *Host) Discard() { h.pending = newPending() }

// lookup returns an entry as the invocation sees it: its own writes come first.
func (h *Host) lookup(key string) (value string, version int64, found bool) {
	committed, found := h.state.get(key, h.now)
	if found {
		value, version = committed.value, committed.version
	}
	if w, ok := h.pending.writes[key]; ok {
		return w.Value, version, true
	}
	if h.pending.deletes[key] {
		return "", version, false
	}
	return value, version, found
}

// KVGet implements [pdk.Host].
func (h *Host) KVGet(key string) (value string, version int64, found bool, err error) {
	if err := h.enter(contract.HostKVGet); err != nil {
		return "", 0, false, err
	}
	if err := h.checkKey(key); err != nil {
		return "", 0, false, err
	}
	value, version, found = h.lookup(key)
	return value, version, found, nil
}

// KVPut implements [pdk.Host].
func (h *Host) KVPut(w contract.KVPut) error {
	if err := h.enter(contract.HostKVPut); err != nil {
		return err
	}
	if err := h.checkKey(w.Key); err != nil {
		return err
	}
	if len(w.Value) > maxValueBytes || w.TTLSeconds < 0 {
		return h.refuse(contract.HostInvalid, "kv_put "+w.Key+": a value has at most 65536 bytes, and a TTL is not negative")
	}
	if err := h.checkVersion(w.Key, w.CheckVersion, w.ExpectedVersion); err != nil {
		return err
	}
	delete(h.pending.deletes, w.Key)
	h.pending.writes[w.Key] = w
	return nil
}

// KVDelete implements [pdk.Host].
func (h *Host) KVDelete(w contract.KVDelete) error {
	if err := h.enter(contract.HostKVDelete); err != nil {
		return err
	}
	if err := h.checkKey(w.Key); err != nil {
		return err
	}
	if err := h.checkVersion(w.Key, w.CheckVersion, w.ExpectedVersion); err != nil {
		return err
	}
	delete(h.pending.writes, w.Key)
	h.pending.deletes[w.Key] = true
	return nil
}

// KVList implements [pdk.Host].
func (h *Host) KVList(q contract.KVList) (*contract.KVListResult, error) {
	if err := h.enter(contract.HostKVList); err != nil {
		return nil, err
	}
	limit := int(q.Limit)
	if limit == 0 {
		limit = 100
	}
	if limit < 0 || limit > maxListing {
		return nil, h.refuse(contract.HostInvalid, "kv_list: limit is "+strconv.Itoa(limit)+"; use 1 to 1000, or 0 for 100")
	}
	result := new(contract.KVListResult)
	for _, key := range h.keys() {
		value, version, found := h.lookup(key)
		if !found || !strings.HasPrefix(key, q.Prefix) || key <= q.After {
			continue
		}
		if len(result.Entries) == limit {
			result.More = true
			break
		}
		result.Entries = append(result.Entries, contract.KVEntry{Key: key, Value: value, Version: version})
	}
	return result, nil
}

// keys lists every key there is or was, sorted.
func (h *Host) keys() []string {
	keys := slices.Collect(maps.Keys(h.state.entries))
	for key := range h.pending.writes {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func (h *Host) checkKey(key string) error {
	if key == "" || len(key) > maxKeyBytes {
		return h.refuse(contract.HostInvalid, "a key has 1 to 256 bytes, this one "+strconv.Itoa(len(key)))
	}
	return nil
}

func (h *Host) checkVersion(key string, check bool, expected int64) error {
	if e, ok := h.state.get(key, h.now); check && (ok && e.version != expected || !ok && expected != 0) {
		return failure(contract.HostConflict, "kv entry "+key+" has another version")
	}
	return nil
}

// RoutePut implements [pdk.Host].
func (h *Host) RoutePut(key string) error { return h.route(contract.HostRoutePut, key, true) }

// RouteDelete implements [pdk.Host].
func (h *Host) RouteDelete(key string) error { return h.route(contract.HostRouteDelete, key, false) }

func (h *Host) route(function contract.HostFunction, key string, register bool) error {
	if err := h.enter(function); err != nil {
		return err
	}
	if key == "" || len(key) > maxRouteBytes {
		return h.refuse(contract.HostInvalid, "a route has 1 to 512 bytes, this one "+strconv.Itoa(len(key)))
	}
	h.pending.routes[key] = register
	return nil
}

// CredentialsPut implements [pdk.Host].
func (h *Host) CredentialsPut(c contract.CredentialsPut) error {
	if err := h.enter(contract.HostCredentialsPut); err != nil {
		return err
	}
	if c.AccessToken == "" {
		return h.refuse(contract.HostInvalid, "credentials_put: the access token is empty")
	}
	h.pending.credentials = &c
	return nil
}
