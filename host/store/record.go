package store

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// The records of the ingest path encode themselves. What they make is what encoding/json
// makes of the same value, up to white space and the escaping of characters; a test holds
// one against the other, field by field.

// appendable is a record that encodes itself.
type appendable interface{ appendTo(dst []byte) []byte }

// doc is a JSON object in the making. Names are given quoted, with comma and colon.
type doc []byte

// reopen goes on with an object that was complete.
func reopen(object []byte) doc { return doc(object[:len(object)-1]) }

func (d doc) text(name, value string) doc {
	d = append(d, name...)
	for i := range len(value) {
		if c := value[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x80 {
			quoted, _ := jsontext.AppendQuote([]byte(d), value) // the error tells of bytes that are not UTF-8, which are replaced
			return quoted
		}
	}
	d = append(append(d, '"'), value...)
	return append(d, '"')
}

// optional is text for a value that is left out if it is empty.
func (d doc) optional(name, value string) doc {
	if value == "" {
		return d
	}
	return d.text(name, value)
}

func (d doc) number(name string, n int64) doc { return strconv.AppendInt(append(d, name...), n, 10) }

func (d doc) time(name string, t time.Time) doc {
	d = append(append(d, name...), '"')
	text, err := t.AppendText(d)
	if err != nil { // RFC 3339 has no such year
		text, _ = time.Time{}.AppendText(d)
	}
	return append(text, '"')
}

func (d doc) object(name string, o contract.Appendable) doc { return o.AppendJSON(append(d, name...)) }

func (d doc) end() []byte { return append(d, '}') }

// deliveryRecord is a delivery as it is kept: without what stands apart from it.
type deliveryRecord struct{ *domain.Delivery }

func (r deliveryRecord) appendTo(dst []byte) []byte {
	d := reopen(r.Delivery.Delivery.AppendJSON(dst)).
		text(`,"workspace":`, string(r.Workspace)).text(`,"connection":`, string(r.Connection)).
		text(`,"plugin":`, r.Plugin).optional(`,"digest":`, r.Digest).text(`,"state":`, string(r.State)).
		text(`,"body_sha256":`, r.BodySHA256).optional(`,"dedupe_key":`, r.DedupeKey).
		optional(`,"code":`, r.Code).optional(`,"reason":`, r.Reason).
		object(`,"response":`, &r.Response).number(`,"attempts":`, int64(r.Attempts))
	if r.Sealed {
		d = append(d, `,"sealed":true`...)
	}
	if !r.ReplayedAt.IsZero() {
		d = d.time(`,"replayed_at":`, r.ReplayedAt)
	}
	if !r.PayloadRemovedAt.IsZero() {
		d = d.time(`,"payload_removed_at":`, r.PayloadRemovedAt)
	}
	if r.Took != 0 {
		d = d.number(`,"took_ns":`, int64(r.Took))
	}
	return d.end()
}

func (a firstAnswer) appendTo(dst []byte) []byte {
	return append(doc(dst).text(`{"delivery":`, string(a.Delivery)).object(`,"response":`, &a.Response), '}')
}

func (r repeatable) appendTo(dst []byte) []byte {
	return append(doc(dst).text(`{"delivery":`, string(r.Delivery)).time(`,"at":`, r.At), '}')
}

// eventRecord is an event as it is kept.
type eventRecord struct{ *domain.Event }

func (r eventRecord) appendTo(dst []byte) []byte {
	return doc(dst).text(`{"id":`, string(r.ID)).number(`,"seq":`, int64(r.Seq)).
		text(`,"workspace":`, string(r.Workspace)).text(`,"connection":`, string(r.Connection)).
		optional(`,"delivery":`, string(r.Delivery)).optional(`,"command":`, string(r.Command)).
		time(`,"committed_at":`, r.CommittedAt).object(`,"data":`, &r.Data).end()
}

func (r messageRecord) appendTo(dst []byte) []byte {
	d := reopen(r.Message.Message.AppendJSON(dst)).
		text(`,"workspace":`, string(r.Workspace)).text(`,"connection":`, string(r.Connection)).
		text(`,"direction":`, string(r.Direction))
	for i := range r.Outcomes {
		name := `,`
		if i == 0 {
			name = `,"outcomes":[`
		}
		d = d.object(name, &r.Outcomes[i])
	}
	if len(r.Outcomes) > 0 {
		d = append(d, ']')
	}
	if r.Failure != nil {
		d = d.object(`,"failure":`, r.Failure)
	}
	return d.optional(`,"command":`, string(r.Command)).
		time(`,"created_at":`, r.CreatedAt).time(`,"updated_at":`, r.UpdatedAt).
		number(`,"order":`, int64(r.Order)).optional(`,"earlier":`, string(r.Earlier)).end()
}

// conversationRecord is what is kept of a conversation.
type conversationRecord struct{ *domain.ConversationSummary }

func (r conversationRecord) appendTo(dst []byte) []byte {
	d := reopen(r.Conversation.AppendJSON(dst)).
		text(`,"workspace":`, string(r.Workspace)).text(`,"connection":`, string(r.Connection))
	if !r.LastMessageAt.IsZero() {
		d = d.time(`,"last_message_at":`, r.LastMessageAt)
	}
	return d.end()
}
