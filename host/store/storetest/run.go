package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Faulty is a store that can be made to fail. If the store under test is one, the suite
// also claims what must hold when a disk is full.
type Faulty interface {
	// FailCommits makes every commit fail with err until it is called with nil.
	FailCommits(err error)
}

// claim is one thing that is true of every store.
type claim struct {
	name  string
	check func(t *testing.T, f *fixture)
}

// Run holds a store against the suite. open returns a fresh, empty store each time; the
// suite closes it.
func Run(t *testing.T, open func(t testing.TB) Store) {
	for _, subject := range []struct {
		name   string
		claims []claim
	}{
		{"workspaces", workspaceClaims},
		{"connections", connectionClaims},
		{"health", healthClaims},
		{"tokens", tokenClaims},
		{"entries", entryClaims},
		{"deliveries", deliveryClaims},
		{"repeats", repeatClaims},
		{"routes", routeClaims},
		{"parking", parkingClaims},
		{"events", eventClaims},
		{"statuses", statusClaims},
		{"commands", commandClaims},
		{"runs", runClaims},
		{"jobs", jobClaims},
		{"dead letter", deadLetterClaims},
		{"bridges", bridgeClaims},
		{"subscribers", subscriberClaims},
		{"once", onceClaims},
		{"records", recordClaims},
		{"retention", retentionClaims},
		{"concurrency", concurrencyClaims},
		{"faults", faultClaims},
	} {
		t.Run(subject.name, func(t *testing.T) {
			for _, c := range subject.claims {
				t.Run(c.name, func(t *testing.T) { c.check(t, newFixture(t, open(t))) })
			}
		})
	}
	t.Run("model", func(t *testing.T) { checkModel(t, open) })
}

// The tenants of a fixture. Each connection belongs to the workspace of its letter; a
// also has a second one.
const (
	wsA, wsB           = contract.WorkspaceID("wsp_a"), contract.WorkspaceID("wsp_b")
	conA, conA2, conB  = contract.ConnectionID("con_a"), contract.ConnectionID("con_a2"), contract.ConnectionID("con_b")
	chat, otherChat    = contract.ConversationID("chat/1"), contract.ConversationID("chat/2")
	unknownWorkspace   = contract.WorkspaceID("wsp_nobody")
	unknownConnection  = contract.ConnectionID("con_nobody")
	endpointA          = "endpoint-a"
	windowOfRepetition = time.Minute
)

// noon is when every claim begins.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// fixture is a store with two tenants in it.
type fixture struct {
	Store
	t  testing.TB
	at time.Time // what the next commit says it is
	n  int       // counts what needs a name
}

// newFixture fills an empty store. When the claim has been checked, the store checks
// itself.
func newFixture(t testing.TB, s Store) *fixture {
	t.Helper()
	f := filled(t, s)
	t.Cleanup(func() {
		for _, problem := range s.Check(context.Background()) {
			t.Errorf("afterwards the store is inconsistent: %s", problem)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return f
}

// filled puts the two tenants into an empty store.
func filled(t testing.TB, s Store) *fixture {
	t.Helper()
	f := &fixture{Store: s, t: t, at: noon}
	for _, ws := range []contract.WorkspaceID{wsA, wsB} {
		f.ok(s.CreateWorkspace(t.Context(), domain.Workspace{ID: ws, Name: string(ws), CreatedAt: noon}))
	}
	for _, c := range []domain.Connection{
		{ID: conA, Workspace: wsA, Plugin: "acme", Endpoint: endpointA, State: contract.StatePending, CreatedAt: noon},
		{ID: conA2, Workspace: wsA, Plugin: "acme", Endpoint: "endpoint-a2", State: contract.StatePending, CreatedAt: noon},
		{ID: conB, Workspace: wsB, Plugin: "acme", Endpoint: "endpoint-b", State: contract.StatePending, CreatedAt: noon},
	} {
		f.ok(s.CreateConnection(t.Context(), c, nil))
	}
	return f
}

// ok ends the claim if err is set.
func (f *fixture) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// fails reports an error that is not the one wanted.
func (f *fixture) fails(what string, err, want error) {
	f.t.Helper()
	if !errors.Is(err, want) {
		f.t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// invalid reports an error that does not say that the request was wrong.
func (f *fixture) invalid(what string, err error) {
	f.t.Helper()
	if invalid := new(domain.Invalid); !errors.As(err, &invalid) || len(invalid.Problems) == 0 {
		f.t.Errorf("%s: error %v, want one that names the problem", what, err)
	}
}

// name returns a name that was not used before.
func (f *fixture) name(prefix string) string {
	f.n++
	return fmt.Sprintf("%s-%d", prefix, f.n)
}

// tick moves the clock of the fixture on.
func (f *fixture) tick(d time.Duration) { f.at = f.at.Add(d) }

// text is a message.created event with one line of text.
func (f *fixture) text(c contract.ConversationID, name, words string) contract.Event {
	conversation := contract.Conversation{ID: c, Title: "Title of " + string(c)}
	return contract.Event{Kind: contract.EventMessageCreated, At: f.at, Conversation: &conversation,
		Message: &contract.Message{PlatformID: contract.PlatformMessageID(name), Conversation: conversation,
			Author: contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{Name: "Ann"}},
			Parts:  []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: words}}}}}
}

// photo is a message.created event whose media the host has yet to fetch.
func (f *fixture) photo(c contract.ConversationID, name string) contract.Event {
	e := f.text(c, name, "look")
	e.Message.Parts = append(e.Message.Parts, contract.Part{Kind: contract.PartMedia,
		Media: &contract.Media{Kind: contract.MediaImage, SourceURL: "https://cdn.test/" + name}})
	return e
}

// fetched is the event with its media fetched.
func fetched(e contract.Event) contract.Event {
	m := *e.Message
	m.Parts = append([]contract.Part(nil), m.Parts...)
	for i, part := range m.Parts {
		if part.Media != nil {
			media := *part.Media
			media.Handle = "med_1"
			m.Parts[i].Media = &media
		}
	}
	e.Message = &m
	return e
}

// status is a message.status event.
func (f *fixture) status(name string, s contract.MessageStatus, andEarlier bool) contract.Event {
	return contract.Event{Kind: contract.EventMessageStatus, At: f.at, Conversation: &contract.Conversation{ID: chat},
		Status: &contract.StatusReport{PlatformID: contract.PlatformMessageID(name), Status: s, AndEarlier: andEarlier}}
}

// delivery is a delivery with nothing in it yet but its events.
func (f *fixture) delivery(c contract.ConnectionID, events ...contract.Event) domain.DeliveryEffects {
	ws := wsA
	if c == conB {
		ws = wsB
	}
	return domain.DeliveryEffects{
		Effects: domain.Effects{Workspace: ws, Connection: c, At: f.at, Events: events},
		Delivery: domain.Delivery{
			Delivery: contract.Delivery{ID: contract.DeliveryID(f.NewID("dlv")), ReceivedAt: f.at, Method: "POST"},
			Plugin:   "acme", Body: []byte(f.name("body")), Response: contract.Response{Status: 200, Body: "ok"}, Attempts: 1,
		},
	}
}

// commit commits a delivery that must be accepted.
func (f *fixture) commit(e domain.DeliveryEffects) domain.DeliveryCommitted {
	f.t.Helper()
	c, err := f.CommitDelivery(f.t.Context(), e)
	if err != nil {
		f.t.Fatalf("CommitDelivery(%s) failed: %v", e.Delivery.ID, err)
	}
	return c
}

// receive commits a delivery with some events on connection a.
func (f *fixture) receive(events ...contract.Event) domain.DeliveryCommitted {
	f.t.Helper()
	return f.commit(f.delivery(conA, events...))
}

// put commits key-value writes on connection a.
func (f *fixture) put(writes ...domain.KVWrite) {
	f.t.Helper()
	e := f.delivery(conA)
	e.Writes = writes
	f.commit(e)
}

// events returns all events of a workspace.
func (f *fixture) events(ws contract.WorkspaceID) []domain.Event {
	f.t.Helper()
	events, err := f.Events(f.t.Context(), ws, 0, 1000)
	f.ok(err)
	return events
}

// kinds returns what the events of a workspace are, in order.
func (f *fixture) kinds(ws contract.WorkspaceID) (kinds []contract.EventKind) {
	f.t.Helper()
	for _, e := range f.events(ws) {
		kinds = append(kinds, e.Data.Kind)
	}
	return kinds
}

// send accepts a message for connection a.
func (f *fixture) send(c contract.ConversationID, words string) domain.Job {
	f.t.Helper()
	job, created, err := f.AcceptCommand(f.t.Context(), f.sending(c, words))
	if err != nil || !created {
		f.t.Fatalf("AcceptCommand(%q) = created %t, %v", words, created, err)
	}
	return job
}

func (f *fixture) sending(c contract.ConversationID, words string) domain.NewCommand {
	m := domain.Message{Message: contract.Message{Conversation: contract.Conversation{ID: c}, Author: contract.Author{Role: contract.RoleAgent},
		Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: words}}}}}
	return domain.NewCommand{Workspace: wsA, Connection: conA, Lane: domain.ConversationLane(conA, c), At: f.at,
		Command: domain.Command{Export: contract.ExportSendMessage, By: "ann"}, Message: &m}
}

// ran is a run of a job with some outcome.
func (f *fixture) ran(job domain.Job, s domain.JobState) domain.CommandEffects {
	return domain.CommandEffects{Effects: domain.Effects{Workspace: job.Workspace, Connection: job.Connection, At: f.at},
		JobID: job.ID, State: s, CountAttempt: true}
}

// sent commits a run that sent the message under a name of the platform's.
func (f *fixture) sent(job domain.Job, name string) domain.CommandCommitted {
	f.t.Helper()
	e := f.ran(job, domain.JobDone)
	e.Result = &domain.CommandResult{Sent: &contract.Sent{PlatformID: contract.PlatformMessageID(name), Status: contract.MessageSent}}
	return f.run(e)
}

// park commits a run that failed for good.
func (f *fixture) park(job domain.Job) domain.CommandCommitted {
	f.t.Helper()
	e := f.ran(job, domain.JobParked)
	e.Failure = &contract.Failure{Class: contract.FailurePermanent, Code: "refused"}
	return f.run(e)
}

func (f *fixture) run(e domain.CommandEffects) domain.CommandCommitted {
	f.t.Helper()
	c, err := f.CommitCommand(f.t.Context(), e)
	if err != nil {
		f.t.Fatalf("CommitCommand(%s, %s) failed: %v", e.JobID, e.State, err)
	}
	return c
}

// message returns a message of workspace a.
func (f *fixture) message(id contract.MessageID) domain.Message {
	f.t.Helper()
	m, err := f.Message(f.t.Context(), wsA, id)
	f.ok(err)
	return m
}

// pages reads a listing to its end, two items at a time.
func pages[T any](f *fixture, read func(domain.Page) ([]T, string, error)) []T {
	f.t.Helper()
	var all []T
	page := domain.Page{Limit: 2}
	for {
		items, next, err := read(page)
		f.ok(err)
		all = append(all, items...)
		if next == "" {
			return all
		}
		if len(items) != 2 {
			f.t.Fatalf("a page of 2 that is not the last has %d items", len(items))
		}
		page.After = next
	}
}
