package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// prefetched is how much of a body with a Content-Length fasthttp has read before the
// handler runs.
const prefetched = 8 << 10

// body is a request's body on its way in.
type body struct {
	from  io.Reader
	limit int64
	left  int64
	// ended is set once the last byte was read: reading on would take the next request.
	ended bool
}

// Body returns the request's body, raw, to be read once. It answers a *Problem: 413 if the
// body is larger than limit bytes, which for one without Content-Length shows in reading;
// 415 if it is encoded, because inflating is how a small body becomes a large one; 408 and
// 400 if it does not come whole.
func Body(c *fiber.Ctx, limit int64) (io.Reader, error) {
	if encoding := c.Get(fiber.HeaderContentEncoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, encoded(encoding)
	}
	if int64(c.Request().Header.ContentLength()) > limit {
		return nil, tooLarge(limit)
	}
	from := c.Request().BodyStream()
	if from == nil {
		return bytes.NewReader(nil), nil
	}
	b := &body{from: from, limit: limit, left: limit}
	c.Context().SetUserValue(bodyKey, b)
	return b, nil
}

// ReadBody returns the whole body; see Body. Memory grows with what has come, not with
// what Content-Length announces.
func ReadBody(c *fiber.Ctx, limit int64) ([]byte, error) {
	from, err := Body(c, limit)
	if err != nil {
		return nil, err
	}
	return readAll(c, from)
}

// readAll reads the request's body to its end.
func readAll(c *fiber.Ctx, from io.Reader) ([]byte, error) {
	var to bytes.Buffer
	if n := c.Request().Header.ContentLength(); n > 0 {
		to.Grow(min(n, prefetched) + bytes.MinRead)
	}
	if _, err := to.ReadFrom(from); err != nil {
		return nil, err
	}
	return to.Bytes(), nil
}

func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.ended:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	case b.left == 0:
		return 0, b.end()
	}
	n, err := b.from.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, b.judge(err)
}

// end finds out whether the body ends at its limit.
func (b *body) end() error {
	var one [1]byte
	n, err := b.from.Read(one[:])
	if n > 0 {
		return tooLarge(b.limit)
	}
	return b.judge(err)
}

func (b *body) judge(err error) error {
	var netErr net.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		b.ended = true
		return io.EOF
	case errors.As(err, &netErr) && netErr.Timeout():
		return NewProblem(http.StatusRequestTimeout, "the body did not come in time; send it faster, or less of it")
	}
	return NewProblem(http.StatusBadRequest, "the body did not come whole")
}

func tooLarge(limit int64) *Problem {
	return NewProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes, the most that is taken here", limit))
}

func encoded(encoding string) *Problem {
	p := NewProblem(http.StatusUnsupportedMediaType, fmt.Sprintf("the body has Content-Encoding %q; send it without", clip(encoding, 40)))
	p.Header = http.Header{"Accept-Encoding": {"identity"}}
	return p
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
