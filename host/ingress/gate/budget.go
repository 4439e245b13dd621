package gate

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"
)

// Budget bounds the bytes of all bodies that are held at a time. It counts what has come,
// not what was announced: whoever sends slowly takes little of it.
type Budget struct {
	most int64
	used atomic.Int64
	// busy is what those are told whose body does not fit.
	busy func() *Problem
}

// NewBudget makes a budget of so many bytes. busy makes the problem of those whose body
// does not fit any more.
func NewBudget(most int64, busy func() *Problem) *Budget {
	return &Budget{most: most, busy: busy}
}

// Used is how many bytes are held.
func (b *Budget) Used() int64 { return b.used.Load() }

// take takes n bytes, all or none.
func (b *Budget) take(n int64) bool {
	if b.used.Add(n) <= b.most {
		return true
	}
	b.used.Add(-n)
	return false
}

// charged is a body that is paid for as it comes.
type charged struct {
	from   io.Reader
	budget *Budget
	held   int64
}

func (c *charged) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	if n > 0 && !c.budget.take(int64(n)) {
		return 0, c.budget.busy()
	}
	c.held += int64(n)
	return n, err
}

// ReadBodyWithin is ReadBody within a budget. release gives back what the body took, and is
// to be called, once, when the body is needed no more; it is never nil. A body that does
// not fit is answered with the budget's problem.
func ReadBodyWithin(c *fiber.Ctx, limit int64, budget *Budget) (body []byte, release func(), err error) {
	from, err := Body(c, limit)
	if err != nil {
		return nil, func() {}, err
	}
	paid := &charged{from: from, budget: budget}
	body, err = readAll(c, paid)
	return body, func() { budget.used.Add(-paid.held) }, err
}

// Busy makes the problem of a host that has too much to do: 503, to be tried again after so
// many seconds.
func Busy(detail, retryAfter string) *Problem {
	p := NewProblem(http.StatusServiceUnavailable, detail)
	p.Code, p.Header = "busy", http.Header{fiber.HeaderRetryAfter: {retryAfter}}
	return p
}
