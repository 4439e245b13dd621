package store

import (
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// maxProblems is how many problems Check reports.
const maxProblems = 100

// checker holds the file against what must be true of it. Each record is asked which
// index entries it has; an index that has more of them than that holds some that lead
// nowhere.
type checker struct {
	tx       *tx
	ctx      context.Context
	problems []string
	entries  map[string]int // by index bucket: entries that records account for
}

// Check reads the whole file and returns what is wrong with it, one sentence each; nothing
// if all is well. It is for tests and for operators: it holds a read open while it
// lasts, so that the file grows.
func (s *Store) Check(ctx context.Context) []string {
	problems, err := view(ctx, s, "check store", func(t *tx) ([]string, error) {
		c := &checker{tx: t, ctx: ctx, entries: map[string]int{}}
		c.run()
		return c.problems, ctx.Err()
	})
	if err != nil {
		problems = append(problems, err.Error())
	}
	return problems
}

func (c *checker) run() {
	c.attempt(c.pages)
	for _, part := range []func(){
		c.seals, c.connections, c.secrets, c.tokenSets, c.kv, c.deliveries, c.dedupe, c.events, c.messages,
		c.conversations, c.jobs, c.journal, c.commands, c.plugins, c.audit, c.tokens, c.usage, c.subscribers, c.bridges,
		c.routes, c.routed, c.parked, c.indices,
	} {
		c.attempt(part)
	}
}

// pages checks the pages that the read can reach. bbolt's own check also wants to see every
// other page among the free ones, and looks at the list of those while the writer changes it:
// it is asked only where nobody writes.
func (c *checker) pages() {
	db := c.tx.bolt.DB()
	if db.IsReadOnly() {
		for err := range c.tx.bolt.Check() {
			c.report("page: %v", err)
		}
		return
	}
	if err := surveyed(db.Path(), c.tx.bolt); err != nil {
		c.report("page: %v", err)
	}
}

// attempt runs one part. A page that makes no sense ends it and no other; what is damaged
// was reported by seals.
func (c *checker) attempt(part func()) {
	defer func() {
		if p := recover(); p != nil {
			c.report("a page cannot be read: %v", p)
		}
	}()
	part()
	_ = c.tx.excuse() // seals has reported it
}

// seals holds every value against its checksum.
func (c *checker) seals() {
	for _, bucket := range allBuckets() {
		cursor := c.tx.bolt.Bucket(bucket).Cursor()
		for k, v := cursor.First(); k != nil && c.ctx.Err() == nil; k, v = cursor.Next() {
			if _, ok := unseal(bucket, k, v); !ok {
				c.report("%v", damaged(bucket, k, whyChecksum))
			}
		}
	}
}

func (c *checker) report(format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, fmt.Sprintf(format, args...))
	}
}

// want asks for the index entries of a record.
func (c *checker) want(record string, index []entry) {
	for _, e := range index {
		c.entries[string(e.bucket)]++
		if got := c.tx.get(e.bucket, e.key); string(got) != string(e.value) || got == nil {
			c.report("%s: index %s says %x, want %x", record, e.bucket, got, e.value)
		}
	}
}

// each decodes every record of a bucket.
func each[T any](c *checker, bucket []byte, visit func(position []byte, record T)) {
	cursor := c.tx.bolt.Bucket(bucket).Cursor()
	for position, sealed := cursor.First(); position != nil && c.ctx.Err() == nil; position, sealed = cursor.Next() {
		doc, ok := unseal(bucket, position, sealed)
		if !ok {
			continue // seals has reported it
		}
		record, err := decode[T](bucket, doc)
		if err != nil {
			c.report("%s %x: %v", bucket, position, err)
			continue
		}
		visit(position, record)
	}
}

// indices reports index entries that no record accounts for.
func (c *checker) indices() {
	for _, bucket := range [][]byte{
		bucketByWorkspace, bucketByEndpoint, bucketTraffic, bucketKVExpiry, bucketKVUsage, bucketDeliveryListing,
		bucketFailedBodies, bucketMessageOrder, bucketMessageStatus, bucketMessagePlatform, bucketJobIDs,
		bucketJobListing, bucketQueue, bucketLanes, bucketRevokedUntil, bucketBodies,
		bucketAnswered, bucketByApp, bucketRouteListing, bucketParkedKeys, bucketParkedExpiry, bucketRouteUsage,
	} {
		held := 0
		for range c.tx.scan(bucket, nil, nil) {
			held++
		}
		if wanted := c.entries[string(bucket)]; held != wanted {
			c.report("index %s has %d entries and records for %d", bucket, held, wanted)
		}
	}
}

func (c *checker) connections() {
	each(c, bucketConnections, func(position []byte, record domain.Connection) {
		name := fmt.Sprintf("connection %q", position)
		if string(record.ID) != string(position) || !c.tx.has(bucketWorkspaces, key(record.Workspace)) {
			c.report("%s: it has the id %q and the workspace %q", name, record.ID, record.Workspace)
		}
		if len(c.tx.get(bucketTraffic, position)) != 16 {
			c.report("%s: it has no traffic record", name)
		}
		if err := c.tx.appThere(record); err != nil {
			c.report("%s: %v", name, err)
		}
		if record.Health.Said.State != "" && record.StateChange() != record.Health.State() {
			c.report("%s: it is %q, and what is known of its health says %q", name, record.State, record.Health.State().State)
		}
		c.entries[string(bucketTraffic)]++
		c.want(name, connectionIndex(record))
	})
}

func (c *checker) secrets() {
	each(c, bucketSecrets, func(position []byte, record domain.Secret) {
		if string(secretKey(record.Connection, record.Name)) != string(position) || !c.tx.has(bucketConnections, key(record.Connection)) {
			c.report("secret %q of connection %q: it stands at %x, or there is no such connection", record.Name, record.Connection, position)
		}
	})
}

// kv adds up what each connection keeps. Entries have no name of their connection but in
// their key, so the connections are asked one by one.
func (c *checker) kv() {
	entries := 0
	for id := range c.tx.scan(bucketConnections, nil, nil) {
		entries += c.kvOf(contract.ConnectionID(id))
	}
	for range c.tx.scan(bucketKV, nil, nil) {
		entries--
	}
	if entries != 0 {
		c.report("kv has %d entries of connections that are not there", -entries)
	}
}

func (c *checker) kvOf(id contract.ConnectionID) (entries int) {
	usage := c.tx.kvUsage(id)
	if c.tx.has(bucketKVUsage, key(id)) {
		c.entries[string(bucketKVUsage)]++
	}
	var sum kvUsage
	for k, v := range c.tx.scan(bucketKV, connectionKey(id), nil) {
		e, err := unpackEntry(v)
		if err != nil || e.version == 0 {
			c.report("entry %q of connection %q: version %d, %v", k, id, e.version, err)
		}
		sum.keys++
		sum.bytes += int64(len(k) + len(e.value))
		c.want(fmt.Sprintf("entry %q of connection %q", k, id), expiryIndex(id, string(k), e))
	}
	if sum.keys != usage.keys || sum.bytes != usage.bytes {
		c.report("connection %q keeps %d entries of %d bytes and is charged for %d of %d", id, sum.keys, sum.bytes, usage.keys, usage.bytes)
	}
	return int(sum.keys)
}

func (c *checker) plugins() {
	each(c, bucketPlugins, func(position []byte, record domain.Plugin) {
		if record.Digest != string(position) || record.Active {
			c.report("plugin %q: it has the digest %q, or says itself that it is active", position, record.Digest)
		}
	})
	for name, digest := range c.tx.scan(bucketActive, nil, nil) {
		if p, err := c.tx.plugin(string(digest)); err != nil || p.Manifest.Name != string(name) {
			c.report("plugin %q: its active version %q is one of %q: %v", name, digest, p.Manifest.Name, err)
		}
	}
}

func (c *checker) audit() {
	if err := c.tx.verifyAudit(c.ctx); err != nil {
		c.report("%v", err)
	}
}

func (c *checker) tokens() {
	for jti, until := range c.tx.scan(bucketRevoked, nil, nil) {
		c.want(fmt.Sprintf("revocation of %q", jti), revokedIndex(string(jti), unpackTime(until)))
	}
}
