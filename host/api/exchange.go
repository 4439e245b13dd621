package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// exchange is one request on its way through the API. It stands in for humafiber's
// context where that one would inflate the body, leave path parameters escaped, or panic
// at a URL that does not parse.
type exchange struct {
	outer
	fiber *fiber.Ctx
	ctx   context.Context
	// who makes the request, with token; zero for public routes.
	who   identity.Principal
	token string
	// body is the JSON document of routes that take one.
	body []byte
}

// outer gives humafiber's context, embedded, a name that its method Context leaves free.
type outer = huma.Context

type exchangeKey struct{}

// exchangeOf returns the request that a handler runs for.
func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// caller returns who makes the request.
func caller(ctx context.Context) identity.Principal { return exchangeOf(ctx).who }

// enter is the way in for every operation.
func (s *Server) enter(c huma.Context, next func(huma.Context)) {
	x := &exchange{outer: c, fiber: humafiber.Unwrap(c)}
	x.ctx = context.WithValue(c.Context(), exchangeKey{}, x)
	if p := s.admit(x); p != nil {
		gate.Refuse(x.fiber, p)
		return
	}
	next(x)
}

// admit decides, before anything else of the request is looked at, whether it may be made.
func (s *Server) admit(x *exchange) *gate.Problem {
	meta := x.Operation().Metadata
	allow := meta[accessKey].(access)
	if allow != anybody {
		var p *gate.Problem
		if x.who, x.token, p = s.authenticate(x.ctx, x.Header("Authorization")); p != nil {
			return p
		}
		scoped := strings.Contains(x.Operation().Path, "{workspace}")
		if p := allow.check(x.who, contract.WorkspaceID(x.Param("workspace")), scoped); p != nil {
			return p
		}
	}
	if !meta[jsonKey].(bool) {
		return nil
	}
	var err error
	if x.body, err = gate.ReadBody(x.fiber, s.opts.MaxBodyBytes); err != nil {
		return s.problem(x, err)
	}
	return nil
}

// Unwrap returns humafiber's context.
func (x *exchange) Unwrap() huma.Context { return x.outer }

// Context returns the context that handlers get.
func (x *exchange) Context() context.Context { return x.ctx }

// Param returns a path parameter, decoded once. One that does not decode is left as it is,
// and names nothing.
func (x *exchange) Param(name string) string {
	raw := x.outer.Param(name)
	if decoded, err := url.PathUnescape(raw); err == nil {
		return decoded
	}
	return raw
}

// URL returns the path and the query.
func (x *exchange) URL() url.URL {
	uri := x.fiber.Request().URI()
	return url.URL{Path: string(uri.Path()), RawQuery: string(uri.QueryString())}
}

// BodyReader returns the JSON document, which was read before.
func (x *exchange) BodyReader() io.Reader { return bytes.NewReader(x.body) }

// SetReadDeadline does nothing: the body was read within the limits of the listener.
func (x *exchange) SetReadDeadline(time.Time) error { return nil }

// requestHash tells whether two requests ask for the same: it covers the method, the path,
// the query and the document, whatever the order and the spelling of its members.
func (x *exchange) requestHash() (string, error) {
	document := jsontext.Value(bytes.Clone(x.body))
	if len(document) > 0 {
		err := document.Format(jsontext.ReorderRawObjects(true), jsontext.CanonicalizeRawFloats(true), jsontext.CanonicalizeRawInts(false))
		if err != nil {
			return "", err
		}
	}
	target := x.fiber.Path()
	if query := x.fiber.Request().URI().QueryString(); len(query) > 0 {
		target += "?" + string(query)
	}
	sum := sha256.New()
	for _, part := range []string{x.Method(), target, string(document)} {
		_, _ = io.WriteString(sum, part+"\n") // a hash never fails
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
