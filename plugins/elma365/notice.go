package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// SendReceipt tells the operator that a reply did not reach the customer. The platform
// has no way to be told of a status (protocol section 4), so the failure is a message in
// the same chat, and every other status is known here only.
func (connector) SendReceipt(h pdk.Host, in *contract.SendReceiptInput) (*contract.CommandOutput, error) {
	set := settings(in.Connection.Settings)
	if in.Status.Status != contract.MessageFailed || !set.failureNotice() || set.failureNoticeText() == "" {
		return nil, nil
	}
	l, failure, err := dial(h, &in.Connection)
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return l.failed(failure), nil
	}
	chat, found, err := loadChat(h, string(in.Conversation.ID))
	if err != nil {
		return nil, err
	}
	if !found {
		return l.failed(permanent("conversation_unknown", "There is no chat to put the notice into: nothing was ever sent there.")), nil
	}
	return l.notice(&post{
		id: "notice-" + string(in.Command.ID), chat: string(in.Conversation.ID),
		title: chat.title, user: chat.user, text: set.failureNoticeText(),
	}, in.Command.CreatedAt.UnixNano())
}

// notice posts a message of our own. It is repeated as a customer's is, and reported to
// nobody.
func (l *link) notice(p *post, at int64) (*contract.CommandOutput, error) {
	failure, err := l.deliver(p.body(nil, l.set.fileURLKey()))
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return l.failed(failure), nil
	}
	if err := l.keep(p, &posted{message: p.id, piece: 1, pieces: 1, chat: p.chat, at: at, tries: 1, quiet: true}); err != nil {
		return nil, err
	}
	_, next, err := l.await(p.id, 1)
	out := &contract.CommandOutput{Events: l.events}
	if next != nil {
		out.Commands = []contract.CommandRequest{*next}
	}
	return out, err
}
