package recording

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds on what is read and written.
const (
	// MaxBytes is how long an encoded recording may be.
	MaxBytes = 64 << 20
	// MaxCalls is how many host calls it may hold, and MaxLogs how many log lines.
	MaxCalls = 10_000
	MaxLogs  = 10_000
	// maxIndentedBytes is how long it may be to be laid out for people.
	maxIndentedBytes = 1 << 20
)

// ErrFormat means that a recording is of another [Format], or of none.
var ErrFormat = errors.New("not a recording of this format")

// Encode writes the recording as JSON, one member a line unless it is long. What it
// writes, [Decode] reads back as it was.
func (r *Recording) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encode recording: %w", err)
	}
	document, err := encode(r)
	if err != nil {
		return nil, fmt.Errorf("encode recording: %w", err)
	}
	if len(document) <= maxIndentedBytes {
		if err := document.Indent(jsontext.WithIndent("  ")); err != nil {
			return nil, fmt.Errorf("encode recording: %w", err)
		}
	}
	if document = append(document, '\n'); len(document) > MaxBytes {
		return nil, fmt.Errorf("encode recording: it has %d bytes; at most %d are allowed", len(document), MaxBytes)
	}
	return document, nil
}

// encode writes v on one line. Documents in it stay as they were written.
func encode(v any) (jsontext.Value, error) {
	return json.Marshal(v, json.Deterministic(true), jsontext.PreserveRawStrings(true))
}

// Decode reads a recording. Unknown members, another format and more than the bounds of
// this package are refused.
func Decode(data []byte) (*Recording, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("read recording: it has %d bytes; at most %d are allowed", len(data), MaxBytes)
	}
	if err := checkFormat(data); err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	r := new(Recording)
	if err := json.Unmarshal(data, r, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	r.Now = r.Now.UTC()
	return r, nil
}

// checkFormat looks at the format alone, so that a later one is not blamed for what it
// has more.
func checkFormat(data []byte) error {
	var head struct {
		Format *int `json:"format"`
	}
	switch err := json.Unmarshal(data, &head); {
	case err != nil:
		return err
	case head.Format == nil:
		return fmt.Errorf("%w: it has no member \"format\"", ErrFormat)
	case *head.Format != Format:
		return fmt.Errorf("%w: it is of format %d, and this program reads %d", ErrFormat, *head.Format, Format)
	}
	return nil
}

// check holds the recording against the rules that its form does not state.
func (r *Recording) check() error {
	switch {
	case r.Format != Format:
		return fmt.Errorf("%w: it is of format %d", ErrFormat, r.Format)
	case r.Export == "":
		return errors.New("it does not name the export that was called")
	case len(r.Calls) > MaxCalls:
		return fmt.Errorf("it has %d host calls; at most %d are allowed", len(r.Calls), MaxCalls)
	case len(r.Logs) > MaxLogs:
		return fmt.Errorf("it has %d log lines; at most %d are allowed", len(r.Logs), MaxLogs)
	case r.Now.UTC().Year() < 0 || r.Now.UTC().Year() > 9999:
		return fmt.Errorf("its clock is in the year %d, which RFC 3339 cannot write", r.Now.UTC().Year())
	}
	return nil
}

// Took is [Recording.TookMicros] as a duration.
func (r *Recording) Took() time.Duration { return time.Duration(r.TookMicros) * time.Microsecond }
