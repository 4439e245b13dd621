package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// CheckHealth asks the portal for the line, which needs the token, the app's rights and the line.
func (connector) CheckHealth(h pdk.Host, in *contract.CheckHealthInput) (*contract.CommandOutput, error) {
	if in.Connection.IsApp {
		return checkApp(h, in)
	}
	p, failure, err := dial(h, &in.Connection)
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return p.failed(failure), nil
	}
	line, _, known, err := loadLine(h)
	if err != nil {
		return nil, err
	}
	health := &contract.Health{CredentialsValid: true, CheckedAt: in.Command.CreatedAt, Detail: "The portal answers, and the external line is there."}
	found := false
	if known && !line.gone {
		_, found, failure = p.getLine(line.id)
	} else {
		_, found, failure = p.searchLine()
	}
	if failure != nil {
		return p.ended(nil, failure)
	}
	out := &contract.CommandOutput{Health: health, Capabilities: settings(in.Connection.Settings).capabilities()}
	if !found || !known || line.gone {
		health.Detail = "The portal answers; the external line is missing and is being made."
		out.Commands = []contract.CommandRequest{lineWork()}
	}
	return p.ended(out, nil)
}

// capabilities is what a connection with these settings carries; plugin.yaml says what it is by
// default.
func (s settings) capabilities() []contract.Capability {
	text := contract.Capability{Feature: "text", Support: contract.SupportFull, MaxChars: int64(s.maxText()),
		Note: "Sent as Markdown; a long text becomes several messages."}
	if s.plainText() {
		text.Support, text.Note = contract.SupportPartial, "Sent without formatting; a long text becomes several messages."
	}
	deletion := contract.Capability{Feature: "delete", Support: contract.SupportFallback, Note: "A note in the chat, unless delete_policy says to delete."}
	if s.deletes() {
		deletion.Support, deletion.Note = contract.SupportFull, ""
	}
	return []contract.Capability{
		text,
		{Feature: "media", Support: contract.SupportFull, MaxBytes: s.maxFileBytes(),
			Note: "Sound and films are messages of their own; a larger file is replaced by a note."},
		{Feature: "choice", Support: contract.SupportFallback, Note: "Sent as text."},
		{Feature: "card", Support: contract.SupportFallback, Note: "Sent as text, the picture as a file."},
		{Feature: "carousel", Support: contract.SupportFallback, Note: "Sent as text, the pictures as files."},
		{Feature: "location", Support: contract.SupportFallback, Note: "Sent as text with a link to a map."},
		{Feature: "contact", Support: contract.SupportFallback, Note: "Sent as text."},
		{Feature: "raw", Support: contract.SupportFallback, Note: "Sent as its fallback text, or left out without one."},
		{Feature: "reply", Support: contract.SupportFull, Note: "A message that is not known any more is quoted without its words."},
		{Feature: "edit", Support: contract.SupportPartial, Note: "Changes the text; where the portal does not allow it, a new message says it."},
		deletion,
		{Feature: "typing", Support: contract.SupportDropped, Note: "The platform has no typing signal for external lines."},
		{Feature: "reaction", Support: contract.SupportDropped, Note: "The platform has no reactions of customers."},
		{Feature: "receipt", Support: contract.SupportFull},
	}
}
