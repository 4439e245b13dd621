package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// quiet waits until no job is left that could run.
func (w *world) quiet(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var queued, oldest float64
	var lag uint64
	err := poll(waiting, func() (bool, error) {
		var err error
		if lag, err = w.lag(waiting); err != nil || lag > 0 {
			return false, err
		}
		if queued, oldest, err = w.backlog(waiting); err != nil {
			return false, err
		}
		return queued == 0, nil
	})
	if err != nil && ctx.Err() == nil {
		w.seen.stuck("%v after everything was acknowledged %v jobs are queued, the oldest that could run is %v s old, and bridge and subscriber have %d events to take: %v",
			patience, queued, oldest, lag, err)
		return nil
	}
	return err
}

// backlog reads the host's own metrics.
func (w *world) backlog(ctx context.Context) (queued, oldest float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.at.Management+"/metrics", nil)
	if err != nil {
		return 0, 0, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	found := false
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		number, _ := strconv.ParseFloat(value, 64) // comments have no number, and no such name
		switch {
		case name == "patchbay_jobs_queued" || strings.HasPrefix(name, "patchbay_jobs_queued{"):
			queued, found = queued+number, true
		case strings.HasPrefix(name, "patchbay_jobs_oldest_runnable_age_seconds"):
			oldest = max(oldest, number)
		}
	}
	if !found {
		return 0, 0, fmt.Errorf("the host's metrics have no patchbay_jobs_queued")
	}
	return queued, oldest, nil
}

// pageSize is the most that one listing answers.
const pageSize = 1000

// collect asks the host and the platforms what they hold.
func (w *world) collect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := w.collectEvents(ctx); err != nil {
		return err
	}
	for page := (domain.Page{Limit: pageSize}); ; {
		jobs, err := w.people.Tenant.Commands(ctx, w.tenantID(), client.CommandFilter{Page: page})
		if err != nil {
			return err
		}
		for _, c := range jobs.Items {
			w.seen.Jobs = append(w.seen.Jobs, jobOf(c))
		}
		if page.After = jobs.Next; jobs.Next == "" {
			break
		}
	}
	nameJobs(w.seen.Jobs)
	w.seen.Effects = append(w.ledger.told(), w.filed()...)
	for _, what := range w.ledger.mint.told() {
		w.seen.refuse("%s", what)
	}
	receipts, wrong := w.receiver.told()
	w.seen.Receipts = receipts
	for _, what := range wrong {
		w.seen.unclean("the subscriber was sent %s", what)
	}
	w.collectStream(ctx)
	return nil
}

// nameJobs finds out which delivery each job of the ledger's plugin belongs to. The host
// does not show what a plugin asked itself for; but it asks once for each delivery, in a
// lane of the conversation, so that their order tells.
func nameJobs(jobs []job) {
	slices.SortFunc(jobs, func(a, b job) int { return cmp.Compare(a.Seq, b.Seq) })
	count := map[string]int{}
	for i, j := range jobs {
		if j.Export == string(contract.ExportReconcile) {
			_, chat, _ := strings.Cut(j.Lane, "/plugin/")
			jobs[i].Delivery = chat + "-" + strconv.Itoa(count[chat])
			count[chat]++
		}
	}
}

func jobOf(c client.Command) job {
	j := job{ID: c.ID, State: string(c.State), Lane: c.Lane, Seq: c.Seq}
	if c.Command != nil {
		j.Export, j.Text = string(c.Command.Export), textOf(c.Command.Message)
	}
	if c.Failure != nil {
		j.Class, j.Code = string(c.Failure.Class), c.Failure.Code
	}
	return j
}

// textOf is the first text of a message; empty without one.
func textOf(m *contract.Message) string {
	if m == nil {
		return ""
	}
	return stage.Text(m)
}

func (w *world) collectEvents(ctx context.Context) error {
	for page := (domain.Page{Limit: pageSize}); ; {
		events, err := w.people.Tenant.Events(ctx, w.tenantID(), page)
		if err != nil {
			return err
		}
		for _, e := range events.Items {
			w.seen.Events = append(w.seen.Events, eventOf(e))
		}
		if len(events.Items) < pageSize {
			return nil
		}
		page.After = events.Items[len(events.Items)-1].Sequence
	}
}

// collectStream waits until the stream has said as much as the log.
func (w *world) collectStream(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_ = poll(ctx, func() (bool, error) { return len(w.inbox.Events()) >= len(w.seen.Events), nil }) // the oracle sees what is missing
	for _, e := range w.inbox.Events() {
		w.seen.Streamed = append(w.seen.Streamed, eventOf(e))
	}
}

func eventOf(e client.Event) event {
	seen := event{Seq: e.Sequence, ID: string(e.ID), Connection: e.Connection, Conversation: e.Subject}
	if e.Data.Kind != contract.EventMessageCreated || e.Data.Message == nil {
		return seen
	}
	var texts []string
	for _, part := range e.Data.Message.Parts {
		if part.Text != nil {
			texts = append(texts, part.Text.Plain)
		}
	}
	texts = append(texts, "", "")
	seen.Name, seen.Count = texts[0], texts[1]
	return seen
}

// filed is the messages that ELMA365 filed. It files one once, by the messenger's name for
// it, so that one text under two names is an effect that took place twice.
func (w *world) filed() (effects []effect) {
	at := map[string]int{}
	for _, session := range w.channel.Sessions() {
		for _, m := range session.Messages {
			name := effectOf(m.Text)
			if i, known := at[name]; known {
				effects[i].Count++
				continue
			}
			at[name] = len(effects)
			effects = append(effects, effect{Name: name, Count: 1})
		}
	}
	return effects
}

// effectOf names the effect of filing a text. What the shop said has an effect at the
// ledger already, which has the plain name.
func effectOf(text string) string {
	if strings.HasPrefix(text, "b") {
		return bridgedPrefix + text + "/1"
	}
	return text + "/1"
}

// bridgedPrefix stands before the names of effects that a bridge gave rise to, where they
// could be taken for others.
const bridgedPrefix = "bridged "
