package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// CloudEvent is an event in its CloudEvents 1.0 envelope. Sequence and Connection are
// extension attributes.
type CloudEvent struct {
	SpecVersion     string                `json:"specversion" enum:"1.0"`
	ID              contract.EventID      `json:"id" example:"evt_01JD5Z6T9Q" doc:"Unique; the same when the event is delivered again."`
	Source          string                `json:"source" format:"uri-reference" example:"/workspaces/wsp_1/connections/con_1"`
	Type            string                `json:"type" example:"patchbay.message.created" doc:"patchbay. and the kind of the data."`
	Subject         string                `json:"subject,omitempty" example:"chat-17" doc:"The conversation, by the platform's name."`
	Time            time.Time             `json:"time" doc:"When it happened; when it became known, if the platform does not say."`
	DataContentType string                `json:"datacontenttype" enum:"application/json"`
	Sequence        string                `json:"sequence" example:"4711" doc:"Its place among the events of the workspace, in decimal; the cursor to go on from."`
	Connection      contract.ConnectionID `json:"connection" example:"con_01JD5Z6T9Q"`
	Data            contract.Event        `json:"data"`
}

// newCloudEvent puts an event into its envelope.
func newCloudEvent(e domain.Event) CloudEvent {
	v := CloudEvent{
		SpecVersion: "1.0", ID: e.ID, Type: "patchbay." + string(e.Data.Kind), Time: e.CommittedAt,
		Source:          fmt.Sprintf("/workspaces/%s/connections/%s", e.Workspace, e.Connection),
		DataContentType: "application/json", Sequence: strconv.FormatUint(e.Seq, 10), Connection: e.Connection, Data: e.Data,
	}
	v.Data.Message = withoutSources(v.Data.Message)
	if e.Data.Conversation != nil {
		v.Subject = string(e.Data.Conversation.ID)
	}
	if !e.Data.At.IsZero() {
		v.Time = e.Data.At
	}
	return v
}

// oneLine keeps a field from becoming two.
var oneLine = strings.NewReplacer("\r", "", "\n", "")

// appendFrame appends the event as a server-sent event (WHATWG HTML section 9.2).
func appendFrame(dst *bytes.Buffer, e CloudEvent) error {
	fmt.Fprintf(dst, "id: %s\nevent: %s\ndata: ", e.Sequence, oneLine.Replace(e.Type))
	enc := json.NewEncoder(dst) // one line, whatever raw JSON the data holds
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	dst.WriteByte('\n')
	return nil
}
