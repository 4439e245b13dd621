package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/client"
)

// The exit statuses; the package comment says what they mean.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitDenied      = 4
	exitUnavailable = 5
)

// usageError is a command line that was wrong in a way that the parser cannot see.
type usageError struct{ why, hint string }

func (e *usageError) Error() string { return e.why }

// unknown is something that is not among what the host listed.
type unknown struct{ why, hint string }

func (e *unknown) Error() string { return e.why }

// hinted is an error with the way out.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

// failure is what a person is told about an error.
type failure struct {
	// text is a sentence, and below it one line for each detail.
	text, hint string
	code       int
}

// fail prints what went wrong and returns the exit status for it.
func (s *session) fail(err error) int {
	f := s.explain(err)
	fmt.Fprintln(s.stderr, "patchbay: "+cleanLines(f.text))
	if f.hint != "" {
		fmt.Fprintln(s.stderr, "hint: "+clean(f.hint))
	}
	return f.code
}

// explain finds the sentence, the way out and the exit status for an error.
func (s *session) explain(err error) failure {
	usage, missing, hint, problem := new(usageError), new(unknown), new(hinted), new(client.Problem)
	switch {
	case errors.As(err, &usage):
		return failure{usage.why, usage.hint, exitUsage}
	case errors.As(err, &missing):
		return failure{missing.why, missing.hint, exitNotFound}
	case errors.As(err, &problem):
		return s.refused(problem)
	case errors.Is(err, client.ErrUnreachable):
		return failure{err.Error(), "is \"patchbay serve\" running at " + s.url + "? Name another host with --url or PATCHBAY_URL", exitUnavailable}
	case errors.Is(err, context.Canceled):
		return failure{"interrupted", "", exitFailure}
	case errors.As(err, &hint):
		return failure{err.Error(), hint.hint, exitFailure}
	}
	return failure{text: err.Error(), code: exitFailure}
}

// refused explains what the host refused.
func (s *session) refused(p *client.Problem) failure {
	lines := []string{fmt.Sprintf("the host refused: %s (%s %s, HTTP %d)", p.Summary(), p.Method, p.Path, p.Status)}
	for _, e := range p.Errors {
		lines = append(lines, "  "+e.String())
	}
	f := failure{text: strings.Join(lines, "\n"), code: exitFailure}
	switch p.Status {
	case http.StatusNotFound:
		f.code, f.hint = exitNotFound, "check the id and the workspace; what a token may not see is not found either"
	case http.StatusUnauthorized:
		f.code, f.hint = exitDenied, s.tokenHint()
	case http.StatusForbidden:
		f.code, f.hint = exitDenied, "use a token with a role that may do this; see: patchbay token issue --help"
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		f.code, f.hint = exitUnavailable, "try again later"
		switch {
		case p.RetryAfter > 0:
			f.hint = "try again in " + p.RetryAfter.String()
		case strings.HasPrefix(p.Code, "limit_"):
			f.code, f.hint = exitFailure, "" // waiting does not help; the text says what does
		}
	}
	return f
}

func (s *session) tokenHint() string {
	if s.token == "" {
		return "no token was given: set PATCHBAY_TOKEN or --token; on the host's machine, \"patchbay token issue --data DIR --role operator --subject NAME\" makes the first one"
	}
	return "the token has ended, was revoked, or is another host's; issue a new one with: patchbay token issue"
}
