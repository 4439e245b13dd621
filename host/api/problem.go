package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
	"github.com/seed75a60ee1/patchbay/host/limits"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// kinds says what the errors of the rooms are to a client.
var kinds = []struct {
	err    error
	status int
	code   string
	detail string
}{
	{domain.ErrNotFound, http.StatusNotFound, "not_found", "there is no such thing here"},
	{domain.ErrExists, http.StatusConflict, "exists", "there is one already"},
	{domain.ErrConflict, http.StatusConflict, "conflict", "something that this depends on has changed; read it again"},
	{domain.ErrIdempotencyMismatch, http.StatusUnprocessableEntity, "idempotency_mismatch",
		"the Idempotency-Key was used for another request; use a new one"},
	{domain.ErrQuota, http.StatusTooManyRequests, "quota", "a limit of this workspace was reached"},
}

// retryAfter is how many seconds to wait while the host cannot take writes.
const retryAfter = "5"

// problem turns an error into what the client is told. It is the only place that does.
func (s *Server) problem(x *exchange, err error) *gate.Problem {
	var p *gate.Problem
	var invalid *domain.Invalid
	var host *contract.HostError
	var exceeded *limits.Exceeded
	var state *domain.WrongState
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &exceeded):
		return limitProblem(exceeded)
	case errors.As(err, &invalid):
		return invalidProblem(x.Operation(), invalid)
	case errors.As(err, &state):
		return coded(http.StatusConflict, "conflict", state.Error(), err)
	case errors.As(err, &host):
		return hostProblem(host)
	case errors.Is(err, domain.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable(err)
	}
	for _, kind := range kinds {
		if errors.Is(err, kind.err) {
			return coded(kind.status, kind.code, kind.detail, err)
		}
	}
	s.opts.Gate.Log.Error("a request failed", "operation", x.Operation().OperationID,
		"request_id", gate.RequestID(x.fiber), "subject", x.who.Subject, "error", err)
	return coded(http.StatusInternalServerError, "internal", "the host failed; its log tells more under the request id", err)
}

func coded(status int, code, detail string, cause error) *gate.Problem {
	p := gate.NewProblem(status, detail)
	p.Code, p.Cause = code, cause
	return p
}

func notFound() *gate.Problem {
	return coded(http.StatusNotFound, "not_found", "there is no such thing here", nil)
}

func unavailable(cause error) *gate.Problem {
	p := coded(http.StatusServiceUnavailable, "unavailable", "the host cannot do this now; try again", cause)
	p.Header = http.Header{"Retry-After": {retryAfter}}
	return p
}

// hostProblem is for attachments that the file store refuses.
func hostProblem(e *contract.HostError) *gate.Problem {
	if e.Code == contract.HostQuota {
		return coded(http.StatusRequestEntityTooLarge, "too_large", e.Message, e)
	}
	return coded(http.StatusUnprocessableEntity, string(e.Code), e.Message, e)
}

// limitProblem names the limit in its code: what helps is another one for each.
func limitProblem(e *limits.Exceeded) *gate.Problem {
	p := coded(http.StatusTooManyRequests, "limit_"+string(e.Limit), e.Error(), e)
	if e.RetryAfter > 0 {
		p.Header = http.Header{"Retry-After": {strconv.Itoa(e.RetryAfterSeconds())}}
	}
	return p
}

func invalidProblem(op *huma.Operation, e *domain.Invalid) *gate.Problem {
	p := coded(http.StatusUnprocessableEntity, "invalid", "the request was understood and refused", e)
	for _, problem := range e.Problems {
		message := problem.Why
		if problem.Fix != "" {
			message += "; " + problem.Fix
		}
		field := gate.FieldError{Location: location(op, problem.Field), Message: message}
		if problem.Value != "" && !secretive(field.Location) {
			field.Value = shown(problem.Value)
		}
		p.Errors = append(p.Errors, field)
	}
	return p
}

// location finds out which part of the request a field stands in.
func location(op *huma.Operation, field string) string {
	i := slices.IndexFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == field })
	if i >= 0 {
		return op.Parameters[i].In + "." + field
	}
	return "body." + field
}

// newProblem is what huma calls for requests that it refuses itself.
func newProblem(status int, detail string, errs ...error) huma.StatusError {
	p := gate.NewProblem(status, detail)
	switch status {
	case http.StatusUnprocessableEntity:
		p.Code = "invalid"
	case http.StatusBadRequest:
		p.Code, p.Detail = "malformed", "the body is not a JSON document as it must be"
	}
	for _, err := range errs {
		p.Errors = append(p.Errors, fieldError(err))
	}
	return p
}

func fieldError(err error) gate.FieldError {
	d, ok := err.(huma.ErrorDetailer)
	if !ok {
		return gate.FieldError{Message: err.Error()}
	}
	detail := d.ErrorDetail()
	e := gate.FieldError{Location: detail.Location, Message: detail.Message}
	if member, ok := missingMember(detail.Message); ok {
		e.Location += "." + member // huma blames the whole that lacks it
		return e
	}
	if detail.Location != "body" && !secretive(detail.Location) {
		e.Value = shown(detail.Value)
	}
	return e
}

// missingMember takes the name out of huma's message about a member that is not there.
func missingMember(message string) (string, bool) {
	before, after, _ := strings.Cut(validation.MsgExpectedRequiredProperty, "%s")
	member, ok := strings.CutPrefix(message, before)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(member, after)
}

// secretive tells whether what stands there may be a secret, and is not to be repeated.
func secretive(location string) bool {
	return location == "body.value" || location == "body.secrets" || strings.HasPrefix(location, "body.secrets.")
}

// maxShown bounds a value that is repeated, in bytes.
const maxShown = 200

// shown is a value to repeat to whoever sent it: scalars only, and not at any length.
func shown(v any) any {
	switch v := v.(type) {
	case string:
		if len(v) > maxShown {
			return strings.ToValidUTF8(v[:maxShown], "") + "…"
		}
		return v
	case bool, float64, int64, uint64:
		return v
	}
	return nil
}
