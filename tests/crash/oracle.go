package main

import (
	"fmt"
	"slices"
	"strconv"
)

// fault is a kind of finding.
type fault string

// The faults. A product that works has none.
const (
	lost       fault = "lost"
	duplicated fault = "duplicated"
	reordered  fault = "reordered"
	stuck      fault = "stuck"
	unclean    fault = "unclean" // the store's own check, or what it says of itself, is not in order
	crashed    fault = "crashed" // it ended by itself, or would not start
)

// finding is one thing that should not be.
type finding struct {
	Fault fault
	What  string
}

func (f finding) String() string { return string(f.Fault) + ": " + f.What }

// verdict is what the oracle says of one world.
type verdict struct {
	Findings []finding
	// Uncertain counts the commands that are parked because nobody knows whether they took
	// effect: by a death of the host, or because the platform hung up. That is no fault:
	// somebody has to decide.
	Uncertain, HungUp int
}

func (v *verdict) blame(f fault, format string, args ...any) {
	v.Findings = append(v.Findings, finding{Fault: f, What: fmt.Sprintf(format, args...)})
}

// judge holds the evidence against what was promised.
func judge(e *evidence) *verdict {
	v := &verdict{}
	for f, sentences := range map[fault][]string{crashed: e.Crashes, unclean: e.Unclean, stuck: e.Stuck, lost: e.Refused} {
		for _, s := range sentences {
			v.blame(f, "%s", s)
		}
	}
	v.deliveries(e)
	v.log(e)
	v.commands(e)
	v.receipts(e)
	return v
}

// deliveries: each one that was acknowledged is in the log exactly once, every repeat was
// answered as the first was, and each conversation is in the order of sending.
func (v *verdict) deliveries(e *evidence) {
	placed := map[string][]int{} // where in the log each name stands
	for i, event := range e.Events {
		if event.Name != "" {
			placed[event.Name] = append(placed[event.Name], i)
		}
	}
	newest := map[string]int{}
	for _, d := range e.Deliveries {
		at := placed[d.Name]
		if len(d.Answers) > 1 {
			v.blame(duplicated, "delivery %s was answered %q: a repeat must be answered as the first was", d.Name, d.Answers)
		}
		switch {
		case len(at) > 1:
			v.blame(duplicated, "delivery %s is in the log %d times", d.Name, len(at))
		case len(at) == 0 && len(d.Answers) > 0:
			v.blame(lost, "delivery %s was acknowledged and is not in the log", d.Name)
		}
		if len(at) == 0 {
			continue
		}
		if last, known := newest[d.Conversation]; known && at[0] < last {
			v.blame(reordered, "delivery %s stands in the log before one that was sent and acknowledged before it", d.Name)
		}
		newest[d.Conversation] = at[0]
		v.counted(d, e.Events[at[0]])
	}
}

// takenAnswer is what the ledger's app answers, before anybody counts.
const takenAnswer = "taken"

// counted: the ledger's plugin adds one to a number that it reads, so whatever runs twice
// or on old state shows.
func (v *verdict) counted(d *delivery, in event) {
	want := strconv.Itoa(d.Index + 1)
	if d.Counted && in.Count != "" && in.Count != want {
		v.blame(duplicated, "delivery %s was counted as %s and is number %s: something was counted twice, or not", d.Name, in.Count, want)
	}
	if d.Routed {
		want = takenAnswer
	}
	if d.Counted && len(d.Answers) > 0 && d.Answers[0] != want {
		v.blame(duplicated, "delivery %s was answered %s and is number %d, to be answered %s", d.Name, d.Answers[0], d.Index+1, want)
	}
}

// log: the numbers of the events rise, and the stream said the same as the log, each event
// once.
func (v *verdict) log(e *evidence) {
	last := uint64(0)
	for _, event := range e.Events {
		seq, err := strconv.ParseUint(event.Seq, 10, 64)
		if err != nil || seq <= last {
			v.blame(reordered, "event %s has number %q after %d", event.ID, event.Seq, last)
		}
		last = seq
	}
	if slices.EqualFunc(e.Events, e.Streamed, func(a, b event) bool { return a.ID == b.ID && a.Seq == b.Seq }) {
		return
	}
	for i, event := range e.Events {
		if i >= len(e.Streamed) || e.Streamed[i].ID != event.ID {
			v.blame(lost, "the event stream does not say what the log says: at %d of %d it has not event %s, number %s (it said %d events)",
				i, len(e.Events), event.ID, event.Seq, len(e.Streamed))
			return
		}
	}
	v.blame(duplicated, "the event stream said %d events, and the log has %d", len(e.Streamed), len(e.Events))
}

// deed is what must show on a platform: the steps of a command.
type deed struct {
	name, conversation string
	steps              int
	job                *job
}

// commands: each command that was acknowledged had its effects once, or is parked because
// nobody knows; and each conversation's effects came in the order of asking.
func (v *verdict) commands(e *evidence) {
	byID, byDelivery, byText := map[string]*job{}, map[string]*job{}, map[string]*job{}
	for i := range e.Jobs {
		j := &e.Jobs[i]
		byID[j.ID] = j
		if j.Delivery != "" {
			byDelivery[j.Delivery] = j
		}
		if j.Text != "" && byText[j.Text] != nil {
			v.blame(duplicated, "%s and %s both send %q", byText[j.Text].ID, j.ID, j.Text)
		}
		if j.Text != "" {
			byText[j.Text] = j
		}
	}
	seen := map[string]effect{}
	order := map[string]int{}
	for i, effect := range e.Effects {
		seen[effect.Name], order[effect.Name] = effect, i
	}
	newest := map[string]int{}
	for _, d := range append(v.deeds(e, byID, byDelivery), v.bridged(e, byText)...) {
		v.deed(d, seen)
		at, known := order[d.name+"/1"]
		if !known {
			continue
		}
		if at < newest[d.conversation] {
			v.blame(reordered, "%s took effect before one that was asked for before it", d.name)
		}
		newest[d.conversation] = at
	}
	if most := workers * len(e.Deaths); v.Uncertain > most {
		v.blame(lost, "%d commands are parked as uncertain for %d deaths, and %d at most can have been under way: what is certain was given up",
			v.Uncertain, len(e.Deaths), most)
	}
}

// workers is how many jobs the host runs at once.
const workers = 16

// deeds lists what must have had effects: the tenant's commands, and what the plugin asked
// for with each delivery.
func (v *verdict) deeds(e *evidence, byID, byDelivery map[string]*job) (deeds []deed) {
	for _, c := range e.Commands {
		if len(c.IDs) > 1 {
			v.blame(duplicated, "command %s was acknowledged under one key as %q", c.Name, c.IDs)
		}
		if len(c.IDs) == 0 {
			continue
		}
		if byID[c.IDs[0]] == nil {
			v.blame(lost, "command %s was acknowledged as %s, which the host does not know", c.Name, c.IDs[0])
		}
		deeds = append(deeds, deed{c.Name, "command " + c.Conversation, c.Steps, byID[c.IDs[0]]})
	}
	for _, d := range e.Deliveries {
		if !d.Counted || len(d.Answers) == 0 {
			delete(byDelivery, d.Name) // it may be there, or not
			continue
		}
		if byDelivery[d.Name] == nil {
			v.blame(lost, "delivery %s was acknowledged, and the command that its plugin asked for is not there", d.Name)
		}
		deeds = append(deeds, deed{d.Name, "delivery " + d.Conversation, 1, byDelivery[d.Name]})
		delete(byDelivery, d.Name)
	}
	for name, j := range byDelivery {
		v.blame(duplicated, "the plugin asked for command %s, as if for a delivery %s, which there is not", j.ID, name)
	}
	return deeds
}

// bridged lists what must have come of deliveries on the other side of a bridge.
func (v *verdict) bridged(e *evidence, byText map[string]*job) (deeds []deed) {
	for _, d := range e.Deliveries {
		if d.Bridged == 0 || len(d.Answers) == 0 {
			continue
		}
		if byText[d.Name] == nil {
			v.blame(lost, "delivery %s was acknowledged, and the bridge did not carry it over", d.Name)
		}
		name := d.Name
		if d.Counted {
			name = bridgedPrefix + d.Name
		}
		deeds = append(deeds, deed{name, "bridged " + d.Conversation, d.Bridged, byText[d.Name]})
	}
	return deeds
}

func (v *verdict) deed(d deed, seen map[string]effect) {
	hungUp := false
	for step := 1; step <= d.steps; step++ {
		name := d.name + "/" + strconv.Itoa(step)
		hungUp = hungUp || seen[name].HungUp
		switch count := seen[name].Count; {
		case count > 1:
			v.blame(duplicated, "effect %s took place %d times (%s)", name, count, d.state())
		case count == 0 && d.job != nil && d.job.State == "done":
			v.blame(lost, "effect %s did not take place, although %s is done", name, d.job.ID)
		}
	}
	switch {
	case d.job == nil || d.job.State == "done":
	case d.job.State == "queued":
		v.blame(stuck, "%s is still queued as %s", d.name, d.job.ID)
	case !d.job.uncertain():
		v.blame(lost, "%s was given up: %s is %s (%s, %s)", d.name, d.job.ID, d.job.State, d.job.Class, d.job.Code)
	case hungUp:
		v.HungUp++
	default:
		v.Uncertain++
	}
}

func (d deed) state() string {
	if d.job == nil {
		return "its command is unknown"
	}
	return d.job.ID + " is " + d.job.State
}

// receipts: a subscriber was handed every event at least once, and first of all in the
// order of the log, conversation by conversation.
func (v *verdict) receipts(e *evidence) {
	if e.Receipts == nil {
		return
	}
	first := map[string]int{}
	for i, r := range e.Receipts {
		if _, known := first[r.ID]; !known {
			first[r.ID] = i
		}
	}
	newest := map[string]int{}
	for _, event := range e.Events {
		at, known := first[event.ID]
		if !known {
			v.blame(lost, "event %s, number %s, never came to the subscriber", event.ID, event.Seq)
			continue
		}
		lane := string(event.Connection) + "/" + event.Conversation
		if at < newest[lane] {
			v.blame(reordered, "event %s, number %s, came to the subscriber before an earlier one of conversation %q", event.ID, event.Seq, event.Conversation)
		}
		newest[lane] = at
	}
}
