package main

import (
	"slices"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	// maxCertBytes bounds a certificate's PEM.
	maxCertBytes = 16 << 10
	// minKeyBits is the smallest RSA key that is believed.
	minKeyBits = 2048
	// maxCertURLBytes bounds the URL of a certificate.
	maxCertURLBytes = 256
)

// Why a signature is not believed.
var (
	weakVersion    = &refusal{403, "signature_version_refused", "The signature version is unknown, or below sns_min_signature_version."}
	strangeCert    = &refusal{403, "certificate_url_refused", "The SigningCertURL is not one of SNS's in the topic's region."}
	hostNotAllowed = &refusal{403, "certificate_host_refused", "The host of the topic's region is not in sns_hosts."}
	noCert         = &refusal{403, "certificate_missing", "SNS has no certificate at the SigningCertURL."}
	badCert        = &refusal{403, "certificate_refused", "The certificate is not SNS's, not valid now, or too weak."}
	badMAC         = &refusal{403, "signature_refused", "The signature does not fit the message."}
	busyCerts      = &refusal{503, "certificates_busy", "Too many certificates were asked for in a short time."}
)

// verify tells whether SNS signed the message. An error means that nobody knows yet, and the
// host keeps the delivery.
func (m *snsMessage) verify(h pdk.Host, set settings, now time.Time) (*refusal, error) {
	algorithm, ok := map[string]string{"1": "rsa-sha1", "2": "rsa-sha256"}[m.version]
	if !ok || m.version < set.minSignatureVersion() {
		return weakVersion, nil
	}
	url, ok := certURL(m.certURL, m.topic.host())
	if !ok {
		return strangeCert, nil
	}
	if m.kind != kindNotification && !isSubscribeURL(m.subscribeURL, m.topic.host()) {
		return strangeURL, nil
	}
	text, no, err := fetchCert(h, url)
	if no != nil || err != nil {
		return no, err
	}
	verdict, err := h.SignatureVerify(contract.SignatureVerify{
		PEM: text, Algorithm: algorithm, Message: m.stringToSign(), Signature: m.signature,
	})
	switch {
	case contract.HostErrorCode(err) == contract.HostInvalid:
		return badCert, nil
	case err != nil:
		return nil, err
	case !m.trusts(verdict.Certificate, now):
		return badCert, nil
	case !verdict.OK:
		return badMAC, nil
	}
	return nil, nil
}

// trusts judges what the certificate says of itself. That it is Amazon's follows from where it
// was got: from the region's own host, over TLS, without a redirect. The chain is not verified;
// RATIONALE.md says why.
func (m *snsMessage) trusts(c *contract.Certificate, now time.Time) bool {
	return c != nil && !now.Before(c.NotBefore) && !now.After(c.NotAfter) &&
		c.KeyAlgorithm == "rsa" && c.KeyBits >= minKeyBits && slices.Contains(c.DNSNames, m.topic.signer())
}

// fetchCert gets a certificate's PEM; that it is one and nothing else is signature_verify's to
// see. An outage is an error, so that the host keeps the delivery: SNS itself tries for little
// more than a minute. The host's limit of fetches is none: only who invents URLs reaches it, and
// what he sends is not to be kept.
func fetchCert(h pdk.Host, url string) (string, *refusal, error) {
	result, err := h.HTTPCachedGet(contract.HTTPCachedGet{URL: url})
	switch contract.HostErrorCode(err) {
	case contract.HostQuota:
		return "", busyCerts, nil
	case contract.HostDenied, contract.HostInvalid:
		return "", hostNotAllowed, nil
	case contract.HostRefused:
		return "", badCert, nil
	}
	switch {
	case err != nil:
		return "", nil, err
	case result.Status >= 500 || result.Status == 429:
		return "", nil, &contract.HostError{Code: contract.HostUnavailable, Message: "SNS did not hand out its certificate", Certain: true}
	case result.Status != 200:
		return "", noCert, nil
	case result.Truncated || len(result.Body) > maxCertBytes:
		return "", badCert, nil
	}
	return result.Body, nil, nil
}

// certURL returns the URL of a certificate of SNS's at a host, in the one way to write it, and
// whether that is what was given. It goes by letters: nothing is parsed that two could parse
// differently.
func certURL(given, host string) (url string, ok bool) {
	rest, ok := strings.CutPrefix(given, "https://")
	if !ok || len(given) > maxCertURLBytes {
		return "", false
	}
	authority, path, _ := strings.Cut(rest, "/")
	authority = strings.TrimSuffix(authority, ":443")
	if strings.ToLower(authority) != host {
		return "", false
	}
	name, ok := strings.CutPrefix(path, "SimpleNotificationService-")
	name, pem := strings.CutSuffix(name, ".pem")
	return "https://" + host + "/" + path, ok && pem && len(name) == 32 && only(name, isLowerHex)
}

func isLowerHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' }

// isSubscribeURL tells whether a URL confirms a subscription at a host. It is checked and not
// used: the one that is called is put together here.
func isSubscribeURL(url, host string) bool {
	query, ok := strings.CutPrefix(url, "https://"+host+"/?")
	return ok && slices.Contains(strings.Split(query, "&"), "Action=ConfirmSubscription")
}
