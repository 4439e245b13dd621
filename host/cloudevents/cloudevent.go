// Package cloudevents puts events into the envelope in which tenants get them: CloudEvents
// 1.0, in JSON, the same in listings, in streams and in webhooks.
//
// What is in an envelope may be shown to every reader of the workspace. So the links that
// attachments were fetched from, which may hold a platform's tokens, are left out; the
// handles stay.
package cloudevents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// MediaType is the content type of one event.
const MediaType = "application/cloudevents+json"

// CloudEvent is an event in its envelope. Sequence and Connection are extension
// attributes. Its name is the one that the OpenAPI document shows.
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

// New puts an event into its envelope. The event stays as it is.
func New(e domain.Event) CloudEvent {
	v := CloudEvent{
		SpecVersion: "1.0", ID: e.ID, Type: "patchbay." + string(e.Data.Kind), Time: e.CommittedAt,
		Source:          fmt.Sprintf("/workspaces/%s/connections/%s", e.Workspace, e.Connection),
		DataContentType: "application/json", Sequence: strconv.FormatUint(e.Seq, 10), Connection: e.Connection, Data: e.Data,
	}
	v.Data.Message = WithoutSources(v.Data.Message)
	if e.Data.Conversation != nil {
		v.Subject = string(e.Data.Conversation.ID)
	}
	if !e.Data.At.IsZero() {
		v.Time = e.Data.At
	}
	return v
}

// Encode returns the event as one line of JSON, whatever raw JSON the data holds, without a
// line end.
func (e CloudEvent) Encode() ([]byte, error) {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	return bytes.TrimSuffix(line.Bytes(), []byte("\n")), nil
}

// WithoutSources returns the message without the links that its attachments were fetched
// from. The message itself stays as it is; nil stays nil.
func WithoutSources(m *contract.Message) *contract.Message {
	if m == nil {
		return nil
	}
	shown := *m
	shown.Parts = slices.Clone(m.Parts)
	for i := range shown.Parts {
		part := &shown.Parts[i]
		part.Media = withoutSource(part.Media)
		if part.Card != nil {
			card := cardWithoutSource(*part.Card)
			part.Card = &card
		}
		if part.Carousel != nil {
			carousel := contract.Carousel{Cards: slices.Clone(part.Carousel.Cards)}
			for j, card := range carousel.Cards {
				carousel.Cards[j] = cardWithoutSource(card)
			}
			part.Carousel = &carousel
		}
	}
	return &shown
}

func cardWithoutSource(c contract.Card) contract.Card {
	c.Image = withoutSource(c.Image)
	return c
}

func withoutSource(m *contract.Media) *contract.Media {
	if m == nil || m.SourceURL == "" && m.SourceHeaders == nil {
		return m
	}
	shown := *m
	shown.SourceURL, shown.SourceHeaders = "", nil
	return &shown
}
