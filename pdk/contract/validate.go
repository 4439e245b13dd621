package contract

import "strings"

// What a valid document holds at most. Lengths are in bytes.
const (
	// MaxIDBytes bounds an opaque name: of a message, a conversation, a person, an action.
	MaxIDBytes = 512
	// MaxNameBytes bounds what people see in one line: a title, a label, a reason.
	MaxNameBytes = 1024
	// MaxTextBytes bounds a longer text: each form of a text part, a fallback.
	MaxTextBytes = 64 << 10
	// MaxURLBytes bounds a URL.
	MaxURLBytes = 8 << 10
	// MaxRawBytes bounds the document of a [Raw].
	MaxRawBytes = 256 << 10
	// MaxResponseBytes bounds the body of a [Response].
	MaxResponseBytes = 1 << 20
	// MaxPayloadBytes bounds the payload of a [CommandRequest].
	MaxPayloadBytes = 64 << 10
	// MaxParts bounds the parts of a message.
	MaxParts = 64
	// MaxOptions bounds the options of a choice or a card.
	MaxOptions = 100
	// MaxCards bounds the cards of a carousel.
	MaxCards = 50
	// MaxAttributes bounds the attributes of a contact.
	MaxAttributes = 64
	// MaxHeaders bounds the header fields of a response.
	MaxHeaders = 100
	// MaxEvents bounds the events of one invocation.
	MaxEvents = 1000
	// MaxCommands bounds the command requests of one invocation.
	MaxCommands = 1000
	// MaxSteps bounds the steps of a setup, and the capabilities of a connection.
	MaxSteps = 100
	// MaxRoutedBytes bounds the payload of a [RouteOutput].
	MaxRoutedBytes = 1 << 20
	// MaxParkSeconds bounds how long a delivery waits for a connection: 30 days.
	MaxParkSeconds = 30 * 24 * 3600
	// MaxRejections bounds the limit of a [Rejection].
	MaxRejections = 1000
	// MaxDelayMillis bounds every wait that a plugin asks for: 7 days, in milliseconds.
	MaxDelayMillis = 7 * 24 * 3600 * 1000
)

// Problem is one thing wrong with a document.
type Problem struct {
	// Path is where, such as "events[0].message.parts[2].kind".
	Path string
	// Why says what is wrong and what is needed. It quotes no values.
	Why string
}

// InvalidError says what is wrong with a document that was decoded: everything, up to
// [MaxProblems] things.
type InvalidError struct{ Problems []Problem }

// MaxProblems bounds an [InvalidError], since the document may be an attacker's.
const MaxProblems = 20

func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Path + ": " + p.Why
	}
	return strings.Join(lines, "\n")
}

// Validate tells whether m is a message as documented: known words, exactly the fields
// that each kind names, and nothing beyond the bounds. Its error is an [*InvalidError].
func (m *Message) Validate() error { return validated(m) }

// Validate tells whether e is an event as documented, as [Message.Validate] does.
func (e *Event) Validate() error { return validated(e) }

// Validate tells whether the output is as documented, as [Message.Validate] does, and
// whether what only the host fills in is empty.
func (o *ReceiveOutput) Validate() error { return validated(o) }

// Validate tells whether the output is as documented, as [Message.Validate] does.
func (o *RouteOutput) Validate() error { return validated(o) }

// Validate tells whether the output is as documented, as [Message.Validate] does, and
// whether what only the host fills in is empty.
func (o *CommandOutput) Validate() error { return validated(o) }

// checkable is a document that notes at c what is wrong with it.
type checkable interface{ check(c *checker) }

func validated(v checkable) error {
	var c checker
	v.check(&c)
	if len(c.problems) == 0 {
		return nil
	}
	return &InvalidError{c.problems}
}
