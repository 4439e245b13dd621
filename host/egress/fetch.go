package egress

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// maxRedirects is how many redirects a download may take.
const maxRedirects = 5

// Fetched describes a download.
type Fetched = domain.Fetched

// Download fetches a URL to w, at most maxBytes. It follows up to 5 redirects, each only
// if the policy allows a GET of where it leads, and sends the header fields on only to the
// origin that they were meant for. Placeholders are filled as by [Client.Send]. The error
// is a [*Fault]; w may then have been written to, and whoever passed it takes that back.
func (c *Client) Download(ctx context.Context, p domain.EgressPolicy, reveal secret.Reveal, url string,
	headers []contract.Header, maxBytes int64, w io.Writer) (Fetched, error) {
	report, began := Exchange{Plugin: p.Plugin, Method: http.MethodGet}, c.options.Now()
	got, err := c.download(ctx, p, reveal, draft{method: http.MethodGet, url: url, headers: headers}, maxBytes, w, &report)
	if err != nil {
		fault := asFault(err)
		fault.Certain = fault.Certain && report.Status == 0 // else a redirect was answered
		report.Status, report.Code, report.Err, err = 0, fault.Code, fault.cause, fault
	}
	report.Took = c.options.Now().Sub(began)
	c.options.Observe(report)
	return got, err
}

func (c *Client) download(ctx context.Context, p domain.EgressPolicy, reveal secret.Reveal, d draft, maxBytes int64, w io.Writer,
	report *Exchange) (Fetched, error) {
	ctx, end, err := c.begin(ctx, c.options.MaxTimeout)
	if err != nil {
		return Fetched{}, err
	}
	defer end()
	for range maxRedirects + 1 {
		plan, err := c.plan(ctx, p, reveal, d)
		if err != nil {
			return Fetched{}, err
		}
		report.Rule, report.Host = plan.rule, plan.request.URL.Host
		response, free, err := c.roundTrip(p, plan)
		if err != nil {
			return Fetched{}, err
		}
		report.Status = response.StatusCode
		next := redirectTarget(response)
		if next == nil {
			defer free()
			defer response.Body.Close()
			return c.save(ctx, response, plan, maxBytes, w)
		}
		_ = response.Body.Close()
		free()
		if d, err = follow(d, plan.request.URL, next); err != nil {
			return Fetched{}, err
		}
	}
	return Fetched{}, failed(contract.HostDenied, nil, "there were more than %d redirects", maxRedirects)
}

// redirectTarget returns where a redirect leads, or nil if an answer is none.
func redirectTarget(response *http.Response) *url.URL {
	switch response.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil
	}
	target, err := response.Request.URL.Parse(response.Header.Get("Location"))
	if err != nil || response.Header.Get("Location") == "" {
		return nil
	}
	return target
}

// follow returns the draft of a redirect's request. Header fields stay at their origin,
// and the platform cannot have a placeholder filled by writing one.
func follow(d draft, from, to *url.URL) (draft, error) {
	to.Fragment, to.RawFragment = "", ""
	if resemblesPlaceholder(to.String()) {
		return draft{}, denied("the platform redirects to a URL with a placeholder")
	}
	target, err := ParseURL(to.String())
	if err != nil {
		return draft{}, denied("the platform redirects to a URL that is refused: %v", err)
	}
	next := draft{method: d.method, url: target.String()}
	if target.Scheme == from.Scheme && target.Host == from.Host {
		next.headers = d.headers
	}
	return next, nil
}

// save writes a successful answer's body to w.
func (c *Client) save(ctx context.Context, response *http.Response, plan *plan, maxBytes int64, w io.Writer) (Fetched, error) {
	if response.StatusCode != http.StatusOK {
		return Fetched{}, refusedBy(response.StatusCode)
	}
	if response.ContentLength > maxBytes {
		return Fetched{}, tooLong(maxBytes)
	}
	body, readable, err := plainBody(response)
	if err == nil && !readable {
		err = errors.New("the content encoding is unknown")
	}
	if err != nil {
		return Fetched{}, c.broken(ctx, err, false, plan.redactor)
	}
	sink := &sink{Writer: w}
	size, err := io.Copy(sink, io.LimitReader(body, maxBytes+1))
	switch {
	case sink.err != nil:
		return Fetched{}, failed(contract.HostUnavailable, sink.err, "the bytes cannot be kept now")
	case size > maxBytes:
		return Fetched{}, tooLong(maxBytes)
	case err != nil:
		return Fetched{}, c.broken(ctx, err, false, plan.redactor)
	}
	name := plan.redactor.text(fileName(response))
	return Fetched{SizeBytes: size, ContentType: response.Header.Get("Content-Type"), Name: name}, nil
}

func tooLong(maxBytes int64) *Fault {
	return failed(contract.HostQuota, nil, "the download is longer than %d bytes", maxBytes)
}

// sink remembers that writing failed, and not reading.
type sink struct {
	io.Writer
	err error
}

func (s *sink) Write(p []byte) (n int, err error) {
	n, err = s.Writer.Write(p)
	s.err = errors.Join(s.err, err)
	return n, err
}

// refusedBy turns a platform's status into a fault: what may pass by itself is
// HostUnreachable, a token that is not taken HostUnauthorised, the rest HostNotFound.
func refusedBy(status int) *Fault {
	code := contract.HostNotFound
	switch {
	case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout:
		code = contract.HostUnreachable
	case status == http.StatusUnauthorized:
		code = contract.HostUnauthorised
	}
	fault := failed(code, nil, "the platform answered %d", status)
	fault.Status = status
	return fault
}

// fileName returns the name that an answer or its URL gives to a file, without a path.
func fileName(response *http.Response) string {
	_, parameters, err := mime.ParseMediaType(response.Header.Get("Content-Disposition"))
	name := parameters["filename"]
	if err != nil || name == "" {
		name = path.Base(response.Request.URL.Path)
	}
	name = strings.ToValidUTF8(name[strings.LastIndexAny(name, `/\`)+1:], "")
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, name)
	if name = strings.Trim(name, ". "); len(name) > 200 {
		name = cut(name, 200)
	}
	return name
}
