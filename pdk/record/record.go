// Package record reads back what a connector keeps in its key-value entries: JSON objects,
// as [payload.New] writes them, and counts.
//
//	r, version, found, err := record.Read(h, "chat/"+id)
//	if err != nil || !found {
//		return chat{}, err
//	}
//	c := chat{title: r.String("title"), at: r.Int("at")}
//	return c, record.Check(r)
package record

import (
	"errors"
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// ErrDamaged is the error of an entry that does not read as it was written: another
// version of the connector wrote it, or somebody else did.
var ErrDamaged = errors.New("an entry of the connection's state is damaged")

// Read reads an entry that is an object. The version is for a [contract.KVPut] that checks
// it, and there if nothing is found, too. After the fields were taken, ask [Check].
func Read(h pdk.Host, key string) (r payload.Object, version int64, found bool, err error) {
	value, version, found, err := h.KVGet(key)
	if err != nil || !found {
		return payload.Object{}, version, false, err
	}
	r, err = Parse(value)
	return r, version, err == nil, err
}

// Parse reads the value of an entry; the error is [ErrDamaged].
func Parse(value string) (payload.Object, error) {
	r, err := payload.Parse([]byte(value), payload.Limits{})
	if err != nil {
		return payload.Object{}, ErrDamaged
	}
	return r, nil
}

// Check tells by [ErrDamaged] whether a field that was taken of r had another type.
func Check(r payload.Object) error {
	if r.Err() != nil {
		return ErrDamaged
	}
	return nil
}

// Count reads an entry that is a whole number; 0 if there is none.
func Count(h pdk.Host, key string) (int64, error) {
	value, _, found, err := h.KVGet(key)
	if err != nil || !found {
		return 0, err
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, ErrDamaged
	}
	return n, nil
}
