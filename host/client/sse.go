package client

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// maxFrameBytes bounds one server-sent event, so that a stream without line ends cannot
// fill the memory.
const maxFrameBytes = 16 << 20

// errFrameTooLarge means that a server-sent event passed maxFrameBytes.
var errFrameTooLarge = errors.New("a server-sent event is larger than 16 MiB")

// frame is one server-sent event (WHATWG HTML section 9.2).
type frame struct {
	id, event, data string
	// retry is the wait before a reconnect that the server asks for from now on; 0 if it
	// says nothing.
	retry time.Duration
}

// frames reads server-sent events. A frame without data is a retry or a heartbeat, and is
// returned too if it says anything.
type frames struct {
	lines *bufio.Reader
	// heard is called for every line, heartbeats included.
	heard func()
}

// next returns the next frame, or the error of the reader, io.EOF at a clean end. A frame
// that was cut off is dropped: it comes again after a resume.
func (f *frames) next() (frame, error) {
	var got frame
	var data []string
	size := 0
	for {
		line, err := f.line(maxFrameBytes - size)
		if err != nil {
			return frame{}, err
		}
		f.heard()
		size += len(line) + 1
		if line != "" {
			data = got.field(line, data)
			continue
		}
		got.data = strings.Join(data, "\n")
		if got != (frame{}) || data != nil {
			return got, nil
		}
	}
}

// field takes one line of a frame.
func (f *frame) field(line string, data []string) []string {
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch name {
	case "id":
		if !strings.ContainsRune(value, 0) {
			f.id = value
		}
	case "event":
		f.event = value
	case "data":
		return append(data, value)
	case "retry":
		if millis, err := strconv.ParseUint(value, 10, 31); err == nil {
			f.retry = time.Duration(millis) * time.Millisecond
		}
	}
	return data // what is left is a comment, or a field from later
}

// line reads one line without its end, at most limit bytes long. A line ends in CR LF or
// LF; a lone CR, which the format also allows, no server of ours writes.
func (f *frames) line(limit int) (string, error) {
	var line []byte
	for {
		chunk, err := f.lines.ReadSlice('\n')
		line = append(line, chunk...)
		switch {
		case len(line) > limit+2:
			return "", errFrameTooLarge
		case err == nil:
			return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) > 0:
			return "", io.ErrUnexpectedEOF
		default:
			return "", err
		}
	}
}
