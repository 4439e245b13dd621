package main

import (
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// handshake is what UChat asks to see whether a URL is ours (protocol section 3.1).
type handshake struct{ mode, token, challenge string }

// The bounds on handshakes.
const (
	maxChallenge  = 256
	maxHandshakes = 10 // a minute
	maxFormBytes  = 8 << 10
)

// findHandshake finds the three parameters in the query, in a form or in a JSON body, and
// tells whether there is a challenge. The encoding is not documented.
func findHandshake(query, body string) (handshake, bool) {
	if s, ok := formHandshake(query); ok {
		return s, true
	}
	if len(body) > maxFormBytes || !strings.Contains(body, "challenge") {
		return handshake{}, false
	}
	if strings.HasPrefix(strings.TrimLeft(body, " \t\r\n"), "{") {
		return jsonHandshake(body)
	}
	return formHandshake(body)
}

func formHandshake(text string) (handshake, bool) {
	if text == "" || len(text) > maxFormBytes {
		return handshake{}, false
	}
	var s handshake
	found := false
	for pair := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(pair, "=")
		to := s.field(unescaped(name))
		if to == nil || *to != "" {
			continue // not of a handshake, or not the first of its name
		}
		*to = unescaped(value)
		found = found || to == &s.challenge
	}
	return s, found
}

// field is where a parameter belongs; nil for one that is not of a handshake.
func (s *handshake) field(name string) *string {
	switch name {
	case "hub_mode", "hub.mode":
		return &s.mode
	case "hub_verify_token", "hub.verify_token":
		return &s.token
	case "hub_challenge", "hub.challenge":
		return &s.challenge
	}
	return nil
}

// unescaped decodes a name or value of a form. What is not encoded as it should be stays as
// it is, and matches nothing.
func unescaped(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			out.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s):
			code, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return s
			}
			out.WriteByte(byte(code))
			i += 2
		default:
			out.WriteByte(s[i])
		}
	}
	return out.String()
}

func jsonHandshake(body string) (handshake, bool) {
	doc, err := payload.Parse([]byte(body), payload.Limits{})
	if err != nil || !doc.Has("hub_challenge") && !doc.Has("hub.challenge") {
		return handshake{}, false
	}
	get := func(name string) string {
		if doc.Has("hub_" + name) {
			return doc.String("hub_" + name)
		}
		return doc.String("hub." + name)
	}
	return handshake{mode: get("mode"), token: get("verify_token"), challenge: get("challenge")}, true
}

// handshake answers a handshake: the challenge if all is right, and else 403 with nothing.
func (d *delivery) handshake(s handshake) (*contract.ReceiveOutput, error) {
	switch d.ch.state {
	case channelVerifying, channelReady:
	default:
		return rejected(403, "handshake_unexpected", "No set call is under way, and the connection is not active."), nil
	}
	odd := func(r rune) bool { return r != '-' && r != '_' && !isAlphanumeric(r) }
	if s.mode != "subscribe" || s.challenge == "" || len(s.challenge) > maxChallenge || strings.IndexFunc(s.challenge, odd) >= 0 {
		return rejected(403, "handshake_malformed", "hub_mode is not subscribe, or hub_challenge is not 1 to 256 letters, digits, hyphens and underscores."), nil
	}
	genuine, err := d.h.SecretEqual("verification_key", s.token) // in constant time; empty is never equal
	if err != nil {
		return nil, err
	}
	if !genuine {
		return rejected(403, "token_mismatch", "The hub_verify_token is not this connection's."), nil
	}
	within, err := d.countHandshake()
	if err != nil {
		return nil, err
	}
	if !within {
		return rejected(429, "too_many_handshakes", "More than 10 handshakes came within a minute."), nil
	}
	if err := d.verified(); err != nil {
		return nil, err
	}
	d.out.Response = contract.Response{Status: 200, Body: s.challenge, Headers: []contract.Header{
		{Name: "Content-Type", Value: "text/plain"}, {Name: "X-Content-Type-Options", Value: "nosniff"},
	}}
	return d.out, nil
}

// countHandshake counts handshakes that were answered, and tells whether one more may be.
func (d *delivery) countHandshake() (bool, error) {
	r, _, found, err := record.Read(d.h, keyHandshakes)
	if err != nil {
		return false, err
	}
	began, count := d.now.UnixMilli(), int64(0)
	if found && d.now.UnixMilli()-r.Int("began") < ttlMinute*1000 {
		began, count = r.Int("began"), r.Int("count")
	}
	if count >= maxHandshakes {
		return false, record.Check(r)
	}
	return true, d.h.KVPut(contract.KVPut{
		Key:   keyHandshakes,
		Value: payload.New().Number("began", began).Number("count", count+1).Number("last", d.now.UnixMilli()).End(),
	})
}

// verified notes in manual style that the webhook was set elsewhere: nobody else tells.
func (d *delivery) verified() error {
	if !d.set.manual() || d.ch.state != channelVerifying {
		return nil
	}
	d.ch.state = channelReady
	if err := d.h.KVPut(contract.KVPut{Key: keyChannel, Value: d.ch.encode()}); err != nil {
		return err
	}
	change, next, err := ready(d.h, d.set, d.now)
	if err != nil {
		return err
	}
	d.enters(change)
	d.out.Commands = append(d.out.Commands, next...)
	return nil
}

// lastHandshake reads when a handshake was last answered, in Unix milliseconds; 0 if none
// ever was.
func lastHandshake(h pdk.Host) (int64, error) {
	r, _, found, err := record.Read(h, keyHandshakes)
	if err != nil || !found {
		return 0, err
	}
	return r.Int("last"), record.Check(r)
}
