package emulator

import (
	"fmt"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// Exchange is one request with its answer. It is recorded when it ended.
type Exchange struct {
	// Seq counts the exchanges of a platform from 1, in the order they ended.
	Seq int
	// Op is what was asked for, such as "message.create"; see the Op... constants. Requests that
	// the platform makes have one too.
	Op string
	// Host, Method and URI are the request's.
	Host, Method, URI string
	Header            http.Header
	// Body is the request's; a file's bytes are not kept.
	Body []byte
	// Status is what was answered; 0 if there was no answer, and Err then says why.
	Status   int
	Response []byte
	Err      string
	Began    time.Time
}

// record is the half of the record that tests use.
type record = emulate.Record[Exchange]

func newRecorder(keep int) *emulate.Recorder[Exchange] {
	return emulate.NewRecorder(keep, func(e *Exchange, n int) { e.Seq = n }, func(e Exchange) string {
		return fmt.Sprintf("%s %d", e.Op, e.Status)
	})
}

// Count returns how many requests of an operation were recorded.
func (p *Platform) Count(op string) int {
	n := 0
	for _, e := range p.Exchanges() {
		if e.Op == op {
			n++
		}
	}
	return n
}

// Of accepts the exchanges of one operation.
func Of(op string) func(Exchange) bool {
	return func(e Exchange) bool { return e.Op == op }
}
