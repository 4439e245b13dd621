package store

import (
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// bridges checks that bridges, their progress and their links fit together.
func (c *checker) bridges() {
	known := map[domain.BridgeID]domain.Bridge{}
	each(c, bucketBridges, func(position []byte, b domain.Bridge) {
		name := fmt.Sprintf("bridge %q", b.ID)
		known[b.ID] = b
		if string(bridgeKey(b.Workspace, b.ID)) != string(position) || !c.tx.has(bucketWorkspaces, key(b.Workspace)) {
			c.report("%s: it stands at %x and has the workspace %q", name, position, b.Workspace)
		}
		if b.State != domain.BridgeActive && b.State != domain.BridgePaused {
			c.report("%s: it has the state %q", name, b.State)
		}
		for _, end := range []contract.ConnectionID{b.Customers, b.Agents} {
			if b.State == domain.BridgeActive && c.tx.owns(b.Workspace, end) != nil {
				c.report("%s: it is active and its connection %q is not there", name, end)
			}
		}
		if !c.tx.has(bucketBridgeProgress, key(b.ID)) {
			c.report("%s: it has no progress", name)
		}
	})
	each(c, bucketBridgeProgress, func(position []byte, p domain.BridgeProgress) {
		b, ok := known[domain.BridgeID(position)]
		if !ok || p.Cursor > c.tx.lastSeq(b.Workspace) {
			c.report("progress of bridge %q: it is at event %d of %d, or there is no such bridge", position, p.Cursor, c.tx.lastSeq(b.Workspace))
		}
	})
	c.bridgeLinks(known)
}

func (c *checker) bridgeLinks(known map[domain.BridgeID]domain.Bridge) {
	wanted, held := 0, 0
	for position, doc := range c.tx.scan(bucketBridgeLinks, key{linkRecords}, nil) {
		link, err := decode[domain.BridgeLink](bucketBridgeLinks, doc)
		if err != nil {
			c.report("link %x: %v", position, err)
			continue
		}
		name := fmt.Sprintf("link of conversation %q of bridge %q", link.Customers, link.Bridge)
		if _, ok := known[link.Bridge]; !ok || string(linkKey(linkRecords, link.Bridge, link.Customers)[1:]) != string(position) {
			c.report("%s: it stands at %x, or there is no such bridge", name, position)
		}
		index := linkIndex(link)
		wanted += 1 + len(index)
		c.want(name, index)
	}
	wanted += c.forwards()
	for range c.tx.scan(bucketBridgeLinks, nil, nil) {
		held++
	}
	if held != wanted {
		c.report("bridge_links has %d entries and records for %d", held, wanted)
	}
}

// forwards outlive their bridge, and go with the messages.
func (c *checker) forwards() (wanted int) {
	for position, doc := range c.tx.scan(bucketBridgeLinks, key{linkForwards}, nil) {
		f, err := decode[domain.BridgeForward](bucketBridgeLinks, doc)
		if err != nil {
			c.report("forward %x: %v", position, err)
			continue
		}
		wanted += 2
		of, err := load[forwardOf](c.tx, bucketBridgeLinks, targetKey(f.Target))
		if err != nil || of.Source != f.Source || of.Bridge != f.Bridge || string(forwardKey(f.Source, f.Bridge)[1:]) != string(position) {
			c.report("forward of message %q as %q: it stands at %x, and the other way leads to %q: %v", f.Source, f.Target, position, of.Source, err)
		}
		for _, id := range []contract.MessageID{f.Source, f.Target} {
			if !c.tx.has(bucketMessages, key(id)) {
				c.report("forward of message %q as %q: there is no message %q", f.Source, f.Target, id)
			}
		}
	}
	return wanted
}
