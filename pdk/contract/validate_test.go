package contract_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func textMessage() *contract.Message {
	return &contract.Message{
		Conversation: contract.Conversation{ID: "c1"},
		Author:       contract.Author{Role: contract.RoleCustomer},
		Parts:        []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: "hello"}}},
	}
}

func created() contract.Event {
	return contract.Event{Kind: contract.EventMessageCreated, Message: textMessage()}
}

// part returns a message of one part.
func part(p contract.Part) *contract.Message {
	m := textMessage()
	m.Parts = []contract.Part{p}
	return m
}

var somebody = contract.Author{Role: contract.RoleAgent}

type validator interface{ Validate() error }

func accepted() map[string]validator {
	everyKind := &contract.ReceiveOutput{Response: contract.Response{Status: 200}}
	at := &contract.Conversation{ID: "c1"}
	everyKind.Events = []contract.Event{
		created(),
		{Kind: contract.EventMessageUpdated, Conversation: at, Message: textMessage()},
		{Kind: contract.EventMessageDeleted, Deletion: &contract.Deletion{PlatformID: "m1"}},
		{Kind: contract.EventMessageStatus, Status: &contract.StatusReport{PlatformID: "m1", Status: contract.MessageRead}},
		{Kind: contract.EventPostback, Conversation: at, Postback: &contract.Postback{ActionID: "yes", Author: somebody}},
		{Kind: contract.EventTyping, Conversation: at, Typing: &contract.Typing{Author: somebody}},
		{Kind: contract.EventReaction, Reaction: &contract.Reaction{PlatformID: "m1", Author: somebody}},
		{Kind: contract.EventContactUpdated, Contact: &contract.Contact{ID: "p1"}},
		{Kind: contract.EventConversationOpened, Conversation: at},
		{Kind: contract.EventConversationClosed, Conversation: at},
		{Kind: contract.EventConnectionState, State: &contract.StateChange{State: contract.StateConnected}},
		{Kind: contract.EventRaw, Raw: &contract.Raw{Kind: "poll"}},
	}
	everyPart := textMessage()
	options := []contract.Option{{ActionID: "a", Label: "A"}, {URL: "https://a.test/", Label: "B"}}
	everyPart.Parts = append(everyPart.Parts,
		contract.Part{Kind: contract.PartMedia, Media: &contract.Media{Kind: contract.MediaImage, Name: "a.png", SourceURL: "https://a.test/a.png"}},
		contract.Part{Kind: contract.PartMedia, Fallback: "a voice note", Media: &contract.Media{Kind: contract.MediaVoice, Missing: "too large"}},
		contract.Part{Kind: contract.PartChoice, Fallback: "A or B?", Choice: &contract.Choice{Style: contract.ChoiceList, Options: options}},
		contract.Part{Kind: contract.PartCard, Fallback: "card", Card: &contract.Card{Title: "T", Image: &contract.Media{Kind: contract.MediaImage, Handle: "h"}}},
		contract.Part{Kind: contract.PartCarousel, Fallback: "cards", Carousel: &contract.Carousel{Cards: []contract.Card{{Title: "T", Options: options}}}},
		contract.Part{Kind: contract.PartLocation, Fallback: "54.687,25.279", Location: &contract.Location{LatitudeE7: 546870000, LongitudeE7: -1800000000}},
		contract.Part{Kind: contract.PartContact, Fallback: "Dana", Contact: &contract.Contact{Name: "Dana"}},
		contract.Part{Kind: contract.PartRaw, Fallback: "a poll", Raw: &contract.Raw{Kind: "poll", JSON: contract.RawJSON(`{}`)}},
	)
	return map[string]validator{
		"every kind of event": everyKind, "every kind of part": everyPart, "a command that says nothing": &contract.CommandOutput{},
		"a sent message":          &contract.CommandOutput{Sent: &contract.Sent{PlatformID: "m1", Status: contract.MessageSent}},
		"a route":                 &contract.RouteOutput{Key: "account-1"},
		"no route":                &contract.RouteOutput{},
		"a message from the host": &contract.Event{Kind: contract.EventMessageCreated, Message: &contract.Message{ID: "msg_1", Status: contract.MessageQueued, Conversation: contract.Conversation{ID: "c"}, Author: somebody, Parts: textMessage().Parts}},
	}
}

func TestValidateAccepts(t *testing.T) {
	for name, document := range accepted() {
		if err := document.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidateBlames(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	answer := func(change func(*contract.ReceiveOutput)) *contract.ReceiveOutput {
		o := &contract.ReceiveOutput{Response: contract.Response{Status: 200}, Events: []contract.Event{created()}}
		change(o)
		return o
	}
	event := func(e contract.Event) *contract.Event { return &e }
	for _, tt := range []struct {
		name   string
		in     validator
		blamed []string
	}{
		{"no status", &contract.ReceiveOutput{}, []string{"response.status"}},
		{"a status below 200", answer(func(o *contract.ReceiveOutput) { o.Response.Status = 101 }), []string{"response.status"}},
		{"a status above 599", answer(func(o *contract.ReceiveOutput) { o.Response.Status = 600 }), []string{"response.status"}},
		{"a header split in two", answer(func(o *contract.ReceiveOutput) {
			o.Response.Headers = []contract.Header{{Name: "A", Value: "1\r\nSet-Cookie: x=1"}, {Name: "B C"}, {}}
		}), []string{"response.headers[0].value", "response.headers[1].name", "response.headers[2].name"}},
		{"too many headers", answer(func(o *contract.ReceiveOutput) {
			o.Response.Headers = slices.Repeat([]contract.Header{{Name: "A"}}, 101)
		}), []string{"response.headers"}},
		{"a response beyond 1 MiB", answer(func(o *contract.ReceiveOutput) { o.Response.Body = long(1<<20 + 1) }), []string{"response.body"}},
		{"a dedupe key beyond 512 bytes", answer(func(o *contract.ReceiveOutput) { o.DedupeKey = long(513) }), []string{"dedupe_key"}},
		{"a rejection without code", answer(func(o *contract.ReceiveOutput) { o.Rejected = &contract.Rejection{} }), []string{"rejected.code"}},
		{"too many events", answer(func(o *contract.ReceiveOutput) {
			o.Events = slices.Repeat(o.Events, contract.MaxEvents+1)
		}), []string{"events"}},
		{"an event the plugin gave a name", answer(func(o *contract.ReceiveOutput) {
			o.Events[0].Message.ID = "msg_1"
			o.Events[0].Message.Status = contract.MessageRead
		}), []string{"events[0].message.id", "events[0].message.status"}},
		{"reports the plugin resolved", answer(func(o *contract.ReceiveOutput) {
			o.Events = []contract.Event{
				{Kind: contract.EventMessageDeleted, Deletion: &contract.Deletion{PlatformID: "m", MessageID: "msg_1"}},
				{Kind: contract.EventMessageStatus, Status: &contract.StatusReport{PlatformID: "m", MessageID: "msg_1", Status: contract.MessageRead}},
			}
		}), []string{"events[0].deletion.message_id", "events[1].status.message_id"}},
		{"a wait beyond 7 days", answer(func(o *contract.ReceiveOutput) {
			o.Commands = []contract.CommandRequest{{AfterMillis: contract.MaxDelayMillis + 1}, {AfterMillis: -1}, {Lane: long(257)}, {Payload: long(64<<10 + 1)}}
		}), []string{"commands[0].after_millis", "commands[1].after_millis", "commands[2].lane", "commands[3].payload"}},

		{"no kind", event(contract.Event{}), []string{"kind"}},
		{"a kind without its field", event(contract.Event{Kind: contract.EventReaction}), []string{"reaction"}},
		{"a field of another kind", event(contract.Event{Kind: contract.EventMessageCreated, Message: textMessage(), Raw: &contract.Raw{Kind: "x"}}), []string{"raw"}},
		{"typing nowhere", event(contract.Event{Kind: contract.EventTyping, Typing: &contract.Typing{Author: somebody}}), []string{"conversation"}},
		{"a conversation opened nowhere", event(contract.Event{Kind: contract.EventConversationOpened}), []string{"conversation"}},
		{"two conversations", event(contract.Event{Kind: contract.EventMessageCreated, Message: textMessage(), Conversation: &contract.Conversation{ID: "c2"}}), []string{"conversation.id"}},
		{"a report on nothing", event(contract.Event{Kind: contract.EventMessageStatus, Status: &contract.StatusReport{}}), []string{"status.platform_id", "status.status"}},
		{"a failure of what was read", event(contract.Event{Kind: contract.EventMessageStatus, Status: &contract.StatusReport{PlatformID: "m", Status: contract.MessageRead, Failure: &contract.Failure{Class: contract.FailureRetry, Code: "x"}}}), []string{"status.failure"}},
		{"no way out", event(contract.Event{Kind: contract.EventConnectionState, State: &contract.StateChange{State: contract.StateNeedsAction}}), []string{"state.action"}},

		{"a message without parts", &contract.Message{Conversation: contract.Conversation{ID: "c"}, Author: somebody}, []string{"parts"}},
		{"a message from nobody, nowhere", &contract.Message{Parts: textMessage().Parts}, []string{"conversation.id", "author.role"}},
		{"65 parts", &contract.Message{Conversation: contract.Conversation{ID: "c"}, Author: somebody, Parts: slices.Repeat(textMessage().Parts, 65)}, []string{"parts"}},
		{"an unknown kind", part(contract.Part{Kind: "hologram", Fallback: "x"}), []string{"parts[0].kind"}},
		{"a text without words", part(contract.Part{Kind: contract.PartText, Text: &contract.Text{}}), []string{"parts[0].text.plain"}},
		{"two fields at once", part(contract.Part{Kind: contract.PartText, Text: &contract.Text{Plain: "x"}, Raw: &contract.Raw{Kind: "x"}}), []string{"parts[0].raw"}},
		{"a location without fallback", part(contract.Part{Kind: contract.PartLocation, Location: &contract.Location{}}), []string{"parts[0].fallback"}},
		{"a place off the map", part(contract.Part{Kind: contract.PartLocation, Fallback: "x", Location: &contract.Location{LatitudeE7: 900000001, LongitudeE7: -1800000001}}), []string{"parts[0].location.latitude_e7", "parts[0].location.longitude_e7"}},
		{"media without anything", part(contract.Part{Kind: contract.PartMedia, Media: &contract.Media{}}), []string{"parts[0].media.kind", "parts[0].media.handle", "parts[0].fallback"}},
		{"media with a path", part(contract.Part{Kind: contract.PartMedia, Media: &contract.Media{Kind: contract.MediaFile, Name: "../a", SourceURL: "file:///etc/passwd", SizeBytes: -1}}), []string{"parts[0].media.name", "parts[0].media.size_bytes", "parts[0].media.source_url"}},
		{"a choice of nothing", part(contract.Part{Kind: contract.PartChoice, Fallback: "x", Choice: &contract.Choice{Style: contract.ChoiceButtons}}), []string{"parts[0].choice.options"}},
		{"an option that leads nowhere", part(contract.Part{Kind: contract.PartChoice, Fallback: "x", Choice: &contract.Choice{Style: contract.ChoiceButtons, Options: []contract.Option{{Label: "x"}}}}), []string{"parts[0].choice.options[0].action_id"}},
		{"101 options", part(contract.Part{Kind: contract.PartChoice, Fallback: "x", Choice: &contract.Choice{Style: contract.ChoiceButtons, Options: slices.Repeat([]contract.Option{{ActionID: "a", Label: "x"}}, 101)}}), []string{"parts[0].choice.options"}},
		{"an empty carousel", part(contract.Part{Kind: contract.PartCarousel, Fallback: "x", Carousel: &contract.Carousel{}}), []string{"parts[0].carousel.cards"}},

		{"sent and failed", &contract.CommandOutput{Sent: &contract.Sent{PlatformID: "m", Status: contract.MessageSent}, Failure: &contract.Failure{Class: contract.FailureRetry, Code: "x"}}, []string{"sent"}},
		{"sent without a name", &contract.CommandOutput{Sent: &contract.Sent{Status: contract.MessageQueued}}, []string{"sent.platform_id", "sent.status"}},
		{"a failure of no class", &contract.CommandOutput{Failure: &contract.Failure{Code: "Not A Word"}}, []string{"failure.class", "failure.code"}},
		{"a wait of no length", &contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailureRetryAfter, Code: "x"}}, []string{"failure.retry_after_millis"}},
		{"a script for a URL", &contract.CommandOutput{URL: "javascript:alert(1)"}, []string{"url"}},
		{"a step without label", &contract.CommandOutput{Setup: []contract.SetupStep{{Value: "x"}}}, []string{"setup[0].label"}},
		{"a grade unknown", &contract.CommandOutput{Capabilities: []contract.Capability{{Feature: "text", Support: "superb", MaxChars: -1}}}, []string{"capabilities[0].support", "capabilities[0].max_chars"}},
		{"an answer without status", &contract.RouteOutput{Answered: true}, []string{"response.status"}},
		{"a long route", &contract.RouteOutput{Key: long(513)}, []string{"key"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			invalid := new(contract.InvalidError)
			if err := tt.in.Validate(); !errors.As(err, &invalid) {
				t.Fatalf("Validate() = %v, want problems at %v", err, tt.blamed)
			}
			var got []string
			for _, p := range invalid.Problems {
				got = append(got, p.Path)
			}
			slices.Sort(got)
			if want := slices.Sorted(slices.Values(tt.blamed)); !slices.Equal(got, want) {
				t.Errorf("Validate() blamed %v, want %v\n%v", got, want, invalid)
			}
		})
	}
}

func TestValidateStopsCounting(t *testing.T) {
	o := &contract.ReceiveOutput{Events: make([]contract.Event, contract.MaxEvents)}
	invalid := new(contract.InvalidError)
	if err := o.Validate(); !errors.As(err, &invalid) || len(invalid.Problems) != contract.MaxProblems {
		t.Errorf("%d empty events: %d problems, want %d", len(o.Events), len(invalid.Problems), contract.MaxProblems)
	}
}

// What is decoded from anywhere can be validated, and validation changes nothing.
func FuzzValidate(f *testing.F) {
	for _, document := range accepted() {
		if o, ok := document.(*contract.ReceiveOutput); ok {
			f.Add(contract.Marshal(o))
		}
	}
	f.Add([]byte(`{"events":[{"kind":"message.created","message":{"parts":[{"kind":"media"}]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var o contract.ReceiveOutput
		if contract.Unmarshal(data, &o) != nil {
			return
		}
		before := string(contract.Marshal(&o))
		err := o.Validate()
		if after := string(contract.Marshal(&o)); after != before {
			t.Errorf("Validate changed %s to %s", before, after)
		}
		if err == nil && (o.Response.Status < 200 || o.Response.Status > 599 || len(o.Events) > contract.MaxEvents) {
			t.Errorf("Validate accepted %s", data)
		}
	})
}
