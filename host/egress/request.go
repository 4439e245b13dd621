package egress

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// userAgent is sent unless the plugin says otherwise.
const userAgent = "patchbay"

// draft is a request as its sender wrote it, nothing checked.
type draft struct {
	method, url string
	headers     []contract.Header
	body        string
	// content is sent instead of body if not nil.
	content *content
	// cached tells that it is for what the host keeps, and maxAnswer then bounds the answer's
	// body, in bytes.
	cached    bool
	maxAnswer int64
}

// limit is how much of the answer's body is read, in bytes.
func (d draft) limit(most int64) int64 {
	if d.maxAnswer > 0 {
		return d.maxAnswer
	}
	return most
}

// content is a body that is streamed.
type content struct {
	io.ReadCloser
	size int64
	mime string
}

// plan is a request that is allowed and complete.
type plan struct {
	request *http.Request
	// rule is the name of the first of rules, which all allow the request.
	rule     string
	rules    []domain.EgressRule
	redactor *redactor
}

// plan checks a draft against a policy and fills its placeholders. Nothing is sent, so
// that every fault is certain.
func (c *Client) plan(ctx context.Context, p domain.EgressPolicy, reveal secret.Reveal, d draft) (*plan, error) {
	if err := checkMethod(d.method); err != nil {
		return nil, invalid(err)
	}
	if beforeQuery, _, _ := strings.Cut(d.url, "?"); resemblesPlaceholder(beforeQuery) {
		return nil, denied("a placeholder may stand in the query of a URL, and nowhere else in it")
	}
	target, err := ParseURL(d.url)
	if err != nil {
		return nil, invalid(err)
	}
	rules := matching(p, d.method, target, d.cached)
	if len(rules) == 0 {
		return nil, denied("no rule allows %s %s://%s%.200s", d.method, target.Scheme, target.Host, target.EscapedPath())
	}
	fill := newFiller(ctx, reveal, rules)
	if target.RawQuery, err = fill.query(target.RawQuery); err != nil {
		return nil, err
	}
	request := (&http.Request{Method: d.method, URL: target, Host: target.Host}).WithContext(ctx)
	if err := c.complete(request, fill, d); err != nil {
		return nil, err
	}
	hide := newRedactor(fill.filled)
	for _, rule := range rules {
		hide.members = append(hide.members, rule.Redact...)
	}
	return &plan{request: request, rule: rules[0].Name, rules: rules, redactor: hide}, nil
}

// complete sets header and body of a request from a draft.
func (c *Client) complete(request *http.Request, fill *filler, d draft) error {
	fields, err := fill.headers(d.headers)
	if err != nil {
		return err
	}
	if request.Header, err = requestHeader(fields); err != nil {
		return invalid(err)
	}
	request.Header.Set("Accept-Encoding", "identity")
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", userAgent)
	}
	if d.content != nil {
		setContent(request, d.content)
		return nil
	}
	body, err := fill.body(d.body)
	if err != nil {
		return err
	}
	if int64(len(body)) > c.options.MaxRequestBytes {
		return failed(contract.HostQuota, nil, "the body is longer than %d bytes", c.options.MaxRequestBytes)
	}
	setBody(request, body)
	return nil
}

func setContent(request *http.Request, content *content) {
	request.Body, request.ContentLength = content, content.size
	if request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", content.mime)
	}
}

// setBody sets a body that can be sent again, so that a request that met a connection
// which the server had just closed goes out on a new one.
func setBody(request *http.Request, body string) {
	if body == "" {
		return
	}
	request.ContentLength = int64(len(body))
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	request.Body, _ = request.GetBody()
}

// checkMethod accepts upper-case tokens but those that are not for asking a server.
func checkMethod(method string) error {
	upper := func(r rune) bool { return r < 'A' || r > 'Z' }
	if method == "" || len(method) > 20 || strings.ContainsFunc(method, upper) {
		return fmt.Errorf("%.40q is not a request method in upper case", method)
	}
	if slices.Contains([]string{http.MethodConnect, http.MethodTrace}, method) {
		return fmt.Errorf("the request method %s is never allowed", method)
	}
	return nil
}
