package store

import "github.com/seed75a60ee1/patchbay/pdk/contract"

// usage adds up what each workspace keeps, and holds it against what was counted.
func (c *checker) usage() {
	sums, err := c.tx.measuredUsage(func(recording []byte) {
		c.report("recording %x: neither a delivery nor a job owns it", recording)
	})
	if err != nil {
		c.report("usage: %v", err)
		return
	}
	for ws := range c.tx.scan(bucketUsage, nil, nil) {
		sums[contract.WorkspaceID(ws)] += 0 // one that keeps nothing any more
	}
	for ws, sum := range sums {
		if counted := c.tx.payloadBytes(ws); counted != sum {
			c.report("workspace %q keeps %d bytes of payload and is charged for %d", ws, sum, counted)
		}
	}
}
