package e2e

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// snsRequest is a message as SNS posts it, with header fields that agree with it.
func snsRequest(name string, f emulator.SNSFields, status int, code string) badRequest {
	body, err := json.Marshal(f)
	if err != nil {
		panic(err) // texts
	}
	return badRequest{name: "SNS with " + name, path: "/sns", header: snsHeader(f), body: body, status: status, code: code}
}

func snsHeader(f emulator.SNSFields) http.Header {
	h := http.Header{"Content-Type": {"text/plain; charset=UTF-8"}}
	for name, field := range map[string]string{"X-Amz-Sns-Message-Type": "Type", "X-Amz-Sns-Message-Id": "MessageId", "X-Amz-Sns-Topic-Arn": "TopicArn"} {
		if value := f[field]; value != "" && !strings.ContainsAny(value, "\r\n\x00") {
			h.Set(name, value)
		}
	}
	return h
}

// badSNS is what must not be believed to come from the topic. Each would be a reply in a chat.
func badSNS(p *emulator.Platform, line, chat string) (list []badRequest) {
	event := fmt.Sprintf(`{"action":"create","payload":{"id":"%s","chatId":"%s","authorId":18,"message":"%s","type":"MESSAGE","externalLine":"%s"}}`, neverStored, chat, neverStored, line)
	fresh := func() emulator.SNSFields { return p.SNSMessage("Notification", event) }
	changed := func(field, value string) emulator.SNSFields {
		f := fresh()
		f[field] = value
		return f
	}
	signed := func(field, value string) emulator.SNSFields {
		f := changed(field, value)
		p.SNSSigner().Sign(f)
		return f
	}
	add := func(name string, f emulator.SNSFields, status int, code string) {
		list = append(list, snsRequest(name, f, status, code))
	}
	later := time.Now().UTC().Add(time.Second).Format("2006-01-02T15:04:05.000Z")
	for field, value := range map[string]string{"Message": event + " ", "MessageId": "5d1b3a0e-7d55-5c0e-9a2b-6f5b2e0c7f10", "Timestamp": later, "Subject": "s",
		"Signature": fresh()["Signature"], "SignatureVersion": "2"} {
		add("a changed "+field, changed(field, value), 403, "signature_refused")
	}
	for name, value := range map[string]string{"another topic": strings.Replace(p.TopicARN(), "uspacy-", "evil-", 1), "another account": strings.Replace(p.TopicARN(), "1111", "6666", 1),
		"a longer topic": p.TopicARN() + "2", "another region": strings.Replace(p.TopicARN(), "eu-central-1", "eu-west-1", 1)} {
		add(name, signed("TopicArn", value), 403, "topic_unknown")
	}
	add("an old time", signed("Timestamp", time.Now().UTC().Add(-2*time.Hour).Format("2006-01-02T15:04:05.000Z")), 403, "out_of_window")
	add("a time to come", signed("Timestamp", time.Now().UTC().Add(10*time.Minute).Format("2006-01-02T15:04:05.000Z")), 403, "out_of_window")
	add("signature version 3", changed("SignatureVersion", "3"), 403, "signature_version_refused")
	for field, value := range map[string]string{"TopicArn": p.TopicARN() + "\nType\nNotification", "MessageId": "x", "Timestamp": "yesterday", "Subject": "a\nb", "Type": "Notifications", "Signature": "***"} {
		f := changed(field, value)
		if field != "Signature" {
			p.SNSSigner().Sign(f)
		}
		add("a strange "+field, f, 400, "malformed")
	}
	for _, field := range []string{"Type", "MessageId", "TopicArn", "Message", "Timestamp", "Signature"} {
		f := fresh()
		delete(f, field)
		add("no "+field, f, 400, "malformed")
	}
	list = append(list, badEnvelopes(fresh())...)
	list = append(list, badSubscriptions(p)...)
	return append(list, badCertificates(p, fresh)...)
}

// badEnvelopes is requests that are no message of SNS's, whatever is signed.
func badEnvelopes(f emulator.SNSFields) (list []badRequest) {
	fine, err := json.Marshal(f)
	if err != nil {
		panic(err) // texts
	}
	text := string(fine)
	for name, body := range map[string]string{
		"nothing": "", "a cut body": text[:len(text)-9], "an array": "[" + text + "]", "a text": `"x"`, "two bodies": text + text,
		"the published text alone": f["Message"], "a doubled name": strings.Replace(text, `{`, `{"Type":"Notification",`, 1),
		"a small type": strings.Replace(text, `"Type"`, `"type"`, 1), "a number for a text": strings.Replace(text, `"Message":`, `"Message":5,"Text":`, 1),
		"an object for a text": strings.Replace(text, `"Message":`, `"Message":{},"Text":`, 1), "null for a text": strings.Replace(text, `"Message":`, `"Message":null,"Text":`, 1),
		"a broken character": strings.Replace(text, neverStored, neverStored+"\xff", 1),
	} {
		list = append(list, badRequest{name: "SNS with " + name, path: "/sns", header: snsHeader(f), body: []byte(body), status: 400, code: "malformed"})
	}
	for _, tt := range []struct {
		name, field, value string
		status             int
		code               string
	}{
		{"raw delivery", "X-Amz-Sns-Rawdelivery", "true", 403, "raw_delivery"},
		{"another type in the header", "X-Amz-Sns-Message-Type", "SubscriptionConfirmation", 400, "header_differs"},
		{"another id in the header", "X-Amz-Sns-Message-Id", "5d1b3a0e-7d55-5c0e-9a2b-6f5b2e0c7f10", 400, "header_differs"},
		{"another topic in the header", "X-Amz-Sns-Topic-Arn", f["TopicArn"] + "x", 400, "header_differs"},
	} {
		r := badRequest{name: "SNS with " + tt.name, path: "/sns", header: snsHeader(f), body: fine, status: tt.status, code: tt.code}
		r.header.Set(tt.field, tt.value)
		list = append(list, r)
	}
	long := slices.Concat(fine, bytes.Repeat([]byte(" "), 64<<10))
	return append(list,
		badRequest{name: "SNS with a long body", path: "/sns", header: snsHeader(f), body: long, status: 413, code: "too_large"},
		badRequest{name: "SNS with a very long body", path: "/sns", header: snsHeader(f), body: bytes.Repeat([]byte("a"), 2<<20), status: 413},
		badRequest{name: "SNS by GET", method: "GET", path: "/sns", header: snsHeader(f), status: 405, code: "method_refused"},
		badRequest{name: "SNS by PUT", method: "PUT", path: "/sns", header: snsHeader(f), body: fine, status: 405, code: "method_refused"},
		badRequest{name: "SNS at another path", path: "/sns/x", header: snsHeader(f), body: fine, status: 404, code: "path_unknown"},
	)
}

// badSubscriptions is confirmations that are genuine but for what they would have us call.
func badSubscriptions(p *emulator.Platform) (list []badRequest) {
	for _, url := range []string{"https://evil.example/?Action=ConfirmSubscription", "http://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription",
		"https://sns.eu-central-1.amazonaws.com/?Action=DeleteTopic", "https://sns.eu-central-1.amazonaws.com@evil.example/?Action=ConfirmSubscription"} {
		f := p.SNSMessage("SubscriptionConfirmation", neverStored)
		f["SubscribeURL"] = url
		p.SNSSigner().Sign(f)
		list = append(list, snsRequest("the SubscribeURL "+url, f, 403, "subscribe_url_refused"))
	}
	f := p.SNSMessage("SubscriptionConfirmation", neverStored)
	f["Token"] = "no hex"
	p.SNSSigner().Sign(f)
	list = append(list, snsRequest("a strange Token", f, 400, "malformed"))
	f = p.SNSMessage("UnsubscribeConfirmation", neverStored)
	f["TopicArn"] += "x"
	p.SNSSigner().Sign(f)
	return append(list, snsRequest("the end of an unknown topic", f, 403, "topic_unknown"))
}

// badCertificates is messages whose certificate is not the topic's, by where it is or by what it
// is. Those of the first kind are fetched from nowhere.
func badCertificates(p *emulator.Platform, fresh func() emulator.SNSFields) (list []badRequest) {
	name := "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
	for _, url := range []string{
		"https://sns.s3-us-west-2.amazonaws.com" + name, "https://sns.eu-central-1.amazonaws.com.evil.example" + name, "https://sns.eu-central-1.amazonaws.com@evil.example" + name,
		"https://sns.eu-central-1.amazonaws.com." + name, "https://sns.eu-central-1.amazonaws.com:8443" + name, "http://sns.eu-central-1.amazonaws.com" + name,
		"hTTps://sns.eu-central-1.amazonaws.com" + name, "https://sns.eu-central-1.amazonaws.com" + name + "?x", "https://sns.eu-central-1.amazonaws.com" + name + "#f",
		"https://sns.eu-central-1.amazonaws.com/x.pem", "https://sns.eu-central-1.amazonaws.com/a" + name, "https://sns.eu-central-1.amazonaws.com/%2e" + name,
		"https://sns.eu-west-1.amazonaws.com" + name, "https://s3.amazonaws.com" + name, "https://127.0.0.1" + name, "", neverStored,
	} {
		f := fresh()
		f["SigningCertURL"] = url
		list = append(list, snsRequest("the certificate "+url, f, 403, "certificate_url_refused"))
	}
	stranger := func(o emulator.SignerOptions) *emulator.Signer {
		s, err := emulator.NewSigner(o)
		if err != nil {
			panic(err) // options are a test's own
		}
		return s
	}
	day := 24 * time.Hour
	own, other := stranger(emulator.SignerOptions{}), stranger(emulator.SignerOptions{Names: []string{"sns.evil.example"}})
	old := stranger(emulator.SignerOptions{NotBefore: time.Now().Add(-9 * day), NotAfter: time.Now().Add(-day)})
	early := stranger(emulator.SignerOptions{NotBefore: time.Now().Add(day), NotAfter: time.Now().Add(9 * day)})
	short := stranger(emulator.SignerOptions{Bits: 1024})
	other2 := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})
	f := fresh()
	own.Sign(f)
	list = append(list, snsRequest("a stranger's signature", f, 403, "signature_refused"))
	for i, tt := range []struct {
		name   string
		signer *emulator.Signer
		step   emulator.Step
		code   string
	}{
		{"no certificate", own, emulator.Step{Status: 404}, "certificate_missing"},
		{"a certificate that is elsewhere", own, emulator.Step{Status: 302, Header: http.Header{"Location": {"https://sns.eu-central-1.amazonaws.com" + name}}}, "certificate_missing"},
		{"another's certificate", other, emulator.Step{Status: 200, Body: string(other.PEM())}, "certificate_refused"},
		{"an old certificate", old, emulator.Step{Status: 200, Body: string(old.PEM())}, "certificate_refused"},
		{"a certificate to come", early, emulator.Step{Status: 200, Body: string(early.PEM())}, "certificate_refused"},
		{"a short key", short, emulator.Step{Status: 200, Body: string(short.PEM())}, "certificate_refused"},
		{"two certificates", own, emulator.Step{Status: 200, Body: string(own.PEM()) + string(own.PEM())}, "certificate_refused"},
		{"something else", own, emulator.Step{Status: 200, Body: string(other2)}, "certificate_refused"},
	} {
		tt.step.Op = "sns.unknown"
		p.Script(tt.step)
		f := fresh()
		f["SigningCertURL"] = fmt.Sprintf("https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-%032x.pem", i+1)
		tt.signer.Sign(f)
		list = append(list, snsRequest(tt.name, f, 403, tt.code))
	}
	return list
}

// actDropped: what is genuine and yet nobody's, somebody else's, not understood or said before.
// It is answered 200, and says nothing to anybody.
func actDropped(t *testing.T, m *uspacyMarket, shops []*uspacyShop, chats []string, before shelves) {
	a, b := shops[0], shops[1]
	line, theirs := before.line(a), before.line(b)
	const words = "words-for-nobody"
	event := func(fields string) string {
		return `{"action":"create","payload":{"authorId":18,"type":"MESSAGE","message":"` + words + `",` + fields + `}}`
	}
	long := strings.Repeat("x", 300)
	for name, published := range map[string]string{
		"an unknown line":             event(`"id":"d1","chatId":"` + chats[0] + `","externalLine":"66f2aa0177aa"`),
		"a chat of another tenant":    event(`"id":"d2","chatId":"` + chats[1] + `","externalLine":"` + line + `"`),
		"a line of another tenant":    event(`"id":"d3","chatId":"` + chats[0] + `","externalLine":{"id":"` + theirs + `"}`),
		"another portal":              event(`"id":"d4","chatId":"` + chats[0] + `","externalLine":{"id":"` + line + `","portal":"beta.uspacy.ua"}`),
		"an echo":                     event(`"id":"d5","chatId":"` + chats[0] + `","externalLine":"` + line + `","externalAuthorId":"user-chat-a"`),
		"our own name":                event(`"id":"d6","chatId":"` + chats[0] + `","externalLine":"` + line + `","externalId":"patchbay:` + string(a.connection.ID) + `:m"`),
		"no line":                     event(`"id":"d7","chatId":"` + chats[0] + `"`),
		"a long line":                 event(`"id":"d8","chatId":"` + chats[0] + `","externalLine":"` + long + `"`),
		"a long id":                   event(`"id":"` + long + `","chatId":"` + chats[0] + `","externalLine":"` + line + `"`),
		"a path for an id":            event(`"id":"..","chatId":"` + chats[0] + `","externalLine":"` + line + `"`),
		"a message that nobody wrote": strings.Replace(event(`"id":"d9","chatId":"`+chats[0]+`","externalLine":"`+line+`"`), `"MESSAGE"`, `"SYSTEM"`, 1),
		"a message without words":     strings.Replace(event(`"id":"d10","chatId":"`+chats[0]+`","externalLine":"`+line+`"`), words, "", 1),
		"another entity":              `{"entity":"task","action":"create","data":{"title":"` + words + `"}}`,
		"a deletion of nothing":       strings.Replace(event(`"id":"d11","chatId":"`+chats[0]+`","externalLine":"`+line+`"`), "create", "delete", 1),
		"no JSON":                     words, "an array": `["` + words + `"]`, "nothing": "", "a deep one": strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500),
		"a doubled name":      `{"payload":{},"payload":{"text":"` + words + `"}}`,
		"ids of other types":  event(`"id":{"a":1},"chatId":[1],"externalLine":true`),
		"an unknown wrapper":  `{"envelope":{"text":"` + words + `","count":5}}`,
		"a line of two kinds": event(`"id":"d12","chatId":"` + chats[0] + `","externalLine":["` + line + `"]`),
	} {
		f := a.p.SNSMessage("Notification", published)
		if got, body := m.request(t, snsRequest(name, f, 200, "")); got != 200 || body != "{}" {
			t.Errorf("%s: answered %d %s", name, got, body)
		}
	}
	m.understood(t, a, chats[0], line)
	for _, s := range shops {
		if n := s.count(func(e client.Event) bool {
			return e.Data.Message != nil && strings.Contains(stage.Text(e.Data.Message), words)
		}); n > 0 {
			t.Errorf("%d of them were reported to %s", n, s.of.workspace.Name)
		}
	}
	if n := b.count(func(e client.Event) bool { return e.Data.Message != nil }); n != 1 {
		t.Errorf("the other tenant has %d messages", n)
	}
	after := m.shelves(shops)
	if !maps.Equal(before.entries[b.connection.ID], after.entries[b.connection.ID]) {
		t.Errorf("the other tenant's entries are %v", after.entries[b.connection.ID])
	}
	outlines := 0
	for _, id := range []contract.ConnectionID{m.app.ID, a.connection.ID} {
		for key, value := range after.entries[id] {
			if strings.Contains(value, words) {
				t.Errorf("%s of %s holds the words: %s", key, id, value)
			}
			if strings.HasPrefix(key, "quarantine/") {
				outlines++
			}
		}
	}
	if count := after.entries[m.app.ID]["quarantine_count"]; outlines == 0 || count != fmt.Sprint(outlines) {
		t.Errorf("%d outlines are kept, of %s", outlines, count)
	}
}

// understood is what is strange and genuine: it comes once, and in order.
func (m *uspacyMarket) understood(t *testing.T, s *uspacyShop, chat, line string) {
	payload := func(action, fields string) string {
		return `{"action":"` + action + `","payload":{"chatId":"` + chat + `","externalLine":"` + line + `","authorId":"18",` + fields + `}}`
	}
	post := func(name string, f emulator.SNSFields, header ...string) {
		r := snsRequest(name, f, 200, "")
		for i := 0; i < len(header); i += 2 {
			r.header.Set(header[i], header[i+1])
		}
		if got, body := m.request(t, r); got != 200 {
			t.Errorf("%s: answered %d %s", name, got, body)
		}
	}
	note := func(event string) emulator.SNSFields { return s.p.SNSMessage("Notification", event) }
	post("an update before its message", note(payload("update", `"id":"u1","message":"new words","type":"MESSAGE","timestamp":1797930123456,"updateTimestamp":1797930123999`)))
	post("and the message", note(payload("create", `"id":"u1","message":"old words","type":"MESSAGE","timestamp":1797930123456`)))
	post("an unknown type", note(payload("create", `"id":"u2","message":"a poll","type":"POLL","timestamp":"1797930123456"`)))
	post("members of other types", note(payload("create", `"id":"u3","message":"odd members","type":"MESSAGE","timestamp":{},"attachedFiles":"x","parentMessage":7,"readBy":{},"meta":[]`)))
	twice := note(payload("create", `"id":"u4","message":"as a form","type":"MESSAGE"`))
	post("another content type", twice, "Content-Type", "application/x-www-form-urlencoded")
	post("the same again", twice)
	token := note(payload("create", `"id":"u5","message":"with a token","type":"MESSAGE"`))
	token["Token"], token["SubscribeURL"] = "ab", "https://evil.example/"
	post("fields of another kind of message", token)
	post("the last one", note(payload("create", `"id":"u6","message":"the last one","type":"MESSAGE"`)))
	s.heard("the last one")
	for _, text := range []string{"new words", "a poll", "odd members", "as a form", "with a token"} {
		if n := s.count(stage.Said(text)); n != 1 {
			t.Errorf("%q was reported %d times", text, n)
		}
	}
	if n := s.count(stage.Said("old words")); n > 0 {
		t.Error("a message that had changed was reported as it was before")
	}
	status, body := m.request(t, badRequest{name: "a connection's own address", body: []byte(neverStored)})
	if status != 404 {
		t.Errorf("the app's bare address answered %d %s", status, body)
	}
}
