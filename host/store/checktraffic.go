package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func (c *checker) deliveries() {
	each(c, bucketDeliveries, func(position []byte, d domain.Delivery) {
		name := fmt.Sprintf("delivery %q", position)
		if string(d.ID) != string(position) || deliveryState(d.State) == 0 || d.Body != nil {
			c.report("%s: it has the id %q and the state %q, or holds its body itself", name, d.ID, d.State)
		}
		d.Answered = c.tx.has(bucketAnswered, key(d.ID))
		c.want(name, deliveryIndex(d))
		c.body(name, d)
		if d.State != domain.DeliveryAccepted || d.DedupeKey == "" {
			return
		}
		first, err := load[firstAnswer](c.tx, bucketDedupe, dedupeKey(d.Connection, d.DedupeKey))
		if err != nil || first.Delivery != d.ID {
			c.report("%s: its dedupe key stands for delivery %q: %v", name, first.Delivery, err)
		}
	})
}

// body checks the body of a delivery. Whether one that is encrypted is whole shows when it is
// opened.
func (c *checker) body(name string, d domain.Delivery) {
	body := c.tx.get(bucketBodies, key(d.ID))
	if body == nil {
		if keepsBody(d) {
			c.report("%s: it is %s and its body of %d bytes is gone", name, d.State, d.BodyBytes)
		}
		return
	}
	c.entries[string(bucketBodies)]++
	if sum := sha256.Sum256(body); d.State == domain.DeliveryRejected || !d.Sealed && hex.EncodeToString(sum[:]) != d.BodySHA256 {
		c.report("%s: it is %s and has a body with the hash %x, want %s", name, d.State, sum, d.BodySHA256)
	}
}

func (c *checker) dedupe() {
	each(c, bucketDedupe, func(position []byte, first firstAnswer) {
		d, err := c.tx.delivery(first.Delivery)
		if errors.Is(err, domain.ErrNotFound) {
			return // it was removed for its age; its key outlives it
		}
		if err != nil || d.State != domain.DeliveryAccepted && !c.routedKey(position, d) {
			c.report("dedupe key %x: delivery %q is %q: %v", position, first.Delivery, d.State, err)
		}
	})
	each(c, bucketRepeats, func(position []byte, r repeatable) {
		d, err := c.tx.delivery(r.Delivery)
		if err != nil || d.State != domain.DeliveryAccepted || string(bodyKey(d)) != string(position) {
			c.report("body %x: delivery %q is %q: %v", position, r.Delivery, d.State, err)
		}
	})
}

// events counts the events of each workspace: their numbers must run from the one after
// those that were removed, without a gap.
func (c *checker) events() {
	last := map[contract.WorkspaceID]uint64{}
	each(c, bucketEvents, func(position []byte, e domain.Event) {
		if _, met := last[e.Workspace]; !met {
			last[e.Workspace] = c.tx.removedEvents(e.Workspace)
		}
		last[e.Workspace]++
		if e.Seq != last[e.Workspace] || string(workspaceKey(e.Workspace).number(e.Seq)) != string(position) {
			c.report("event %q: it has the number %d, want %d", e.ID, e.Seq, last[e.Workspace])
		}
	})
	for ws, n := range c.tx.scan(bucketEventsRemoved, nil, nil) {
		if len(n) != 8 || unpackNumber(n) == 0 || !c.tx.has(bucketWorkspaces, ws) {
			c.report("workspace %q: %x says which events were removed, or there is no such workspace", ws, n)
		}
	}
}

func (c *checker) messages() {
	each(c, bucketMessages, func(position []byte, m messageRecord) {
		name := fmt.Sprintf("message %q", position)
		if string(m.ID) != string(position) || m.Order == 0 || rank(m.Status) == 0 {
			c.report("%s: it has the id %q, the order %d and the status %q", name, m.ID, m.Order, m.Status)
		}
		if !c.tx.has(bucketConversations, conversationKey(m.Workspace, m.Connection, m.Conversation.ID)) {
			c.report("%s: its conversation is unknown", name)
		}
		if (m.Direction == domain.Outbound) != (m.Command != "") || m.Command != "" && !c.tx.has(bucketJobIDs, key(m.Command)) {
			c.report("%s: it is %s and is sent by command %q", name, m.Direction, m.Command)
		}
		c.want(name, messageIndex(m))
	})
}

func (c *checker) conversations() {
	each(c, bucketConversations, func(position []byte, record domain.ConversationSummary) {
		if string(conversationKey(record.Workspace, record.Connection, record.ID)) != string(position) {
			c.report("conversation %q of connection %q stands at %x", record.ID, record.Connection, position)
		}
	})
}

func (c *checker) jobs() {
	each(c, bucketJobs, func(position []byte, job domain.Job) {
		name := fmt.Sprintf("job %q", job.ID)
		if job.Seq != unpackNumber(position) || jobState(job.State) == 0 || job.Lane == "" {
			c.report("%s: it has the number %d at %x, the state %q and the lane %q", name, job.Seq, position, job.State, job.Lane)
		}
		c.want(name, append(jobIndex(job), entry{bucketJobIDs, key(job.ID), packNumber(job.Seq)}))
		c.burden(name, job)
	})
}

// burden checks what a job carries.
func (c *checker) burden(name string, job domain.Job) {
	switch {
	case job.Kind == domain.JobEvent && (job.Event == nil) != (job.State == domain.JobDone):
		c.report("%s: it is %s and its event is %v", name, job.State, job.Event)
	case job.Kind == domain.JobCommand && (job.Command == nil || string(job.Command.ID) != job.ID):
		c.report("%s: it carries command %v", name, job.Command)
	case job.Kind == domain.JobNotify:
		c.notification(name, job)
	case job.Kind == domain.JobClaim:
		c.claim(name, job)
	case job.State == domain.JobQueued && c.tx.owns(job.Workspace, job.Connection) != nil:
		c.report("%s: it is queued for a connection that is not there", name)
	}
	if _, err := c.tx.messageOf(job); err != nil {
		c.report("%s: %v", name, err)
	}
}

func (c *checker) commands() {
	each(c, bucketIdempotency, func(position []byte, a accepted) {
		if a.Thing == "" && c.tx.has(bucketJobIDs, key(a.Job)) != (a.Ended == "") {
			c.report("idempotency key %x stands for job %q, which is not there, or was not removed", position, a.Job)
		}
	})
}
