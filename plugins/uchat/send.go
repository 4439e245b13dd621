package main

import (
	"cmp"
	"errors"
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// maxPieces bounds how many texts one message may become.
const maxPieces = 32

// errNumbers means that no free number was found, which does not happen.
var errNumbers = errors.New("no number is free for the conversation")

// SendMessage posts a customer's message. What was accepted before a failure is not posted
// again by the next attempt.
func (c connector) SendMessage(h pdk.Host, in *contract.SendMessageInput) (*contract.CommandOutput, error) {
	l, _, err := dial(h, in.Connection.Settings, c.now())
	if err != nil {
		return nil, err
	}
	if failure := l.open(); failure != nil {
		return l.failed(failure), nil
	}
	s := &sending{link: l, in: in}
	failure, err := s.compose()
	if err != nil {
		return nil, err
	}
	if failure == nil {
		var chat chatRecord
		chat, failure, err = introduce(h, &in.Message)
		s.who, s.number = personOf(&in.Message, chat.sender), chat.number
	}
	switch {
	case err != nil:
		return nil, err
	case failure != nil:
		return l.failed(failure), nil
	}
	return s.send()
}

// open says why nothing can be posted; nil if it can. Messages go out from the moment that
// UChat verified the webhook, and while it is set anew.
func (l *link) open() *contract.Failure {
	switch {
	case l.ch.state == "":
		return permanent("not_connected", "The connection has not been set up yet.")
	case l.ch.state == channelRemoved:
		return permanent("disconnected", "The workspace has no webhook of ours any more: save the connection's settings to set it again.")
	case l.ch.state == channelUnverified:
		return permanent("not_verified", "UChat has not verified the webhook: see the connection's state.")
	case l.ch.state == channelVerifying && (l.ch.botURL == "" || l.set.manual()):
		return &contract.Failure{
			Class: contract.FailureRetryAfter, Code: "verifying", RetryAfterMillis: 5000, Message: "UChat is just verifying the webhook.",
		}
	case l.ch.botURL == "":
		return permanent("not_connected", "UChat has not told where to post yet: see the connection's state.")
	}
	return l.set.botProblem(l.ch.botURL)
}

// sending is one message on its way.
type sending struct {
	*link
	in     *contract.SendMessageInput
	who    person
	number int64
	posts  []post
	flat
	progress progress
}

// compose turns the message into posts: a pressed button, or its text in pieces and each
// file, the first of which carries the last piece.
func (s *sending) compose() (*contract.Failure, error) {
	m := &s.in.Message
	if !fits(string(m.ID)) || !fits(string(m.Conversation.ID)) {
		return permanent("id_too_long", "The ids of message and conversation must have 1 to "+strconv.Itoa(maxIDBytes)+" bytes."), nil
	}
	s.flat.set = s.link.set
	var err error
	if s.progress, err = loadProgress(s.h, m.ID); err != nil {
		return nil, err
	}
	if err := s.flatten(m); err != nil {
		return nil, err
	}
	urls, err := s.links(s.h)
	if err != nil {
		return nil, err
	}
	if failure := s.outcomes.Strict(m.Parts); s.in.Strict && failure != nil {
		return failure, nil
	}
	if s.press != nil {
		s.posts = append(s.posts, post{press: s.press})
	}
	if failure := s.cut(urls); failure != nil {
		return failure, nil
	}
	if len(s.posts) == 0 {
		return s.outcomes.Rejected("nothing_to_send", "No part of the message can be sent."), nil
	}
	return nil, nil
}

// flatten takes the parts. A text that stands for a button is a press of it.
func (s *sending) flatten(m *contract.Message) error {
	for i := range m.Parts {
		part := &m.Parts[i]
		var b *button
		var err error
		switch {
		case s.press != nil:
		case isPress(part):
			b, err = pressed(s.h, part.Raw)
		case len(m.Parts) == 1 && part.Text != nil:
			b, err = s.replied(part.Text.Plain)
		}
		if err != nil {
			return err
		}
		o := contract.PartOutcome{Index: int64(i), Fate: contract.PartNative}
		if b != nil {
			s.press = b
		} else {
			o.Fate, o.Note = s.add(i, part)
		}
		s.outcomes = append(s.outcomes, o)
	}
	return nil
}

// replied finds the button that a text stands for, as the first attempt did.
func (s *sending) replied(words string) (*button, error) {
	if s.progress.press == "" {
		action, err := replied(s.h, s.link.set, s.in.Message.Conversation.ID, words)
		if err != nil {
			return nil, err
		}
		s.progress.press = cmp.Or(action, pressNothing)
	}
	return buttonOf(s.h, s.progress.press)
}

// remember keeps for the next attempt what this one found out.
func (s *sending) remember() error {
	if s.progress == (progress{}) {
		return nil
	}
	return s.progress.save(s.h, s.in.Message.ID)
}

// cut makes a post of each piece of text and of each file.
func (s *sending) cut(urls []string) *contract.Failure {
	texts := plain.Split(s.text, s.link.set.maxText(), maxPieces)
	if texts == nil {
		return permanent("text_too_long", "The text would become more than "+strconv.Itoa(maxPieces)+" messages.")
	}
	for _, piece := range texts {
		if piece != "" {
			s.posts = append(s.posts, post{text: piece})
		}
	}
	for i := range s.files {
		p := post{file: &s.files[i], url: urls[i]}
		if last := len(s.posts) - 1; i == 0 && last >= 0 && s.posts[last].press == nil {
			p.text = s.posts[last].text
			s.posts = s.posts[:last]
		}
		s.posts = append(s.posts, p)
	}
	return nil
}

// send makes the posts in order, each once the one before was accepted.
func (s *sending) send() (*contract.CommandOutput, error) {
	for i := s.progress.done; i < int64(len(s.posts)); i++ {
		failure, err := s.post(&s.posts[i])
		if err != nil {
			return nil, err
		}
		if failure != nil {
			return s.failed(failure), s.remember()
		}
	}
	s.link.out.Sent = &contract.Sent{
		PlatformID: contract.PlatformMessageID(s.in.Message.ID), Status: contract.MessageSent, Parts: s.outcomes,
	}
	return &s.link.out, nil
}

// post makes one post, to where UChat moved the bot if that is needed, and notes that it was
// accepted.
func (s *sending) post(p *post) (*contract.Failure, error) {
	body := p.body(s.who, s.number, s.link.set.mediaAsLink())
	failure, status, err := s.deliver(body)
	if err == nil && status == 404 {
		if failure, err = s.moved(); err == nil && failure == nil {
			failure, _, err = s.deliver(body)
		}
	}
	if err != nil || failure != nil {
		return failure, err
	}
	s.progress.done++
	s.progress.unsure = 0
	return nil, s.progress.save(s.h, s.in.Message.ID)
}

// deliver posts a body and keeps the connection's state by the answer, whose status it
// returns; 0 if there is none.
func (s *sending) deliver(body string) (*contract.Failure, int64, error) {
	result, err := s.h.HTTPSend(contract.HTTPRequest{
		Method: "POST", URL: s.ch.botURL, Body: body, TimeoutMillis: callTimeoutMillis,
		Headers: []contract.Header{
			{Name: "Authorization", Value: "Bearer " + pdk.Secret("flow_key")},
			{Name: "Accept", Value: "application/json"},
			{Name: "Content-Type", Value: "application/json"},
		},
	})
	if err != nil {
		failure, err := s.unanswered(err)
		return failure, 0, err
	}
	switch {
	case result.Status >= 200 && result.Status < 300:
		return nil, result.Status, s.recovered()
	case result.Status == 401 || result.Status == 403:
		failure := refusal(result)
		return failure, result.Status, s.refused(failure)
	case result.Status == 404:
		return permanent("bot_url_stale", "UChat does not know the bot URL any more."), result.Status, nil
	}
	return refusal(result), result.Status, nil
}

// unanswered decides about a post that has no answer. UChat cannot recognise a repeat, so one
// that may have arrived is repeated once at most.
func (s *sending) unanswered(err error) (*contract.Failure, error) {
	if refused := (*contract.HostError)(nil); !errors.As(err, &refused) || refused.Certain {
		return unsent(err), nil
	}
	which := s.progress.done + 1
	if !s.link.set.retryAmbiguous() || s.progress.unsure == which {
		return &contract.Failure{
			Class: contract.FailureUncertain, Code: "outcome_unknown",
			Message: "UChat may have taken the message: its answer was lost, and a repeat might double it.",
		}, nil
	}
	s.progress.unsure = which
	return retry("outcome_unknown", "UChat's answer was lost; the message is sent once more."), nil
}

// refused notes that our key was refused.
func (s *sending) refused(f *contract.Failure) error {
	if s.ch.state == channelError && s.ch.fault == faultBot {
		return nil
	}
	return s.errs(faultBot, needs(f.Code, f.Message, "Rotate flow_key to a valid key with the permission to manage flows, and send again."))
}

// recovered notes that our key is accepted again.
func (s *sending) recovered() error {
	if s.ch.state != channelError || s.ch.fault != faultBot {
		return nil
	}
	change, _, err := readiness(s.h, s.link.set, s.now)
	if err != nil {
		return err
	}
	return s.enter(channelReady, change)
}

// moved asks where the bot is now. The failure says why it is nowhere else.
func (s *sending) moved() (*contract.Failure, error) {
	stale := permanent("bot_url_stale", "UChat does not know the bot URL any more.")
	if s.link.set.manual() {
		return stale, s.errs(faultBot, needs(stale.Code, stale.Message, "Paste the bot_url that UChat shows now into the settings."))
	}
	present, failure := s.partner.get()
	switch {
	case failure != nil:
		return failure, nil
	case !present.ours():
		return permanent("disconnected", "The workspace has no webhook of ours any more."), s.gone()
	case present.botURL == s.ch.botURL:
		return stale, s.errs(faultBot, needs(stale.Code, stale.Message, "Save the connection's settings again, which sets the webhook anew."))
	}
	return s.moveBot(present.botURL)
}
