// Package bridges patches two connections of a workspace together: what comes in on one
// side goes out on the other, conversation by conversation.
//
// One side is where customers write, the other where agents or bots answer. A bridge reads
// the events of its workspace behind a cursor of its own. What it makes of a run of events
// (messages to send, edits, deletions, typing, receipts, and which conversation is which)
// is committed together with the new cursor, so that every message is forwarded once and
// in order, whatever is killed when. The commands then run in the lanes of their
// conversations, like any others.
//
// A conversation of the customers' side is linked to one of the agents' side by its first
// message. What a platform reports of our own sending is left out, and a conversation that
// behaves like a loop is stopped, with a notice; see loop.go.
package bridges

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Store keeps bridges, and what they carry.
type Store interface {
	Workspace(ctx context.Context, id contract.WorkspaceID) (domain.Workspace, error)
	Connection(ctx context.Context, id contract.ConnectionID) (domain.Connection, error)
	CreateBridge(ctx context.Context, b domain.Bridge) error
	Bridge(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID) (domain.BridgeStatus, error)
	Bridges(ctx context.Context, ws contract.WorkspaceID, p domain.Page) (items []domain.BridgeStatus, next string, err error)
	CountBridges(ctx context.Context, ws contract.WorkspaceID) (int64, error)
	UpdateBridge(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID, modify func(*domain.Bridge) error) (domain.BridgeStatus, error)
	DeleteBridge(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID) error
	BridgeLinks(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID, p domain.Page) (items []domain.BridgeLink, next string, err error)
	BridgedWorkspaces(ctx context.Context) ([]contract.WorkspaceID, error)
	WatchEvents(ws contract.WorkspaceID) (news <-chan struct{}, cancel func())
	// ClaimKey and SettleKey have a request that is repeated make one bridge.
	ClaimKey(ctx context.Context, ws contract.WorkspaceID, once domain.Once, id string, at time.Time) (domain.Claim, error)
	SettleKey(ctx context.Context, ws contract.WorkspaceID, key string) error
	Audit(ctx context.Context, e domain.AuditEntry) error
	reader
	// StepBridge answers domain.ErrConflict if the bridge was changed since the step was
	// decided, and domain.ErrNotFound if it is gone; nothing is changed then.
	StepBridge(ctx context.Context, step domain.BridgeStep) ([]domain.Job, error)
}

// reader is what a step is decided by.
type reader interface {
	// Events returns events whose Seq is above after, oldest first.
	Events(ctx context.Context, ws contract.WorkspaceID, after uint64, limit int) ([]domain.Event, error)
	Message(ctx context.Context, ws contract.WorkspaceID, id contract.MessageID) (domain.Message, error)
	MessageNamed(ctx context.Context, c contract.ConnectionID, name contract.PlatformMessageID) (domain.Message, error)
	KnowsConversation(ctx context.Context, ws contract.WorkspaceID, c contract.ConnectionID, id contract.ConversationID) (bool, error)
	Media(ctx context.Context, h contract.MediaHandle) (domain.Media, error)
	BridgeLink(ctx context.Context, id domain.BridgeID, side domain.BridgeSide, c contract.ConversationID) (domain.BridgeLink, error)
	BridgeForward(ctx context.Context, id domain.BridgeID, source contract.MessageID) (domain.BridgeForward, error)
	BridgeForwardOf(ctx context.Context, id domain.BridgeID, target contract.MessageID) (domain.BridgeForward, error)
	NewID(prefix string) string
}

// Metrics counts what bridges do.
type Metrics interface {
	Bridged(outcome string, n uint64)
}

// Options says how a room works.
type Options struct {
	Store Store
	// OnJobs is told of the commands that were queued.
	OnJobs func(...domain.Job)
	// Abilities returns the exports of the plugin that runs under a name now; false if none
	// does.
	Abilities func(plugin string) ([]contract.Export, bool)
	// Within has create make one more bridge, if the workspace may have more than count
	// finds; nil sets no bound.
	Within  func(ctx context.Context, ws contract.WorkspaceID, count func(context.Context) (int64, error), create func(context.Context) error) error
	Metrics Metrics
	Now     func() time.Time
	Log     *slog.Logger
}

// Room keeps bridges and carries what they carry. It is safe for concurrent use.
type Room struct {
	opts Options

	mu    sync.Mutex
	pumps map[contract.WorkspaceID]*pump
	start func(contract.WorkspaceID) *pump // nil unless Run is under way
}

// New makes a room. Nothing is carried until Run.
func New(opts Options) *Room {
	if opts.Within == nil {
		opts.Within = func(ctx context.Context, _ contract.WorkspaceID, _ func(context.Context) (int64, error), create func(context.Context) error) error {
			return create(ctx)
		}
	}
	return &Room{opts: opts, pumps: map[contract.WorkspaceID]*pump{}}
}

// NewBridge is a bridge to make.
type NewBridge struct {
	Name              string
	Customers, Agents contract.ConnectionID
}

// Patch is a change of a bridge; nil leaves alone. Setting it active starts links again
// that were stopped.
type Patch struct {
	Name  *string
	State *domain.BridgeState
}

// maxName bounds the name of a bridge, in bytes.
const maxName = 200

// CreateBridge patches two connections of the workspace together, from the next event on.
func (r *Room) CreateBridge(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, n NewBridge) (domain.BridgeStatus, error) {
	if _, err := r.opts.Store.Workspace(ctx, ws); err != nil {
		return domain.BridgeStatus{}, fmt.Errorf("create bridge: %w", err)
	}
	if err := r.check(ctx, ws, n); err != nil {
		return domain.BridgeStatus{}, err
	}
	id, settled, err := r.claim(ctx, ws)
	if err != nil {
		return domain.BridgeStatus{}, err
	}
	made, err := r.opts.Store.Bridge(ctx, ws, id)
	switch {
	case errors.Is(err, domain.ErrNotFound) && settled:
		return domain.BridgeStatus{}, fmt.Errorf("bridge %s was made by this request, and deleted since: %w", id, domain.ErrConflict)
	case errors.Is(err, domain.ErrNotFound):
		made, err = r.make(ctx, by, ws, id, n)
	}
	if err != nil {
		return domain.BridgeStatus{}, err
	}
	return made, r.settle(ctx, ws)
}

// claim returns the id of the bridge that the request makes: the first one's, if the
// request repeats one. settled tells that the first one was made.
func (r *Room) claim(ctx context.Context, ws contract.WorkspaceID) (id domain.BridgeID, settled bool, err error) {
	fresh := r.opts.Store.NewID("brg")
	once := domain.OnceOf(ctx)
	if once.Key == "" {
		return domain.BridgeID(fresh), false, nil
	}
	claim, err := r.opts.Store.ClaimKey(ctx, ws, once, fresh, r.opts.Now())
	if err != nil {
		return "", false, fmt.Errorf("create bridge once: %w", err)
	}
	return domain.BridgeID(claim.ID), claim.Settled, nil
}

// settle notes that the request made what it was for.
func (r *Room) settle(ctx context.Context, ws contract.WorkspaceID) error {
	once := domain.OnceOf(ctx)
	if once.Key == "" {
		return nil
	}
	if err := r.opts.Store.SettleKey(ctx, ws, once.Key); err != nil {
		return fmt.Errorf("note that the bridge was created once: %w", err)
	}
	return nil
}

// make makes a bridge with that id, unless a repeat of the same request does so at the
// same time: then it returns that one.
func (r *Room) make(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.BridgeID, n NewBridge) (domain.BridgeStatus, error) {
	now := r.opts.Now()
	b := domain.Bridge{ID: id, Workspace: ws, Name: n.Name, Customers: n.Customers, Agents: n.Agents,
		State: domain.BridgeActive, CreatedAt: now, UpdatedAt: now}
	count := func(ctx context.Context) (int64, error) { return r.opts.Store.CountBridges(ctx, ws) }
	create := func(ctx context.Context) error { return r.opts.Store.CreateBridge(ctx, b) }
	if err := r.opts.Within(ctx, ws, count, create); err != nil {
		if first, missing := r.opts.Store.Bridge(ctx, ws, id); missing == nil {
			return first, nil
		}
		return domain.BridgeStatus{}, fmt.Errorf("create bridge: %w", err)
	}
	r.changed(ws)
	r.audit(ctx, by, "bridge.created", b, string(n.Customers)+" "+string(n.Agents))
	return r.opts.Store.Bridge(ctx, ws, b.ID)
}

// check finds every problem of a new bridge at once.
func (r *Room) check(ctx context.Context, ws contract.WorkspaceID, n NewBridge) error {
	problems := nameProblems(n.Name)
	for _, end := range []struct {
		field string
		id    contract.ConnectionID
	}{{"customers", n.Customers}, {"agents", n.Agents}} {
		found, err := r.endProblems(ctx, ws, end.field, end.id)
		if err != nil {
			return err
		}
		problems = append(problems, found...)
	}
	if n.Customers == n.Agents {
		problems = append(problems, domain.Problem{Field: "agents", Value: string(n.Agents),
			Why: "it is the connection of the customers' side, too", Fix: "name two connections"})
	}
	if len(problems) > 0 {
		return &domain.Invalid{Problems: problems}
	}
	return nil
}

func nameProblems(name string) []domain.Problem {
	if name == "" || len(name) > maxName {
		return []domain.Problem{{Field: "name", Value: name, Why: "it has not 1 to 200 bytes", Fix: "choose a short name"}}
	}
	return nil
}

// endProblems holds a connection against what a bridge needs of it.
func (r *Room) endProblems(ctx context.Context, ws contract.WorkspaceID, field string, id contract.ConnectionID) ([]domain.Problem, error) {
	c, err := r.opts.Store.Connection(ctx, id)
	if errors.Is(err, domain.ErrNotFound) || err == nil && c.Workspace != ws {
		return []domain.Problem{{Field: field, Value: string(id), Why: "this workspace has no such connection",
			Fix: "see: patchbay connection list"}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("create bridge: %w", err)
	}
	if exports, known := r.opts.Abilities(c.Plugin); known && !slices.Contains(exports, contract.ExportSendMessage) {
		return []domain.Problem{{Field: field, Value: string(id), Why: "its plugin " + c.Plugin + " cannot send messages",
			Fix: "choose a connection whose plugin has the ability send_message"}}, nil
	}
	return nil, nil
}

// UpdateBridge changes the name of a bridge, pauses it or sets it active.
func (r *Room) UpdateBridge(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.BridgeID, p Patch) (domain.BridgeStatus, error) {
	if problems := patchProblems(p); len(problems) > 0 {
		return domain.BridgeStatus{}, &domain.Invalid{Problems: problems}
	}
	now := r.opts.Now()
	after, err := r.opts.Store.UpdateBridge(ctx, ws, id, func(b *domain.Bridge) error {
		if p.Name != nil {
			b.Name = *p.Name
		}
		if p.State != nil {
			b.State, b.StateReason = *p.State, ""
		}
		b.UpdatedAt = now
		return nil
	})
	if errors.Is(err, domain.ErrNotFound) && r.exists(ctx, ws, id) {
		return domain.BridgeStatus{}, &domain.Invalid{Problems: []domain.Problem{{Field: "state", Value: string(domain.BridgeActive),
			Why: "a connection of the bridge was removed", Fix: "delete the bridge, and make a new one"}}}
	}
	if err != nil {
		return domain.BridgeStatus{}, fmt.Errorf("update bridge: %w", err)
	}
	r.changed(ws)
	r.audit(ctx, by, "bridge.updated", after.Bridge, string(after.State))
	return after, nil
}

func patchProblems(p Patch) (problems []domain.Problem) {
	if p.Name != nil {
		problems = nameProblems(*p.Name)
	}
	if p.State != nil && *p.State != domain.BridgeActive && *p.State != domain.BridgePaused {
		problems = append(problems, domain.Problem{Field: "state", Value: string(*p.State), Why: "it is no state of a bridge",
			Fix: "active or paused"})
	}
	return problems
}

func (r *Room) exists(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID) bool {
	_, err := r.opts.Store.Bridge(ctx, ws, id)
	return err == nil
}

// DeleteBridge removes a bridge with its links. Commands that it queued are still carried
// out.
func (r *Room) DeleteBridge(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.BridgeID) error {
	if err := r.opts.Store.DeleteBridge(ctx, ws, id); err != nil {
		return fmt.Errorf("delete bridge: %w", err)
	}
	r.changed(ws)
	r.audit(ctx, by, "bridge.deleted", domain.Bridge{ID: id, Workspace: ws}, "")
	return nil
}

// Bridge reads a bridge; domain.ErrNotFound if the workspace has none with that id.
func (r *Room) Bridge(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID) (domain.BridgeStatus, error) {
	return r.opts.Store.Bridge(ctx, ws, id)
}

// Bridges lists the bridges of a workspace, oldest first.
func (r *Room) Bridges(ctx context.Context, ws contract.WorkspaceID, p domain.Page) (items []domain.BridgeStatus, next string, err error) {
	return r.opts.Store.Bridges(ctx, ws, p)
}

// BridgeLinks lists which conversations a bridge has linked.
func (r *Room) BridgeLinks(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID, p domain.Page) (items []domain.BridgeLink, next string, err error) {
	return r.opts.Store.BridgeLinks(ctx, ws, id, p)
}

func (r *Room) audit(ctx context.Context, by domain.Actor, action string, b domain.Bridge, detail string) {
	err := r.opts.Store.Audit(ctx, domain.AuditEntry{At: r.opts.Now(), Actor: by.Subject, Action: action,
		Workspace: b.Workspace, Target: string(b.ID), Detail: detail})
	if err != nil {
		r.opts.Log.Error("an audit entry was not kept", "action", action, "target", b.ID, "error", err)
	}
}
