package gate

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Names of what a request carries with it.
type contextKey string

const (
	idKey    contextKey = "request id"
	routeKey contextKey = "route"
	bodyKey  contextKey = "body"
)

// maxIDLength bounds a request id that a client brings.
const maxIDLength = 64

// guard stands around everything that handles a request.
func (s *Server) guard(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		began := s.opts.Now()
		ctx.SetUserValue(idKey, s.idOf(ctx))
		defer s.finish(ctx, began)
		defer s.recover(ctx)
		if p := unacceptable(ctx); p != nil {
			write(ctx, p)
			return
		}
		next(ctx)
	}
}

// unacceptable finds what Fiber would let pass, or refuse without a problem.
func unacceptable(ctx *fasthttp.RequestCtx) *Problem {
	switch {
	case !slices.Contains(fiber.DefaultMethods, string(ctx.Method())):
		return NewProblem(http.StatusNotImplemented, "the host does not know this method")
	case twoLengths(&ctx.Request.Header):
		ctx.Response.SetConnectionClose() // a proxy in between may see another end
		return NewProblem(http.StatusBadRequest, "the body is chunked and has a Content-Length; send one of the two")
	}
	return nil
}

// twoLengths tells whether the end of the body is told in two ways, which is how one
// request is hidden in another (RFC 9112 section 6.1).
func twoLengths(h *fasthttp.RequestHeader) bool {
	if h.ContentLength() != -1 {
		return false
	}
	for name := range h.AllInOrder() {
		if string(name) == fiber.HeaderContentLength {
			return true
		}
	}
	return false
}

// idOf takes the client's own name for the request, if it is one that is safe to log.
func (s *Server) idOf(ctx *fasthttp.RequestCtx) string {
	id := string(ctx.Request.Header.Peek("X-Request-Id"))
	if id == "" || len(id) > maxIDLength {
		return s.opts.NewID()
	}
	for _, b := range []byte(id) {
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_' || b == '.') {
			return s.opts.NewID()
		}
	}
	return id
}

// RequestID returns the request's name in the log.
func RequestID(c *fiber.Ctx) string { return requestID(c.Context()) }

func requestID(ctx *fasthttp.RequestCtx) string {
	id, _ := ctx.UserValue(idKey).(string)
	return id
}

// recover turns a panic into an answer.
func (s *Server) recover(ctx *fasthttp.RequestCtx) {
	r := recover()
	if r == nil {
		return
	}
	s.opts.Log.Error("a panic in a handler", "server", s.opts.Name, "request_id", requestID(ctx),
		"route", routeOf(ctx), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	ctx.Response.Reset()
	write(ctx, NewProblem(s.opts.PanicStatus, details[s.opts.PanicStatus]))
}

// finish sees to the connection, and tells of the request.
func (s *Server) finish(ctx *fasthttp.RequestCtx, began time.Time) {
	ctx.Response.Header.Set("X-Request-Id", requestID(ctx))
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
	if s.isClosing() {
		ctx.Response.SetConnectionClose()
	}
	if unread(ctx) {
		ctx.Response.SetConnectionClose()
		if c, ok := ctx.Conn().(*conn); ok {
			c.lingers.Store(true)
		}
	}
	s.opts.Metrics.Request(s.opts.Name, routeOf(ctx), ctx.Response.StatusCode())
	s.log(ctx, s.opts.Now().Sub(began))
}

// unread tells whether input of this request is still to come: fasthttp would take it for
// the next request.
func unread(ctx *fasthttp.RequestCtx) bool {
	if !ctx.Request.IsBodyStream() {
		return false
	}
	if b, ok := ctx.UserValue(bodyKey).(*body); ok && b.ended {
		return false
	}
	n := ctx.Request.Header.ContentLength()
	return n < 0 || n > prefetched
}

// log tells of a request, without its path, which may hold a secret. took is the time
// until the answer was ready.
func (s *Server) log(ctx *fasthttp.RequestCtx, took time.Duration) {
	status := ctx.Response.StatusCode()
	level := slog.LevelDebug
	switch {
	case status >= 500:
		level = slog.LevelWarn
	case status >= 400:
		level = slog.LevelInfo
	}
	if !s.opts.Log.Enabled(context.Background(), level) {
		return
	}
	s.opts.Log.LogAttrs(context.Background(), level, "request", slog.String("server", s.opts.Name),
		slog.String("request_id", requestID(ctx)), slog.String("method", methodOf(ctx)), slog.String("route", routeOf(ctx)),
		slog.Int("status", status), slog.Duration("took", took), slog.String("remote", ctx.RemoteIP().String()))
}

func routeOf(ctx *fasthttp.RequestCtx) string {
	if route, ok := ctx.UserValue(routeKey).(string); ok {
		return route
	}
	return "none"
}

// methodOf keeps what a client makes up out of the log.
func methodOf(ctx *fasthttp.RequestCtx) string {
	if i := slices.Index(fiber.DefaultMethods, string(ctx.Method())); i >= 0 {
		return fiber.DefaultMethods[i]
	}
	return "OTHER"
}
