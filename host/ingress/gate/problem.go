package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// ProblemType is the content type of a [Problem].
const ProblemType = "application/problem+json"

// Problem says why a request was refused (RFC 9457). It is an error, and what the client
// is answered. Match on Status and Code; the texts are for people and may be reworded.
type Problem struct {
	Type      string       `json:"type" format:"uri-reference" example:"about:blank" doc:"What kind of problem it is; about:blank means that the status says it."`
	Title     string       `json:"title" example:"Unprocessable Entity" doc:"The status in words."`
	Status    int          `json:"status" example:"422" doc:"The HTTP status code."`
	Code      string       `json:"code,omitempty" example:"invalid" doc:"A stable word for programs, where the status alone leaves it open."`
	Detail    string       `json:"detail,omitempty" example:"the request was understood and refused" doc:"What happened and what to do about it, for people."`
	RequestID string       `json:"request_id,omitempty" example:"req_01JD5Z6T9Q" doc:"The request's name in the host's log."`
	Errors    []FieldError `json:"errors,omitempty" doc:"Every field that was wrong."`
	// Header holds fields to send with it.
	Header http.Header `json:"-"`
	// Cause is for the log and never sent.
	Cause error `json:"-"`
}

// FieldError is one field that was wrong.
type FieldError struct {
	Location string `json:"location,omitempty" example:"body.settings.company_url" doc:"The field's path, beginning with path, query, header or body."`
	Message  string `json:"message" example:"it is not an https URL" doc:"What is wrong with it and how to mend it."`
	Value    any    `json:"value,omitempty" example:"\"ftp://acme.test\"" doc:"The field's value, unless it may be a secret."`
}

// NewProblem makes a problem with that status and detail.
func NewProblem(status int, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Cause }

// GetStatus returns the HTTP status code.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders returns the header fields to send with the problem.
func (p *Problem) GetHeaders() http.Header { return p.Header }

// ContentType returns the content type that a problem has.
func (p *Problem) ContentType(string) string { return ProblemType }

// answerError is what Fiber calls for every error of a handler and for every request that
// could not be read.
func (s *Server) answerError(c *fiber.Ctx, err error) error {
	p := s.problemOf(c, err)
	if c.Context().UserValue(idKey) == nil {
		s.answerMalformed(c.Context(), p)
		return nil
	}
	write(c.Context(), p)
	return nil
}

func (s *Server) problemOf(c *fiber.Ctx, err error) *Problem {
	var p *Problem
	var fe *fiber.Error
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &fe):
		return NewProblem(fe.Code, details[fe.Code])
	}
	s.opts.Log.Error("a request failed", "server", s.opts.Name, "request_id", requestID(c.Context()), "error", err)
	return NewProblem(http.StatusInternalServerError, details[http.StatusInternalServerError])
}

// details says what to do about the statuses that Fiber and fasthttp come up with. Their
// own texts may hold parts of the request.
var details = map[int]string{
	http.StatusBadRequest:                  "the request is not valid HTTP/1.1",
	http.StatusNotFound:                    "there is nothing at this path",
	http.StatusMethodNotAllowed:            "this path does not take this method; see the Allow header",
	http.StatusRequestTimeout:              "the request did not come in time",
	http.StatusRequestEntityTooLarge:       "the request is too large",
	http.StatusRequestHeaderFieldsTooLarge: "the request line and header fields together are too large",
	http.StatusInternalServerError:         "the host failed; its log tells more under the request id",
	http.StatusServiceUnavailable:          "the host failed for now; try again",
}

// answerMalformed refuses what never became a request, and so was not seen by guard.
func (s *Server) answerMalformed(ctx *fasthttp.RequestCtx, p *Problem) {
	write(ctx, p)
	if c, ok := ctx.Conn().(*conn); ok && p.Status != http.StatusRequestTimeout {
		c.lingers.Store(true)
	}
	s.opts.Metrics.Request(s.opts.Name, "malformed", p.Status)
	s.opts.Log.Debug("a malformed request", "server", s.opts.Name, "status", p.Status, "remote", ctx.RemoteIP().String())
}

// Refuse makes a problem the answer.
func Refuse(c *fiber.Ctx, p *Problem) { write(c.Context(), p) }

// write makes a problem the answer.
func write(ctx *fasthttp.RequestCtx, p *Problem) {
	sent := *p
	sent.RequestID = requestID(ctx)
	ctx.Response.ResetBody()
	ctx.Response.SetStatusCode(p.Status)
	for name, values := range p.Header {
		for _, v := range values {
			ctx.Response.Header.Set(name, v)
		}
	}
	ctx.Response.Header.SetContentType(ProblemType)
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
	ctx.Response.SetBodyRaw(encode(&sent))
}

func encode(p *Problem) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		return []byte("{}") // a Value that has no JSON form; the status still tells
	}
	return out.Bytes()
}
