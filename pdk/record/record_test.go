package record_test

import (
	"errors"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// shelf is a host that has key-value entries and nothing else. Each is of version 3.
type shelf struct {
	pdk.Host
	entries map[string]string
	err     error
}

func (s shelf) KVGet(key string) (string, int64, bool, error) {
	value, found := s.entries[key]
	return value, 3, found, s.err
}

func TestReadGivesBackWhatWasWritten(t *testing.T) {
	h := shelf{entries: map[string]string{"chat/1": payload.New().Text("title", "Dana").Number("at", 7).End()}}
	r, version, found, err := record.Read(h, "chat/1")
	if title, at := r.String("title"), r.Int("at"); title != "Dana" || at != 7 || version != 3 || !found || err != nil {
		t.Errorf("read %q, %d, version %d, %t, %v", title, at, version, found, err)
	}
	if err := record.Check(r); err != nil {
		t.Errorf("a sound entry is called %v", err)
	}
}

func TestReadOfNothingHasTheVersionToWriteItBy(t *testing.T) {
	if r, version, found, err := record.Read(shelf{}, "chat/1"); r.Present() || version != 3 || found || err != nil {
		t.Errorf("read %t, version %d, %t, %v", r.Present(), version, found, err)
	}
}

func TestADamagedEntryIsSaidToBe(t *testing.T) {
	for name, value := range map[string]string{"no JSON": `{"at":`, "no object": `[]`, "nothing": ``, "a name twice": `{"a":1,"a":2}`} {
		if _, _, found, err := record.Read(shelf{entries: map[string]string{"k": value}}, "k"); found || !errors.Is(err, record.ErrDamaged) {
			t.Errorf("%s: found %t, %v; want ErrDamaged", name, found, err)
		}
	}
	r, err := record.Parse(`{"at":"seven"}`)
	if err != nil || record.Check(r) != nil {
		t.Fatalf("before a field is taken: %v, %v", err, record.Check(r))
	}
	if r.Int("at"); !errors.Is(record.Check(r), record.ErrDamaged) {
		t.Errorf("after a field of another type: %v, want ErrDamaged", record.Check(r))
	}
}

func TestCount(t *testing.T) {
	h := shelf{entries: map[string]string{"faults": "12", "odd": "a dozen"}}
	for _, tt := range []struct {
		key  string
		want int64
		err  error
	}{{"faults", 12, nil}, {"none", 0, nil}, {"odd", 0, record.ErrDamaged}} {
		if got, err := record.Count(h, tt.key); got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("Count(%s) = %d, %v; want %d, %v", tt.key, got, err, tt.want, tt.err)
		}
	}
}

func TestAFailureOfTheHostIsPassedOn(t *testing.T) {
	broken := &contract.HostError{Code: contract.HostUnavailable, Certain: true}
	h := shelf{entries: map[string]string{"k": "{}"}, err: broken}
	if _, _, found, err := record.Read(h, "k"); found || !errors.Is(err, broken) {
		t.Errorf("Read: %t, %v", found, err)
	}
	if _, err := record.Count(h, "k"); !errors.Is(err, broken) {
		t.Errorf("Count: %v", err)
	}
}
