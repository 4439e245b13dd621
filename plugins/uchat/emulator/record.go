package emulator

import (
	"fmt"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// Way says who called whom in an [Exchange].
type Way string

// The ways of an exchange.
const (
	// ToChannel means that the platform called the channel.
	ToChannel Way = "to channel"
	// FromChannel means that the channel called the platform.
	FromChannel Way = "from channel"
)

// Exchange is one request with its answer. It is recorded when it ended.
type Exchange struct {
	// Seq counts the exchanges of a platform from 1, in the order they ended.
	Seq int
	Way Way
	// Type is the operation, one of the Op... constants; empty for what the platform does not
	// have.
	Type   string
	URL    string
	Header http.Header
	// Body is the request's; a file's bytes are not kept.
	Body []byte
	// Status is what was answered; 0 if there was no answer, and Err then says why.
	Status   int
	Response []byte
	Err      string
	Began    time.Time
	Took     time.Duration
}

// record is the half of the record that tests use.
type record = emulate.Record[Exchange]

func newRecorder(keep int) *emulate.Recorder[Exchange] {
	return emulate.NewRecorder(keep, func(e *Exchange, n int) { e.Seq = n }, func(e Exchange) string {
		return fmt.Sprintf("%s %s %d", e.Way, e.Type, e.Status)
	})
}

// Of accepts the exchanges of one way and one type.
func Of(way Way, kind string) func(Exchange) bool {
	return func(e Exchange) bool { return e.Way == way && e.Type == kind }
}
