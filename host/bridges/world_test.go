package bridges_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/bridges"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The parties of a world: shop and phone are where customers write, desk and bot are where
// they are answered.
const (
	ws                      = contract.WorkspaceID("wsp_1")
	shop, phone, desk, robo = contract.ConnectionID("con_shop"), contract.ConnectionID("con_phone"), contract.ConnectionID("con_desk"), contract.ConnectionID("con_bot")
	chat                    = contract.ConversationID("chat-1")
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// tb is what a world needs of a test; *rapid.T has it, too.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// world is a room over a real store, with platforms that the test plays.
type world struct {
	tb
	ctx   context.Context
	store *store.Store
	path  string
	room  *bridges.Room

	mu      sync.Mutex
	now     time.Time
	exports map[string][]contract.Export // by plugin; a plugin that is not there does not run
	queued  []domain.Job                 // what the room handed to the scheduler
	n       int
	said    []string // what arrived on platforms: "connection/conversation role: text"
	metrics map[string]uint64
}

func all() []contract.Export {
	return []contract.Export{contract.ExportReceive, contract.ExportSendMessage, contract.ExportEditMessage, contract.ExportDeleteMessage,
		contract.ExportSendTyping, contract.ExportSendReceipt}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := newWorldAt(t, t.Context(), filepath.Join(t.TempDir(), "patchbay.db"))
	t.Cleanup(w.close)
	return w
}

func newWorldAt(t tb, ctx context.Context, path string) *world {
	t.Helper()
	w := &world{tb: t, ctx: ctx, path: path, now: noon, metrics: map[string]uint64{}, exports: map[string][]contract.Export{}}
	w.open()
	w.ok(w.store.CreateWorkspace(ctx, domain.Workspace{ID: ws, Name: "Acme", CreatedAt: noon}))
	for _, c := range []contract.ConnectionID{shop, phone, desk, robo} {
		plugin := strings.TrimPrefix(string(c), "con_")
		w.exports[plugin] = all()
		w.ok(w.store.CreateConnection(ctx, domain.Connection{ID: c, Workspace: ws, Plugin: plugin, Endpoint: plugin, CreatedAt: noon}, nil))
	}
	return w
}

// open opens the store and makes a fresh room on it, as a restart does.
func (w *world) open() {
	w.Helper()
	var err error
	w.store, err = store.Open(w.path, store.Options{Now: w.clock})
	w.ok(err)
	w.room = bridges.New(w.options(w.store))
}

func (w *world) options(s bridges.Store) bridges.Options {
	return bridges.Options{
		Store: s, OnJobs: w.onJobs, Metrics: w, Now: w.clock, Log: slog.New(slog.DiscardHandler),
		Abilities: func(plugin string) ([]contract.Export, bool) {
			exports, known := w.exports[plugin]
			return exports, known
		},
	}
}

func (w *world) restart() {
	w.Helper()
	w.ok(w.store.Close())
	w.open()
}

func (w *world) close() {
	w.Helper()
	for _, problem := range w.store.Check(context.Background()) {
		w.Errorf("afterwards the store is inconsistent: %s", problem)
	}
	w.ok(w.store.Close())
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) onJobs(jobs ...domain.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queued = append(w.queued, jobs...)
}

func (w *world) Bridged(outcome string, n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.metrics[outcome] += n
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("%v", err)
	}
}

// bridge patches two connections together.
func (w *world) bridge(customers, agents contract.ConnectionID) domain.BridgeStatus {
	w.Helper()
	b, err := w.room.CreateBridge(w.ctx, domain.Actor{Subject: "anna"}, ws, bridges.NewBridge{Name: "b", Customers: customers, Agents: agents})
	w.ok(err)
	return b
}

// carry has the room do all that it can.
func (w *world) carry() {
	w.Helper()
	w.ok(w.room.Round(w.ctx, ws))
}

// receive commits what a platform delivered.
func (w *world) receive(c contract.ConnectionID, events ...contract.Event) []domain.Event {
	w.Helper()
	w.n++
	committed, err := w.store.CommitDelivery(w.ctx, domain.DeliveryEffects{
		Effects:  domain.Effects{Workspace: ws, Connection: c, At: w.clock(), Events: events},
		Delivery: domain.Delivery{Delivery: contract.Delivery{ID: contract.DeliveryID(w.store.NewID("dlv")), ReceivedAt: w.clock()}, Attempts: 1},
	})
	w.ok(err)
	return committed.Events
}

// writes has somebody write on a platform, and returns the platform's name for it.
func (w *world) writes(c contract.ConnectionID, id contract.ConversationID, role contract.Role, words string) contract.PlatformMessageID {
	w.Helper()
	name := contract.PlatformMessageID(fmt.Sprintf("%s-in-%d", c, w.n))
	w.receive(c, created(name, id, role, words))
	return name
}

func created(name contract.PlatformMessageID, id contract.ConversationID, role contract.Role, words string) contract.Event {
	m := contract.Message{PlatformID: name, Conversation: contract.Conversation{ID: id, Title: "Ann"}, Parts: text(words),
		Author: contract.Author{Role: role, Contact: contract.Contact{Name: "Ann"}}}
	return contract.Event{Kind: contract.EventMessageCreated, Conversation: &m.Conversation, Message: &m}
}

func text(words string) []contract.Part {
	return []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: words}}}
}

// deliver runs every queued command that is due, in order, as plugins that always succeed.
// It returns what arrived on the platforms meanwhile.
func (w *world) deliver() []string {
	w.Helper()
	before := len(w.said)
	for _, id := range w.due() {
		job, err := w.store.Job(w.ctx, id)
		w.ok(err)
		w.ok(w.run(job))
	}
	return w.said[before:]
}

// due lists the queued jobs whose time has come, in order.
func (w *world) due() (ids []string) {
	w.Helper()
	w.ok(w.store.QueuedTickets(w.ctx, func(t domain.Ticket) error {
		if !t.NotBefore.After(w.clock()) {
			ids = append(ids, t.ID)
		}
		return nil
	}))
	return ids
}

// run carries out one command.
func (w *world) run(job domain.Job) error {
	w.n++
	e := domain.CommandEffects{Effects: domain.Effects{Workspace: ws, Connection: job.Connection, At: w.clock()},
		JobID: job.ID, State: domain.JobDone, CountAttempt: true}
	c := job.Command
	line := fmt.Sprintf("%s/", strings.TrimPrefix(string(job.Connection), "con_"))
	switch c.Export {
	case contract.ExportSendMessage:
		name := contract.PlatformMessageID(fmt.Sprintf("%s-out-%d", job.Connection, w.n))
		e.Result = &domain.CommandResult{Sent: &contract.Sent{PlatformID: name, Status: contract.MessageSent}}
		line += fmt.Sprintf("%s %s: %s", c.Message.Conversation.ID, c.Message.Author.Role, words(c.Message.Parts))
		if c.Message.ReplyTo != "" {
			line += " (to " + string(c.Message.ReplyTo) + ")"
		}
	case contract.ExportEditMessage:
		e.Result = &domain.CommandResult{Sent: &contract.Sent{PlatformID: c.Message.PlatformID, Status: contract.MessageSent}}
		line += fmt.Sprintf("%s edits %s: %s", c.Message.Conversation.ID, c.Message.PlatformID, words(c.Message.Parts))
	case contract.ExportDeleteMessage:
		line += fmt.Sprintf("%s deletes %s", c.Conversation.ID, c.Status.PlatformID)
	case contract.ExportSendTyping:
		line += fmt.Sprintf("%s types: %t", c.Conversation.ID, c.Typing.On)
	case contract.ExportSendReceipt:
		line += fmt.Sprintf("%s %s is %s", c.Conversation.ID, c.Status.PlatformID, c.Status.Status)
	default:
		return errors.New("unexpected export " + string(c.Export))
	}
	w.said = append(w.said, line)
	_, err := w.store.CommitCommand(w.ctx, e)
	return err
}

func words(parts []contract.Part) string {
	var all []string
	for _, p := range parts {
		switch {
		case p.Text != nil:
			all = append(all, p.Text.Plain)
		case p.Media != nil:
			all = append(all, "<"+string(p.Media.Handle)+">")
		default:
			all = append(all, "<"+string(p.Kind)+">")
		}
	}
	return strings.Join(all, " ")
}

// want compares what arrived.
func (w *world) want(got []string, want ...string) {
	w.Helper()
	if !slices.Equal(got, want) {
		w.Errorf("arrived:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// named returns the platform's name of the newest message that went out to a connection.
func (w *world) named(c contract.ConnectionID) contract.PlatformMessageID {
	w.Helper()
	messages, _, err := w.store.Messages(w.ctx, ws, domain.MessageFilter{Connection: c}, domain.Page{Limit: 1000})
	w.ok(err)
	for _, m := range slices.Backward(messages) {
		if m.Direction == domain.Outbound {
			return m.PlatformID
		}
	}
	w.Fatalf("nothing went out to %s", c)
	return ""
}

func (w *world) status(id domain.BridgeID) domain.BridgeStatus {
	w.Helper()
	b, err := w.room.Bridge(w.ctx, ws, id)
	w.ok(err)
	return b
}

func (w *world) links(id domain.BridgeID) []domain.BridgeLink {
	w.Helper()
	links, _, err := w.room.BridgeLinks(w.ctx, ws, id, domain.Page{})
	w.ok(err)
	return links
}

// notices lists the kinds of the notices that there are, oldest first.
func (w *world) notices() (kinds []domain.NoticeKind) {
	w.Helper()
	all, _, err := w.store.Notices(w.ctx, domain.NoticeFilter{Workspace: ws}, domain.Page{Limit: 1000})
	w.ok(err)
	for _, n := range slices.Backward(all) {
		kinds = append(kinds, n.Kind)
	}
	return kinds
}
