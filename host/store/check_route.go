package store

import (
	"bytes"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// routes checks that each key leads to a connection of its app, and that the connections list
// the keys that they have.
func (c *checker) routes() {
	held := map[contract.ConnectionID]int64{}
	for position, holder := range c.tx.scan(bucketRoutes, nil, nil) {
		id := contract.ConnectionID(holder)
		connection, err := c.tx.connection(id)
		prefix := connectionKey(connection.App)
		if err != nil || !bytes.HasPrefix(position, prefix) || partBytes(position[len(prefix):]) != len(position)-len(prefix) {
			c.report("route %x: it leads to connection %q of app %q: %v", position, holder, connection.App, err)
			continue
		}
		held[id]++
		k := position[len(prefix)+2:]
		c.want(fmt.Sprintf("route %q of app %q", k, connection.App), []entry{{bucketRouteListing, connectionKey(id).with(k), present}})
	}
	for id, n := range held {
		c.counted(fmt.Sprintf("connection %q", id), connectionKey(id), routeUse{count: n})
	}
}

// counted holds what is counted against what there is.
func (c *checker) counted(name string, of key, want routeUse) {
	c.entries[string(bucketRouteUsage)]++
	if got := c.tx.routeUse(of); got != want {
		c.report("%s: %+v is counted of its routes or parked deliveries, and there is %+v", name, got, want)
	}
}

// routed checks that what route found out is kept for deliveries that may yet run.
func (c *checker) routed() {
	each(c, bucketRouted, func(position []byte, r domain.Routed) {
		d, err := c.tx.delivery(contract.DeliveryID(position))
		switch {
		case err != nil:
			c.report("routing of delivery %q: %v", position, err)
		case d.State != domain.DeliveryParked && d.State != domain.DeliveryFailed && d.State != domain.DeliverySuperseded || r.Key == "":
			c.report("routing of delivery %q: the delivery is %s, and the key is %q", position, d.State, r.Key)
		}
	})
}

// parked checks what waits for connections.
func (c *checker) parked() {
	sums := map[string]routeUse{}
	each(c, bucketParked, func(position []byte, p domain.Parked) {
		name := fmt.Sprintf("parked delivery %q", position)
		d, err := c.tx.delivery(p.Delivery)
		routed, routedErr := c.tx.routedBefore(p.Delivery)
		if err != nil || routedErr != nil || routed == nil || d.State != domain.DeliveryParked || d.Connection != p.App || string(p.Delivery) != string(position) {
			c.report("%s: it is %q and belongs to %q, not to app %q, or its routing %v is not there: %v, %v", name, d.State, d.Connection, p.App, routed, err, routedErr)
			return
		}
		c.want(name, parkedIndex(p))
		for _, of := range []key{connectionKey(p.App), routeKey(p.App, p.Key)} {
			sum := sums[string(of)]
			sums[string(of)] = routeUse{sum.count + 1, sum.bytes + parkedBytes(d, routed.Payload)}
		}
	})
	for of, sum := range sums {
		c.counted(fmt.Sprintf("parking space %x", of), key(of), sum)
	}
}

// claim checks what a job that runs a claimed delivery carries.
func (c *checker) claim(name string, job domain.Job) {
	switch {
	case job.Claim == nil || job.Lane != domain.ClaimLane(job.Connection, job.Claim.Key):
		c.report("%s: it carries %+v in lane %q", name, job.Claim, job.Lane)
	case job.State != domain.JobQueued:
	case c.tx.owns(job.Workspace, job.Connection) != nil:
		c.report("%s: it is queued for a connection that is not there", name)
	default:
		d, err := c.tx.delivery(job.Claim.Delivery)
		if err != nil || d.Connection != job.Connection || d.State != domain.DeliveryParked && d.State != domain.DeliveryFailed && d.State != domain.DeliveryAccepted {
			c.report("%s: it is queued for delivery %q, which is %q and belongs to %q: %v", name, job.Claim.Delivery, d.State, d.Connection, err)
		}
	}
}

// routedKey tells whether a dedupe key is an app's, for a delivery that it parked: that may
// have become anything since.
func (c *checker) routedKey(position []byte, d domain.Delivery) bool {
	end := partBytes(position)
	if end > len(position) {
		return false
	}
	app, err := c.tx.connection(contract.ConnectionID(position[2:end]))
	return err != nil || app.IsApp || app.ID != d.Connection
}
