package emulator

import (
	"net/http"
	"strings"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// The operations of the messenger and the file service, as [Step] and [Exchange] name them.
const (
	OpLineCreate = "line.create"
	OpLineList   = "line.list"
	OpLineGet    = "line.get"
	OpLineEdit   = "line.edit"
	OpLineDelete = "line.delete"

	OpChatCreate = "chat.create"
	OpChatList   = "chat.list"

	OpMessageCreate = "message.create"
	OpMessageGet    = "message.get"
	OpMessageList   = "message.list"
	OpMessageEdit   = "message.edit"
	OpMessageDelete = "message.delete"
	OpMessageStatus = "message.status"

	OpFileUpload = "file.upload"
	OpFileSize   = "file.size"
	// OpFileGet is the download of an attachment.
	OpFileGet = "file.get"
)

// Step says how the platform treats one request. The zero Step plays by the rules.
type Step struct {
	// Op is the operation that the step is for, or what it begins with ("message."); empty means
	// any.
	Op string
	// Times is how many requests it is for; 0 means 1.
	Times int

	// Status answers with this status whatever the request says, and nothing takes effect unless
	// Process is set; 0 plays by the rules.
	Status int
	// Header is added to the answer.
	Header http.Header
	// Body replaces the answer's body.
	Body string
	// Hold keeps the answer back until it is closed, after the effect; nil answers at once.
	Hold <-chan struct{}
	// HangUp closes the connection without an answer.
	HangUp bool
	// Process has the request take effect although Status or HangUp tells the app otherwise.
	Process bool
	// Before is called before the request is looked at; nil for nothing.
	Before func()
	// After is called once the request took effect, before it is answered; nil for nothing.
	After func()
}

// takes tells whether the request takes effect.
func (s *Step) takes() bool { return s.Process || s.Status == 0 && !s.HangUp }

// script is the half of the script that tests use.
type script = emulate.Script[Step]

func newPlayer() *emulate.Player[Step] {
	return emulate.NewPlayer(func(step *Step) *int { return &step.Times })
}

// next takes the step for a request.
func (p *Platform) next(op string) Step {
	return p.player.Next(func(step Step) bool {
		return step.Op == "" || step.Op == op || strings.HasSuffix(step.Op, ".") && strings.HasPrefix(op, step.Op)
	})
}
