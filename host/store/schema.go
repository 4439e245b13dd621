package store

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// schemaVersion is what this program writes. RATIONALE.md holds the layout.
const schemaVersion = 3

// The buckets. A record bucket holds JSON documents, unless its comment says otherwise;
// an index bucket can be made anew from the records.
var (
	bucketMeta = []byte("meta") // "schema" → number, "ping" → time

	bucketWorkspaces  = []byte("workspaces")  // workspace
	bucketConnections = []byte("connections") // connection, without traffic
	bucketTraffic     = []byte("traffic")     // connection → last inbound, last outbound
	bucketByWorkspace = []byte("connections_by_workspace")
	bucketByEndpoint  = []byte("connections_by_endpoint")
	bucketSecrets     = []byte("secrets") // connection, name
	bucketTokens      = []byte("tokens")  // connection → its token set

	bucketKV       = []byte("kv")        // connection, key → version, expiry, value
	bucketKVUsage  = []byte("kv_usage")  // connection → keys, bytes, floor
	bucketKVExpiry = []byte("kv_expiry") // connection, time, key

	bucketDeliveries      = []byte("deliveries")          // delivery, without body and mark
	bucketBodies          = []byte("delivery_bodies")     // delivery → raw bytes
	bucketAnswered        = []byte("delivery_answered")   // delivery whose answer was handed to the network
	bucketDeliveryListing = []byte("deliveries_by_state") // scope, state, delivery
	bucketFailedBodies    = []byte("failed_by_body")      // connection, hash, delivery
	bucketDedupe          = []byte("dedupe")              // connection, key → first delivery and its answer
	bucketRepeats         = []byte("repeats")             // connection, hash → newest accepted delivery

	bucketEvents        = []byte("events")         // workspace, sequence number
	bucketEventsRemoved = []byte("events_removed") // workspace → last sequence number that is kept no more

	bucketMessages        = []byte("messages")           // message
	bucketMessageOrder    = []byte("messages_by_order")  // workspace, connection, conversation, order → message
	bucketMessageStatus   = []byte("messages_by_status") // connection, conversation, direction, rank, order → message
	bucketMessagePlatform = []byte("messages_by_name")   // connection, platform's name → message
	bucketConversations   = []byte("conversations")      // workspace, connection, conversation

	bucketJobs        = []byte("jobs")          // sequence number
	bucketJobIDs      = []byte("jobs_by_id")    // job → sequence number
	bucketJobListing  = []byte("jobs_by_state") // scope, state, sequence number
	bucketQueue       = []byte("queue")         // sequence number, of queued jobs → ticket
	bucketLanes       = []byte("lanes")         // lane, sequence number, of queued jobs
	bucketIdempotency = []byte("idempotency")   // workspace, key

	bucketByApp        = []byte("connections_by_app") // app, connection
	bucketRoutes       = []byte("routes")             // app, key → connection
	bucketRouteListing = []byte("routes_by_holder")   // connection, key
	bucketRouted       = []byte("routed")             // delivery → what route found out, while it may yet run
	bucketParked       = []byte("parked")             // delivery
	bucketParkedKeys   = []byte("parked_by_key")      // app, key, delivery
	bucketParkedExpiry = []byte("parked_by_expiry")   // time, delivery
	bucketRouteUsage   = []byte("route_usage")        // connection → keys; app[, key] → parked deliveries, bytes: see parked.go

	bucketPlugins  = []byte("plugins")        // digest
	bucketActive   = []byte("plugins_active") // name → digest
	bucketRefusals = []byte("refusals")       // file
	bucketMedia    = []byte("media")          // handle

	bucketRecordings = []byte("recordings") // delivery or job, run → as its maker encoded it
	bucketJournal    = []byte("journal")    // job, place → as its maker encoded it
	bucketNotices    = []byte("notices")    // sequence number

	bucketSubscribers        = []byte("subscribers")         // workspace, subscriber
	bucketSubscriberProgress = []byte("subscriber_progress") // subscriber
	bucketBridges            = []byte("bridges")             // workspace, bridge
	bucketBridgeProgress     = []byte("bridge_progress")     // bridge
	bucketBridgeLinks        = []byte("bridge_links")        // bridge, …: see bridge.go
	bucketUsage              = []byte("usage")               // workspace → bytes of payload kept

	bucketAudit        = []byte("audit")            // sequence number
	bucketRevoked      = []byte("revoked")          // token → time
	bucketRevokedUntil = []byte("revoked_by_until") // time, token
)

func allBuckets() [][]byte {
	return [][]byte{
		bucketMeta, bucketWorkspaces, bucketConnections, bucketTraffic, bucketByWorkspace, bucketByEndpoint,
		bucketSecrets, bucketTokens, bucketKV, bucketKVUsage, bucketKVExpiry, bucketDeliveries, bucketBodies, bucketAnswered,
		bucketDeliveryListing, bucketFailedBodies, bucketDedupe, bucketRepeats, bucketEvents, bucketEventsRemoved,
		bucketMessages, bucketMessageOrder, bucketMessageStatus, bucketMessagePlatform, bucketConversations,
		bucketJobs, bucketJobIDs, bucketJobListing, bucketQueue, bucketLanes, bucketIdempotency,
		bucketRecordings, bucketJournal, bucketNotices, bucketSubscribers, bucketSubscriberProgress, bucketBridges,
		bucketBridgeProgress, bucketBridgeLinks, bucketUsage,
		bucketByApp, bucketRoutes, bucketRouteListing, bucketRouted, bucketParked, bucketParkedKeys, bucketParkedExpiry, bucketRouteUsage,
		bucketPlugins, bucketActive, bucketRefusals, bucketMedia, bucketAudit, bucketRevoked, bucketRevokedUntil,
	}
}

// growing are the buckets whose keys come in order, as good as always: a page of theirs is
// left nearly full when it is split, for nothing will come between.
var growing = map[string]bool{
	string(bucketDeliveries): true, string(bucketBodies): true, string(bucketAnswered): true, string(bucketEvents): true,
	string(bucketMessages): true, string(bucketJobs): true, string(bucketJobIDs): true,
	string(bucketQueue): true, string(bucketAudit): true, string(bucketDeliveryListing): true,
	string(bucketJobListing): true, string(bucketMedia): true, string(bucketRecordings): true, string(bucketNotices): true,
}

var (
	keySchema = []byte("schema")
	keyPing   = []byte("ping")
)

var (
	errForeign = errors.New("it is a bbolt file, but not one of Patchbay's; use another path")
	errNewer   = errors.New("it was written by a newer Patchbay; use that version, or restore a backup made with this one")
)

func create(b *bbolt.Tx) error {
	for _, name := range allBuckets() {
		if _, err := b.CreateBucket(name); err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
	}
	return b.Bucket(bucketMeta).Put(keySchema, packNumber(schemaVersion))
}
