package recording

import (
	"bytes"
	"errors"
)

// errDiverged ends an invocation whose next answer nobody knows.
var errDiverged = errors.New("the replay has left the recording")

// Player answers the host calls of a replay from a recording, in order, as long as they
// are the calls that were recorded.
type Player struct {
	recording  *Recording
	next       int
	divergence *Divergence
	ended      bool
}

// NewPlayer plays a recording from its beginning.
func NewPlayer(r *Recording) *Player { return &Player{recording: r} }

// Call answers the next host call. An error must end the invocation: either the recorded
// one ended here as well, see [Player.Ended], or this one has diverged.
func (p *Player) Call(function string, args []byte) ([]byte, error) {
	i := p.next
	p.next++
	got := &Call{Function: function, Arguments: args}
	switch {
	case p.divergence != nil || p.ended:
		return nil, errDiverged
	case i >= len(p.recording.Calls) && p.recording.Outside():
		p.ended = true
		return nil, errors.New(p.recording.Outcome.Failure.Message)
	case i >= len(p.recording.Calls):
		p.divergence = extraCall(i, got)
		return nil, errDiverged
	}
	want := &p.recording.Calls[i]
	if p.divergence = compareQuestion(i, want, got); p.divergence != nil {
		return nil, errDiverged
	}
	if want.Failure != nil {
		p.ended = true
		return nil, errors.New(want.Failure.Message)
	}
	return bytes.Clone(want.Answer), nil
}

// Divergence is the first call that was not as recorded, or nil.
func (p *Player) Divergence() *Divergence { return p.divergence }

// Ended reports whether the invocation was ended where the recorded one was ended from
// outside or by its host, so that it must be taken to have ended in the same way.
func (p *Player) Ended() bool { return p.ended }
