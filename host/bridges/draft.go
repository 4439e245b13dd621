package bridges

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// draft is a step while it is decided: what is kept, with what the step has changed of it
// so far on top.
type draft struct {
	room   *Room
	bridge domain.Bridge
	others []domain.Bridge // that share a connection with it
	ends   map[domain.BridgeSide]end
	now    time.Time

	step      domain.BridgeStep
	noticedAt time.Time
	links     map[contract.ConversationID]*domain.BridgeLink // by the customers' conversation; nil if there is none
	byAgents  map[contract.ConversationID]contract.ConversationID
	dirty     map[contract.ConversationID]bool // links to keep
	forwards  map[contract.MessageID]domain.BridgeForward
	targets   map[contract.MessageID]contract.MessageID // target → source, of forwards of this step
}

// end is one connection of the bridge, and what it can do.
type end struct {
	id           contract.ConnectionID
	capabilities []contract.Capability
	exports      []contract.Export
	known        bool // a plugin runs, so that exports says something
}

// features are the abilities that a connection grades, by the export that needs them.
var features = map[contract.Export]string{contract.ExportEditMessage: "edit", contract.ExportDeleteMessage: "delete",
	contract.ExportSendTyping: "typing", contract.ExportSendReceipt: "receipt"}

// can tells whether a command with that export makes sense. A plugin that does not run now
// is trusted to come back.
func (e end) can(export contract.Export) bool {
	return (!e.known || slices.Contains(e.exports, export)) && !refused(features[export], e.capabilities)
}

func (r *Room) newDraft(ctx context.Context, b domain.BridgeStatus, all []domain.BridgeStatus) (*draft, error) {
	d := &draft{room: r, bridge: b.Bridge, now: r.opts.Now(), noticedAt: b.Progress.NoticedAt, ends: map[domain.BridgeSide]end{},
		step:  domain.BridgeStep{Workspace: b.Workspace, Bridge: b.ID, Revision: b.Revision, After: b.Progress.Cursor},
		links: map[contract.ConversationID]*domain.BridgeLink{}, byAgents: map[contract.ConversationID]contract.ConversationID{},
		dirty: map[contract.ConversationID]bool{}, forwards: map[contract.MessageID]domain.BridgeForward{},
		targets: map[contract.MessageID]contract.MessageID{}}
	for _, side := range []domain.BridgeSide{domain.CustomersSide, domain.AgentsSide} {
		c, err := r.opts.Store.Connection(ctx, b.Connection(side))
		if err != nil {
			return nil, err
		}
		e := end{id: c.ID, capabilities: c.Capabilities}
		e.exports, e.known = r.opts.Abilities(c.Plugin)
		d.ends[side] = e
	}
	for _, other := range all {
		_, customers := other.Side(b.Customers)
		_, agents := other.Side(b.Agents)
		if other.ID != b.ID && (customers || agents) {
			d.others = append(d.others, other.Bridge)
		}
	}
	return d, nil
}

// idle tells that the step changes nothing but the cursor.
func (d *draft) idle() bool {
	return len(d.step.Commands) == 0 && len(d.dirty) == 0 && len(d.forwards) == 0 && len(d.step.Notices) == 0 &&
		d.step.Counts == domain.BridgeCounts{}
}

// finish returns the step, in an order that depends on nothing but what it holds.
func (d *draft) finish(cursor uint64) domain.BridgeStep {
	d.step.Cursor = cursor
	for _, id := range slices.Sorted(maps.Keys(d.dirty)) {
		d.step.Links = append(d.step.Links, *d.links[id])
	}
	for _, id := range slices.Sorted(maps.Keys(d.forwards)) {
		d.step.Forwards = append(d.step.Forwards, d.forwards[id])
	}
	return d.step
}

// missing turns what is not there into nothing.
func missing[T any](found T, err error) (*T, error) {
	if errors.Is(err, domain.ErrNotFound) {
		return nil, nil
	}
	return &found, err
}

// link finds the link of a conversation on one side; nil if there is none. It is the
// draft's: whoever changes it calls keep.
func (d *draft) link(ctx context.Context, side domain.BridgeSide, id contract.ConversationID) (*domain.BridgeLink, error) {
	customers, known := id, side == domain.CustomersSide
	if !known {
		customers, known = d.byAgents[id]
	}
	if known {
		if link, read := d.links[customers]; read {
			return link, nil
		}
	}
	link, err := missing(d.room.opts.Store.BridgeLink(ctx, d.bridge.ID, side, id))
	switch {
	case err != nil:
		return nil, err
	case link == nil && side == domain.CustomersSide:
		d.links[id] = nil
	case link != nil:
		if known := d.links[link.Customers]; known != nil {
			return known, nil
		}
		d.links[link.Customers], d.byAgents[link.Agents] = link, link.Customers
	}
	return link, nil
}

func (d *draft) keep(link *domain.BridgeLink) { d.dirty[link.Customers] = true }

// linked finds the link of a conversation, and makes it if the conversation is new. It
// returns nil if nothing on the other side fits.
func (d *draft) linked(ctx context.Context, side domain.BridgeSide, id contract.ConversationID) (*domain.BridgeLink, error) {
	link, err := d.link(ctx, side, id)
	if err != nil || link != nil {
		return link, err
	}
	fresh := domain.BridgeLink{Bridge: d.bridge.ID, Customers: id, Agents: id, State: domain.LinkActive, CreatedAt: d.now}
	if side == domain.CustomersSide {
		fresh.Agents, err = d.agentsName(ctx, id)
	} else if fits, err := d.beganAtCustomers(ctx, id); err != nil || !fits {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	d.links[fresh.Customers], d.byAgents[fresh.Agents] = &fresh, fresh.Customers
	d.keep(&fresh)
	return &fresh, nil
}

// agentsName chooses what a customers' conversation is called on the agents' side: the
// same, unless the agents' side has one of that name, which then is somebody else's. One
// may be linked that is not known any more, because all its messages were removed for their
// age.
func (d *draft) agentsName(ctx context.Context, id contract.ConversationID) (contract.ConversationID, error) {
	own, err := d.link(ctx, domain.AgentsSide, id)
	if err != nil {
		return "", err
	}
	elsewhere, err := d.linkedElsewhere(ctx, domain.AgentsSide, id)
	if err != nil {
		return "", err
	}
	known, err := d.room.opts.Store.KnowsConversation(ctx, d.bridge.Workspace, d.bridge.Agents, id)
	if err != nil || own == nil && !elsewhere && !known {
		return id, err
	}
	sum := sha256.Sum256([]byte(string(d.bridge.ID) + "\n" + string(id)))
	return contract.ConversationID("brg-" + hex.EncodeToString(sum[:12])), nil
}

// beganAtCustomers tells whether a conversation of the agents' side that has no link is
// one that the customers' side has under the same name.
func (d *draft) beganAtCustomers(ctx context.Context, id contract.ConversationID) (bool, error) {
	taken, err := d.link(ctx, domain.CustomersSide, id)
	if err != nil || taken != nil {
		return false, err
	}
	elsewhere, err := d.linkedElsewhere(ctx, domain.AgentsSide, id)
	if err != nil || elsewhere {
		return false, err
	}
	return d.room.opts.Store.KnowsConversation(ctx, d.bridge.Workspace, d.bridge.Customers, id)
}

// linkedElsewhere tells whether another bridge has a link for the conversation.
func (d *draft) linkedElsewhere(ctx context.Context, side domain.BridgeSide, id contract.ConversationID) (bool, error) {
	found := false
	err := d.eachOther(ctx, side, id, func(domain.BridgeSide, domain.BridgeLink) error {
		found = true
		return nil
	})
	return found, err
}

// eachOther visits the links that other bridges have for a conversation on one side of
// this one, with the side that it stands on there.
func (d *draft) eachOther(
	ctx context.Context, side domain.BridgeSide, id contract.ConversationID, visit func(domain.BridgeSide, domain.BridgeLink) error,
) error {
	for _, other := range d.others {
		there, shared := other.Side(d.bridge.Connection(side))
		if !shared {
			continue
		}
		link, err := missing(d.room.opts.Store.BridgeLink(ctx, other.ID, there, id))
		if err != nil {
			return err
		}
		if link == nil {
			continue
		}
		if err := visit(there, *link); err != nil {
			return err
		}
	}
	return nil
}

// forward finds what became of a message that came in; nil if it was not forwarded.
func (d *draft) forward(ctx context.Context, source contract.MessageID) (*domain.BridgeForward, error) {
	if f, ok := d.forwards[source]; ok {
		return &f, nil
	}
	return missing(d.room.opts.Store.BridgeForward(ctx, d.bridge.ID, source))
}

// forwardOf finds what a message that went out was forwarded from; nil if the bridge did
// not send it.
func (d *draft) forwardOf(ctx context.Context, target contract.MessageID) (*domain.BridgeForward, error) {
	if source, ok := d.targets[target]; ok {
		return d.forward(ctx, source)
	}
	f, err := missing(d.room.opts.Store.BridgeForwardOf(ctx, d.bridge.ID, target))
	if err != nil || f == nil {
		return nil, err
	}
	return d.forward(ctx, f.Source) // the draft may have changed it
}

func (d *draft) keepForward(f domain.BridgeForward) {
	d.forwards[f.Source], d.targets[f.Target] = f, f.Source
}

// message reads a message; nil if it is not kept, or not yet.
func (d *draft) message(ctx context.Context, id contract.MessageID) (*domain.Message, error) {
	return missing(d.room.opts.Store.Message(ctx, d.bridge.Workspace, id))
}

// queue adds a command for the connection on one side.
func (d *draft) queue(side domain.BridgeSide, lane string, c domain.Command) *domain.BridgeCommand {
	c.By = "bridge " + string(d.bridge.ID)
	d.step.Commands = append(d.step.Commands, domain.BridgeCommand{NewCommand: domain.NewCommand{
		Workspace: d.bridge.Workspace, Connection: d.ends[side].id, Command: c, Lane: lane, At: d.now}})
	return &d.step.Commands[len(d.step.Commands)-1]
}

// notice tells the operator of something about the bridge.
func (d *draft) notice(kind domain.NoticeKind, side domain.BridgeSide, detail string) {
	d.step.Notices = append(d.step.Notices, domain.Notice{At: d.now, Kind: kind, Workspace: d.bridge.Workspace,
		Connection: d.ends[side].id, Target: string(d.bridge.ID), Detail: detail})
}

// noticeEvery is how often a bridge tells that it leaves things out, at most.
const noticeEvery = time.Hour

// skip leaves something out. Where a reason is given, the operator is told of it, once in
// a while.
func (d *draft) skip(side domain.BridgeSide, reason string) {
	d.step.Counts.Skipped++
	if reason == "" || !d.noticedAt.IsZero() && d.now.Sub(d.noticedAt) < noticeEvery {
		return
	}
	d.noticedAt, d.step.NoticedAt = d.now, d.now
	d.notice(domain.NoticeBridgeSkipped, side, reason)
}
