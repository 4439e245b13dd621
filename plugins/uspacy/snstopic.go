package main

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// The states of a topic.
const (
	topicPending    = "pending"    // it asked to be confirmed, and is not in sns_topic_arns
	topicConfirming = "confirming" // a command is to confirm it
	topicConfirmed  = "confirmed"
	topicLapsed     = "lapsed" // SNS did not take the token
	topicEnded      = "ended"  // somebody ended the subscription
)

const (
	// maxPendingTopics bounds how many unknown topics are kept: anybody can have one ask.
	maxPendingTopics = 16
	// pendingSeconds is how long an unknown topic is kept. Its token lives no longer.
	pendingSeconds = 3 * 24 * 3600
)

// topic is an SNS topic that asked to be confirmed, and how far that got.
type topic struct {
	arn   string
	state string
	at    int64 // when it asked last, Unix seconds
	// token confirms the subscription, and subscription names it; who has the name can end it.
	// Neither is logged or shown.
	token        string
	subscription string
	version      int64
}

func (t topic) key() string { return digest(t.arn) }

// save writes the topic. A command and a delivery may both want to, so that the later one fails.
func (t topic) save(h pdk.Host) error {
	put := contract.KVPut{
		Key: prefixTopic + t.key(), CheckVersion: true, ExpectedVersion: t.version,
		Value: payload.New().Text("arn", t.arn).Text("state", t.state).Number("at", t.at).
			Text("token", t.token).Text("subscription", t.subscription).End(),
	}
	if t.state == topicPending {
		put.TTLSeconds = pendingSeconds
	}
	return h.KVPut(put)
}

func decodeTopic(value string, version int64) (topic, error) {
	doc, err := payload.Parse([]byte(value), payload.Limits{})
	if err != nil {
		return topic{}, err
	}
	t := topic{arn: doc.String("arn"), state: doc.String("state"), at: doc.Int("at"),
		token: doc.String("token"), subscription: doc.String("subscription"), version: version}
	return t, doc.Err()
}

func loadTopic(h pdk.Host, key string) (t topic, found bool, err error) {
	value, version, found, err := h.KVGet(prefixTopic + key)
	if err != nil || !found {
		return topic{version: version}, false, err
	}
	t, err = decodeTopic(value, version)
	return t, true, err
}

// loadTopics reads all topics, in no order that means anything.
func loadTopics(h pdk.Host) ([]topic, error) {
	page, err := h.KVList(contract.KVList{Prefix: prefixTopic, Limit: 1000})
	if err != nil {
		return nil, err
	}
	list := make([]topic, 0, len(page.Entries))
	for _, entry := range page.Entries {
		t, err := decodeTopic(entry.Value, entry.Version)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// wantsConfirming tells whether setup has a topic of sns_topic_arns confirmed. One whose
// confirmation failed is tried again: setup is what an operator has for a button.
func (t topic) wantsConfirming(set settings) bool {
	return t.state != topicConfirmed && (t.state != topicEnded || set.resubscribes())
}

// appState is the state of the app, as its topics have it: the worst of them.
func appState(topics []topic, set settings) contract.StateChange {
	is := func(state string, known bool) *topic {
		i := slices.IndexFunc(topics, func(t topic) bool {
			return t.state == state && slices.Contains(set.topicARNs(), t.arn) == known
		})
		if i < 0 {
			return nil
		}
		return &topics[i]
	}
	switch {
	case is(topicPending, false) != nil && set.keepsUnknownTopics():
		return unapproved(is(topicPending, false).arn)
	case is(topicEnded, true) != nil:
		return endedState(is(topicEnded, true).arn)
	case is(topicLapsed, true) != nil:
		return lapsedState(is(topicLapsed, true).arn)
	case is(topicConfirmed, true) != nil:
		return contract.StateChange{State: contract.StateConnected, Code: "subscribed", Reason: "Message events come in by a confirmed subscription."}
	}
	return contract.StateChange{State: contract.StateConnecting, Code: "awaiting_subscription",
		Reason: "Waiting for Uspacy to subscribe the app to its topic."}
}

func unapproved(arn string) contract.StateChange {
	return contract.StateChange{
		State: contract.StateNeedsAction, Code: "topic_unapproved",
		Reason: "The topic " + arn + " asks to send events, and is not in sns_topic_arns.",
		Action: "Ask Uspacy whether the topic is theirs. If so, add it to sns_topic_arns within a day; if not, leave it, since anybody can ask.",
	}
}

func endedState(arn string) contract.StateChange {
	return contract.StateChange{
		State: contract.StateNeedsAction, Code: "sns_unsubscribed",
		Reason: "Somebody ended the subscription to " + arn + ": operators' replies do not come in any more.",
		Action: "Ask Uspacy whether that was on purpose. Set sns_auto_resubscribe to true to restore it.",
	}
}

func lapsedState(arn string) contract.StateChange {
	return contract.StateChange{
		State: contract.StateNeedsAction, Code: "topic_lapsed",
		Reason: "Amazon SNS did not take the confirmation of " + arn + ", most likely because it came too late.",
		Action: "Ask Uspacy to subscribe the app again.",
	}
}

// subscription deals with a genuine SubscriptionConfirmation. That it is genuine says only that
// some topic wants to send: a known one is confirmed by a command, an unknown one is shown to
// the operator and never confirmed by itself.
func subscription(h pdk.Host, m *snsMessage, allowed bool) (*contract.RouteOutput, error) {
	out := answeredOK()
	out.DedupeKey = m.dedupe()
	t, found, err := loadTopic(h, digest(m.topic.text))
	if err != nil {
		return nil, err
	}
	if !found && !allowed {
		full, err := tooManyPending(h)
		if err != nil || full {
			return turnedAwayFor(unknownTopic), err
		}
	}
	t.arn, t.token, t.at = m.topic.text, m.token, m.at.Unix()
	t.state = topicConfirming
	if allowed {
		out.Commands = []contract.CommandRequest{confirmWork(t.key())}
	} else {
		t.state = topicPending
		change := unapproved(t.arn)
		out.Events = []contract.Event{{Kind: contract.EventConnectionState, State: &change}}
		h.Log(pdk.LogWarn, "an unknown topic asks to be confirmed", "topic", t.arn, "account", m.topic.account, "region", m.topic.region)
	}
	return out, t.save(h)
}

func tooManyPending(h pdk.Host) (bool, error) {
	topics, err := loadTopics(h)
	if err != nil {
		return false, err
	}
	pending := 0
	for _, t := range topics {
		if t.state == topicPending {
			pending++
		}
	}
	if pending < maxPendingTopics {
		return false, nil
	}
	h.Log(pdk.LogWarn, "an unknown topic was refused, since too many wait for an operator already")
	return true, nil
}

// unsubscribed deals with a genuine UnsubscribeConfirmation: events have stopped.
func unsubscribed(h pdk.Host, set settings, m *snsMessage) (*contract.RouteOutput, error) {
	out := answeredOK()
	out.DedupeKey = m.dedupe()
	t, _, err := loadTopic(h, digest(m.topic.text))
	if err != nil {
		return nil, err
	}
	t.arn, t.token, t.at, t.state, t.subscription = m.topic.text, m.token, m.at.Unix(), topicEnded, ""
	h.Log(pdk.LogError, "somebody ended the subscription to a topic", "topic", t.arn)
	if set.resubscribes() {
		t.state = topicConfirming
		out.Commands = []contract.CommandRequest{confirmWork(t.key())}
		return out, t.save(h)
	}
	change := endedState(t.arn)
	out.Events = []contract.Event{{Kind: contract.EventConnectionState, State: &change}}
	return out, t.save(h)
}

// confirmTopic confirms a subscription. The URL is put together from what was verified.
func confirmTopic(h pdk.Host, set settings, key string) (*contract.CommandOutput, error) {
	t, found, err := loadTopic(h, key)
	if err != nil {
		return nil, err
	}
	name, ok := parseARN(t.arn)
	if !found || t.state != topicConfirming || !ok {
		return new(contract.CommandOutput), nil
	}
	if !slices.Contains(set.topicARNs(), t.arn) { // it was taken out since
		t.state = topicPending
		return saved(h, t, set)
	}
	result, err := h.HTTPSend(contract.HTTPRequest{
		Method: "GET", Idempotent: true,
		URL: "https://" + name.host() + "/?Action=ConfirmSubscription&TopicArn=" + url.QueryEscape(t.arn) + "&Token=" + url.QueryEscape(t.token),
	})
	switch {
	case contract.HostErrorCode(err) == contract.HostDenied:
		return failing(failed(contract.FailurePermanent, "not_allowed", "The host of the topic's region, "+name.host()+", is not in sns_hosts.")), nil
	case err != nil:
		return failing(failed(contract.FailureRetry, "sns_unreachable", "Amazon SNS could not be reached.")), nil
	case result.Status >= 500 || result.Status == 429:
		return failing(failed(contract.FailureRetry, "sns_unavailable", "Amazon SNS answered with status "+strconv.FormatInt(result.Status, 10)+".")), nil
	}
	t.state, t.subscription = topicLapsed, ""
	if result.Status == 200 {
		if t.subscription = subscriptionARN(result.Body, t.arn); t.subscription != "" {
			t.state, t.token = topicConfirmed, ""
		}
	}
	return saved(h, t, set)
}

// saved keeps a topic's new state, and says how the app is now.
func saved(h pdk.Host, t topic, set settings) (*contract.CommandOutput, error) {
	err := t.save(h)
	if contract.HostErrorCode(err) == contract.HostConflict {
		return failing(failed(contract.FailureRetry, "overtaken", "The topic asked again meanwhile.")), nil
	}
	if err != nil {
		return nil, err
	}
	topics, err := loadTopics(h)
	if err != nil {
		return nil, err
	}
	change := appState(topics, set)
	return &contract.CommandOutput{Events: []contract.Event{{Kind: contract.EventConnectionState, State: &change}}}, nil
}

// subscriptionARN reads the answer to ConfirmSubscription: the subscription's name, which is the
// topic's and one more part; empty if that is not what was answered.
func subscriptionARN(body, topic string) string {
	_, body, ok := strings.Cut(body, "<ConfirmSubscriptionResult>")
	_, body, found := strings.Cut(body, "<SubscriptionArn>")
	name, _, ended := strings.Cut(body, "</SubscriptionArn>")
	part, ours := strings.CutPrefix(strings.TrimSpace(name), topic+":")
	if !ok || !found || !ended || !ours || !isUUID(part) {
		return ""
	}
	return topic + ":" + part
}
