package contract

var states = []ConnectionState{
	StatePending, StateConnecting, StateConnected, StateDegraded, StateNeedsAction, StateDisconnected,
}

// eventMembers names the field that is set for each kind of event; none for those that
// have only the conversation.
var eventMembers = map[EventKind]string{
	EventMessageCreated: "message", EventMessageUpdated: "message", EventMessageDeleted: "deletion",
	EventMessageStatus: "status", EventPostback: "postback", EventTyping: "typing", EventReaction: "reaction",
	EventContactUpdated: "contact", EventConversationOpened: "", EventConversationClosed: "",
	EventConnectionState: "state", EventRaw: "raw",
}

func (e *Event) check(c *checker) {
	field, ok := eventMembers[e.Kind]
	if !ok {
		c.fail("kind", "it is none of the kinds of event that the contract knows")
		return
	}
	c.exactly(field, []member{
		{"message", e.Message, e.Message != nil}, {"deletion", e.Deletion, e.Deletion != nil},
		{"status", e.Status, e.Status != nil}, {"postback", e.Postback, e.Postback != nil},
		{"typing", e.Typing, e.Typing != nil}, {"reaction", e.Reaction, e.Reaction != nil},
		{"contact", e.Contact, e.Contact != nil}, {"state", e.State, e.State != nil}, {"raw", e.Raw, e.Raw != nil},
	})
	e.checkConversation(c)
}

// checkConversation checks where the event happened. A message says it itself; a report
// on one can be found by the message's name, on platforms that say no more.
func (e *Event) checkConversation(c *checker) {
	if e.Conversation != nil {
		c.in("conversation", e.Conversation)
		if e.Message != nil && e.Message.Conversation.ID != e.Conversation.ID {
			c.fail("conversation.id", "it differs from message.conversation.id")
		}
		return
	}
	switch e.Kind {
	case EventPostback, EventTyping, EventConversationOpened, EventConversationClosed:
		c.fail("conversation", "it is missing, and the kind calls for it")
	}
}

func (d *Deletion) check(c *checker) {
	c.required("platform_id", string(d.PlatformID), MaxIDBytes)
}

func (s *StatusReport) check(c *checker) {
	c.required("platform_id", string(s.PlatformID), MaxIDBytes)
	known(c, "status", s.Status, messageStates)
	if s.Failure != nil {
		c.in("failure", s.Failure)
		if s.Status != MessageFailed {
			c.fail("failure", "it is set, and the status is not failed; leave it out")
		}
	}
	each(c, "parts", s.Parts, MaxParts)
}

func (p *Postback) check(c *checker) {
	c.required("action_id", p.ActionID, MaxIDBytes)
	c.bounded("label", p.Label, MaxNameBytes)
	c.in("author", &p.Author)
	c.bounded("platform_id", string(p.PlatformID), MaxIDBytes)
}

func (t *Typing) check(c *checker) { c.in("author", &t.Author) }

func (r *Reaction) check(c *checker) {
	c.required("platform_id", string(r.PlatformID), MaxIDBytes)
	c.in("author", &r.Author)
	c.bounded("emoji", r.Emoji, 64)
}

func (s *StateChange) check(c *checker) {
	known(c, "state", s.State, states)
	if s.Code != "" {
		c.word("code", s.Code)
	}
	c.bounded("reason", s.Reason, MaxNameBytes)
	c.bounded("action", s.Action, MaxNameBytes)
	if s.State == StateNeedsAction && s.Action == "" {
		c.fail("action", "it is missing; needs_action must say what the tenant has to do")
	}
}

// checkUnminted checks that a plugin left to the host what the host fills in.
func (e *Event) checkUnminted(c *checker) {
	if e.Message != nil {
		c.reserved("message.id", string(e.Message.ID))
		c.reserved("message.status", string(e.Message.Status))
	}
	if e.Deletion != nil {
		c.reserved("deletion.message_id", string(e.Deletion.MessageID))
	}
	if e.Status != nil {
		c.reserved("status.message_id", string(e.Status.MessageID))
	}
}
