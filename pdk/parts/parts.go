// Package parts helps a connector with the parts of messages: to say what became of each
// when a message goes out ([Outcomes]), to find what a part holds for a platform that has
// nothing like it ([Words], [Pictures]), and to name the files that come in ([FileName],
// [MediaKind]).
package parts

import (
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// Outcomes says what became of each part of a message, in order.
type Outcomes []contract.PartOutcome

// Take has add take each part, and keeps what it says became of the part, with a note for
// people ("" for none).
func Take(list []contract.Part, add func(index int, p *contract.Part) (fate contract.PartFate, note string)) Outcomes {
	outcomes := make(Outcomes, 0, len(list))
	for i := range list {
		fate, note := add(i, &list[i])
		outcomes = append(outcomes, contract.PartOutcome{Index: int64(i), Fate: fate, Note: note})
	}
	return outcomes
}

// Degraded returns the first part that is not sent as it is, or nil. What is changed there
// is changed in o.
func (o Outcomes) Degraded() *contract.PartOutcome {
	for i := range o {
		if o[i].Fate != contract.PartNative {
			return &o[i]
		}
	}
	return nil
}

// Rejected is the failure, of class permanent, of a message that is not sent because of
// its parts: those that would not be sent as they are are at fault.
func (o Outcomes) Rejected(code, message string) *contract.Failure {
	f := &contract.Failure{Class: contract.FailurePermanent, Code: code, Message: message}
	for _, outcome := range o {
		if outcome.Fate != contract.PartNative {
			outcome.Fate = contract.PartRejected
		}
		f.Parts = append(f.Parts, outcome)
	}
	return f
}

// Strict is the failure "part_refused" of a message that was not to be degraded; nil if no
// part is. list is the message's parts.
func (o Outcomes) Strict(list []contract.Part) *contract.Failure {
	worst := o.Degraded()
	if worst == nil {
		return nil
	}
	message := "Part " + strconv.FormatInt(worst.Index, 10) + " (" + string(list[worst.Index].Kind) + ") cannot be sent as it is. " + worst.Note
	return o.Rejected("part_refused", plain.Clip(message, contract.MaxNameBytes))
}

// Words is a part as text: its fallback, or else its description; "" if it has neither.
func Words(p *contract.Part) string {
	if p.Fallback != "" {
		return p.Fallback
	}
	return plain.Describe(p)
}

// Pictures lists the pictures on the cards of a part.
func Pictures(p *contract.Part) []*contract.Media {
	var list []*contract.Media
	if p.Kind == contract.PartCard && p.Card != nil && p.Card.Image != nil {
		list = append(list, p.Card.Image)
	}
	if p.Kind == contract.PartCarousel && p.Carousel != nil {
		for i := range p.Carousel.Cards {
			if picture := p.Carousel.Cards[i].Image; picture != nil {
				list = append(list, picture)
			}
		}
	}
	return list
}

// Gone is the note of an attachment of which there are no bytes.
func Gone(m *contract.Media) string {
	return plain.Clip(strings.TrimSpace("There are no bytes to send. "+m.Missing), contract.MaxNameBytes)
}

// maxFileNameBytes bounds the name of a file.
const maxFileNameBytes = 255

// FileName makes a file name of what somebody else calls a file: without a path and
// control characters, of at most 255 bytes; "file" if nothing is left.
func FileName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, name)
	if name == "" || name == "." || name == "/" || name == ".." {
		return "file"
	}
	return plain.Clip(name, maxFileNameBytes)
}

// kinds is how files are meant to be shown, by the ends of their names, each between dots.
// A map would take 4 KB of every plugin, and be made at each start.
var kinds = [...]struct {
	ends string
	kind contract.MediaKind
}{
	{".jpg.jpeg.png.gif.webp.bmp.heic.", contract.MediaImage},
	{".mp3.m4a.wav.flac.", contract.MediaAudio},
	{".ogg.oga.opus.", contract.MediaVoice},
	{".mp4.mov.webm.avi.", contract.MediaVideo},
}

// MediaKind tells by its name how a file is meant to be shown. The host looks at the bytes.
func MediaKind(name string) contract.MediaKind {
	end := strings.ToLower(path.Ext(name)) + "."
	for i := range kinds {
		if len(end) > 2 && strings.Contains(kinds[i].ends, end) {
			return kinds[i].kind
		}
	}
	return contract.MediaFile
}
