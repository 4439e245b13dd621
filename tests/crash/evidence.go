package main

import "github.com/seed75a60ee1/patchbay/pdk/contract"

// evidence is everything that was seen of one world, from outside: what its platforms and
// its tenant sent, what they were told, and what the host and the platforms hold in the
// end. The oracle judges it and nothing else.
type evidence struct {
	Seed uint64
	// Deaths is how the host died each time, the end of its first life included.
	Deaths []string
	// Deliveries and Commands are in the order of sending, conversation by conversation.
	Deliveries []*delivery
	Commands   []*command
	// Events is the log of the workspace, and Streamed what its event stream said of it.
	Events   []event
	Streamed []event
	Jobs     []job
	// Effects is what platforms saw, each in the order in which it first did.
	Effects  []effect
	Receipts []receipt `json:",omitempty"`
	// What the harness itself found: see the faults of the same names.
	Unclean []string
	Crashes []string
	Stuck   []string
	Refused []string
}

// delivery is one webhook as its platform knows it.
type delivery struct {
	// Name is unique in the world.
	Name         string
	Conversation string
	// Index is its place in the conversation, from 0.
	Index int
	// Counted tells that it came through the ledger, which has an effect for each delivery.
	Counted bool
	// Bridged is how many effects it has on the platform that a bridge carries it to; 0 if
	// none does.
	Bridged int
	// Routed tells that it came to the app, whose plugin says whose it is: Conversation is the
	// key, and it may have waited for a connection that has it.
	Routed bool `json:",omitempty"`
	// Take is the key that its connection has from then on; empty for most.
	Take string `json:",omitempty"`
	// Answers is the bodies of the answers 200, each once.
	Answers []string
}

// command is one message that the tenant asked to be sent.
type command struct {
	Name         string
	Conversation string
	Index        int
	// Steps is how many effects it has on its platform.
	Steps int
	// IDs is the commands that it was acknowledged as, each once.
	IDs []string
}

// event is one event as far as the oracle looks at it.
type event struct {
	Seq          string
	ID           string
	Connection   contract.ConnectionID
	Conversation string
	// Name is the first text of a message; Count is the second, the ledger's number.
	Name, Count string
}

// job is one command as the host knows it in the end.
type job struct {
	ID, Export, State, Class, Code, Lane string
	Seq                                  uint64
	// Text is what a message says that it sends; empty for others.
	Text string
	// Delivery is the name of the delivery with which a plugin asked for it; empty for the
	// tenant's.
	Delivery string
}

// uncertain tells that nobody knows whether its last effect took place.
func (j job) uncertain() bool {
	return j.State == "parked" && j.Class == string(contract.FailureUncertain)
}

// effect is something that a platform saw so many times.
type effect struct {
	Name  string
	Count int
	// HungUp tells that the platform gave no answer once, so that nobody could know.
	HungUp bool `json:",omitempty"`
}

// receipt is one event that a subscriber was handed.
type receipt struct {
	ID           string
	Connection   string
	Conversation string
	Seq          string
}
