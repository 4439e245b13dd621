package emulator

import (
	"context"
	"fmt"
	"slices"
)

// Workspace is one client's workspace.
type Workspace struct {
	p    *Platform
	id   string
	bot  string // the code in the bot URL
	hook Webhook
	// received is what customers wrote; busy counts the posts under way by conversation.
	received []Incoming
	busy     map[int64]int
	payloads map[string]bool // of every button that was ever shown
}

// Webhook is a workspace's webhook as the platform keeps it.
type Webhook struct {
	// URL is empty if there is none.
	URL    string
	Key    string
	Status string
}

// AddWorkspace adds a workspace, with the keys of all.
func (p *Platform) AddWorkspace(id string) *Workspace {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &Workspace{p: p, id: id, bot: p.newCode(), busy: map[int64]int{}, payloads: map[string]bool{}}
	p.workspaces[id] = w
	return w
}

// Workspace returns a workspace by its id; the first one for "". Nil if there is none.
func (p *Platform) Workspace(id string) *Workspace {
	if id == "" {
		id = p.opts.Workspace
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.workspaces[id]
}

// ID is the workspace's id.
func (w *Workspace) ID() string { return w.id }

// BotURL is where customers' messages are posted.
func (w *Workspace) BotURL() string {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.botURL()
}

func (w *Workspace) botURL() string { return "https://" + w.p.opts.BotHost + "/api/apichat/" + w.bot }

// MoveBot gives the workspace another bot URL; the one before is answered 404.
func (w *Workspace) MoveBot() {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.bot = w.p.newCode()
}

// Webhook returns the workspace's webhook.
func (w *Workspace) Webhook() Webhook {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.hook
}

// Put sets the workspace's webhook as if somebody else had, unverified.
func (w *Workspace) Put(hook Webhook) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.hook = hook
}

// SetWebhook sets the webhook as a person does elsewhere, handshake included; for manual
// style. It returns how the webhook then stands.
func (w *Workspace) SetWebhook(ctx context.Context, url, key string) Webhook {
	return w.verify(ctx, url, key)
}

// Received returns what customers wrote, oldest first.
func (w *Workspace) Received() []Incoming {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return slices.Clone(w.received)
}

// WaitMessage returns the first customer's message that match accepts, past or to come.
func (w *Workspace) WaitMessage(ctx context.Context, match func(Incoming) bool) (Incoming, error) {
	var found Incoming
	err := w.p.rec.Until(ctx, func() bool {
		for _, m := range w.Received() {
			if match(m) {
				found = m
				return true
			}
		}
		return false
	})
	if err != nil {
		return Incoming{}, fmt.Errorf("emulator: no such message came (exchanges %s): %w", w.p.Summary(), err)
	}
	return found, nil
}

// WaitVerified waits until the webhook is verified.
func (w *Workspace) WaitVerified(ctx context.Context) error {
	err := w.p.rec.Until(ctx, func() bool { return w.Webhook().Status == "verified" })
	if err != nil {
		return fmt.Errorf("emulator: the webhook is %+v (exchanges %s): %w", w.Webhook(), w.p.Summary(), err)
	}
	return nil
}
