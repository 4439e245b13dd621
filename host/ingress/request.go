package ingress

import (
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	// prefix is the path below which endpoints are.
	prefix = "/in/"
	// maxHeaders is how many header fields a delivery may have; the contract says so.
	maxHeaders = 100
)

// parse copies what is left of a request once HTTP was understood, without its body. path
// and query are as they came. It answers a *gate.Problem.
func parse(h *fasthttp.RequestHeader, path, query []byte) (broker.Request, error) {
	r := broker.Request{Method: string(h.Method()), Query: string(query)}
	if !utf8.ValidString(r.Query) {
		return broker.Request{}, malformed("the query is not UTF-8; escape what is not ASCII")
	}
	var err error
	if r.Endpoint, r.Path, err = splitPath(string(path)); err != nil {
		return broker.Request{}, err
	}
	if r.Headers, err = headers(h); err != nil {
		return broker.Request{}, err
	}
	return r, nil
}

// splitPath takes the endpoint, undecoded, and what follows it, decoded once: "" or
// "/...".
func splitPath(path string) (endpoint, rest string, err error) {
	below, ok := strings.CutPrefix(path, prefix)
	if !ok {
		return "", "", gate.NewProblem(http.StatusNotFound, "there is nothing at this path")
	}
	endpoint = below
	if slash := strings.IndexByte(below, '/'); slash >= 0 {
		endpoint, rest = below[:slash], below[slash:]
	}
	rest, err = url.PathUnescape(rest)
	if err != nil || !utf8.ValidString(endpoint) || !utf8.ValidString(rest) || strings.ContainsRune(rest, 0) {
		return "", "", malformed("the path is not UTF-8, escaped as RFC 3986 says")
	}
	return endpoint, rest, nil
}

// headers copies the fields in the order they came, one entry for each time.
func headers(h *fasthttp.RequestHeader) ([]contract.Header, error) {
	var fields []contract.Header
	for name, value := range h.AllInOrder() {
		if len(fields) == maxHeaders {
			return nil, gate.NewProblem(http.StatusRequestHeaderFieldsTooLarge,
				fmt.Sprintf("the request has more than %d header fields", maxHeaders))
		}
		field := contract.Header{Name: textproto.CanonicalMIMEHeaderKey(text(name)), Value: strings.Trim(text(value), " \t")}
		if field.Name == "Cookie" {
			rest := withoutOurCookies(field.Value)
			if rest == "" && field.Value != "" {
				continue
			}
			field.Value = rest
		}
		fields = append(fields, field)
	}
	return fields, nil
}

// text copies bytes off the network. Header fields that are not UTF-8 are ISO 8859-1,
// which RFC 9110 section 5.5 knows from older days: no byte is lost.
func text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

func malformed(detail string) *gate.Problem {
	return gate.NewProblem(http.StatusBadRequest, detail)
}
