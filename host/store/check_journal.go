package store

import "github.com/seed75a60ee1/patchbay/host/domain"

// journal checks that the journal of a job runs from its beginning without a gap, and that
// the job has not ended.
func (c *checker) journal() {
	places := map[string]uint64{}
	for position := range c.tx.scan(bucketJournal, nil, nil) {
		end := partBytes(position)
		if end+8 != len(position) {
			c.report("journal %x: it stands at no place of a job", position)
			continue
		}
		id := string(position[2:end])
		if place := unpackNumber(position[end:]); place != places[id] {
			c.report("journal of job %q: entry %d is missing", id, places[id])
			places[id] = place
		}
		places[id]++
	}
	for id := range places {
		if job, err := c.tx.job(id); err != nil || job.State != domain.JobQueued {
			c.report("journal of job %q: the job is %q: %v", id, job.State, err)
		}
	}
}
