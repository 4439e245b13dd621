package store

import (
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// StepBridge commits what a bridge makes of a run of events: the commands, the links and
// the new cursor are kept together, so that each event is dealt with once, whatever is
// killed when. It returns the jobs that were queued. ErrConflict if the bridge was changed
// or paused, or has moved on, since the step was decided; ErrNotFound if it is gone.
func (s *Store) StepBridge(ctx context.Context, step domain.BridgeStep) ([]domain.Job, error) {
	return change(ctx, s, "step bridge", func(t *tx) ([]domain.Job, error) { return t.stepBridge(step) })
}

func (t *tx) stepBridge(step domain.BridgeStep) ([]domain.Job, error) {
	progress, err := t.atStep(step)
	if err != nil {
		return nil, err
	}
	var jobs []domain.Job
	for _, c := range step.Commands {
		if c.IfIdle && t.laneBusy(c.Lane) {
			continue
		}
		job, err := t.queueBridged(c)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job)
	}
	if err := t.keepLinks(step); err != nil {
		return nil, err
	}
	for _, n := range step.Notices {
		t.notice(n)
	}
	progress.Cursor, progress.Counts = step.Cursor, progress.Counts.Add(step.Counts)
	if !step.NoticedAt.IsZero() {
		progress.NoticedAt = step.NoticedAt
	}
	t.putJSON(bucketBridgeProgress, key(step.Bridge), progress)
	return jobs, nil
}

// atStep makes sure that the bridge is where the step was decided.
func (t *tx) atStep(step domain.BridgeStep) (domain.BridgeProgress, error) {
	b, err := t.bridge(step.Workspace, step.Bridge)
	if err != nil {
		return domain.BridgeProgress{}, err
	}
	progress, err := load[domain.BridgeProgress](t, bucketBridgeProgress, key(step.Bridge))
	if err != nil {
		return progress, fmt.Errorf("progress of bridge %q: %w", step.Bridge, err)
	}
	if b.State != domain.BridgeActive || b.Revision != step.Revision || progress.Cursor != step.After {
		return progress, fmt.Errorf("bridge %q is %s, at revision %d and event %d: %w", b.ID, b.State, b.Revision, progress.Cursor, domain.ErrConflict)
	}
	return progress, nil
}

func (t *tx) queueBridged(c domain.BridgeCommand) (domain.Job, error) {
	a, err := t.acceptCommand(c.NewCommand)
	if err != nil || !c.NotBefore.After(a.job.NotBefore) {
		return a.job, err
	}
	later := a.job
	later.NotBefore = c.NotBefore
	t.putJob(&a.job, later)
	return later, nil
}

func (t *tx) keepLinks(step domain.BridgeStep) error {
	for _, link := range step.Links {
		k := linkKey(linkRecords, link.Bridge, link.Customers)
		var before *domain.BridgeLink
		if t.has(bucketBridgeLinks, k) {
			known, err := load[domain.BridgeLink](t, bucketBridgeLinks, k)
			if err != nil {
				return fmt.Errorf("link of bridge %q: %w", link.Bridge, err)
			}
			before = &known
		}
		t.putLink(before, link)
	}
	for _, f := range step.Forwards {
		t.putJSON(bucketBridgeLinks, forwardKey(f.Source, f.Bridge), f)
		t.putJSON(bucketBridgeLinks, targetKey(f.Target), forwardOf{f.Source, f.Bridge})
	}
	return nil
}

// putLink replaces a link; before is nil for a new one.
func (t *tx) putLink(before *domain.BridgeLink, after domain.BridgeLink) {
	var old []entry
	if before != nil {
		old = linkIndex(*before)
	}
	t.reindex(old, linkIndex(after))
	t.putJSON(bucketBridgeLinks, linkKey(linkRecords, after.Bridge, after.Customers), after)
}

func linkIndex(l domain.BridgeLink) []entry {
	index := []entry{{bucketBridgeLinks, linkKey(linkByAgents, l.Bridge, l.Agents), []byte(l.Customers)}}
	if l.State == domain.LinkStopped {
		index = append(index, entry{bucketBridgeLinks, linkKey(linkStopped, l.Bridge, l.Customers), present})
	}
	return index
}

// BridgeLink finds the link of a conversation on one side; ErrNotFound if there is none.
func (s *Store) BridgeLink(ctx context.Context, id domain.BridgeID, side domain.BridgeSide, c contract.ConversationID) (domain.BridgeLink, error) {
	return view(ctx, s, "read link", func(t *tx) (domain.BridgeLink, error) {
		customers := c
		if side == domain.AgentsSide {
			customers = contract.ConversationID(t.get(bucketBridgeLinks, linkKey(linkByAgents, id, c)))
		}
		link, err := load[domain.BridgeLink](t, bucketBridgeLinks, linkKey(linkRecords, id, customers))
		if err != nil {
			return link, fmt.Errorf("link of bridge %q: %w", id, err)
		}
		return link, nil
	})
}

// BridgeLinks lists the links of a bridge, in a fixed order, with the cursor of the next
// page. ErrNotFound if the workspace has no such bridge.
func (s *Store) BridgeLinks(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID, p domain.Page) ([]domain.BridgeLink, string, error) {
	return paged(ctx, s, "list links", func(t *tx) ([]domain.BridgeLink, string, error) {
		if _, err := t.bridge(ws, id); err != nil {
			return nil, "", err
		}
		after, err := listBridgeLinks.position(p.After)
		if err != nil {
			return nil, "", err
		}
		return collect(ctx, listBridgeLinks, p.Size(), t.scan(bucketBridgeLinks, newKey().byte(linkRecords).text(string(id)), after),
			func(_, doc []byte) (domain.BridgeLink, bool, error) {
				link, err := decode[domain.BridgeLink](bucketBridgeLinks, doc)
				return link, true, err
			})
	})
}

// BridgeForward finds what became of a message that came in; ErrNotFound if the bridge
// did not forward it.
func (s *Store) BridgeForward(ctx context.Context, id domain.BridgeID, source contract.MessageID) (domain.BridgeForward, error) {
	return view(ctx, s, "read forward", func(t *tx) (domain.BridgeForward, error) { return t.forward(id, source) })
}

func (t *tx) forward(id domain.BridgeID, source contract.MessageID) (domain.BridgeForward, error) {
	f, err := load[domain.BridgeForward](t, bucketBridgeLinks, forwardKey(source, id))
	if err != nil {
		return f, fmt.Errorf("forward of message %q: %w", source, err)
	}
	return f, nil
}

// BridgeForwardOf finds what a message that went out was forwarded from; ErrNotFound if
// the bridge did not send it.
func (s *Store) BridgeForwardOf(ctx context.Context, id domain.BridgeID, target contract.MessageID) (domain.BridgeForward, error) {
	return view(ctx, s, "read forward", func(t *tx) (domain.BridgeForward, error) {
		of, err := load[forwardOf](t, bucketBridgeLinks, targetKey(target))
		if err == nil && of.Bridge != id {
			err = domain.ErrNotFound
		}
		if err != nil {
			return domain.BridgeForward{}, fmt.Errorf("source of message %q: %w", target, err)
		}
		return t.forward(id, of.Source)
	})
}

// removeForwards forgets what bridges made of a message, which is removed itself.
func (t *tx) removeForwards(id contract.MessageID) error {
	var forwards []domain.BridgeForward
	for _, doc := range t.scan(bucketBridgeLinks, newKey().byte(linkForwards).text(string(id)), nil) {
		f, err := decode[domain.BridgeForward](bucketBridgeLinks, doc)
		if err != nil {
			return err
		}
		forwards = append(forwards, f)
	}
	if t.has(bucketBridgeLinks, targetKey(id)) {
		of, err := load[forwardOf](t, bucketBridgeLinks, targetKey(id))
		if err != nil {
			return err
		}
		forwards = append(forwards, domain.BridgeForward{Bridge: of.Bridge, Source: of.Source, Target: id})
	}
	for _, f := range forwards {
		t.delete(bucketBridgeLinks, forwardKey(f.Source, f.Bridge))
		t.delete(bucketBridgeLinks, targetKey(f.Target))
	}
	return nil
}

// MessageNamed finds a message by the platform's name for it; ErrNotFound if the
// connection has none.
func (s *Store) MessageNamed(ctx context.Context, c contract.ConnectionID, name contract.PlatformMessageID) (domain.Message, error) {
	return view(ctx, s, "find message", func(t *tx) (domain.Message, error) {
		m, err := t.messageNamed(c, name)
		if err == nil && m == nil {
			err = fmt.Errorf("message named %q: %w", name, domain.ErrNotFound)
		}
		if err != nil {
			return domain.Message{}, err
		}
		return m.Message, nil
	})
}

// KnowsConversation tells whether anything is known of a conversation.
func (s *Store) KnowsConversation(ctx context.Context, ws contract.WorkspaceID, c contract.ConnectionID, id contract.ConversationID) (bool, error) {
	return view(ctx, s, "find conversation", func(t *tx) (bool, error) {
		return t.has(bucketConversations, conversationKey(ws, c, id)), nil
	})
}
