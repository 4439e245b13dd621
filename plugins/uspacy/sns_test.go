package main

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
)

// signed is a message with a genuine signature.
func signed(f emulator.SNSFields) emulator.SNSFields {
	amazon().Sign(f)
	return f
}

func TestAGenuineNotificationIsRouted(t *testing.T) {
	for _, tt := range []struct {
		name string
		with func(f emulator.SNSFields)
	}{
		{"version 1", func(emulator.SNSFields) {}},
		{"version 2", func(f emulator.SNSFields) { f["SignatureVersion"] = "2" }},
		{"with a subject", func(f emulator.SNSFields) { f["Subject"] = "An event" }},
		{"with an empty subject", func(f emulator.SNSFields) { f["Subject"] = "" }},
		{"on a whole second", func(f emulator.SNSFields) { f["Timestamp"] = "2025-12-31T23:59:00.000Z" }},
		{"with the port written out", func(f emulator.SNSFields) {
			f["SigningCertURL"] = strings.Replace(certLink, ".com/", ".com:443/", 1)
		}},
		{"with the host in upper case", func(f emulator.SNSFields) {
			f["SigningCertURL"] = strings.Replace(certLink, "sns.eu", "SNS.EU", 1)
		}},
		{"with a token that is not signed", func(f emulator.SNSFields) { f["Token"] = "aa" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := notification(reply)
			tt.with(f)
			out := newApp(t).sns(signed(f))
			if out.Rejected != nil || out.Key != "line:66f2aa01" || out.Park != nil || out.Response.Status != 200 {
				t.Fatalf("route answered %+v", out)
			}
			doc, err := payload.Parse([]byte(out.Payload), payload.Limits{})
			if err != nil || doc.String("action") != "create" || doc.Object("message").String("message") != "Your order **leaves today**" ||
				!strings.HasPrefix(doc.String("dedupe"), "sns/") {
				t.Errorf("the payload is %s, %v", out.Payload, err)
			}
		})
	}
}

// The negative list of the protocol's section 7.11, as far as it is about one message.
func TestWhatIsNotSNSIsRefused(t *testing.T) {
	set := func(name, value string) func(emulator.SNSFields) {
		return func(f emulator.SNSFields) { f[name] = value }
	}
	cert := func(url string) func(emulator.SNSFields) { return set("SigningCertURL", url) }
	const host = "https://sns.eu-central-1.amazonaws.com"
	for _, tt := range []struct {
		name   string
		before func(emulator.SNSFields) // of signing
		after  func(emulator.SNSFields)
		status int64
		code   string
	}{
		{"a bucket called sns", cert("https://sns.s3-us-west-2.amazonaws.com" + certPath), nil, 403, "certificate_url_refused"},
		{"an accelerated bucket", cert("https://sns.s3-accelerate.amazonaws.com" + certPath), nil, 403, "certificate_url_refused"},
		{"a bucket by path", cert("https://s3.amazonaws.com/sns" + certPath), nil, 403, "certificate_url_refused"},
		{"a host that goes on", cert("https://sns.eu-central-1.amazonaws.com.evil.example" + certPath), nil, 403, "certificate_url_refused"},
		{"a user", cert("https://sns.eu-central-1.amazonaws.com@evil.example" + certPath), nil, 403, "certificate_url_refused"},
		{"a host with a dot behind", cert(host + "." + certPath), nil, 403, "certificate_url_refused"},
		{"another port", cert(host + ":8443" + certPath), nil, 403, "certificate_url_refused"},
		{"http", cert("http://sns.eu-central-1.amazonaws.com" + certPath), nil, 403, "certificate_url_refused"},
		{"the scheme in upper case", cert("HTTPS://sns.eu-central-1.amazonaws.com" + certPath), nil, 403, "certificate_url_refused"},
		{"white space before", cert(" " + certLink), nil, 403, "certificate_url_refused"},
		{"an escaped dot", cert(host + strings.Replace(certPath, ".pem", "%2epem", 1)), nil, 403, "certificate_url_refused"},
		{"a query", cert(certLink + "?x"), nil, 403, "certificate_url_refused"},
		{"a fragment", cert(certLink + "#f"), nil, 403, "certificate_url_refused"},
		{"a path of another name", cert(host + "/x.pem"), nil, 403, "certificate_url_refused"},
		{"a path below another", cert(host + "/a" + certPath), nil, 403, "certificate_url_refused"},
		{"a path with too few digits", cert(host + "/SimpleNotificationService-0123.pem"), nil, 403, "certificate_url_refused"},
		{"the digits in upper case", cert(host + strings.ToUpper(certPath)), nil, 403, "certificate_url_refused"},
		{"the region of another topic", cert(strings.Replace(certLink, "eu-central-1", "us-east-1", 1)), nil, 403, "certificate_url_refused"},
		{"a long s for an s", cert(strings.Replace(certLink, "//sns", "//\u017fns", 1)), nil, 403, "certificate_url_refused"},
		{"no certificate", cert(""), nil, 403, "certificate_url_refused"},

		{"version 1 called 2", nil, set("SignatureVersion", "2"), 403, "signature_refused"},
		{"version 2 called 1", set("SignatureVersion", "2"), set("SignatureVersion", "1"), 403, "signature_refused"},
		{"version 3", nil, set("SignatureVersion", "3"), 403, "signature_version_refused"},
		{"no version", nil, set("SignatureVersion", ""), 403, "signature_version_refused"},
		{"a changed message", nil, set("Message", "x"), 403, "signature_refused"},
		{"a changed id", nil, set("MessageId", "5d1b3a0e-7d55-5c0e-9a2b-6f5b2e0c7f11"), 403, "signature_refused"},
		{"a changed time", nil, set("Timestamp", "2025-12-31T23:59:00.001Z"), 403, "signature_refused"},
		{"a subject that was not signed", nil, set("Subject", "x"), 403, "signature_refused"},
		{"no signature", nil, set("Signature", ""), 400, "malformed"},
		{"a signature that is no base64", nil, set("Signature", "%%%"), 400, "malformed"},
		{"a signature of nothing", nil, set("Signature", base64.StdEncoding.EncodeToString(make([]byte, 256))), 403, "signature_refused"},

		{"another topic", set("TopicArn", topicARN+"s"), nil, 403, "topic_unknown"},
		{"another account", set("TopicArn", strings.Replace(topicARN, "1111", "4444", 1)), nil, 403, "topic_unknown"},
		{"what is no ARN", set("TopicArn", "example-lines"), nil, 400, "malformed"},
		{"an ARN of another service", set("TopicArn", strings.Replace(topicARN, ":sns:", ":sqs:", 1)), nil, 400, "malformed"},
		{"an unknown type", set("Type", "Novelty"), nil, 400, "malformed"},
		{"the type in another case", set("Type", "notification"), nil, 400, "malformed"},
		{"an id that is no UUID", set("MessageId", "1"), nil, 400, "malformed"},
		{"a time in another form", set("Timestamp", "2026-01-01T00:00:00Z"), nil, 400, "malformed"},
		{"a time with an offset", set("Timestamp", "2026-01-01T00:00:00.00+1"), nil, 400, "malformed"},
		{"a time with a comma", set("Timestamp", "2025-12-31T23:59:00,000Z"), nil, 400, "malformed"},
		{"a time that is none", set("Timestamp", "2026-13-01T00:00:00.000Z"), nil, 400, "malformed"},
		{"a line break in the subject", set("Subject", "x\ny"), nil, 400, "malformed"},
		{"a long subject", set("Subject", strings.Repeat("x", 101)), nil, 400, "malformed"},
		{"an old message", set("Timestamp", "2025-12-31T22:44:59.000Z"), nil, 403, "out_of_window"},
		{"a message from the future", set("Timestamp", "2026-01-01T00:05:00.001Z"), nil, 403, "out_of_window"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := notification(reply)
			if tt.before != nil {
				tt.before(f)
			}
			amazon().Sign(f)
			if tt.after != nil {
				tt.after(f)
			}
			a := newApp(t)
			wantRefused(t, a.sns(f), tt.status, tt.code)
			if tt.code != "signature_refused" && len(a.h.Requests()) > 0 {
				t.Errorf("something was fetched for it: %v", a.h.Requests())
			}
		})
	}
}

func TestABadCertificateIsRefused(t *testing.T) {
	year := testNow.AddDate(1, 0, 0)
	good := string(amazon().PEM())
	for _, tt := range []struct {
		name   string
		signer *emulator.Signer
		answer contract.HTTPResult // its body is the signer's certificate if it is empty
		code   string
	}{
		{"expired", newSigner(emulator.SignerOptions{NotAfter: testNow.Add(-time.Second)}), contract.HTTPResult{Status: 200}, "certificate_refused"},
		{"not valid yet", newSigner(emulator.SignerOptions{NotBefore: testNow.Add(time.Second), NotAfter: year}), contract.HTTPResult{Status: 200}, "certificate_refused"},
		{"of another name", newSigner(emulator.SignerOptions{Names: []string{"sns.amazonaws.com.evil.example"}}), contract.HTTPResult{Status: 200}, "certificate_refused"},
		{"of another region", newSigner(emulator.SignerOptions{Names: []string{"sns-signing.me-south-1.amazonaws.com"}}), contract.HTTPResult{Status: 200}, "certificate_refused"},
		{"with a short key", newSigner(emulator.SignerOptions{Bits: 1024}), contract.HTTPResult{Status: 200}, "certificate_refused"},
		{"two of them", amazon(), contract.HTTPResult{Status: 200, Body: good + good}, "certificate_refused"},
		{"with text before", amazon(), contract.HTTPResult{Status: 200, Body: "x" + good}, "certificate_refused"},
		{"cut off", amazon(), contract.HTTPResult{Status: 200, Body: good, Truncated: true}, "certificate_refused"},
		{"too long", amazon(), contract.HTTPResult{Status: 200, Body: good + strings.Repeat(" ", maxCertBytes)}, "certificate_refused"},
		{"no PEM", amazon(), contract.HTTPResult{Status: 200, Body: "<html>"}, "certificate_refused"},
		{"an empty PEM", amazon(), contract.HTTPResult{Status: 200, Body: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"}, "certificate_refused"},
		{"somebody else's", newSigner(emulator.SignerOptions{}), contract.HTTPResult{Status: 200, Body: good}, "signature_refused"},
		{"not there", amazon(), contract.HTTPResult{Status: 404}, "certificate_missing"},
		{"behind a redirect", amazon(), contract.HTTPResult{Status: 302}, "certificate_missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, f := newApp(t), notification(reply)
			tt.signer.Sign(f)
			if tt.answer.Body == "" {
				tt.answer.Body = string(tt.signer.PEM())
			}
			a.h.Answer("GET", certPath, tt.answer)
			wantRefused(t, a.sns(f), 403, tt.code)
		})
	}
}

func TestTheSignersOfRegions(t *testing.T) {
	for _, tt := range []struct{ arn, host, signer string }{
		{"arn:aws:sns:us-east-1:111122223333:a", "sns.us-east-1.amazonaws.com", "sns.amazonaws.com"},
		{"arn:aws:sns:eu-central-1:111122223333:a.fifo", "sns.eu-central-1.amazonaws.com", "sns.amazonaws.com"},
		{"arn:aws:sns:eu-central-2:111122223333:a", "sns.eu-central-2.amazonaws.com", "sns-signing.eu-central-2.amazonaws.com"},
		{"arn:aws:sns:ap-southeast-7:111122223333:a", "sns.ap-southeast-7.amazonaws.com", "sns-signing.ap-southeast-7.amazonaws.com"},
		{"arn:aws:sns:ap-southeast-2:111122223333:a", "sns.ap-southeast-2.amazonaws.com", "sns.amazonaws.com"},
		{"arn:aws-us-gov:sns:us-gov-east-1:111122223333:a", "sns.us-gov-east-1.amazonaws.com", "sns-us-gov-west-1.amazonaws.com"},
		{"arn:aws-cn:sns:cn-north-1:111122223333:a", "sns.cn-north-1.amazonaws.com.cn", "sns-cn-north-1.amazonaws.com.cn"},
	} {
		if a, ok := parseARN(tt.arn); !ok || a.host() != tt.host || a.signer() != tt.signer {
			t.Errorf("parseARN(%q) = host %q, signer %q, %v; want %q, %q", tt.arn, a.host(), a.signer(), ok, tt.host, tt.signer)
		}
	}
	for _, arn := range []string{
		"", "arn:aws:sns:s3-us-west-2:111122223333:a", "arn:aws:sns:s3-accelerate:111122223333:a", "arn:aws:sns:us-east-1:11112222333:a",
		"arn:aws:sns:us-east-1:111122223333:", "arn:aws:sns:us-east-1:111122223333:a b", "arn:aws:sns:us-east-1:111122223333:a\n",
		"arn:aws-iso:sns:us-iso-east-1:111122223333:a", "arn:aws:sns:us-east-1:111122223333:a:b", "arn:aws:sns:us-east-111:111122223333:a",
		"arn:aws:sns:US-EAST-1:111122223333:a", "arn:aws:sns:us--1:111122223333:a", "arn:aws:sns:us-1:111122223333:a",
		"arn:aws:sns:us-east-1:111122223333:.fifo", "arn:aws:sns:us-east-1:111122223333:" + strings.Repeat("a", 257),
	} {
		if a, ok := parseARN(arn); ok {
			t.Errorf("parseARN(%q) = %+v, want none", arn, a)
		}
	}
}

// What Amazon signs has no lengths in it. Somebody with a topic of his own can publish a text
// that holds the lines of another message, and split the signed bytes in another way: his topic
// then stands behind ours, in one value with line breaks. The signature is genuine.
func TestFieldSplitting(t *testing.T) {
	a := newApp(t)
	theirs := "arn:aws:sns:eu-central-1:666666666666:evil"
	inner := "x\nMessageId\n5d1b3a0e-7d55-5c0e-9a2b-6f5b2e0c7f10\nTimestamp\n" + notification("")["Timestamp"] + "\nTopicArn\n" + topicARN
	published := notification(reply + "\nMessageId\n" + strings.TrimPrefix(inner, "x\nMessageId\n"))
	published["TopicArn"] = theirs
	amazon().Sign(published)

	split := notification(reply)
	split["Signature"] = published["Signature"]
	rest := "\nMessageId\n" + published["MessageId"] + "\nTimestamp\n" + published["Timestamp"] + "\nTopicArn\n" + theirs
	split["TopicArn"] = topicARN + rest
	forged := &snsMessage{kind: kindNotification, id: split["MessageId"], message: reply, timestamp: split["Timestamp"], topic: arn{text: split["TopicArn"]}}
	original := &snsMessage{kind: kindNotification, id: published["MessageId"], message: published["Message"],
		timestamp: published["Timestamp"], topic: arn{text: theirs}}
	if string(forged.stringToSign()) != string(original.stringToSign()) {
		t.Fatalf("the attack is not one: %q signed, %q split", original.stringToSign(), forged.stringToSign())
	}
	d := snsDelivery(split)
	d.Headers = nil // a header field cannot hold it, and need not be there
	wantRefused(t, a.route(d, snsBody(t, split)), 400, "malformed")
	if len(a.h.Requests()) > 0 {
		t.Error("a certificate was fetched for it")
	}
	// Through each other signed field that might hold a line break.
	for _, field := range []string{"MessageId", "Timestamp", "Subject"} {
		f := notification(reply)
		f[field] += rest
		amazon().Sign(f)
		wantRefused(t, a.sns(f), 400, "malformed")
	}
	for _, field := range []string{"SubscribeURL", "Token"} {
		f := confirmation(kindSubscribe, topicARN)
		f[field] += rest
		amazon().Sign(f)
		wantRefused(t, a.sns(f), 400, "malformed")
	}
}

func TestTheFormOfAnSNSRequest(t *testing.T) {
	f := signed(notification(reply))
	body, good := snsBody(t, f), snsDelivery(f)
	for _, tt := range []struct {
		name   string
		with   func(d *contract.Delivery)
		body   string
		status int64
		code   string
	}{
		{"by GET", func(d *contract.Delivery) { d.Method = "GET" }, body, 405, "method_refused"},
		{"a raw delivery", func(d *contract.Delivery) {
			d.Headers = []contract.Header{{Name: "X-Amz-Sns-Rawdelivery", Value: "true"}}
		}, reply, 403, "raw_delivery"},
		{"another type in the header", func(d *contract.Delivery) { d.Headers[0].Value = kindSubscribe }, body, 400, "header_differs"},
		{"another id in the header", func(d *contract.Delivery) { d.Headers[1].Value = "x" }, body, 400, "header_differs"},
		{"another topic in the header", func(d *contract.Delivery) { d.Headers[2].Value = topicARN + "s" }, body, 400, "header_differs"},
		{"a header twice", func(d *contract.Delivery) { d.Headers = append(d.Headers, d.Headers[0]) }, body, 400, "header_differs"},
		{"a body that is too long", nil, body + strings.Repeat(" ", 1<<20), 413, "too_large"},
		{"no JSON", nil, "x", 400, "malformed"},
		{"a list", nil, "[" + body + "]", 400, "malformed"},
		{"a name twice", nil, `{"Type":"Notification",` + body[1:], 400, "malformed"},
		{"a topic twice", nil, body[:len(body)-1] + `,"TopicArn":"` + topicARN + `"}`, 400, "malformed"},
		{"type for Type", nil, strings.Replace(body, `"Type"`, `"type"`, 1), 400, "malformed"},
		{"a number for an id", nil, strings.Replace(body, `"`+f["MessageId"]+`"`, "7", 1), 400, "malformed"},
		{"a number for a token", nil, body[:len(body)-1] + `,"Token":7}`, 400, "malformed"},
		{"an object for a URL that is not used", nil, strings.Replace(body, `"UnsubscribeURL":"`, `"UnsubscribeURL":{},"X":"`, 1), 400, "malformed"},
		{"no message", nil, strings.Replace(body, `"Message"`, `"Massage"`, 1), 400, "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := good
			d.Headers = append([]contract.Header(nil), good.Headers...)
			if tt.with != nil {
				tt.with(&d)
			}
			wantRefused(t, newApp(t).route(d, tt.body), tt.status, tt.code)
		})
	}
	for name, body := range map[string]string{
		"type beside Type":     `{"type":"x",` + body[1:],
		"a subject of null":    `{"Subject":null,` + body[1:],
		"attributes of no use": `{"MessageAttributes":{"a":{"Type":"String","Value":"b"}},` + body[1:],
	} {
		if out := newApp(t).route(good, body); out.Key == "" {
			t.Errorf("with %s it was refused: %+v", name, out)
		}
	}
	bare := good
	bare.Headers = nil
	if out := newApp(t).route(bare, body); out.Key == "" {
		t.Errorf("without SNS's header fields it was refused: %+v", out)
	}
}

func TestTheLeastSignatureVersion(t *testing.T) {
	a := newApp(t, "sns_min_signature_version", "2")
	wantRefused(t, a.sns(signed(notification(reply))), 403, "signature_version_refused")
	f := notification(reply)
	f["SignatureVersion"] = "2"
	if out := a.sns(signed(f)); out.Key == "" {
		t.Errorf("version 2 was refused: %+v", out)
	}
}

func TestACertificateThatCannotBeHadNow(t *testing.T) {
	f := signed(notification(reply))
	for _, tt := range []struct {
		name   string
		answer contract.HTTPResult
		kept   bool // with the host, which answers 503 and tries again
	}{
		{"SNS is down", contract.HTTPResult{Status: 503}, true},
		{"nobody answers", contract.HTTPResult{Error: &contract.HostError{Code: contract.HostTimeout, Certain: true}}, true},
		{"there is no way", contract.HTTPResult{Error: &contract.HostError{Code: contract.HostUnreachable, Certain: true}}, true},
		{"somebody invents names", contract.HTTPResult{Error: &contract.HostError{Code: contract.HostQuota, Certain: true}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t)
			a.h.Answer("GET", certPath, tt.answer)
			out, err := a.tryRoute(snsDelivery(f), snsBody(t, f))
			if (err != nil) != tt.kept {
				t.Fatalf("route failed with %v", err)
			}
			if !tt.kept && (!out.Answered || out.Response.Status != 503) {
				t.Errorf("it was answered %+v, want 503 and nothing kept", out)
			}
		})
	}
}

func TestARegionWhoseHostIsNotAllowed(t *testing.T) {
	a, f := newApp(t, "sns_hosts", "sns.us-east-1.amazonaws.com"), signed(notification(reply))
	d := snsDelivery(f)
	d.ReceivedAt = a.h.Now()
	a.h.SetBody([]byte(snsBody(t, f)))
	out, err := a.h.Route(connector{}, &contract.RouteInput{Delivery: d, Settings: a.set})
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, out, 403, "certificate_host_refused")
	if lines := a.h.Lines(); len(lines) != 1 || lines[0].Fields["host"] != "sns.eu-central-1.amazonaws.com" {
		t.Errorf("the operator was told %+v, want the host that is missing", lines)
	}
}
