package client

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxProblemBytes bounds what is read of a refusal.
const maxProblemBytes = 1 << 20

// Problem is what the host answers when it refuses a request (RFC 9457). Match on Status,
// on Code and on the Location of its Errors; the texts are for people and may be reworded.
type Problem struct {
	Type   string `json:"type,omitempty"`
	Title  string `json:"title,omitempty"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Code is a stable word for the reason, such as "not_found"; may be empty.
	Code string `json:"code,omitempty"`
	// Errors lists every field that was wrong; may be empty.
	Errors []FieldError `json:"errors,omitempty"`
	// RetryAfter is how long the host asks to wait; 0 if it does not say.
	RetryAfter time.Duration `json:"-"`
	// Method and Path are the request's.
	Method string `json:"-"`
	Path   string `json:"-"`
}

// FieldError is one field that was wrong.
type FieldError struct {
	// Location is the field's path, such as "body.settings.company_url".
	Location string `json:"location,omitempty"`
	Message  string `json:"message"`
	Value    any    `json:"value,omitempty"`
}

// Error says in one line what was refused and why, and lists the fields below.
func (p *Problem) Error() string {
	lines := []string{fmt.Sprintf("%s %s: %s (HTTP %d)", p.Method, p.Path, p.Summary(), p.Status)}
	for _, e := range p.Errors {
		lines = append(lines, "  "+e.String())
	}
	return strings.Join(lines, "\n")
}

// Summary is the problem in one sentence, without the fields.
func (p *Problem) Summary() string {
	for _, text := range []string{p.Detail, p.Title, http.StatusText(p.Status)} {
		if text != "" {
			return text
		}
	}
	return "refused"
}

func (e FieldError) String() string {
	text := e.Message
	if e.Location != "" {
		text = e.Location + ": " + text
	}
	if e.Value != nil && e.Value != "" {
		text += fmt.Sprintf(" (got %v)", e.Value)
	}
	return text
}

// readProblem makes a Problem of an answer that is not a success. What is not problem
// JSON, such as a proxy's page, is told by its status alone.
func readProblem(r request, answer *http.Response) *Problem {
	p := new(Problem)
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if kind == "application/problem+json" || kind == "application/json" {
		data, err := io.ReadAll(io.LimitReader(answer.Body, maxProblemBytes))
		if err != nil || json.Unmarshal(data, p) != nil {
			*p = Problem{}
		}
	}
	p.Status, p.Method, p.Path = answer.StatusCode, r.method, r.path
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}
