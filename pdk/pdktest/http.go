package pdktest

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// answer is what a request meets: a result, or a failure.
type answer struct {
	result  contract.HTTPResult
	failure *contract.HostError
}

// script holds the answers for one method and path.
type script struct {
	method, path string
	answers      []answer
	used         int
}

// Answer scripts the answers of a platform: requests with this method and path (without
// query) get them one after the other, and then the last one for ever. A path that ends
// in "*" stands for all that begin so. A result with Error set is a failure. Later
// scripts go before earlier ones.
func (h *Host) Answer(method, path string, results ...contract.HTTPResult) {
	s := &script{method: method, path: path}
	for _, r := range results {
		s.answers = append(s.answers, answer{result: r, failure: r.Error})
	}
	h.scripts = append([]*script{s}, h.scripts...)
}

// JSON is a result with a status and a JSON body.
func JSON(status int64, body string) contract.HTTPResult {
	return contract.HTTPResult{
		Status: status, Body: body,
		Headers: []contract.Header{{Name: "Content-Type", Value: "application/json"}},
	}
}

func (s *script) matches(method, path string) bool {
	prefix, open := strings.CutSuffix(s.path, "*")
	return s.method == method && (path == s.path || open && strings.HasPrefix(path, prefix))
}

func (s *script) next() answer {
	a := s.answers[min(s.used, len(s.answers)-1)]
	s.used++
	return a
}

// HTTPSend implements [pdk.Host].
func (h *Host) HTTPSend(r contract.HTTPRequest) (*contract.HTTPResult, error) {
	return h.callOut(contract.HostHTTPSend, r)
}

// HTTPCachedGet implements [pdk.Host].
func (h *Host) HTTPCachedGet(r contract.HTTPCachedGet) (*contract.HTTPResult, error) {
	if err := h.enter(contract.HostHTTPCachedGet); err != nil {
		return nil, err
	}
	return h.exchange(contract.HTTPRequest{Method: "GET", URL: r.URL}, true)
}

func (h *Host) callOut(function contract.HostFunction, r contract.HTTPRequest) (*contract.HTTPResult, error) {
	if err := h.enter(function); err != nil {
		return nil, err
	}
	if !h.outward() {
		return nil, h.refuse(contract.HostDenied, string(function)+": "+string(h.export)+" may not call out; ask for a command instead")
	}
	return h.exchange(r, false)
}

// exchange makes one request; cached tells that it is for http_cached_get.
func (h *Host) exchange(r contract.HTTPRequest, cached bool) (*contract.HTTPResult, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return nil, h.refuse(contract.HostInvalid, fmt.Sprintf("%s %q: it is no absolute URL without user and fragment", r.Method, r.URL))
	}
	rules := h.covering(r.Method, u, cached)
	if len(rules) == 0 {
		return nil, h.refuse(contract.HostDenied, fmt.Sprintf("%s %s://%s%s: no egress rule of the manifest covers it", r.Method, u.Scheme, u.Host, u.EscapedPath()))
	}
	if err := h.checkPlaceholders(r, u, rules); err != nil {
		return nil, err
	}
	h.requests = append(h.requests, r)
	result, err := h.answered(r.Method, u)
	if err == nil && h.manifest != nil {
		for _, rule := range rules {
			result.Body = manifest.Redact(result.Body, h.manifest.Egress[rule].Redact)
		}
	}
	return result, err
}

func (h *Host) answered(method string, u *url.URL) (*contract.HTTPResult, error) {
	a := answer{failure: &contract.HostError{
		Code: contract.HostUnreachable, Certain: true,
		Message: "no answer is scripted for " + method + " " + u.Path,
	}}
	if i := slices.IndexFunc(h.scripts, func(s *script) bool { return len(s.answers) > 0 && s.matches(method, u.Path) }); i >= 0 {
		a = h.scripts[i].next()
	}
	if h.replaced != nil {
		a = *h.replaced
	}
	if a.failure != nil {
		return nil, a.failure
	}
	return &a.result, nil
}

// MediaFetch implements [pdk.Host]. The bytes are the body of the scripted answer.
func (h *Host) MediaFetch(q contract.MediaFetch) (*contract.Media, error) {
	result, err := h.callOut(contract.HostMediaFetch, contract.HTTPRequest{Method: "GET", URL: q.URL, Headers: q.Headers})
	if err != nil {
		return nil, err
	}
	if result.Status == 401 {
		return nil, failure(contract.HostUnauthorised, "the platform answered 401")
	}
	if result.Status != 200 {
		return nil, failure(contract.HostNotFound, "the platform answered "+strconv.FormatInt(result.Status, 10))
	}
	m := contract.Media{
		Kind: contract.MediaFile, Handle: contract.MediaHandle("media-" + strconv.Itoa(len(h.media)+1)),
		Name: q.Name, MIME: "application/octet-stream", SizeBytes: int64(len(result.Body)),
	}
	if u, err := url.Parse(q.URL); m.Name == "" && err == nil {
		m.Name = path.Base(u.Path)
	}
	for _, header := range result.Headers {
		if strings.EqualFold(header.Name, "Content-Type") {
			m.MIME = header.Value
		}
	}
	h.media[m.Handle] = m
	return &m, nil
}

// MediaPut implements [pdk.Host].
func (h *Host) MediaPut(q contract.MediaPut) (*contract.HTTPResult, error) {
	if _, ok := h.media[q.Handle]; !ok {
		return nil, failure(contract.HostNotFound, "there is no such attachment")
	}
	q.Request.Body = ""
	return h.callOut(contract.HostMediaPut, q.Request)
}

// MediaLink implements [pdk.Host].
func (h *Host) MediaLink(q contract.MediaLink) (*contract.MediaLinkResult, error) {
	if err := h.enter(contract.HostMediaLink); err != nil {
		return nil, err
	}
	if _, ok := h.media[q.Handle]; !ok {
		return nil, failure(contract.HostNotFound, "there is no such attachment")
	}
	lifetime := 24 * time.Hour
	if q.TTLSeconds > 0 {
		lifetime = min(lifetime, time.Duration(q.TTLSeconds)*time.Second)
	}
	expires := h.now.Add(lifetime)
	link := fmt.Sprintf("https://patchbay.test/media/%s?exp=%d&sig=pdktest", url.PathEscape(string(q.Handle)), expires.Unix())
	return &contract.MediaLinkResult{URL: link, ExpiresAt: expires}, nil
}
