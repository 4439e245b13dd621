package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

const (
	// maxInstallBytes bounds the body of an install: two tokens and little else.
	maxInstallBytes = 64 << 10
	// refreshTokenLife is how long a refresh token lives (protocol section 5).
	refreshTokenLife = 30 * 24 * time.Hour
	// parkSeconds is how long an install waits for an operator to say whose it is. Its refresh
	// token lives two days longer, for whoever assigns it at the last moment.
	parkSeconds = 28 * 24 * 3600
	// latestExpiry is a time in seconds that no access token lives to see, and every time in
	// milliseconds is beyond: the year 2100.
	latestExpiry = 4_102_444_800
)

// tokenPair is what an install brings.
type tokenPair struct {
	access, refresh string
	expiry          int64 // of the access token, Unix seconds
}

var badInstall = &refusal{422, "body_refused", "The body lacks token, refresh_token or expiry_date, or one of them has another form."}

// readPair reads the body of an install. What else is in it is ignored, a domain above all.
func readPair(body []byte) (tokenPair, bool) {
	doc, err := payload.Parse(body, payload.Limits{MaxBytes: maxInstallBytes})
	if err != nil {
		return tokenPair{}, false
	}
	pair := tokenPair{access: doc.String("token"), refresh: doc.String("refresh_token")}
	pair.expiry, err = strconv.ParseInt(doc.Identifier("expiry_date"), 10, 64)
	fine := err == nil && doc.Err() == nil && pair.expiry > 0 && pair.expiry < latestExpiry
	return pair, fine && isToken(pair.access) && isToken(pair.refresh)
}

// isToken tells whether a text may stand behind "Bearer" in a header field (RFC 6750 section
// 2.1).
func isToken(text string) bool {
	fit := func(c byte) bool { return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '{' && c != '}' }
	return text != "" && len(text) <= maxTokenBytes && only(text, fit)
}

// routeInstall verifies an install and hands it to the portal's connection. A portal that has
// none waits for an operator.
func routeInstall(h pdk.Host, set settings, d *contract.Delivery) (*contract.RouteOutput, error) {
	if d.BodyBytes > maxInstallBytes {
		return turnedAway(&refusal{413, "too_large", "The body of an install is larger than 64 KiB."}), nil
	}
	p, no, err := believe(h, set, d.Headers)
	if err != nil || no != nil {
		return turnedAwayFor(no), err
	}
	body, err := h.DeliveryBody()
	if err != nil {
		return nil, err
	}
	if _, ok := readPair(body); !ok {
		return turnedAway(badInstall), nil
	}
	sum := digest(string(body))
	return &contract.RouteOutput{
		Key: routePortal + p.domain, Payload: lifecycle{do: doInstall, proof: p, sum: sum}.encode(),
		Park:     &contract.Parking{Seconds: parkSeconds, Title: p.domain, Install: true},
		Response: installed(), DedupeKey: "install/" + p.domain + "/" + strconv.FormatInt(p.issued, 10) + "/" + sum,
	}, nil
}

// routeUninstall verifies an uninstall. It waits behind an install that waits, or the install
// would be claimed after it.
func routeUninstall(h pdk.Host, set settings, d *contract.Delivery) (*contract.RouteOutput, error) {
	p, no, err := believe(h, set, d.Headers)
	if err != nil || no != nil {
		return turnedAwayFor(no), err
	}
	return &contract.RouteOutput{
		Key: routePortal + p.domain, Payload: lifecycle{do: doUninstall, proof: p}.encode(),
		Park:     &contract.Parking{Seconds: parkSeconds, Title: p.domain},
		Response: contract.Response{Status: 204},
	}, nil
}

// turnedAwayFor is nil for no refusal.
func turnedAwayFor(no *refusal) *contract.RouteOutput {
	if no == nil {
		return nil
	}
	return turnedAway(no)
}

// installed is what Uspacy takes for success.
func installed() contract.Response {
	return jsonAnswer(200, `{"status":true,"message":"success"}`)
}

// digest names a text that is too long or too secret to be kept.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// The kinds of lifecycle webhook, as route hands them to receive.
const (
	doInstall   = "install"
	doUninstall = "uninstall"
)

// lifecycle is an install or uninstall that route believed. The tokens are not in it: receive
// reads the body again.
type lifecycle struct {
	do    string
	proof proof
	sum   string // of an install's body
}

func (l lifecycle) encode() string {
	return payload.New().Text("do", l.do).Text("domain", l.proof.domain).Number("iat", l.proof.issued).
		Flag("signed", l.proof.signed).Text("sum", l.sum).End()
}

func decodeLifecycle(text string) (lifecycle, error) {
	doc, err := payload.Parse([]byte(text), payload.Limits{})
	if err != nil {
		return lifecycle{}, err
	}
	l := lifecycle{do: doc.String("do"), sum: doc.String("sum"),
		proof: proof{domain: doc.String("domain"), issued: doc.Int("iat"), signed: doc.Bool("signed")}}
	return l, doc.Err()
}
