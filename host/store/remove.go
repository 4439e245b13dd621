package store

import (
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Records are removed with their index entries and with what would lead nowhere without
// them.

// removeDelivery removes a delivery. Its body and its recordings are removed by dropPayload,
// and the key that it is known by stays.
func (t *tx) removeDelivery(d domain.Delivery) error {
	t.reindex(deliveryIndex(d), nil)
	t.delete(bucketDeliveries, key(d.ID))
	if !t.has(bucketRepeats, bodyKey(d)) {
		return nil
	}
	r, err := load[repeatable](t, bucketRepeats, bodyKey(d))
	if err == nil && r.Delivery == d.ID {
		t.delete(bucketRepeats, bodyKey(d))
	}
	return err
}

// dropPayload removes the recordings of a delivery or a job, and the body of a delivery. It
// returns how many bytes that were.
func (t *tx) dropPayload(ws contract.WorkspaceID, owner string) int64 {
	dropped := t.dropRecordings(ws, owner) + t.dropRouted(ws, contract.DeliveryID(owner))
	if body := t.get(bucketBodies, key(owner)); body != nil {
		dropped += len(body)
		t.charge(ws, -len(body))
		t.delete(bucketBodies, key(owner))
	}
	return int64(dropped)
}

// dropRecordings removes the recordings of a delivery or a job, and returns how many bytes
// that were.
func (t *tx) dropRecordings(ws contract.WorkspaceID, owner string) (dropped int) {
	var runs []uint64
	for position, recording := range t.scan(bucketRecordings, newKey().text(owner), nil) {
		dropped += len(recording)
		runs = append(runs, unpackNumber(position))
	}
	for _, run := range runs {
		t.delete(bucketRecordings, recordingKey(owner, int(run)))
	}
	t.charge(ws, -dropped)
	return dropped
}

// removeEvent removes the oldest event of a workspace. Its number is not given out again.
func (t *tx) removeEvent(e domain.Event) {
	if e.Seq > t.removedEvents(e.Workspace) {
		t.put(bucketEventsRemoved, key(e.Workspace), packNumber(e.Seq))
	}
	t.delete(bucketEvents, workspaceKey(e.Workspace).number(e.Seq))
}

// removeMessage removes a message, and what bridges made of it. Its conversation stays, and
// remembers when the last message of it became known.
func (t *tx) removeMessage(m messageRecord) error {
	if err := t.rememberLast(m); err != nil {
		return err
	}
	t.reindex(messageIndex(m), nil)
	t.delete(bucketMessages, key(m.ID))
	return t.removeForwards(m.ID)
}

// rememberLast keeps the time of a message if it is the last of its conversation.
func (t *tx) rememberLast(m messageRecord) error {
	k := conversationKey(m.Workspace, m.Connection, m.Conversation.ID)
	for _, entry := range t.scanBack(bucketMessageOrder, k, nil) {
		if string(entry[1:]) != string(m.ID) {
			return nil
		}
		break
	}
	if !t.has(bucketConversations, k) {
		return nil
	}
	c, err := load[domain.ConversationSummary](t, bucketConversations, k)
	if err != nil {
		return err
	}
	c.LastMessageAt = m.CreatedAt
	t.putDoc(bucketConversations, k, conversationRecord{&c})
	return nil
}

// removeJob removes a job that has ended, with its journal. Its idempotency key stays.
// ErrConflict if it has not ended.
func (t *tx) removeJob(job domain.Job) error {
	if !job.State.Ended() {
		return fmt.Errorf("job %q is %s: %w", job.ID, job.State, domain.ErrConflict)
	}
	t.reindex(jobIndex(job), nil)
	t.endJournal(job.ID)
	t.delete(bucketJobIDs, key(job.ID))
	t.delete(bucketJobs, newKey().number(job.Seq))
	return nil
}
