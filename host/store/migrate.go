package store

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// firstSchema is the oldest layout that can be brought up to date.
const firstSchema = 1

// schemaOf returns the version of a file's layout; 0 for a fresh file.
func schemaOf(b *bbolt.Tx) (uint64, error) {
	meta := b.Bucket(bucketMeta)
	if meta == nil {
		if k, _ := b.Cursor().First(); k != nil {
			return 0, errForeign
		}
		return 0, nil
	}
	version := meta.Get(keySchema)
	if len(version) != 8 || unpackNumber(version) < firstSchema {
		return 0, errForeign
	}
	if v := unpackNumber(version); v > schemaVersion {
		return v, fmt.Errorf("its schema is %d and this program writes %d: %w", v, schemaVersion, errNewer)
	}
	return unpackNumber(version), nil
}

// upgrade brings a file of an older layout up to date. One of the first layout is written
// anew: the old file stays until the new one is complete and durable.
func upgrade(old *bbolt.DB) error {
	schema := uint64(0)
	err := old.View(func(b *bbolt.Tx) (err error) {
		schema, err = schemaOf(b)
		return err
	})
	switch {
	case err != nil:
		return err
	case schema > firstSchema:
		return old.Update(addBuckets)
	}
	return replace(context.Background(), old, old.Path(), fillFromFirst)
}

// addBuckets turns layout 2 into layout 3, which has buckets for apps and for token sets, and
// is otherwise the same.
func addBuckets(b *bbolt.Tx) error {
	for _, name := range allBuckets() {
		if _, err := b.CreateBucketIfNotExists(name); err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
	}
	return b.Bucket(bucketMeta).Put(keySchema, packNumber(schemaVersion))
}

// rebuilt are the buckets of which nothing is taken over from layout 1: their entries follow
// from the records. Layout 1 had no checksums either, so that every value is written anew.
var rebuilt = map[string]bool{
	bare: true, string(bucketDeliveryListing): true, string(bucketMessageOrder): true,
	string(bucketMessageStatus): true, string(bucketQueue): true,
}

// fillFromFirst is a fill for [replace]: it turns layout 1 into the present one.
func fillFromFirst(ctx context.Context, from *bbolt.Tx, to *bbolt.DB) error {
	b, err := newBulk(ctx, to)
	if err != nil {
		return err
	}
	defer b.abandon()
	for _, step := range []func(*bulk, *bbolt.Tx) error{
		func(b *bulk, _ *bbolt.Tx) error { return create(b.t.bolt) },
		sealRecords, listDeliveries1, orderMessages1, queueJobs1, restConversations1,
		func(b *bulk, _ *bbolt.Tx) error { return b.t.recount() },
	} {
		if err := step(b, from); err != nil {
			return err
		}
	}
	return b.commit()
}

// sealRecords copies what is held as layout 1 did, but for the checksums.
func sealRecords(b *bulk, from *bbolt.Tx) error {
	for _, name := range allBuckets() {
		if rebuilt[string(name)] {
			if source := from.Bucket(name); source != nil {
				if err := b.t.bolt.Bucket(name).SetSequence(source.Sequence()); err != nil {
					return err
				}
			}
			continue
		}
		err := b.copyBucket(from, name, func(k, v []byte) error {
			b.t.put(name, k, v)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachOf decodes the records of a bucket of layout 1.
func eachOf[T any](b *bulk, from *bbolt.Tx, bucket []byte, visit func(T)) error {
	source := from.Bucket(bucket)
	if source == nil {
		return nil
	}
	return source.ForEach(func(k, v []byte) error {
		record, err := decode[T](bucket, v)
		if err != nil {
			return fmt.Errorf("at %q: %w", k, err)
		}
		visit(record)
		return b.wrote(len(v))
	})
}

func listDeliveries1(b *bulk, from *bbolt.Tx) error {
	return eachOf(b, from, bucketDeliveries, func(d domain.Delivery) {
		for _, e := range deliveryIndex(d) {
			if string(e.bucket) == string(bucketDeliveryListing) {
				b.t.put(e.bucket, e.key, e.value)
			}
		}
	})
}

func orderMessages1(b *bulk, from *bbolt.Tx) error {
	return eachOf(b, from, bucketMessages, func(m messageRecord) { b.t.reindex(nil, messageIndex(m)) })
}

func queueJobs1(b *bulk, from *bbolt.Tx) error {
	return eachOf(b, from, bucketJobs, func(job domain.Job) { b.t.reindex(nil, jobIndex(job)) })
}

// restConversations1 takes the time of the last message out of the conversations: the
// message says it.
func restConversations1(b *bulk, from *bbolt.Tx) error {
	return eachOf(b, from, bucketConversations, func(c domain.ConversationSummary) {
		c.LastMessageAt = time.Time{}
		b.t.putDoc(bucketConversations, conversationKey(c.Workspace, c.Connection, c.ID), conversationRecord{&c})
	})
}
