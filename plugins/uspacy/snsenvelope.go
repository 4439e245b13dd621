package main

import (
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// The types of SNS message.
const (
	kindNotification = "Notification"
	kindSubscribe    = "SubscriptionConfirmation"
	kindUnsubscribe  = "UnsubscribeConfirmation"
)

// snsMessage is an SNS message as it came, of good form. It is genuine only once verify said
// so.
type snsMessage struct {
	kind         string
	id           string
	topic        arn
	subject      string
	hasSubject   bool
	message      string
	timestamp    string // as it came: it is signed so
	at           time.Time
	token        string
	subscribeURL string
	version      string
	signature    []byte
	certURL      string
}

// readEnvelope reads a message. Every field that is signed, besides Message, is of a form that
// holds no line feed: what is signed is not delimited in any other way, so that a field with
// one could pass for two. Names are read with their case, and payload refuses one that stands
// twice.
func readEnvelope(doc payload.Object) (*snsMessage, bool) {
	m := &snsMessage{
		kind: doc.String("Type"), id: doc.String("MessageId"), message: doc.String("Message"),
		subject: doc.String("Subject"), hasSubject: doc.Has("Subject"), timestamp: doc.String("Timestamp"),
		version: doc.String("SignatureVersion"), certURL: doc.String("SigningCertURL"),
	}
	topic, isTopic := parseARN(doc.String("TopicArn"))
	signature, err := base64.StdEncoding.Strict().DecodeString(doc.String("Signature"))
	m.topic, m.signature = topic, signature
	_ = doc.String("UnsubscribeURL") // not signed and so not used, but a text
	token, subscribeURL := doc.String("Token"), doc.String("SubscribeURL")
	if m.kind == kindSubscribe || m.kind == kindUnsubscribe {
		m.token, m.subscribeURL = token, subscribeURL
	}
	at, isTime := parseTimestamp(m.timestamp)
	m.at = at
	fine := isTopic && isTime && err == nil && len(signature) > 0 && doc.Has("Message") && doc.Err() == nil
	return m, fine && isUUID(m.id) && m.fits()
}

// fits checks the fields that depend on the type.
func (m *snsMessage) fits() bool {
	switch m.kind {
	case kindNotification:
		return utf8.RuneCountInString(m.subject) <= 100 && !hasControl(m.subject)
	case kindSubscribe, kindUnsubscribe:
		return isHex(m.token) && len(m.token) <= 1024 && m.subscribeURL != "" && !hasControl(m.subscribeURL)
	}
	return false
}

// stringToSign is what SNS signed: a name and a value a line each, in this order.
func (m *snsMessage) stringToSign() []byte {
	var b strings.Builder
	line := func(name, value string) { b.WriteString(name + "\n" + value + "\n") }
	line("Message", m.message)
	line("MessageId", m.id)
	if m.kind == kindNotification {
		if m.hasSubject {
			line("Subject", m.subject)
		}
		line("Timestamp", m.timestamp)
	} else {
		line("SubscribeURL", m.subscribeURL)
		line("Timestamp", m.timestamp)
		line("Token", m.token)
	}
	line("TopicArn", m.topic.text)
	line("Type", m.kind)
	return []byte(b.String())
}

// timestampForm is SNS's only form of a time, in Go's notation.
const timestampForm = "2006-01-02T15:04:05.000Z"

func parseTimestamp(text string) (time.Time, bool) {
	at, err := time.Parse(timestampForm, text)
	return at, err == nil && len(text) == len(timestampForm) && at.Format(timestampForm) == text
}

// isUUID tells whether a text is 8-4-4-4-12 hexadecimal digits.
func isUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i := range len(text) {
		switch i {
		case 8, 13, 18, 23:
			if text[i] != '-' {
				return false
			}
		default:
			if !isHexByte(text[i]) {
				return false
			}
		}
	}
	return true
}

func isHex(text string) bool { return text != "" && only(text, isHexByte) }

func isHexByte(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// hasControl tells whether a text has a control character, a line break of any kind above all.
func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029'
	})
}
