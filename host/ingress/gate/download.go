package gate

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// Download is a file of somebody's to hand out.
type Download struct {
	Name, MIME string
	SizeBytes  int64
	// Tag changes whenever the bytes do, such as their hash; only letters, digits and "-".
	Tag string
	// Content is closed by Send.
	Content io.ReadSeekCloser
}

// Send answers with the file, or with the part of it that the request asks for. Whatever
// the file is, a browser stores it and does not show or run it.
func (d Download) Send(c *fiber.Ctx) error {
	tag := `"` + d.Tag + `"`
	c.Set(fiber.HeaderETag, tag)
	c.Set(fiber.HeaderAcceptRanges, "bytes")
	c.Set(fiber.HeaderCacheControl, "private, no-cache")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; sandbox")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	if matches(c.Get(fiber.HeaderIfNoneMatch), tag) {
		c.Status(http.StatusNotModified)
		return d.Content.Close()
	}
	c.Set(fiber.HeaderContentType, d.contentType())
	c.Set(fiber.HeaderContentDisposition, d.disposition())
	part, err := wholeOrPart(c, tag, d.SizeBytes)
	if err != nil {
		return closing(d.Content, err)
	}
	if _, err := d.Content.Seek(part.start, io.SeekStart); err != nil {
		return closing(d.Content, fmt.Errorf("seek in %q: %w", d.Name, err))
	}
	c.Context().Response.SetBodyStream(&section{Reader: io.LimitReader(d.Content, part.length), Closer: d.Content}, int(part.length))
	return nil
}

func closing(c io.Closer, err error) error {
	_ = c.Close() // it was only to be read
	return err
}

// section is the part of a file to send.
type section struct {
	io.Reader
	io.Closer
}

func (d Download) contentType() string {
	if kind, _, err := mime.ParseMediaType(d.MIME); err == nil && strings.Contains(kind, "/") {
		return kind
	}
	return "application/octet-stream"
}

func (d Download) disposition() string {
	if d.Name == "" {
		return "attachment"
	}
	return mime.FormatMediaType("attachment", map[string]string{"filename": d.Name})
}

func matches(field, tag string) bool {
	for candidate := range strings.SplitSeq(field, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
			return true
		}
	}
	return false
}

// span is a range of bytes.
type span struct{ start, length int64 }

// wholeOrPart sets the status for what is asked for, and returns it.
func wholeOrPart(c *fiber.Ctx, tag string, size int64) (span, error) {
	field := c.Get(fiber.HeaderRange)
	if r := c.Get(fiber.HeaderIfRange); field == "" || r != "" && r != tag {
		return span{0, size}, nil
	}
	part, outcome := parseRange(field, size)
	switch outcome {
	case rangeIgnored:
		return span{0, size}, nil
	case rangeOutside:
		p := NewProblem(http.StatusRequestedRangeNotSatisfiable, fmt.Sprintf("the file has %d bytes", size))
		p.Header = http.Header{"Content-Range": {fmt.Sprintf("bytes */%d", size)}}
		return span{}, p
	}
	c.Status(http.StatusPartialContent)
	c.Set(fiber.HeaderContentRange, fmt.Sprintf("bytes %d-%d/%d", part.start, part.start+part.length-1, size))
	return part, nil
}

type rangeOutcome int

const (
	// rangeIgnored is for what is malformed, or asks for several parts: all is sent.
	rangeIgnored rangeOutcome = iota
	rangeTaken
	rangeOutside
)

// parseRange reads a Range field (RFC 9110 section 14.2) that asks for one part.
func parseRange(field string, size int64) (span, rangeOutcome) {
	spec, ok := strings.CutPrefix(field, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash {
		return span{}, rangeIgnored
	}
	if first == "" {
		return suffix(last, size)
	}
	start, err := strconv.ParseUint(first, 10, 63)
	if err != nil {
		return span{}, rangeIgnored
	}
	end := uint64(size) - 1
	if last != "" {
		if end, err = strconv.ParseUint(last, 10, 63); err != nil || end < start {
			return span{}, rangeIgnored
		}
	}
	if int64(start) >= size {
		return span{}, rangeOutside
	}
	return span{int64(start), min(int64(end), size-1) - int64(start) + 1}, rangeTaken
}

// suffix is the last n bytes.
func suffix(digits string, size int64) (span, rangeOutcome) {
	n, err := strconv.ParseUint(digits, 10, 63)
	switch {
	case err != nil:
		return span{}, rangeIgnored
	case n == 0 || size == 0:
		return span{}, rangeOutside
	}
	length := min(int64(n), size)
	return span{size - length, length}, rangeTaken
}
