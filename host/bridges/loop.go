package bridges

import (
	"context"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// What loops are noticed by. A link that looks like one is stopped until somebody sets the
// bridge active again.
const (
	// echoWindow is how long after a message was sent one that says the same, from the same
	// side of the counter, is taken for its echo.
	echoWindow = 2 * time.Minute
	// Of maxSigns within signWindow, the last stops the link. A sign is a second echo of one
	// message, or a message that came over too many bridges.
	maxSigns   = 5
	signWindow = 10 * time.Minute
	// maxRepeats is how often the same may be said within signWindow, until it can only be
	// two programs that answer each other.
	maxRepeats = 20
	// maxHops is over how many bridges one message goes.
	maxHops = 4
	// A link carries burst messages at once and one per interval in the long run. What comes
	// faster is delayed; what would have to wait for longer than maxDelay stops the link.
	interval = 500 * time.Millisecond
	burst    = 120
	maxDelay = 10 * time.Minute

	maxSent  = 128
	maxHeard = 16
)

// passage says whether a message may pass a link, and how.
type passage struct {
	ok        bool
	notBefore time.Time
	hops      int
}

// watch holds a message that came in on side against what loops are noticed by.
func (d *draft) watch(ctx context.Context, link *domain.BridgeLink, side domain.BridgeSide, said string, at time.Time) (passage, error) {
	if link.State == domain.LinkStopped {
		d.skip(side, "")
		return passage{}, nil
	}
	hops := 1
	if said != "" {
		echo, err := d.echo(ctx, link, side, said, at)
		if err != nil || echo {
			return passage{}, err
		}
		before, err := d.hopsBefore(ctx, side, link.Conversation(side), said, at)
		if err != nil {
			return passage{}, err
		}
		if hops = before + 1; hops > maxHops {
			d.skip(side, "")
			d.sign(link, side, at, "messages of it came over too many bridges")
			return passage{}, nil
		}
		if d.heard(link, said, at) > maxRepeats {
			d.skip(side, "")
			d.stop(link, side, "the same was said in it again and again, as programs do that answer each other")
			return passage{}, nil
		}
	}
	notBefore, ok := d.pace(link, side)
	return passage{ok: ok, notBefore: notBefore, hops: hops}, nil
}

// sentTo is the list of what was sent to a side.
func sentTo(w *domain.BridgeWatch, side domain.BridgeSide) *[]domain.BridgeSent {
	if side == domain.CustomersSide {
		return &w.ToCustomers
	}
	return &w.ToAgents
}

// echo tells whether a message that came in on side is one that the bridge sent there. A
// platform that reports what we send under a name of its own does so once for each; more
// than that is a sign of a loop.
func (d *draft) echo(ctx context.Context, link *domain.BridgeLink, side domain.BridgeSide, said string, at time.Time) (bool, error) {
	sent := *sentTo(&link.Watch, side)
	best := -1
	for i, s := range sent {
		if s.Says != said || best >= 0 && s.Echoes >= sent[best].Echoes {
			continue
		}
		recent, err := d.recent(ctx, s, at)
		if err != nil {
			return false, err
		}
		if recent {
			best = i
		}
	}
	if best < 0 {
		return false, nil
	}
	d.keep(link)
	d.step.Counts.Echoes++
	if sent[best].Echoes++; sent[best].Echoes > 1 {
		d.sign(link, side, at, "what was sent into it came back several times")
	}
	return true, nil
}

// recent tells whether an echo of what was sent may come now. One that waits in its lane
// may have reached the platform although we do not know yet.
func (d *draft) recent(ctx context.Context, s domain.BridgeSent, at time.Time) (bool, error) {
	if at.Sub(s.At) <= echoWindow {
		return true, nil
	}
	m, err := d.message(ctx, s.Message)
	if err != nil || m == nil {
		return false, err
	}
	return m.Status == contract.MessageQueued || at.Sub(m.UpdatedAt) <= echoWindow, nil
}

// hopsBefore is over how many bridges a message has come: other bridges may have sent what
// now came in on the connection that they share with this one.
func (d *draft) hopsBefore(ctx context.Context, side domain.BridgeSide, id contract.ConversationID, said string, at time.Time) (hops int, err error) {
	err = d.eachOther(ctx, side, id, func(there domain.BridgeSide, link domain.BridgeLink) error {
		for _, s := range *sentTo(&link.Watch, there) {
			if s.Says != said || s.Hops <= hops {
				continue
			}
			recent, err := d.recent(ctx, s, at)
			if err != nil {
				return err
			}
			if recent {
				hops = s.Hops
			}
		}
		return nil
	})
	return hops, err
}

// heard counts how often the same was said lately.
func (d *draft) heard(link *domain.BridgeLink, said string, at time.Time) int {
	w := &link.Watch
	w.Heard = slices.DeleteFunc(w.Heard, func(h domain.BridgeHeard) bool { return at.Sub(h.Since) > signWindow })
	for i := range w.Heard {
		if w.Heard[i].Says == said {
			w.Heard[i].Times++
			return w.Heard[i].Times
		}
	}
	if len(w.Heard) == maxHeard {
		w.Heard = slices.Delete(w.Heard, 0, 1)
	}
	w.Heard = append(w.Heard, domain.BridgeHeard{Says: said, Since: at, Times: 1})
	return 1
}

// pace says when the link may carry one more; false if it was stopped for that.
func (d *draft) pace(link *domain.BridgeLink, side domain.BridgeSide) (notBefore time.Time, ok bool) {
	w := &link.Watch
	paid := w.PaidUntil
	if paid.Before(d.now) {
		paid = d.now
	}
	paid = paid.Add(interval)
	wait := paid.Sub(d.now) - burst*interval
	if wait > maxDelay {
		d.skip(side, "")
		d.stop(link, side, "far more was said in it than people say")
		return time.Time{}, false
	}
	w.PaidUntil = paid
	d.keep(link)
	if wait <= 0 {
		return time.Time{}, true
	}
	return d.now.Add(wait), true
}

// remember keeps what was sent to a side, so that its echo is known.
func (d *draft) remember(ctx context.Context, link *domain.BridgeLink, side domain.BridgeSide, m contract.Message, hops int) error {
	d.keep(link)
	link.LastAt = d.now
	said, err := d.says(ctx, m.Author.Role, m.Parts)
	if err != nil || said == "" {
		return err
	}
	sent := sentTo(&link.Watch, side)
	for len(*sent) > 0 {
		recent, err := d.recent(ctx, (*sent)[0], d.now)
		if err != nil {
			return err
		}
		if recent && len(*sent) < maxSent {
			break
		}
		*sent = slices.Delete(*sent, 0, 1)
	}
	*sent = append(*sent, domain.BridgeSent{Message: m.ID, Says: said, At: d.now, Hops: hops})
	return nil
}

// sign notes that a link looked like a loop, and stops it if it has done so often.
func (d *draft) sign(link *domain.BridgeLink, side domain.BridgeSide, at time.Time, why string) {
	w := &link.Watch
	w.Signs = slices.DeleteFunc(w.Signs, func(t time.Time) bool { return at.Sub(t) > signWindow })
	w.Signs = append(w.Signs, at)
	d.keep(link)
	if len(w.Signs) >= maxSigns {
		d.stop(link, side, why)
	}
}

// stop ends what a link carries. The notice does not name the conversation: platforms name
// many by the telephone number of a person.
func (d *draft) stop(link *domain.BridgeLink, side domain.BridgeSide, why string) {
	if link.State == domain.LinkStopped {
		return
	}
	link.State, link.StateReason = domain.LinkStopped, why
	d.keep(link)
	d.notice(domain.NoticeBridgeLoop, side, "A bridge carries one conversation no longer: "+why+
		". See which with: patchbay bridge links. Setting the bridge active starts it again.")
}
