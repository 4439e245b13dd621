package bridges_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/bridges"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestAConversationGoesOverWhole(t *testing.T) {
	w := newWorld(t)
	b := w.bridge(shop, desk)
	hello := w.writes(shop, chat, contract.RoleCustomer, "Hello")
	w.carry()
	w.want(w.deliver(), "desk/chat-1 customer: Hello")
	answer := w.writes(desk, chat, contract.RoleAgent, "Hi, Ann")
	w.carry()
	w.want(w.deliver(), "shop/chat-1 agent: Hi, Ann")

	reply := created("shop-reply", chat, contract.RoleCustomer, "About that")
	reply.Message.ReplyTo = w.named(shop)
	w.receive(shop, reply)
	back := created("desk-reply", chat, contract.RoleBot, "Yes?")
	back.Message.ReplyTo = w.named(desk)
	w.receive(desk, back)
	w.carry()
	w.want(w.deliver(), "desk/chat-1 customer: About that (to "+string(answer)+")", "shop/chat-1 bot: Yes? (to "+string(hello)+")")

	w.carry()
	got := w.status(b.ID)
	if want := (domain.BridgeCounts{Forwarded: 4}); got.Progress.Counts != want || got.Progress.Behind != 0 {
		t.Errorf("progress %+v, want %+v and nothing behind", got.Progress, want)
	}
	if w.metrics["forwarded"] != 4 || len(w.queued) != 4 {
		t.Errorf("metrics %v, %d jobs handed over", w.metrics, len(w.queued))
	}
}

func TestAConversationIsCalledAsTheCustomersSideCallsIt(t *testing.T) {
	w := newWorld(t)
	w.bridge(shop, desk)
	w.writes(shop, chat, contract.RoleCustomer, "Hello")
	w.carry()
	ticket := created("ticket", chat, contract.RoleAgent, "Hi")
	ticket.Message.Conversation.Title = "Ticket 17: difficult"
	w.receive(desk, ticket)
	w.carry()
	for c, want := range map[contract.ConnectionID]string{shop: "Ann", desk: "Ticket 17: difficult"} {
		got, _, err := w.store.Conversations(t.Context(), ws, c, domain.Page{})
		w.ok(err)
		if len(got) != 1 || got[0].Title != want {
			t.Errorf("on %s the conversations are %+v, want one called %q", c, got, want)
		}
	}
}

func TestOnlyWhatComesAfterTheBridgeIsCarried(t *testing.T) {
	w := newWorld(t)
	w.writes(shop, chat, contract.RoleCustomer, "before")
	b := w.bridge(shop, desk)
	w.writes(shop, chat, contract.RoleCustomer, "after")
	w.writes(phone, chat, contract.RoleCustomer, "elsewhere")
	w.carry()
	w.want(w.deliver(), "desk/chat-1 customer: after")

	paused := domain.BridgePaused
	w.update(b.ID, bridges.Patch{State: &paused})
	w.writes(shop, chat, contract.RoleCustomer, "while paused")
	w.carry()
	w.want(w.deliver())
	active := domain.BridgeActive
	w.update(b.ID, bridges.Patch{State: &active})
	w.carry()
	w.want(w.deliver(), "desk/chat-1 customer: while paused")
}

func (w *world) update(id domain.BridgeID, p bridges.Patch) {
	w.Helper()
	_, err := w.room.UpdateBridge(w.ctx, domain.Actor{Subject: "anna"}, ws, id, p)
	w.ok(err)
}

func TestARestartInTheMiddleLosesAndDoublesNothing(t *testing.T) {
	w := newWorld(t)
	w.bridge(shop, desk)
	w.writes(shop, chat, contract.RoleCustomer, "one")
	w.carry()
	w.writes(shop, chat, contract.RoleCustomer, "two")
	w.restart() // "one" is queued, "two" is not carried
	w.carry()
	w.carry()
	w.want(w.deliver(), "desk/chat-1 customer: one", "desk/chat-1 customer: two")
	w.restart()
	w.writes(desk, chat, contract.RoleAgent, "three")
	w.carry()
	w.want(w.deliver(), "shop/chat-1 agent: three")
}

func TestNamesThatCollideAreDerived(t *testing.T) {
	w := newWorld(t)
	first, second := w.bridge(shop, desk), w.bridge(phone, desk)
	w.writes(shop, chat, contract.RoleCustomer, "from the shop")
	w.carry()
	w.deliver()
	w.writes(phone, chat, contract.RoleCustomer, "from the phone")
	w.carry()
	derived := w.links(second.ID)[0].Agents
	if derived == chat || derived[:4] != "brg-" || w.links(first.ID)[0].Agents != chat {
		t.Fatalf("the links are %+v and %+v", w.links(first.ID), w.links(second.ID))
	}
	w.want(w.deliver(), "desk/"+string(derived)+" customer: from the phone")
	w.writes(desk, derived, contract.RoleAgent, "to the phone")
	w.writes(desk, chat, contract.RoleAgent, "to the shop")
	w.carry()
	got := w.deliver()
	slices.Sort(got)
	w.want(got, "phone/chat-1 agent: to the phone", "shop/chat-1 agent: to the shop")
	if notices := w.notices(); len(notices) > 0 {
		t.Errorf("a conversation of the other bridge is told of as skipped: %v", notices)
	}
}

// An answer goes to the customer it is meant for, also when another bridge's customer has a
// conversation of the same name.
func TestAnAnswerGoesToOneCustomer(t *testing.T) {
	w := newWorld(t)
	w.writes(phone, chat, contract.RoleCustomer, "long ago, somebody else")
	w.bridge(shop, desk)
	second := w.bridge(phone, desk)
	w.writes(shop, chat, contract.RoleCustomer, "Hello")
	w.carry()
	w.deliver()
	w.writes(desk, chat, contract.RoleAgent, "for your eyes only")
	w.carry()
	w.want(w.deliver(), "shop/chat-1 agent: for your eyes only")
	if links := w.links(second.ID); len(links) > 0 || len(w.notices()) > 0 {
		t.Errorf("the other bridge has the links %+v, and told %v", links, w.notices())
	}
}

func TestAConversationThatBeginsOnTheAgentsSide(t *testing.T) {
	w := newWorld(t)
	w.writes(shop, "known", contract.RoleCustomer, "long ago")
	b := w.bridge(shop, desk)
	w.writes(desk, "known", contract.RoleAgent, "Are you there?")
	w.writes(desk, "new", contract.RoleAgent, "Anybody?")
	w.writes(desk, "newer", contract.RoleAgent, "Anybody else?")
	w.carry()
	w.want(w.deliver(), "shop/known agent: Are you there?")
	if got := w.notices(); !slices.Equal(got, []domain.NoticeKind{domain.NoticeBridgeSkipped}) {
		t.Errorf("notices %v, want one bridge.skipped for both", got)
	}
	w.pass(time.Hour)
	w.writes(desk, "new", contract.RoleAgent, "Anybody, an hour later?")
	w.carry()
	if got := w.notices(); len(got) != 2 || w.status(b.ID).Progress.Counts.Skipped != 3 {
		t.Errorf("notices %v, progress %+v", got, w.status(b.ID).Progress)
	}
}

func TestEditsAndDeletions(t *testing.T) {
	w := newWorld(t)
	old := w.writes(shop, chat, contract.RoleCustomer, "from before the bridge")
	w.pass(time.Second)
	w.bridge(shop, desk)
	one := w.writes(shop, chat, contract.RoleCustomer, "one")
	two := w.writes(shop, chat, contract.RoleCustomer, "two")
	w.carry()
	edit := func(name contract.PlatformMessageID, words string) {
		e := created(name, chat, contract.RoleCustomer, words)
		e.Kind = contract.EventMessageUpdated
		w.receive(shop, e)
	}
	remove := func(name contract.PlatformMessageID) {
		w.receive(shop, contract.Event{Kind: contract.EventMessageDeleted, Conversation: &contract.Conversation{ID: chat},
			Deletion: &contract.Deletion{PlatformID: name}})
	}
	// Before the platform has named them: the edit waits, the deletion takes its place.
	edit(one, "one, edited")
	edit(one, "one, edited twice")
	edit(two, "two, edited")
	remove(two)
	edit(two, "two, edited when it was gone")
	edit(old, "never forwarded, so nothing to edit")
	w.carry()
	w.want(w.deliver(), "desk/chat-1 customer: one", "desk/chat-1 customer: two")
	w.carry()
	names := w.outbound(desk)
	w.want(w.deliver(), "desk/chat-1 edits "+names[0]+": one, edited twice", "desk/chat-1 deletes "+names[1])
	w.receive(desk, contract.Event{Kind: contract.EventMessageStatus, Conversation: &contract.Conversation{ID: chat},
		Status: &contract.StatusReport{PlatformID: contract.PlatformMessageID(names[0]), Status: contract.MessageDelivered}})
	w.carry()
	w.want(w.deliver(), "shop/chat-1 "+string(one)+" is delivered") // and is not edited again
	// And when it has.
	edit(one, "one, at last")
	edit(two, "two is gone, and yet edited")
	w.carry()
	w.want(w.deliver(), "desk/chat-1 edits "+names[0]+": one, at last")
	// What a platform reports of an edit of ours is nobody's edit.
	ours := created(contract.PlatformMessageID(names[0]), chat, contract.RoleCustomer, "one, as the desk shows it")
	ours.Kind = contract.EventMessageUpdated
	w.receive(desk, ours)
	w.carry()
	w.want(w.deliver())
	// A plugin without the ability is not asked to.
	w.exports["desk"] = []contract.Export{contract.ExportSendMessage}
	edit(one, "never")
	remove(one)
	w.carry()
	w.want(w.deliver())
	// The first that is known of a message may be its edit.
	edit("unheard-of", "late to the party")
	w.carry()
	w.want(w.deliver(), "desk/chat-1 customer: late to the party")
}

// outbound lists the platform's names of what went out to a connection, in order.
func (w *world) outbound(c contract.ConnectionID) (names []string) {
	w.Helper()
	messages, _, err := w.store.Messages(w.ctx, ws, domain.MessageFilter{Connection: c}, domain.Page{Limit: 1000})
	w.ok(err)
	for _, m := range messages {
		if m.Direction == domain.Outbound {
			names = append(names, string(m.PlatformID))
		}
	}
	return names
}

func TestStatusesFlowBack(t *testing.T) {
	w := newWorld(t)
	w.bridge(shop, desk)
	original := w.writes(shop, chat, contract.RoleCustomer, "Hello")
	w.carry()
	w.deliver()
	report := func(s contract.MessageStatus) {
		w.receive(desk, contract.Event{Kind: contract.EventMessageStatus, Conversation: &contract.Conversation{ID: chat},
			Status: &contract.StatusReport{PlatformID: w.named(desk), Status: s}})
		w.carry()
	}
	report(contract.MessageDelivered)
	w.want(w.deliver(), "shop/chat-1 "+string(original)+" is delivered")
	w.exports["shop"] = []contract.Export{contract.ExportSendMessage}
	report(contract.MessageRead)
	w.want(w.deliver())
}

func TestAMessageThatCannotBeSentIsReported(t *testing.T) {
	w := newWorld(t)
	w.bridge(shop, desk)
	original := w.writes(shop, chat, contract.RoleCustomer, "Hello")
	w.carry()
	job, err := w.store.Job(t.Context(), w.due()[0])
	w.ok(err)
	_, err = w.store.CommitCommand(t.Context(), domain.CommandEffects{Effects: domain.Effects{Workspace: ws, Connection: desk, At: noon},
		JobID: job.ID, State: domain.JobParked, Failure: &contract.Failure{Class: contract.FailurePermanent, Code: "token=secret", Message: "secret"}})
	w.ok(err)
	w.carry()
	receipt, err := w.store.Job(t.Context(), w.due()[0])
	w.ok(err)
	s := receipt.Command.Status
	if s.Status != contract.MessageFailed || s.PlatformID != original || s.Failure == nil || s.Failure.Code != "not_delivered" || s.Failure.Message != "The message could not be delivered." {
		t.Errorf("the receipt says %+v, failure %+v", s, s.Failure)
	}
}

func TestTyping(t *testing.T) {
	w := newWorld(t)
	w.bridge(shop, desk)
	types := func() {
		w.receive(shop, contract.Event{Kind: contract.EventTyping, Conversation: &contract.Conversation{ID: chat},
			Typing: &contract.Typing{Author: contract.Author{Role: contract.RoleCustomer}, On: true}})
	}
	types()
	w.carry() // no link yet: nothing to type in
	w.want(w.deliver())
	w.writes(shop, chat, contract.RoleCustomer, "Hello")
	types()
	types()
	w.carry()
	w.want(w.deliver(), "desk/chat-1 customer: Hello", "desk/chat-1 types: true")
	w.receive(desk, contract.Event{Kind: contract.EventTyping, Conversation: &contract.Conversation{ID: chat},
		Typing: &contract.Typing{Author: contract.Author{Role: contract.RoleCustomer}, On: true}})
	w.carry() // the echo of our own
	w.want(w.deliver())
	types()
	w.pass(time.Minute)
	w.carry() // too old to be news
	w.want(w.deliver())
}

func TestWhatSomebodyPickedGoesOverAsWords(t *testing.T) {
	w := newWorld(t)
	w.bridge(shop, desk)
	w.receive(shop, contract.Event{Kind: contract.EventPostback, Conversation: &contract.Conversation{ID: chat},
		Postback: &contract.Postback{ActionID: "size/l", Label: "Large", Author: contract.Author{Role: contract.RoleCustomer}}})
	w.writes(shop, chat, contract.RoleSystem, "The chat was assigned to Bob.")
	w.carry()
	w.want(w.deliver(), "desk/chat-1 customer: Large")
}

func TestAttachmentsGoOverByHandle(t *testing.T) {
	parts := []contract.Part{
		{Kind: contract.PartMedia, Media: &contract.Media{Kind: contract.MediaImage, Handle: "med_1", SourceURL: "https://cdn.test/?token=1",
			SourceHeaders: []contract.Header{{Name: "Authorization", Value: "Bearer 1"}}}},
		{Kind: contract.PartMedia, Media: &contract.Media{Kind: contract.MediaFile, Name: "a.pdf", Missing: "The platform has deleted it."}},
		{Kind: contract.PartRaw, Raw: &contract.Raw{Kind: "poll"}, Fallback: "A poll: tea or coffee?"},
		{Kind: contract.PartLocation, Location: &contract.Location{}, Fallback: "Null Island"},
		{Kind: contract.PartCard, Card: &contract.Card{Title: "Tea", Image: &contract.Media{Kind: contract.MediaImage, Handle: "med_2", SourceURL: "https://cdn.test/2"}}, Fallback: "Tea"},
	}
	got := bridges.Carried(parts, []contract.Capability{{Feature: "location", Support: contract.SupportRejected}, {Feature: "card", Support: contract.SupportFallback}})
	if words(got) != "<med_1> a.pdf A poll: tea or coffee? Null Island <card>" {
		t.Errorf("carried %s", words(got))
	}
	if got[0].Media.SourceURL != "" || got[0].Media.SourceHeaders != nil || got[4].Card.Image.SourceURL != "" || got[4].Card.Image.Handle != "med_2" {
		t.Errorf("links to where attachments came from go along: %+v, %+v", got[0].Media, got[4].Card.Image)
	}
	if parts[0].Media.SourceURL == "" || parts[4].Card.Image.SourceURL == "" {
		t.Error("the event itself was changed")
	}
}

func TestBridgesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	first := w.bridge(shop, desk)
	w.bridge(desk, robo)
	w.exports["mute"] = []contract.Export{contract.ExportReceive}
	w.ok(w.store.CreateConnection(t.Context(), domain.Connection{ID: "con_mute", Workspace: ws, Plugin: "mute", Endpoint: "mute"}, nil))
	w.ok(w.store.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_2"}))
	w.ok(w.store.CreateConnection(t.Context(), domain.Connection{ID: "con_2", Workspace: "wsp_2", Plugin: "shop", Endpoint: "2"}, nil))
	for _, tt := range []struct {
		name   string
		n      bridges.NewBridge
		fields []string
	}{
		{"with itself", bridges.NewBridge{Name: "x", Customers: phone, Agents: phone}, []string{"agents"}},
		{"the same twice", bridges.NewBridge{Name: "x", Customers: shop, Agents: desk}, []string{"agents"}},
		{"the same the other way round", bridges.NewBridge{Name: "x", Customers: desk, Agents: shop}, []string{"agents"}},
		{"a circle of three", bridges.NewBridge{Name: "x", Customers: robo, Agents: shop}, []string{"agents"}},
		{"another workspace's connection", bridges.NewBridge{Name: "x", Customers: "con_2", Agents: phone}, []string{"customers"}},
		{"connections that are not there", bridges.NewBridge{Customers: "con_x", Agents: "con_y"}, []string{"name", "customers", "agents"}},
		{"a plugin that cannot send", bridges.NewBridge{Name: "x", Customers: phone, Agents: "con_mute"}, []string{"agents"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := w.room.CreateBridge(t.Context(), domain.Actor{}, ws, tt.n)
			var fields []string
			if invalid := new(domain.Invalid); errors.As(err, &invalid) {
				for _, p := range invalid.Problems {
					fields = append(fields, p.Field)
				}
			}
			if !slices.Equal(fields, tt.fields) {
				t.Errorf("CreateBridge(%+v) = %v, blames %q, want %q", tt.n, err, fields, tt.fields)
			}
		})
	}
	w.ok(w.room.DeleteBridge(t.Context(), domain.Actor{}, ws, first.ID))
	w.bridge(robo, shop) // no circle any more
	if err := w.room.DeleteBridge(t.Context(), domain.Actor{}, ws, first.ID); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("a second deletion: %v", err)
	}
}

// A request that is repeated under its name makes one bridge, also by many at once.
func TestARequestThatIsRepeatedMakesOneBridge(t *testing.T) {
	w := newWorld(t)
	n := bridges.NewBridge{Name: "b", Customers: shop, Agents: desk}
	named := func(key, hash string) context.Context {
		return domain.WithOnce(t.Context(), domain.Once{Key: key, RequestHash: hash})
	}
	var made [8]domain.BridgeStatus
	var errs [8]error
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() { made[i], errs[i] = w.room.CreateBridge(named("key", "hash"), domain.Actor{}, ws, n) })
	}
	all.Wait()
	for i := range made {
		if errs[i] != nil || made[i].ID != made[0].ID {
			t.Errorf("request %d made %q, %v; the first %q", i, made[i].ID, errs[i], made[0].ID)
		}
	}
	if _, err := w.room.CreateBridge(named("key", "another"), domain.Actor{}, ws, n); !errors.Is(err, domain.ErrIdempotencyMismatch) {
		t.Errorf("another request with the same name: %v", err)
	}
	w.ok(w.room.DeleteBridge(t.Context(), domain.Actor{}, ws, made[0].ID))
	if _, err := w.room.CreateBridge(named("key", "hash"), domain.Actor{}, ws, n); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("a repeat after the bridge was deleted: %v", err)
	}
}

func TestAGradeBelowFallbackCountsAsInability(t *testing.T) {
	w := newWorld(t)
	w.bridge(shop, desk)
	_, err := w.store.UpdateConnection(t.Context(), shop, func(c *domain.Connection) error {
		c.Capabilities = []contract.Capability{{Feature: "edit", Support: contract.SupportRejected}, {Feature: "receipt", Support: contract.SupportFallback}}
		return nil
	})
	w.ok(err)
	w.writes(shop, chat, contract.RoleCustomer, "Hello")
	w.carry()
	w.deliver()
	answer := created("answer", chat, contract.RoleAgent, "Hi")
	w.receive(desk, answer)
	w.carry()
	w.want(w.deliver(), "shop/chat-1 agent: Hi")
	answer.Kind, answer.Message.Parts = contract.EventMessageUpdated, text("Hi, Ann")
	w.receive(desk, answer)
	w.carry()
	w.want(w.deliver())
}

func TestAConnectionThatIsRemovedStopsItsBridges(t *testing.T) {
	w := newWorld(t)
	b, other := w.bridge(shop, desk), w.bridge(phone, robo)
	w.writes(shop, chat, contract.RoleCustomer, "Hello")
	w.carry()
	w.ok(w.store.DeleteConnection(t.Context(), desk))
	w.writes(shop, chat, contract.RoleCustomer, "Anybody there?")
	w.carry()
	w.want(w.deliver())
	got := w.status(b.ID)
	if got.State != domain.BridgePaused || got.StateReason == "" || w.status(other.ID).State != domain.BridgeActive {
		t.Errorf("the bridge is %+v", got.Bridge)
	}
	if notices := w.notices(); !slices.Contains(notices, domain.NoticeBridgeStopped) {
		t.Errorf("notices %v", notices)
	}
	active := domain.BridgeActive
	_, err := w.room.UpdateBridge(t.Context(), domain.Actor{}, ws, b.ID, bridges.Patch{State: &active})
	if invalid := new(domain.Invalid); !errors.As(err, &invalid) {
		t.Errorf("setting it active again: %v", err)
	}
	name := "still here"
	w.update(b.ID, bridges.Patch{Name: &name})
}
