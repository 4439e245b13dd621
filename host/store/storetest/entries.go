package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// What one connection may keep, as the contract of a store has it.
const (
	maxEntries    = 10_000
	maxEntryBytes = 16 << 20
)

// entry reads an entry of connection a.
func (f *fixture) entry(k string) (value string, version int64) {
	f.t.Helper()
	value, version, found, err := f.KVGet(f.t.Context(), conA, k, f.at)
	f.ok(err)
	if found != (version > 0) {
		f.t.Errorf("KVGet(%q): found %t with version %d", k, found, version)
	}
	return value, version
}

// listing lists entries of connection a as "key=value ...".
func (f *fixture) listing(prefix, after string, limit int) (string, bool) {
	f.t.Helper()
	entries, more, err := f.KVScan(f.t.Context(), conA, prefix, after, limit, f.at)
	f.ok(err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Key+"="+e.Value)
	}
	return strings.Join(all, " "), more
}

// conflicts reports a commit that is not refused because something changed, or that
// changed something all the same.
func (f *fixture) conflicts(change func(*domain.DeliveryEffects)) {
	f.t.Helper()
	e := f.delivery(conA, f.text(chat, f.name("m"), "never"))
	e.Writes = []domain.KVWrite{{Key: "never", Value: "seen"}}
	change(&e)
	_, err := f.CommitDelivery(f.t.Context(), e)
	f.fails("CommitDelivery", err, domain.ErrConflict)
	if _, version := f.entry("never"); version != 0 || len(f.events(wsA)) != 0 {
		f.t.Error("the refused commit was kept in part")
	}
	_, err = f.Delivery(f.t.Context(), e.Delivery.ID)
	f.fails("Delivery", err, domain.ErrNotFound)
}

var entryClaims = []claim{
	{"a version counts commits", func(t *testing.T, f *fixture) {
		for want := int64(1); want <= 3; want++ {
			f.put(domain.KVWrite{Key: "k", Value: fmt.Sprint(want)})
			if value, version := f.entry("k"); version != want || value != fmt.Sprint(want) {
				t.Errorf("KVGet = %q, version %d, want %d", value, version, want)
			}
		}
	}},
	{"an empty value is a value", func(t *testing.T, f *fixture) {
		f.put(domain.KVWrite{Key: "k"})
		if value, version := f.entry("k"); value != "" || version != 1 {
			t.Errorf("KVGet = %q, version %d", value, version)
		}
	}},
	{"connections do not see one another's", func(t *testing.T, f *fixture) {
		f.put(domain.KVWrite{Key: "k", Value: "v"})
		for _, c := range []contract.ConnectionID{conA2, conB, unknownConnection, ""} {
			if _, _, found, err := f.KVGet(t.Context(), c, "k", f.at); found || err != nil {
				t.Errorf("KVGet(%q) = %t, %v", c, found, err)
			}
			if entries, _, err := f.KVScan(t.Context(), c, "", "", 0, f.at); len(entries) > 0 || err != nil {
				t.Errorf("KVScan(%q) = %v, %v", c, entries, err)
			}
		}
	}},
	{"an entry that was made again has a version it never had", func(t *testing.T, f *fixture) {
		f.put(domain.KVWrite{Key: "k", Value: "1"})
		_, before := f.entry("k")
		f.put(domain.KVWrite{Key: "k", Delete: true})
		if _, version := f.entry("k"); version != 0 {
			t.Errorf("a deleted entry has version %d", version)
		}
		f.put(domain.KVWrite{Key: "k", Value: "2"})
		if _, after := f.entry("k"); after <= before {
			t.Errorf("its version is %d and was %d: a commit that read the first would not notice", after, before)
		}
	}},
	{"what has expired is not there", func(t *testing.T, f *fixture) {
		f.put(domain.KVWrite{Key: "k", Value: "v", ExpiresAt: f.at.Add(time.Minute)}, domain.KVWrite{Key: "l", Value: "w"})
		_, before := f.entry("k")
		f.tick(time.Minute)
		if value, version := f.entry("k"); version != 0 || value != "" {
			t.Errorf("KVGet = %q, version %d", value, version)
		}
		if list, _ := f.listing("", "", 0); list != "l=w" {
			t.Errorf("KVScan = %s", list)
		}
		f.put(domain.KVWrite{Key: "k", Value: "new", CheckVersion: true})
		if value, version := f.entry("k"); value != "new" || version <= before {
			t.Errorf("made again: %q, version %d after %d", value, version, before)
		}
	}},
	{"a listing is in order, from a prefix, after a key, up to a limit", func(t *testing.T, f *fixture) {
		for _, k := range []string{"b2", "a", "b1", "b", "c", "b3", "ba"} {
			f.put(domain.KVWrite{Key: k, Value: k})
		}
		for _, tt := range []struct {
			prefix, after string
			limit         int
			want          string
			more          bool
		}{
			{"", "", 0, "a=a b=b b1=b1 b2=b2 b3=b3 ba=ba c=c", false},
			{"b", "", 0, "b=b b1=b1 b2=b2 b3=b3 ba=ba", false},
			{"b", "b", 2, "b1=b1 b2=b2", true},
			{"b", "b2", 2, "b3=b3 ba=ba", false},
			{"b", "a", 1, "b=b", true},
			{"b", "c", 0, "", false},
			{"b", "b2x", 1, "b3=b3", true},
			{"x", "", 0, "", false},
		} {
			if got, more := f.listing(tt.prefix, tt.after, tt.limit); got != tt.want || more != tt.more {
				t.Errorf("KVScan(%q after %q, %d) = %q, %t; want %q, %t", tt.prefix, tt.after, tt.limit, got, more, tt.want, tt.more)
			}
		}
	}},
	{"a commit is refused if what it read has changed", func(t *testing.T, f *fixture) {
		f.put(domain.KVWrite{Key: "k", Value: "v"})
		read := func(k string, version int64) func(*domain.DeliveryEffects) {
			return func(e *domain.DeliveryEffects) { e.Reads = []domain.KVRead{{Key: k, Version: version}} }
		}
		f.conflicts(read("k", 0))
		f.conflicts(read("k", 2))
		f.conflicts(read("absent", 1))
		e := f.delivery(conA)
		e.Reads = []domain.KVRead{{Key: "k", Version: 1}, {Key: "absent", Version: 0}}
		f.commit(e)
	}},
	{"a commit is refused if a listing it read has changed", checkScans},
	{"a write is refused if the entry has another version", func(t *testing.T, f *fixture) {
		write := func(w domain.KVWrite) func(*domain.DeliveryEffects) {
			return func(e *domain.DeliveryEffects) { e.Writes = append(e.Writes, w) }
		}
		f.conflicts(write(domain.KVWrite{Key: "k", Value: "v", CheckVersion: true, ExpectedVersion: 1}))
		f.put(domain.KVWrite{Key: "k", Value: "v", CheckVersion: true})
		f.conflicts(write(domain.KVWrite{Key: "k", Value: "v", CheckVersion: true}))
		f.conflicts(write(domain.KVWrite{Key: "k", Delete: true, CheckVersion: true, ExpectedVersion: 7}))
		f.put(domain.KVWrite{Key: "k", Delete: true, CheckVersion: true, ExpectedVersion: 1})
	}},
	{"a connection keeps so many entries and no more", func(t *testing.T, f *fixture) {
		for from := 0; from < maxEntries; from += 1000 {
			var writes []domain.KVWrite
			for i := from; i < from+1000; i++ {
				writes = append(writes, domain.KVWrite{Key: fmt.Sprintf("%05d", i), ExpiresAt: expiry(f, i)})
			}
			f.put(writes...)
		}
		f.overQuota(domain.KVWrite{Key: "one more"})
		f.put(domain.KVWrite{Key: "00001", Value: "no new entry"})
		f.put(domain.KVWrite{Key: "00001", Delete: true}, domain.KVWrite{Key: "one for one"})
		f.overQuota(domain.KVWrite{Key: "one more"})
		f.tick(time.Hour)
		f.put(domain.KVWrite{Key: "in the place of one that expired"})
	}},
	{"a connection keeps so many bytes and no more", func(t *testing.T, f *fixture) {
		value := strings.Repeat("v", 64<<10-3)
		for i := range maxEntryBytes / (64 << 10) {
			f.put(domain.KVWrite{Key: fmt.Sprintf("%03d", i), Value: value})
		}
		f.overQuota(domain.KVWrite{Key: "x"})
		f.put(domain.KVWrite{Key: "000", Value: "shorter"})
		f.put(domain.KVWrite{Key: "x"})
	}},
	{"a key has 1 to 256 bytes", func(t *testing.T, f *fixture) {
		f.put(domain.KVWrite{Key: strings.Repeat("k", 256)})
		for _, k := range []string{"", strings.Repeat("k", 257)} {
			e := f.delivery(conA)
			e.Writes = []domain.KVWrite{{Key: k}}
			_, err := f.CommitDelivery(t.Context(), e)
			f.invalid(fmt.Sprintf("a key of %d bytes", len(k)), err)
		}
	}},
}

// expiry lets every tenth entry expire.
func expiry(f *fixture, i int) time.Time {
	if i%10 == 0 {
		return f.at.Add(time.Hour)
	}
	return time.Time{}
}

// overQuota reports a write that is not refused for being too much.
func (f *fixture) overQuota(w domain.KVWrite) {
	f.t.Helper()
	e := f.delivery(conA)
	e.Writes = []domain.KVWrite{w}
	_, err := f.CommitDelivery(f.t.Context(), e)
	f.fails("CommitDelivery over the quota", err, domain.ErrQuota)
}

func checkScans(t *testing.T, f *fixture) {
	f.put(domain.KVWrite{Key: "p1"}, domain.KVWrite{Key: "p3"}, domain.KVWrite{Key: "q"})
	seen := func(keys ...string) (reads []domain.KVRead) {
		for _, k := range keys {
			reads = append(reads, domain.KVRead{Key: k, Version: 1})
		}
		return reads
	}
	scan := func(s domain.KVScan) func(*domain.DeliveryEffects) {
		return func(e *domain.DeliveryEffects) { e.Scans = []domain.KVScan{s} }
	}
	f.conflicts(scan(domain.KVScan{Prefix: "p", Seen: seen("p1", "p2", "p3")}))
	f.conflicts(scan(domain.KVScan{Prefix: "p", Seen: seen("p1")}))
	f.conflicts(scan(domain.KVScan{Prefix: "p"}))
	f.conflicts(scan(domain.KVScan{Prefix: "p", After: "p1", Seen: seen("p1", "p3")}))
	for _, s := range []domain.KVScan{
		{Prefix: "p", Seen: seen("p1", "p3")},
		{Prefix: "p", Until: "p2", Seen: seen("p1")},
		{Prefix: "p", After: "p1", Seen: seen("p3")},
		{Prefix: "nothing"},
		{Seen: seen("p1", "p3", "q")},
	} {
		e := f.delivery(conA)
		scan(s)(&e)
		f.commit(e)
	}
	f.put(domain.KVWrite{Key: "p2"}) // a phantom
	f.conflicts(scan(domain.KVScan{Prefix: "p", Seen: seen("p1", "p3")}))
	f.conflicts(scan(domain.KVScan{Prefix: "p", Until: "p2", Seen: seen("p1")}))
}
