package subscribers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/seed75a60ee1/patchbay/host/cloudevents"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/failpoint"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// outcome is what came of one attempt.
type outcome struct {
	// status is the subscriber's answer; 0 if there was none.
	status int
	// excerpt is the beginning of the answer's body.
	excerpt string
	took    time.Duration
	// failure is why the event was not taken; nil means that it was.
	failure *contract.Failure
	// gone tells that the subscriber wants no more, ever.
	gone bool
	// holds tells that the failure is about the subscriber and not about this event; wait is
	// how long it wants to be left alone, 0 if it did not say.
	holds bool
	wait  time.Duration
	// cut tells that the attempt was given up from our side: nothing is known.
	cut bool
}

// name is the outcome for metrics.
func (o outcome) name() string {
	switch {
	case o.cut:
		return "cut"
	case o.failure == nil:
		return "taken"
	}
	return o.failure.Code
}

const (
	// maxExcerpt bounds what is kept of an answer's body, in bytes.
	maxExcerpt = 500
	// maxWait bounds how long a subscriber may have itself left alone.
	maxWait = time.Hour
)

// attempt sends one event to one subscriber, and tells what came of it. It changes nothing.
func (r *Room) attempt(ctx context.Context, s domain.Subscriber, e domain.Event) outcome {
	began := r.opts.Now()
	request, policy, err := r.request(s, e, began)
	if errors.Is(err, errPlain) {
		return outcome{holds: true, failure: &contract.Failure{Class: contract.FailureRetry, Code: "plain_http",
			Message: "The URL is plain http, and no private target of the subscriber any more."}}
	}
	if err != nil {
		r.opts.Log.Error("an event could not be made ready for a subscriber", "subscriber", s.ID, "event", e.ID, "error", err)
		return outcome{failure: &contract.Failure{Class: contract.FailureRetry, Code: "host_failed",
			Message: "The host could not make the request ready."}}
	}
	answer := r.opts.Egress.Send(ctx, policy, nil, request)
	failpoint.Hit(failpoint.SubscribersAfterSend)
	now := r.opts.Now()
	o := read(answer, now)
	o.took = now.Sub(began)
	if o.failure != nil && ctx.Err() != nil {
		return outcome{cut: true, took: o.took}
	}
	return o
}

var errPlain = errors.New("the url is plain http, and no private target")

// request makes the request, signed, and what the way out must let through for it.
func (r *Room) request(s domain.Subscriber, e domain.Event, now time.Time) (contract.HTTPRequest, domain.EgressPolicy, error) {
	var none contract.HTTPRequest
	target, err := r.opts.ParseURL(s.URL)
	if err != nil {
		return none, domain.EgressPolicy{}, fmt.Errorf("url: %w", err)
	}
	if !confidential(target, s.PrivateTargets) {
		return none, domain.EgressPolicy{}, errPlain
	}
	body, err := cloudevents.New(e).Encode()
	if err != nil {
		return none, domain.EgressPolicy{}, err
	}
	body = inert(body)
	signature, err := r.sign(s, string(e.ID), now, body)
	if err != nil {
		return none, domain.EgressPolicy{}, err
	}
	port, _ := strconv.Atoi(target.Port()) // empty means the scheme's
	policy := domain.EgressPolicy{Plugin: "subscriber", Sender: string(s.ID), PrivateTargets: s.PrivateTargets, Rules: []domain.EgressRule{{
		Name: "subscriber", Scheme: target.Scheme, Host: target.Hostname(), Port: port, Methods: []string{http.MethodPost}, Paths: []string{"/"},
	}}}
	return contract.HTTPRequest{
		Method: http.MethodPost, URL: s.URL, Body: string(body), TimeoutMillis: r.opts.Timeout.Milliseconds(), Idempotent: true,
		Headers: []contract.Header{
			{Name: "Content-Type", Value: cloudevents.MediaType},
			{Name: standardwebhooks.HeaderWebhookID, Value: string(e.ID)},
			{Name: standardwebhooks.HeaderWebhookTimestamp, Value: strconv.FormatInt(now.Unix(), 10)},
			{Name: standardwebhooks.HeaderWebhookSignature, Value: signature},
		},
	}, policy, nil
}

// inert writes a JSON text so that no two braces open side by side, which they can only do
// in a string. The way out fills placeholders like {{secret:NAME}} and refuses those it may
// not fill, and what a customer wrote must be able to look like one. The text means the
// same.
func inert(body []byte) []byte {
	if !bytes.Contains(body, []byte("{{")) {
		return body
	}
	out := make([]byte, 0, len(body)+64)
	for i, b := range body {
		if b == '{' && i+1 < len(body) && body[i+1] == '{' {
			out = append(out, `\u007b`...)
			continue
		}
		out = append(out, b)
	}
	return out
}

// read makes an outcome of an answer.
func read(answer *contract.HTTPResult, now time.Time) outcome {
	if answer.Error != nil {
		return unanswered(answer.Error)
	}
	o := outcome{status: int(answer.Status), excerpt: excerpt(answer.Body)}
	switch {
	case o.status >= 200 && o.status <= 299:
		return o
	case o.status == http.StatusGone:
		o.gone = true
	case o.status == http.StatusTooManyRequests, o.status == http.StatusBadGateway,
		o.status == http.StatusServiceUnavailable, o.status == http.StatusGatewayTimeout:
		o.holds, o.wait = true, retryAfter(headerOf(answer, "Retry-After"), now)
	}
	o.failure = &contract.Failure{Class: contract.FailureRetry, Code: "http_" + strconv.Itoa(o.status),
		Message: fmt.Sprintf("The subscriber answered %d %s.", o.status, http.StatusText(o.status))}
	if o.wait > 0 {
		o.failure.Class, o.failure.RetryAfterMillis = contract.FailureRetryAfter, o.wait.Milliseconds()
	}
	return o
}

// unanswered makes an outcome of a request without an answer.
func unanswered(e *contract.HostError) outcome {
	o := outcome{failure: &contract.Failure{Class: contract.FailureRetry, Code: e.Code, Message: "The subscriber could not be asked: " + e.Message + "."}}
	switch e.Code {
	case contract.HostQuota: // the event is larger than may be sent, and will be
		o.failure.Class = contract.FailurePermanent
	case contract.HostTimeout: // it may be this event that it chews on
	case contract.HostUnreachable:
		o.holds = e.Certain // no connection was had
	default: // the address is not allowed, or the destination is left alone
		o.holds, o.wait = true, min(time.Duration(e.RetryAfterMillis)*time.Millisecond, maxWait)
	}
	return o
}

func headerOf(answer *contract.HTTPResult, name string) string {
	for _, h := range answer.Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// retryAfter reads a Retry-After (RFC 9110 section 10.2.3): seconds or a date. What is not
// one, or has passed, is 0; more than maxWait is maxWait.
func retryAfter(text string, now time.Time) time.Duration {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxWait/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxWait)
	}
	return 0
}

// excerpt is the beginning of a text, whole characters of it.
func excerpt(text string) string {
	if len(text) <= maxExcerpt {
		return text
	}
	return strings.ToValidUTF8(text[:maxExcerpt], "") + "…"
}
