package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// checkModel does random things to a store and to a model of it that is too simple to be
// wrong, and compares the two.
func checkModel(t *testing.T, open func(t testing.TB) Store) {
	rapid.Check(t, func(r *rapid.T) {
		s := open(t)
		defer s.Close()
		m := &model{fixture: filled(t, s), answers: map[string]string{}, keys: map[string]string{}, bodies: map[string]accepted{}}
		r.Repeat(map[string]func(*rapid.T){
			"deliver": m.deliver, "release": m.release, "accept": m.accept, "run": m.runHead,
			"requeue": m.requeue, "cancel": m.cancel, "wait": m.wait, "": m.compare,
		})
		if problems := s.Check(t.Context()); len(problems) > 0 {
			r.Fatalf("the store is inconsistent: %v", problems)
		}
	})
}

// model is what a store with one workspace must have kept.
type model struct {
	*fixture
	answers map[string]string   // dedupe key → first answer
	bodies  map[string]accepted // body → newest accepted delivery with it
	keys    map[string]string   // idempotency key → job
	visible []string            // messages that were created, in order
	jobs    []*modelJob         // in the order of Seq
}

type accepted struct {
	answer string
	at     time.Time
}

type modelJob struct {
	id, lane, name string
	data           *contract.Event // nil for a command
	state          domain.JobState
}

// head returns the first queued job of a lane; nil if there is none.
func (m *model) head(lane string) *modelJob {
	for _, job := range m.jobs {
		if job.lane == lane && job.state == domain.JobQueued {
			return job
		}
	}
	return nil
}

// pick draws one of the jobs that fit.
func (m *model) pick(r *rapid.T, fits func(*modelJob) bool) *modelJob {
	var fit []*modelJob
	for _, job := range m.jobs {
		if fits(job) {
			fit = append(fit, job)
		}
	}
	if len(fit) == 0 {
		r.Skip("no such job")
	}
	return rapid.SampledFrom(fit).Draw(r, "job")
}

// chats are few, so that lanes fill.
var chats = rapid.SampledFrom([]contract.ConversationID{chat, otherChat})

// deliver commits a delivery of up to three messages, some of them with media to fetch.
func (m *model) deliver(r *rapid.T) {
	e := m.delivery(conA)
	e.Delivery.DedupeKey = rapid.SampledFrom([]string{"", "", "k1", "k2", "k3"}).Draw(r, "dedupe key")
	body := rapid.SampledFrom([]string{"one", "two", "three"}).Draw(r, "body")
	e.Delivery.Body, e.RepeatWindow = []byte(body), windowOfRepetition
	e.Delivery.Response.Body = string(e.Delivery.ID)
	for range rapid.IntRange(0, 3).Draw(r, "messages") {
		make := m.photo
		if rapid.Bool().Draw(r, "without media") {
			make = func(c contract.ConversationID, name string) contract.Event { return m.text(c, name, "x") }
		}
		e.Events = append(e.Events, make(chats.Draw(r, "conversation"), m.name("m")))
	}
	got, err := m.CommitDelivery(m.t.Context(), e)
	if err != nil {
		r.Fatal(err)
	}
	want, repeated := m.answers[e.Delivery.DedupeKey]
	if last, ok := m.bodies[body]; !repeated && ok && m.at.Sub(last.at) <= windowOfRepetition {
		want, repeated = last.answer, true
	}
	if got.Duplicate != repeated || repeated && got.Response.Body != want {
		r.Fatalf("duplicate %t with answer %q, want %t with %q", got.Duplicate, got.Response.Body, repeated, want)
	}
	if !repeated {
		m.delivered(r, e, body, got.Jobs)
	}
}

// delivered is what an accepted delivery does to the model.
func (m *model) delivered(r *rapid.T, e domain.DeliveryEffects, body string, queued []domain.Job) {
	if e.Delivery.DedupeKey != "" {
		m.answers[e.Delivery.DedupeKey] = string(e.Delivery.ID)
	}
	m.bodies[body] = accepted{string(e.Delivery.ID), m.at}
	for _, data := range e.Events {
		name, lane := string(data.Message.PlatformID), domain.EventLane(conA, data.Conversation.ID)
		hasMedia := len(data.Message.Parts) > 1
		if !hasMedia && m.head(lane) == nil {
			m.visible = append(m.visible, name)
			continue
		}
		if len(queued) == 0 || queued[0].Lane != lane {
			r.Fatalf("%s has to wait in %s, and the jobs are %v", name, lane, queued)
		}
		m.jobs = append(m.jobs, &modelJob{id: queued[0].ID, lane: lane, name: name, data: &data, state: domain.JobQueued})
		queued = queued[1:]
	}
	if len(queued) > 0 {
		r.Fatalf("%d jobs too many", len(queued))
	}
}

// release tries to release an event, which works for the first of a lane.
func (m *model) release(r *rapid.T) {
	job := m.pick(r, func(job *modelJob) bool { return job.data != nil })
	mayBe := job.state == domain.JobQueued && m.head(job.lane) == job
	e, err := m.ReleaseEvent(m.t.Context(), job.id, fetched(*job.data), m.at)
	if (err == nil) != mayBe || err != nil && !errors.Is(err, domain.ErrConflict) {
		r.Fatalf("ReleaseEvent(%s) = %v, and it may be released: %t", job.id, err, mayBe)
	}
	if mayBe {
		job.state = domain.JobDone
		m.visible = append(m.visible, job.name)
		if e.Seq == 0 {
			r.Fatalf("%s was dropped", job.name)
		}
	}
}

func (m *model) accept(r *rapid.T) {
	n := m.sending(chats.Draw(r, "conversation"), "x")
	n.IdempotencyKey = rapid.SampledFrom([]string{"", "", "k1", "k2"}).Draw(r, "idempotency key")
	job, created, err := m.AcceptCommand(m.t.Context(), n)
	if err != nil {
		r.Fatal(err)
	}
	first, known := m.keys[n.IdempotencyKey]
	if created == known || known && job.ID != first {
		r.Fatalf("created %t as %s, and the key was used for %q", created, job.ID, first)
	}
	if !created {
		return
	}
	if n.IdempotencyKey != "" {
		m.keys[n.IdempotencyKey] = job.ID
	}
	m.jobs = append(m.jobs, &modelJob{id: job.ID, lane: job.Lane, state: domain.JobQueued})
}

// runHead runs a command, whatever its state, to some outcome.
func (m *model) runHead(r *rapid.T) {
	job := m.pick(r, func(job *modelJob) bool { return job.data == nil })
	e := m.ran(domain.Job{ID: job.id, Workspace: wsA, Connection: conA}, "")
	e.State = rapid.SampledFrom([]domain.JobState{domain.JobDone, domain.JobParked, domain.JobQueued}).Draw(r, "outcome")
	e.Failure = &contract.Failure{Class: contract.FailurePermanent, Code: "x"}
	if e.State == domain.JobDone {
		e.Failure, e.Result = nil, &domain.CommandResult{Sent: &contract.Sent{PlatformID: contract.PlatformMessageID(m.name("out"))}}
	}
	_, err := m.CommitCommand(m.t.Context(), e)
	if (err == nil) != (job.state == domain.JobQueued) {
		r.Fatalf("CommitCommand(%s, %s) = %v", job.state, e.State, err)
	}
	if err == nil {
		job.state = e.State
	}
}

func (m *model) requeue(r *rapid.T) {
	job := m.pick(r, func(job *modelJob) bool { return job.data == nil })
	_, err := m.RequeueJob(m.t.Context(), job.id, m.at)
	if (err == nil) != (job.state == domain.JobParked) {
		r.Fatalf("RequeueJob(%s) = %v", job.state, err)
	}
	if err == nil {
		job.state = domain.JobQueued
	}
}

func (m *model) cancel(r *rapid.T) {
	job := m.pick(r, func(*modelJob) bool { return true })
	_, err := m.CancelJob(m.t.Context(), job.id)
	if (err == nil) != (job.state == domain.JobQueued || job.state == domain.JobParked) {
		r.Fatalf("CancelJob(%s) = %v", job.state, err)
	}
	if err == nil {
		job.state = domain.JobCancelled
	}
}

func (m *model) wait(r *rapid.T) {
	m.tick(time.Duration(rapid.IntRange(1, 45).Draw(r, "seconds")) * time.Second)
}

// compare reads all of the store and holds it against the model.
func (m *model) compare(r *rapid.T) {
	if got := m.names(wsA); !slices.Equal(got, m.visible) {
		r.Fatalf("visible: %v, want %v", got, m.visible)
	}
	var queued []string
	for _, job := range m.jobs {
		if job.state == domain.JobQueued {
			queued = append(queued, job.id)
		}
		if kept := m.job(job.id); kept.State != job.state || kept.Lane != job.lane {
			r.Fatalf("%s is %s in %s, want %s in %s", job.id, kept.State, kept.Lane, job.state, job.lane)
		}
	}
	if got := m.queue(); !slices.Equal(got, queued) {
		r.Fatalf("queue: %v, want %v", got, queued)
	}
	if got := fmt.Sprint(m.statesOfMessages()); got != m.wantedStates() {
		r.Fatalf("messages: %s, want %s", got, m.wantedStates())
	}
}

// statesOfMessages counts the messages that were sent by how far they got.
func (m *model) statesOfMessages() map[contract.MessageStatus]int {
	m.t.Helper()
	counts := map[contract.MessageStatus]int{}
	list, _, err := m.Messages(m.t.Context(), wsA, domain.MessageFilter{}, domain.Page{Limit: 1000})
	m.ok(err)
	for _, message := range list {
		if message.Direction == domain.Outbound {
			counts[message.Status]++
		}
	}
	return counts
}

func (m *model) wantedStates() string {
	counts := map[contract.MessageStatus]int{}
	for _, job := range m.jobs {
		if job.data == nil {
			counts[map[domain.JobState]contract.MessageStatus{domain.JobQueued: queued, domain.JobDone: sent,
				domain.JobParked: failed, domain.JobCancelled: failed}[job.state]]++
		}
	}
	return fmt.Sprint(counts)
}
