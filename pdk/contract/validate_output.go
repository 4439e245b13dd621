package contract

import "strings"

var (
	supports = []Support{SupportFull, SupportPartial, SupportFallback, SupportDropped, SupportRejected}
	classes  = []FailureClass{FailureRetry, FailureRetryAfter, FailureReauthorise, FailurePermanent, FailureUncertain}
)

func (o *ReceiveOutput) check(c *checker) {
	c.in("response", &o.Response)
	if o.Rejected != nil {
		c.in("rejected", o.Rejected)
	}
	c.bounded("dedupe_key", o.DedupeKey, MaxIDBytes)
	checkEffects(c, o.Events, o.Commands)
}

func (o *RouteOutput) check(c *checker) {
	c.bounded("key", o.Key, MaxIDBytes)
	if o.Rejected != nil {
		c.in("rejected", o.Rejected)
	}
	forms := 0
	for _, form := range []bool{o.Rejected != nil, o.Answered, o.Key != ""} {
		if form {
			forms++
		}
	}
	if forms > 1 {
		c.fail("key", "at most one of key, answered and rejected must be set")
	}
	if o.Answered || o.Rejected != nil || o.Park != nil || o.Response.Status != 0 {
		c.in("response", &o.Response)
	}
	c.bounded("payload", o.Payload, MaxRoutedBytes)
	c.bounded("dedupe_key", o.DedupeKey, MaxIDBytes)
	if o.Park != nil {
		c.within("park.seconds", o.Park.Seconds, 1, MaxParkSeconds)
		c.bounded("park.title", o.Park.Title, MaxNameBytes)
	}
	checkEffects(c, o.Events, o.Commands)
}

func (o *CommandOutput) check(c *checker) {
	if o.Failure != nil {
		c.in("failure", o.Failure)
	}
	if o.Sent != nil {
		c.in("sent", o.Sent)
	}
	if o.Failure != nil && o.Sent != nil {
		c.fail("sent", "it is set beside failure; a message was sent or it was not, and failure of class uncertain says that nobody knows")
	}
	if o.Health != nil {
		c.in("health", o.Health)
	}
	if o.URL != "" {
		c.url("url", o.URL)
	}
	each(c, "setup", o.Setup, MaxSteps)
	each(c, "capabilities", o.Capabilities, MaxSteps)
	checkEffects(c, o.Events, o.Commands)
}

func checkEffects(c *checker, events []Event, commands []CommandRequest) {
	each(c, "events", events, MaxEvents)
	for i := range events[:min(len(events), MaxEvents)] {
		c.at("events", i, unminted{&events[i]})
	}
	each(c, "commands", commands, MaxCommands)
}

// unminted is an event as a plugin reports it.
type unminted struct{ *Event }

func (u unminted) check(c *checker) { u.checkUnminted(c) }

func (r *Response) check(c *checker) {
	c.within("status", r.Status, 200, 599)
	c.bounded("body", r.Body, MaxResponseBytes)
	each(c, "headers", r.Headers, MaxHeaders)
}

// tokenSigns are what a header field's name may hold besides letters and digits (RFC 9110
// section 5.6.2).
const tokenSigns = "!#$%&'*+-.^_`|~"

func (h *Header) check(c *checker) {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(tokenSigns, r)
	}
	if h.Name == "" || len(h.Name) > 256 || strings.IndexFunc(h.Name, odd) >= 0 {
		c.fail("name", "it is no name of a header field")
	}
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	if strings.IndexFunc(h.Value, control) >= 0 {
		c.fail("value", "it has a control character, such as a line break")
	}
	c.bounded("value", h.Value, MaxURLBytes)
}

func (r *Rejection) check(c *checker) {
	c.word("code", r.Code)
	c.bounded("reason", r.Reason, MaxNameBytes)
	c.within("limit", r.Limit, 0, MaxRejections)
	if (r.Limit > 0) != (r.TooMany != nil) {
		c.fail("too_many", "it goes with limit; set both or neither")
	}
	if r.TooMany != nil {
		c.in("too_many", r.TooMany)
	}
}

func (r *CommandRequest) check(c *checker) {
	c.bounded("lane", r.Lane, 256)
	c.within("after_millis", r.AfterMillis, 0, MaxDelayMillis)
	c.bounded("payload", r.Payload, MaxPayloadBytes)
}

func (f *Failure) check(c *checker) {
	known(c, "class", f.Class, classes)
	c.word("code", f.Code)
	c.bounded("message", f.Message, MaxNameBytes)
	c.within("retry_after_millis", f.RetryAfterMillis, 0, MaxDelayMillis)
	if f.Class == FailureRetryAfter && f.RetryAfterMillis == 0 {
		c.fail("retry_after_millis", "it is missing; retry_after must say how long to wait")
	}
	each(c, "parts", f.Parts, MaxParts)
}

func (s *Sent) check(c *checker) {
	c.required("platform_id", string(s.PlatformID), MaxIDBytes)
	known(c, "status", s.Status, []MessageStatus{MessageSent, MessageDelivered, MessageRead})
	each(c, "parts", s.Parts, MaxParts)
}

func (h *Health) check(c *checker) { c.bounded("detail", h.Detail, MaxNameBytes) }

func (s *SetupStep) check(c *checker) {
	c.required("label", s.Label, MaxNameBytes)
	c.bounded("value", s.Value, MaxURLBytes)
	c.bounded("help", s.Help, MaxTextBytes)
}

func (v *Capability) check(c *checker) {
	c.word("feature", v.Feature)
	known(c, "support", v.Support, supports)
	c.notNegative("max_chars", v.MaxChars)
	c.notNegative("max_bytes", v.MaxBytes)
	c.notNegative("max_count", v.MaxCount)
	c.count("mime_types", len(v.MIMETypes), MaxSteps)
	for _, mime := range v.MIMETypes {
		c.required("mime_types", mime, MaxIDBytes)
	}
	c.bounded("note", v.Note, MaxNameBytes)
}
