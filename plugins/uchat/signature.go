package main

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// scheme is one way to sign a delivery (protocol section 3.2).
type scheme struct {
	header    string
	algorithm string // sha256 or sha1
	key       string // the secret's name
	signed    string // raw or php
	encoding  string // hex or base64
}

// The values of a scheme that are not spelled by anybody else.
const (
	signedPHP      = "php"
	encodingBase64 = "base64"
)

func (s scheme) encode() string {
	return payload.New().Text("header", s.header).Text("algorithm", s.algorithm).Text("key", s.key).
		Text("signed", s.signed).Text("encoding", s.encoding).End()
}

// words says the scheme in words, for the operator.
func (s scheme) words() string {
	text := s.header + ", HMAC-" + strings.ToUpper(s.algorithm) + " with " + s.key + " over the "
	if s.signed == signedPHP {
		text += "body as PHP writes it"
	} else {
		text += "raw body"
	}
	return text + ", in " + s.encoding
}

func loadPin(h pdk.Host) (s scheme, found bool, err error) {
	r, _, found, err := record.Read(h, keyPin)
	if err != nil || !found {
		return scheme{}, false, err
	}
	s = readScheme(r)
	return s, true, record.Check(r)
}

func readScheme(r payload.Object) scheme {
	return scheme{
		header: r.String("header"), algorithm: r.String("algorithm"), key: r.String("key"),
		signed: r.String("signed"), encoding: r.String("encoding"),
	}
}

// signed is a delivery as far as signatures go: its header fields and its body.
type signed struct {
	headers []contract.Header
	body    []byte
}

// What came of looking at a signature.
const (
	signatureGood = iota
	signatureMissing
	signatureBad
)

// verify checks the signature by one scheme.
func (d signed) verify(h pdk.Host, s scheme) (int, error) {
	values := valuesOf(d.headers, s.header)
	if len(values) != 1 { // two of them are two minds
		return signatureMissing, nil
	}
	mac := macOf(values[0], s.algorithm, s.encoding)
	if mac == nil {
		return signatureBad, nil
	}
	good, err := d.check(h, s, mac)
	if err == nil && !good {
		return signatureBad, nil
	}
	return signatureGood, err
}

// check compares a code with what the scheme says of the body. Its error may be that the
// connection does not have the secret.
func (d signed) check(h pdk.Host, s scheme, mac []byte) (bool, error) {
	message := d.body
	if s.signed == signedPHP {
		text, ok := phpJSON(string(d.body))
		if !ok {
			return false, nil
		}
		message = []byte(text)
	}
	return h.HMACVerify(contract.HMACVerify{Name: s.key, Algorithm: s.algorithm, Message: message, MAC: mac})
}

// macBytes is how long a code is, by algorithm.
var macBytes = map[string]int{"sha256": 32, "sha1": 20}

// macOf reads a code as a header field spells it; nil if it is none.
func macOf(value, algorithm, encoding string) []byte {
	value = strings.TrimSpace(value)
	if prefix := algorithm + "="; len(value) > len(prefix) && strings.EqualFold(value[:len(prefix)], prefix) {
		value = value[len(prefix):]
	}
	var mac []byte
	var err error
	if encoding == encodingBase64 {
		mac, err = base64.StdEncoding.DecodeString(value)
		if err != nil {
			mac, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(value, "="))
		}
	} else {
		mac, err = hex.DecodeString(value)
	}
	if err != nil || len(mac) != macBytes[algorithm] {
		return nil
	}
	return mac
}

// grid is what learning tries beside the header fields, the likeliest first.
var (
	likelyHeaders = []string{
		"X-Hub-Signature-256", "X-Hub-Signature", "X-Signature-256", "X-Signature", "X-Webhook-Signature", "X-UChat-Signature",
	}
	gridAlgorithms = []string{"sha256", "sha1"}
	gridEncodings  = []string{"hex", encodingBase64}
	gridKeys       = []string{"verification_key", "flow_key", "partner_key"}
)

// maxLearned bounds how many header fields of one delivery are tried.
const maxLearned = 8

// learn tries the grid and returns every scheme that fits. Where the body is already as PHP
// writes it, "raw" stands for both.
func (d signed) learn(h pdk.Host) ([]scheme, error) {
	bodies := []string{"raw"}
	if text, ok := phpJSON(string(d.body)); ok && text != string(d.body) {
		bodies = append(bodies, signedPHP)
	}
	var fits []scheme
	for _, name := range d.candidates() {
		for _, s := range spellings(name, valuesOf(d.headers, name)) {
			found, err := d.keysOf(h, s, bodies)
			if err != nil {
				return nil, err
			}
			fits = append(fits, found...)
		}
	}
	return fits, nil
}

// candidates lists the header fields that may hold a signature, each once, the likeliest
// first.
func (d signed) candidates() []string {
	var names []string
	add := func(name string) {
		for _, known := range names {
			if strings.EqualFold(known, name) {
				return
			}
		}
		if len(names) < maxLearned {
			names = append(names, name)
		}
	}
	for _, name := range likelyHeaders {
		if len(valuesOf(d.headers, name)) == 1 {
			add(name)
		}
	}
	for _, f := range d.headers {
		lower := strings.ToLower(f.Name)
		if (strings.Contains(lower, "signature") || strings.Contains(lower, "hmac")) && len(valuesOf(d.headers, f.Name)) == 1 {
			add(f.Name)
		}
	}
	return names
}

// spellings lists the ways in which a header field can be read as a code. The length of a
// code tells its algorithm, so there is at most one of each encoding.
func spellings(name string, values []string) []scheme {
	var list []scheme
	for _, algorithm := range gridAlgorithms {
		for _, encoding := range gridEncodings {
			if macOf(values[0], algorithm, encoding) != nil {
				list = append(list, scheme{header: name, algorithm: algorithm, encoding: encoding})
			}
		}
	}
	return list
}

// keysOf tries each key and body with one spelling. A secret that the connection does not have,
// or that was not granted, signs nothing.
func (d signed) keysOf(h pdk.Host, s scheme, bodies []string) ([]scheme, error) {
	mac := macOf(valuesOf(d.headers, s.header)[0], s.algorithm, s.encoding)
	var fits []scheme
	for _, key := range gridKeys {
		for _, body := range bodies {
			s.key, s.signed = key, body
			good, err := d.check(h, s, mac)
			switch code := contract.HostErrorCode(err); {
			case code == contract.HostNotFound || code == contract.HostDenied:
			case err != nil:
				return nil, err
			case good:
				fits = append(fits, s)
			}
		}
	}
	return fits, nil
}

// valuesOf returns the values of a header field.
func valuesOf(headers []contract.Header, name string) []string {
	var values []string
	for _, h := range headers {
		if strings.EqualFold(h.Name, name) {
			values = append(values, h.Value)
		}
	}
	return values
}
