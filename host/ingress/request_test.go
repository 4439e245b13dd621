package ingress

import (
	"bufio"
	"bytes"
	"errors"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
)

// FuzzParse reads whatever comes off the network. What is taken must be what the contract
// promises to plugins; what is refused must be a problem of the sender's.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"GET /in/endpoint HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /in/e/a%2fb%25?q=%zz#h HTTP/1.1\r\nHost: x\r\nx-a: b\r\nX-A:c \r\nCookie: a=b; c\r\n\r\n",
		"PUT http://h/in/%ff/x?\xff HTTP/1.1\r\nX: caf\xe9\r\n\r\n",
		"GET /in//../%2e%2e/ HTTP/1.0\r\nA: b\r\n c\r\n\r\n",
		"GET /in/e HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", 101) + "\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var req fasthttp.Request
		if req.Header.Read(bufio.NewReader(bytes.NewReader(raw))) != nil {
			t.Skip("fasthttp refuses it")
		}
		uri := req.URI()
		r, err := parse(&req.Header, uri.PathOriginal(), uri.QueryString())
		var p *gate.Problem
		switch {
		case err == nil:
			checkRequest(t, r)
		case !errors.As(err, &p) || p.Status < 400 || p.Status > 499:
			t.Errorf("refused with %v", err)
		}
	})
}

func checkRequest(t *testing.T, r broker.Request) {
	t.Helper()
	if r.Path != "" && r.Path[0] != '/' || strings.Contains(r.Endpoint, "/") || !utf8.ValidString(r.Endpoint+r.Path+r.Query) {
		t.Errorf("endpoint %q, path %q, query %q", r.Endpoint, r.Path, r.Query)
	}
	endpoint, path, err := splitPath(prefix + r.Endpoint + (&url.URL{Path: r.Path}).EscapedPath())
	if err != nil || endpoint != r.Endpoint || path != r.Path {
		t.Errorf("%q %q, escaped and split again, is %q %q (%v): it was not decoded once", r.Endpoint, r.Path, endpoint, path, err)
	}
	if len(r.Headers) > maxHeaders {
		t.Errorf("%d header fields", len(r.Headers))
	}
	for _, h := range r.Headers {
		if h.Name != textproto.CanonicalMIMEHeaderKey(h.Name) || !utf8.ValidString(h.Name+h.Value) || strings.ContainsAny(h.Value, "\r\n") ||
			h.Value != strings.Trim(h.Value, " \t") {
			t.Errorf("header field %q: %q", h.Name, h.Value)
		}
	}
}
