package egress

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	maxRequestHeaders = 100
	// maxHeaderBytes bounds names and values of a request together, placeholders filled.
	maxHeaderBytes     = 32 << 10
	maxResponseHeaders = 100
)

// ownHeaders are the fields that frame a request or belong to one hop, which the host
// alone sets, and those by which an answer could be encoded so that no secret is found
// in it.
var ownHeaders = []string{
	"Accept-Charset", "Accept-Encoding", "Connection", "Content-Length", "Expect", "Host", "Keep-Alive",
	"Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// requestHeader checks header fields as a plugin wrote them, placeholders filled.
func requestHeader(fields []contract.Header) (http.Header, error) {
	if len(fields) > maxRequestHeaders {
		return nil, fmt.Errorf("%d header fields are more than %d", len(fields), maxRequestHeaders)
	}
	header, size := http.Header{}, 0
	for _, field := range fields {
		name := textproto.CanonicalMIMEHeaderKey(field.Name)
		if err := checkField(name, field.Value); err != nil {
			return nil, err
		}
		size += len(name) + len(field.Value)
		header.Add(name, strings.Trim(field.Value, " \t"))
	}
	if size > maxHeaderBytes {
		return nil, fmt.Errorf("the header fields are longer than %d bytes together", maxHeaderBytes)
	}
	return header, nil
}

// checkField never repeats the value: it may hold a secret.
func checkField(name, value string) error {
	switch {
	case name == "" || strings.ContainsFunc(name, notTokenRune):
		return fmt.Errorf("%q is not the name of a header field", name)
	case slices.Contains(ownHeaders, name):
		return fmt.Errorf("the header field %s is set by the host; leave it out", name)
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return fmt.Errorf("the value of the header field %s has a control character", name)
	}
	return nil
}

// notTokenRune tells whether RFC 9110 section 5.6.2 keeps r out of a token.
func notTokenRune(r rune) bool {
	alphanumeric := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !alphanumeric && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// responseHeaders lists header fields by name, at most maxResponseHeaders. A field whose
// name holds a value is left out: names come in another case than they were sent.
func responseHeaders(header http.Header, r *redactor) []contract.Header {
	var fields []contract.Header
	for name, values := range header {
		if r.folded(name) {
			continue
		}
		for _, value := range values {
			fields = append(fields, contract.Header{Name: name, Value: r.text(value)})
		}
	}
	slices.SortStableFunc(fields, func(a, b contract.Header) int { return strings.Compare(a.Name, b.Name) })
	return fields[:min(len(fields), maxResponseHeaders)]
}
