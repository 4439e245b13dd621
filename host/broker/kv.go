package broker

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// The bounds of key-value entries, as the contract states them.
const (
	maxKeyBytes    = 256
	maxValueBytes  = 64 << 10
	maxTTL         = 10 * 365 * 24 * time.Hour
	maxWrites      = 1000
	defaultListing = 100
	maxListing     = 1000
)

// overlay is the key-value state as one invocation sees it: what the store has, and above
// it what the invocation wrote.
type overlay struct {
	seen   map[string]int64 // key → version found
	scans  []domain.KVScan
	writes map[string]domain.KVWrite
}

func (o *overlay) saw(key string, version int64) {
	if o.seen == nil {
		o.seen = map[string]int64{}
	}
	if _, already := o.seen[key]; !already {
		o.seen[key] = version
	}
}

func (o *overlay) write(w domain.KVWrite) {
	if o.writes == nil {
		o.writes = map[string]domain.KVWrite{}
	}
	if before, ok := o.writes[w.Key]; ok && before.CheckVersion {
		// The first write's condition is about the store; a later one is about this overlay.
		w.CheckVersion, w.ExpectedVersion = true, before.ExpectedVersion
	}
	o.writes[w.Key] = w
}

// reads returns what the commit has to check, in the order of the keys.
func (o *overlay) reads() []domain.KVRead {
	reads := make([]domain.KVRead, 0, len(o.seen))
	for _, key := range slices.Sorted(maps.Keys(o.seen)) {
		reads = append(reads, domain.KVRead{Key: key, Version: o.seen[key]})
	}
	return reads
}

// changes returns the writes in the order of the keys.
func (o *overlay) changes() []domain.KVWrite {
	writes := make([]domain.KVWrite, 0, len(o.writes))
	for _, key := range slices.Sorted(maps.Keys(o.writes)) {
		writes = append(writes, o.writes[key])
	}
	return writes
}

func (inv *invocation) kvGet(ctx context.Context, in *contract.KVGet) (*contract.KVGetResult, error) {
	if problem := checkKey(in.Key); problem != nil {
		return &contract.KVGetResult{Error: problem}, nil
	}
	value, version, found, err := inv.stored(ctx, in.Key)
	if err != nil {
		return nil, err
	}
	if w, ok := inv.kv.writes[in.Key]; ok {
		value, found = w.Value, !w.Delete
	}
	return &contract.KVGetResult{Found: found, Value: value, Version: version}, nil
}

// stored reads an entry from the store and remembers that it was read.
func (inv *invocation) stored(ctx context.Context, key string) (value string, version int64, found bool, err error) {
	value, version, found, err = inv.broker.opts.Store.KVGet(ctx, inv.connection.ID, key, inv.now)
	if err == nil && inv.tracked {
		inv.kv.saw(key, version)
	}
	return value, version, found, err
}

// redo returns what is to be done about a call that is answered from the journal: what it
// left in the invocation when it was made. Writes of entries are buffered again, so that
// they are committed.
func (inv *invocation) redo(name contract.HostFunction) func(args, answer []byte) {
	return func(args, answer []byte) {
		switch name {
		case contract.HostMediaFetch:
			var result contract.MediaFetchResult
			if contract.Unmarshal(answer, &result) == nil && result.Error != nil {
				inv.paused = max(inv.paused, pauseOf(result.Error))
				if result.Error.Code == contract.HostUnauthorised && !result.Error.Certain { // the platform said so
					inv.recallToken(args, &contract.HTTPResult{Status: 401})
				}
			}
		case contract.HostHTTPSend, contract.HostMediaPut, contract.HostHTTPCachedGet:
			var result contract.HTTPResult
			if contract.Unmarshal(answer, &result) == nil {
				inv.notePause(&result)
				inv.recallToken(args, &result)
			}
		case contract.HostKVPut:
			var in contract.KVPut
			inv.raced = inv.raced || lostRace(answer)
			if worked(answer) && contract.Unmarshal(args, &in) == nil {
				inv.kv.write(inv.putting(&in))
			}
		case contract.HostKVDelete:
			var in contract.KVDelete
			inv.raced = inv.raced || lostRace(answer)
			if worked(answer) && contract.Unmarshal(args, &in) == nil {
				inv.kv.write(deleting(&in))
			}
		case contract.HostRoutePut, contract.HostRouteDelete:
			inv.redoRoute(args, answer, name == contract.HostRouteDelete)
		}
	}
}

// lostRace tells whether a write was refused because an entry had another version.
func lostRace(answer []byte) bool {
	var done contract.Done
	return contract.Unmarshal(answer, &done) == nil && done.Error != nil && done.Error.Code == contract.HostConflict
}

func worked(answer []byte) bool {
	var done contract.Done
	return contract.Unmarshal(answer, &done) == nil && done.Error == nil
}

func (inv *invocation) putting(in *contract.KVPut) domain.KVWrite {
	w := domain.KVWrite{Key: in.Key, Value: in.Value, CheckVersion: in.CheckVersion, ExpectedVersion: in.ExpectedVersion}
	if in.TTLSeconds > 0 {
		w.ExpiresAt = inv.now.Add(time.Duration(in.TTLSeconds) * time.Second)
	}
	return w
}

func deleting(in *contract.KVDelete) domain.KVWrite {
	return domain.KVWrite{Key: in.Key, Delete: true, CheckVersion: in.CheckVersion, ExpectedVersion: in.ExpectedVersion}
}

func (inv *invocation) kvPut(ctx context.Context, in *contract.KVPut) (*contract.Done, error) {
	switch {
	case len(in.Value) > maxValueBytes:
		return &contract.Done{Error: invalid("the value has more than 65536 bytes")}, nil
	case !utf8.ValidString(in.Value):
		return &contract.Done{Error: invalid("the value is not UTF-8; encode bytes as base64")}, nil
	case in.TTLSeconds < 0 || in.TTLSeconds > int64(maxTTL/time.Second):
		return &contract.Done{Error: invalid("ttl_seconds is not between 0 and ten years")}, nil
	}
	return inv.change(ctx, inv.putting(in))
}

func (inv *invocation) kvDelete(ctx context.Context, in *contract.KVDelete) (*contract.Done, error) {
	return inv.change(ctx, deleting(in))
}

// change buffers a write until the commit. A version that does not fit now cannot fit
// then, so the plugin is told at once.
func (inv *invocation) change(ctx context.Context, w domain.KVWrite) (*contract.Done, error) {
	if problem := checkKey(w.Key); problem != nil {
		return &contract.Done{Error: problem}, nil
	}
	if _, again := inv.kv.writes[w.Key]; !again && len(inv.kv.writes) >= maxWrites {
		return &contract.Done{Error: quota("an invocation writes at most 1000 entries")}, nil
	}
	if w.CheckVersion {
		_, version, _, err := inv.stored(ctx, w.Key)
		if err != nil {
			return nil, err
		}
		if version != w.ExpectedVersion {
			inv.raced = true
			return &contract.Done{Error: &contract.HostError{Code: contract.HostConflict, Certain: true,
				Message: "the entry has another version than expected"}}, nil
		}
	}
	inv.kv.write(w)
	return &contract.Done{}, nil
}

func checkKey(key string) *contract.HostError {
	if key == "" || len(key) > maxKeyBytes || !utf8.ValidString(key) {
		return invalid("a key has 1 to 256 bytes of UTF-8")
	}
	return nil
}

func (inv *invocation) kvList(ctx context.Context, in *contract.KVList) (*contract.KVListResult, error) {
	if len(in.Prefix) > maxKeyBytes || len(in.After) > maxKeyBytes || in.Limit < 0 || in.Limit > maxListing {
		return &contract.KVListResult{Error: invalid("prefix and after have at most 256 bytes, and limit is 0 to 1000")}, nil
	}
	limit := int(in.Limit)
	if limit == 0 {
		limit = defaultListing
	}
	// The overlay can hide as many entries as it has deletions: ask for that many more.
	stored, more, err := inv.broker.opts.Store.KVScan(ctx, inv.connection.ID, in.Prefix, in.After, limit+len(inv.kv.writes), inv.now)
	if err != nil {
		return nil, err
	}
	inv.remember(in, stored, more)
	entries := inv.kv.merge(in, stored, more)
	if len(entries) > limit {
		entries, more = entries[:limit], true
	}
	return &contract.KVListResult{Entries: entries, More: more}, nil
}

// remember notes what a listing showed, so that the commit can tell whether it still
// would.
func (inv *invocation) remember(in *contract.KVList, stored []contract.KVEntry, more bool) {
	if !inv.tracked {
		return
	}
	scan := domain.KVScan{Prefix: in.Prefix, After: in.After}
	for _, e := range stored {
		scan.Seen = append(scan.Seen, domain.KVRead{Key: e.Key, Version: e.Version})
	}
	if more {
		scan.Until = stored[len(stored)-1].Key
	}
	inv.kv.scans = append(inv.kv.scans, scan)
}

// merge lays the overlay's writes over a listing of the store.
func (o *overlay) merge(in *contract.KVList, stored []contract.KVEntry, more bool) []contract.KVEntry {
	merged := map[string]contract.KVEntry{}
	for _, e := range stored {
		merged[e.Key] = e
	}
	for key, w := range o.writes {
		beyond := more && key > stored[len(stored)-1].Key // it belongs to a later page
		switch {
		case !strings.HasPrefix(key, in.Prefix) || key <= in.After || beyond:
		case w.Delete:
			delete(merged, key)
		default:
			merged[key] = contract.KVEntry{Key: key, Value: w.Value, Version: merged[key].Version}
		}
	}
	entries := make([]contract.KVEntry, 0, len(merged))
	for _, key := range slices.Sorted(maps.Keys(merged)) {
		entries = append(entries, merged[key])
	}
	return entries
}
