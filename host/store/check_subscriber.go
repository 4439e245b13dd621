package store

import (
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// subscribers checks that each subscriber has a workspace and its progress, and that no
// progress is left without one.
func (c *checker) subscribers() {
	held := map[string]bool{}
	each(c, bucketSubscribers, func(position []byte, record domain.Subscriber) {
		name := fmt.Sprintf("subscriber %q", record.ID)
		if string(subscriberKey(record.Workspace, record.ID)) != string(position) || !c.tx.has(bucketWorkspaces, key(record.Workspace)) {
			c.report("%s: it stands at %x, or its workspace %q is not there", name, position, record.Workspace)
		}
		p, err := c.tx.subscriberProgress(record.ID)
		if last := c.tx.lastSeq(record.Workspace); err != nil || p.Cursor > last {
			c.report("%s: its cursor is %d and the newest event %d: %v", name, p.Cursor, last, err)
		}
		held[string(record.ID)] = true
	})
	for id := range c.tx.scan(bucketSubscriberProgress, nil, nil) {
		if !held[string(id)] {
			c.report("subscriber %q has progress and is not there", id)
		}
	}
}

// notification checks what a job that carries an event to a subscriber carries.
func (c *checker) notification(name string, job domain.Job) {
	switch {
	case job.Notify == nil || job.Connection != "":
		c.report("%s: it carries no notification, or is for connection %q", name, job.Connection)
	case job.State == domain.JobQueued && !c.tx.has(bucketSubscribers, subscriberKey(job.Workspace, job.Notify.Subscriber)):
		c.report("%s: it is queued for subscriber %q, who is not there", name, job.Notify.Subscriber)
	}
}
