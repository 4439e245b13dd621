// Package client speaks the management API of a Patchbay host.
//
// A [Client] has one method per route; each takes and returns what the route does. What
// the host refuses comes back as a [*Problem], with every field that was wrong; a host
// that cannot be talked to comes back as [ErrUnreachable]. Nothing is retried, except in
// [Client.StreamEvents], which resumes after the last event it saw.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// ErrUnreachable means that no host answered: wrong address, not running, or cut off.
// Match with errors.Is.
var ErrUnreachable = errors.New("no answer from the host")

// maxAnswerBytes bounds what is read of one answer that is held in memory.
const maxAnswerBytes = 64 << 20

// Client talks to one host with one token. It is safe for concurrent use.
type Client struct {
	base, token string
	http        *http.Client

	// jitter is what StreamEvents multiplies a wait by, 0 to 1.
	jitter func() float64
}

// New returns a client of the host at baseURL ("http://127.0.0.1:8081") that presents
// token, a JWT; an empty one is not sent. A malformed URL shows in the first call.
func New(baseURL, token string) *Client {
	return &Client{
		base: strings.TrimRight(baseURL, "/"), token: token,
		http:   &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()},
		jitter: rand.Float64,
	}
}

// Close drops idle connections to the host.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Page is one page of a listing. Next is the cursor of the page after, empty on the last.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// request is one request to the API. At most one of document and stream is given.
type request struct {
	method, path string
	query        url.Values
	header       http.Header
	// document is sent as JSON; stream is sent as it is.
	document any
	stream   io.Reader
}

// do makes the request and decodes the answer into out, unless out is nil.
func (c *Client) do(ctx context.Context, r request, out any) error {
	answer, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // read to its end, or given up
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("%s %s: %w: %w", r.method, r.path, ErrUnreachable, err)
	}
	if out == nil || len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: the answer is not what this client knows: %w; is %s a Patchbay host of this version?",
			r.method, r.path, err, c.base)
	}
	return nil
}

// send makes the request and returns an answer with a 2xx status, whose body the caller
// closes. Any other answer becomes a *Problem.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	req, err := c.build(ctx, r)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("%s %s: %w", r.method, r.path, context.Cause(ctx))
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w: %w", r.method, r.path, ErrUnreachable, errors.Unwrap(err))
	case answer.StatusCode >= 200 && answer.StatusCode < 300:
		return answer, nil
	}
	defer func() { _ = answer.Body.Close() }()
	return nil, readProblem(r, answer)
}

func (c *Client) build(ctx context.Context, r request) (*http.Request, error) {
	if r.path == nowhere {
		return nil, errors.New("a name or id is empty, \".\" or \"..\", which names nothing; give the one that the host shows in its listing")
	}
	body := r.stream
	if r.document != nil {
		data, err := json.Marshal(r.document)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
		body = bytes.NewReader(data)
	}
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	if r.header != nil {
		req.Header = r.header.Clone()
	}
	req.Header.Set("User-Agent", "patchbay-client")
	if r.document != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key, ok := ctx.Value(onceKey{}).(string); ok && r.method == http.MethodPost {
		req.Header.Set("Idempotency-Key", key)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// Call makes any request: path begins with "/", body is JSON or nil. It is for routes
// that this client does not know. It returns the answer's body.
func (c *Client) Call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	r := request{method: method, path: path}
	if body != nil {
		r.document = json.RawMessage(body)
	}
	answer, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %w", method, path, ErrUnreachable, err)
	}
	return data, nil
}

// nowhere is the path of what cannot be named.
const nowhere = ""

// at joins segments to a path below /v1, each escaped. A segment that would lead to
// another route instead leads nowhere.
func at(segments ...string) string {
	path := "/v1"
	for _, s := range segments {
		if s == "" || s == "." || s == ".." {
			return nowhere
		}
		path += "/" + url.PathEscape(s)
	}
	return path
}

// paged is the query that selects a page.
func paged(p domain.Page) url.Values {
	q := url.Values{}
	set(q, "after", p.After)
	if p.Limit > 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	return q
}

// set puts a parameter into the query unless it is empty.
func set[S ~string](q url.Values, name string, value S) {
	if value != "" {
		q.Set(name, string(value))
	}
}

// list reads one page of a listing.
func list[T any](ctx context.Context, c *Client, path string, q url.Values) (Page[T], error) {
	var page Page[T]
	err := c.do(ctx, request{method: http.MethodGet, path: path, query: q}, &page)
	return page, err
}

// get reads one thing.
func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return exchange[T](ctx, c, request{method: http.MethodGet, path: path})
}

// post sends a document and reads what came of it.
func post[T any](ctx context.Context, c *Client, path string, document any) (T, error) {
	return exchange[T](ctx, c, request{method: http.MethodPost, path: path, document: document})
}

func exchange[T any](ctx context.Context, c *Client, r request) (T, error) {
	var out T
	err := c.do(ctx, r, &out)
	return out, err
}
