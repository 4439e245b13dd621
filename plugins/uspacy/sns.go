package main

import (
	"slices"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// maxAheadSeconds is by how much a notification's time may be ahead of ours, in seconds.
const maxAheadSeconds = 300

// Why an SNS request is not believed.
var (
	noPost        = &refusal{405, "method_refused", "SNS sends by POST."}
	snsTooLong    = &refusal{413, "too_large", "The request is longer than sns_max_body_bytes."}
	rawDelivery   = &refusal{403, "raw_delivery", "The subscription uses raw message delivery, which is not signed; have Uspacy switch it off."}
	notSNS        = &refusal{400, "malformed", "The body is no SNS message, or a field of it has another form."}
	headerDiffers = &refusal{400, "header_differs", "A header field of SNS's says other than the body."}
	unknownTopic  = &refusal{403, "topic_unknown", "The topic is not in sns_topic_arns."}
	outOfWindow   = &refusal{403, "out_of_window", "The message's time is too far from ours."}
	strangeURL    = &refusal{403, "subscribe_url_refused", "The SubscribeURL is not the one of this topic's region."}
)

// routeSNS verifies what comes from Amazon SNS, in the order of the protocol's section 7.6:
// what is cheap and local first, and nothing is fetched or believed before its turn.
func routeSNS(h pdk.Host, set settings, d *contract.Delivery) (*contract.RouteOutput, error) {
	m, no, err := readSNS(h, set, d)
	if err != nil || no != nil {
		return turnedAwayFor(no), err
	}
	allowed := slices.Contains(set.topicARNs(), m.topic.text) // exactly: see TestFieldSplitting
	if !allowed && (m.kind != kindSubscribe || !set.keepsUnknownTopics()) {
		return turnedAway(unknownTopic), nil
	}
	if !m.within(d.ReceivedAt, set.maxAgeSeconds()) {
		return turnedAway(outOfWindow), nil
	}
	if no, err := m.verify(h, set, d.ReceivedAt); err != nil || no != nil {
		return m.unverified(h, no), err
	}
	switch m.kind {
	case kindSubscribe:
		return subscription(h, m, allowed)
	case kindUnsubscribe:
		return unsubscribed(h, set, m)
	}
	return routeEvent(h, set, m)
}

// readSNS reads a request as far as its form goes.
func readSNS(h pdk.Host, set settings, d *contract.Delivery) (*snsMessage, *refusal, error) {
	switch raw, once := headerOnce(d.Headers, "X-Amz-Sns-Rawdelivery"); {
	case d.Method != "POST":
		return nil, noPost, nil
	case d.BodyBytes > int64(set.maxBodyBytes()):
		return nil, snsTooLong, nil
	case !once || strings.EqualFold(raw, "true"):
		h.Log(pdk.LogError, "a raw delivery was refused, since nobody signs those; ask Uspacy to switch raw message delivery off")
		return nil, rawDelivery, nil
	}
	body, err := h.DeliveryBody()
	if err != nil {
		return nil, nil, err
	}
	doc, err := payload.Parse(body, payload.Limits{MaxBytes: set.maxBodyBytes()})
	if err != nil {
		return nil, notSNS, nil
	}
	m, ok := readEnvelope(doc)
	if !ok {
		return nil, notSNS, nil
	}
	for name, value := range map[string]string{
		"X-Amz-Sns-Message-Type": m.kind, "X-Amz-Sns-Message-Id": m.id, "X-Amz-Sns-Topic-Arn": m.topic.text,
	} {
		if said, once := headerOnce(d.Headers, name); !once || said != "" && said != value {
			return nil, headerDiffers, nil
		}
	}
	return m, nil, nil
}

// within tells whether the message's time is near enough to when it came.
func (m *snsMessage) within(received time.Time, maxAge int64) bool {
	age := received.Sub(m.at)
	return age <= time.Duration(maxAge)*time.Second && age >= -maxAheadSeconds*time.Second
}

// unverified refuses a message, or asks SNS to come again.
func (m *snsMessage) unverified(h pdk.Host, no *refusal) *contract.RouteOutput {
	switch {
	case no == nil:
		return nil
	case no.status == 503:
		return &contract.RouteOutput{Answered: true, Response: jsonAnswer(503, "{}")}
	case no == hostNotAllowed:
		h.Log(pdk.LogError, "the host of a topic's region is not in sns_hosts, so its certificate cannot be had", "host", m.topic.host())
	}
	return turnedAway(no)
}

// dedupe names the message among all: SNS repeats it under the same id.
func (m *snsMessage) dedupe() string { return "sns/" + digest(m.topic.text+"\n"+m.id) }
