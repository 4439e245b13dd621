package emulator

import (
	"net/http"
	"slices"
	"strings"
	"sync"
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

// script hands out steps.
type script struct {
	mu    sync.Mutex
	steps []Step
}

// Script adds steps. Each request takes the first one that is for its operation; when there is
// none, it is treated by the rules.
func (p *Platform) Script(steps ...Step) {
	p.script.mu.Lock()
	defer p.script.mu.Unlock()
	p.script.steps = append(p.script.steps, steps...)
}

// Unplayed returns how many steps no request has used up yet.
func (p *Platform) Unplayed() int {
	p.script.mu.Lock()
	defer p.script.mu.Unlock()
	return len(p.script.steps)
}

// next takes the step for a request.
func (s *script) next(op string) Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, step := range s.steps {
		prefix := strings.HasSuffix(step.Op, ".") && strings.HasPrefix(op, step.Op)
		if step.Op != "" && step.Op != op && !prefix {
			continue
		}
		if step.Times > 1 {
			s.steps[i].Times--
		} else {
			s.steps = slices.Delete(s.steps, i, i+1)
		}
		return step
	}
	return Step{}
}
