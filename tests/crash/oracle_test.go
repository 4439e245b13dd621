package main

import (
	"strings"
	"testing"
)

// orderly is the evidence of a small world in which everything went well: two deliveries
// of the ledger's and one of ELMA365's, and two commands, one of them uncertain.
func orderly() *evidence {
	return &evidence{
		Deaths: []string{"once"},
		Deliveries: []*delivery{
			{Name: "d0-0", Conversation: "d0", Index: 0, Counted: true, Answers: []string{"1"}},
			{Name: "d0-1", Conversation: "d0", Index: 1, Counted: true, Answers: []string{"2"}},
			{Name: "e0-0", Conversation: "e0", Index: 0, Answers: []string{"{}"}},
			{Name: "e0-1", Conversation: "e0", Index: 1},
			{Name: "b0-0", Conversation: "b0", Index: 0, Bridged: 1, Counted: true, Answers: []string{"1"}},
			{Name: "p0.0-0", Conversation: "p0.0", Index: 0, Routed: true, Counted: true, Answers: []string{"taken"}},
		},
		Commands: []*command{
			{Name: "s0-0", Conversation: "s0", Index: 0, Steps: 3, IDs: []string{"cmd_1"}},
			{Name: "s0-1", Conversation: "s0", Index: 1, Steps: 3, IDs: []string{"cmd_2"}},
			{Name: "m0-0", Conversation: "m0", Index: 0, Steps: 1},
		},
		Events: []event{
			{Seq: "1", ID: "evt_1"},
			{Seq: "2", ID: "evt_2", Conversation: "d0", Name: "d0-0", Count: "1"},
			{Seq: "3", ID: "evt_3", Conversation: "e0", Name: "e0-0"},
			{Seq: "5", ID: "evt_4", Conversation: "d0", Name: "d0-1", Count: "2"},
			{Seq: "6", ID: "evt_5", Conversation: "b0", Name: "b0-0"},
			{Seq: "7", ID: "evt_6", Conversation: "p0.0", Name: "p0.0-0", Count: "1"},
		},
		Streamed: []event{{Seq: "1", ID: "evt_1"}, {Seq: "2", ID: "evt_2"}, {Seq: "3", ID: "evt_3"}, {Seq: "5", ID: "evt_4"}, {Seq: "6", ID: "evt_5"}, {Seq: "7", ID: "evt_6"}},
		Jobs: []job{
			{ID: "cmd_1", State: "done"}, {ID: "cmd_2", State: "parked", Class: "uncertain"},
			{ID: "cmd_3", State: "done", Delivery: "d0-0"}, {ID: "cmd_4", State: "done", Delivery: "d0-1"},
			{ID: "cmd_5", State: "done", Text: "b0-0"}, {ID: "cmd_6", State: "done", Delivery: "b0-0"},
			{ID: "cmd_7", State: "done", Delivery: "p0.0-0"},
		},
		Effects: []effect{
			{Name: "d0-0/1", Count: 1}, {Name: "s0-0/1", Count: 1}, {Name: "s0-0/2", Count: 1}, {Name: "s0-0/3", Count: 1},
			{Name: "s0-1/1", Count: 1}, {Name: "d0-1/1", Count: 1}, {Name: "bridged b0-0/1", Count: 1}, {Name: "b0-0/1", Count: 1},
			{Name: "p0.0-0/1", Count: 1},
		},
		Receipts: []receipt{{ID: "evt_1"}, {ID: "evt_2"}, {ID: "evt_3"}, {ID: "evt_2"}, {ID: "evt_4"}, {ID: "evt_5"}, {ID: "evt_6"}},
	}
}

func TestTheOracleIsContentWithAnOrderlyWorld(t *testing.T) {
	v := judge(orderly())
	if len(v.Findings) != 0 || v.Uncertain != 1 {
		t.Errorf("judge found %v and %d uncertain, want nothing and 1", v.Findings, v.Uncertain)
	}
}

// An oracle that never fails proves nothing.
func TestTheOracleSees(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(*evidence)
		want fault
		what string
	}{
		{"a delivery without its event", func(e *evidence) {
			e.Events = append(e.Events[:3:3], e.Events[4:]...)
			e.Streamed = append(e.Streamed[:3:3], e.Streamed[4:]...)
		}, lost, "d0-1 was acknowledged and is not in the log"},
		{"a delivery with two events", func(e *evidence) {
			e.Events = append(e.Events, event{Seq: "8", ID: "evt_7", Conversation: "e0", Name: "e0-0"})
			e.Streamed = append(e.Streamed, event{Seq: "8", ID: "evt_7"})
		}, duplicated, "e0-0 is in the log 2 times"},
		{"a repeat answered otherwise", func(e *evidence) { e.Deliveries[0].Answers = []string{"1", "2"} }, duplicated, "answered as the first"},
		{"a delivery refused", func(e *evidence) { e.Refused = []string{"delivery d0-2 was refused"} }, lost, "refused"},
		{"a conversation in another order", func(e *evidence) { e.Events[1].Name, e.Events[3].Name = "d0-1", "d0-0" }, reordered, "d0-1 stands in the log before"},
		{"a number counted twice", func(e *evidence) { e.Events[3].Count = "3" }, duplicated, "counted as 3"},
		{"an answer with a number counted twice", func(e *evidence) { e.Deliveries[0].Answers = []string{"7"} }, duplicated, "answered 7"},
		{"a delivery that waited and never ran", func(e *evidence) { e.Events, e.Streamed = e.Events[:5], e.Streamed[:5] }, lost, "p0.0-0 was acknowledged and is not in the log"},
		{"a delivery that waited and ran on old state", func(e *evidence) { e.Events[5].Count = "2" }, duplicated, "p0.0-0 was counted as 2"},
		{"a delivery to the app answered by its number", func(e *evidence) { e.Deliveries[5].Answers = []string{"1"} }, duplicated, "to be answered taken"},
		{"numbers that fall", func(e *evidence) { e.Events[2].Seq = "2" }, reordered, `has number "2" after 2`},
		{"a gap in the stream", func(e *evidence) { e.Streamed = append(e.Streamed[:1:1], e.Streamed[2:]...) }, lost, "not event evt_2"},
		{"a stream that repeats itself", func(e *evidence) { e.Streamed = append(e.Streamed, e.Streamed[3]) }, duplicated, "stream said 7"},
		{"a command the host forgot", func(e *evidence) { e.Jobs = e.Jobs[1:] }, lost, "does not know"},
		{"a command acknowledged twice", func(e *evidence) { e.Commands[0].IDs = []string{"cmd_1", "cmd_9"} }, duplicated, "under one key"},
		{"a command of the plugin's that is gone", func(e *evidence) { e.Jobs = append(e.Jobs[:3:3], e.Jobs[4:]...) }, lost, "plugin asked for is not there"},
		{"a command of the plugin's too many", func(e *evidence) { e.Jobs = append(e.Jobs, job{ID: "cmd_9", State: "done", Delivery: "d0-2"}) }, duplicated, "d0-2, which there is not"},
		{"a command given up", func(e *evidence) { e.Jobs[0].State, e.Jobs[0].Class = "parked", "permanent" }, lost, "given up"},
		{"a command still queued", func(e *evidence) { e.Jobs[0].State = "queued" }, stuck, "still queued"},
		{"an effect that is missing", func(e *evidence) { e.Effects = append(e.Effects[:2:2], e.Effects[3:]...) }, lost, "s0-0/2 did not take place"},
		{"an effect that came twice", func(e *evidence) { e.Effects[2].Count = 2 }, duplicated, "s0-0/2 took place 2 times"},
		{"an effect twice though uncertain", func(e *evidence) { e.Effects[4].Count = 2 }, duplicated, "s0-1/1 took place 2 times"},
		{"effects in another order", func(e *evidence) { e.Effects[1], e.Effects[4] = e.Effects[4], e.Effects[1] }, reordered, "s0-1 took effect before"},
		{"more uncertain than was under way", func(e *evidence) { e.Deaths = nil }, lost, "parked as uncertain for 0 deaths"},
		{"an event the subscriber never got", func(e *evidence) { e.Receipts = e.Receipts[:4] }, lost, "never came to the subscriber"},
		{"a subscriber that got the second first", func(e *evidence) { e.Receipts[1].ID, e.Receipts[4].ID = "evt_4", "evt_2"; e.Receipts[3].ID = "evt_4" }, reordered, "evt_4, number 5, came to the subscriber before"},
		{"a bridge that lost something", func(e *evidence) { e.Jobs = append(e.Jobs[:4:4], e.Jobs[5:]...) }, lost, "did not carry it over"},
		{"a bridge that carried something twice", func(e *evidence) { e.Jobs = append(e.Jobs, job{ID: "cmd_9", State: "done", Text: "b0-0"}) }, duplicated, "both send"},
		{"a bridge whose effect is missing", func(e *evidence) { e.Effects = e.Effects[:6] }, lost, "bridged b0-0/1 did not take place"},
		{"a store that is not in order", func(e *evidence) { e.Unclean = []string{"index x"} }, unclean, "index x"},
		{"a host that ended by itself", func(e *evidence) { e.Crashes = []string{"panic"} }, crashed, "panic"},
		{"something that is stuck", func(e *evidence) { e.Stuck = []string{"a job"} }, stuck, "a job"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := orderly()
			tt.harm(e)
			v := judge(e)
			for _, f := range v.Findings {
				if f.Fault == tt.want && strings.Contains(f.What, tt.what) {
					return
				}
			}
			t.Errorf("judge found %v, want %s: …%s…", v.Findings, tt.want, tt.what)
		})
	}
}
