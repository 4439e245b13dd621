package api

import (
	"context"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
)

const (
	onceHeader = "Idempotency-Key"
	// maxOnceKey bounds an idempotency key, in bytes.
	maxOnceKey = 255
)

// onceParameter describes the header field of routes that can be repeated safely.
func onceParameter() *huma.Param {
	most := maxOnceKey
	return &huma.Param{
		Name: onceHeader, In: "header", Example: "4be3b1c5-6b0c-4b1e-9a55-2f1d3a0c9f10",
		Description: "A name for this request that the sender chooses, so that it can safely repeat it: a repeat is answered as the first was, " +
			"as long as what came of it is there; another request with the same name is refused.",
		Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &most},
	}
}

// notOnce is for a request that makes something and cannot be repeated by name. To make it
// without a word would be to break the promise that the sender counts on.
func notOnce() *gate.Problem {
	p := coded(http.StatusUnprocessableEntity, "invalid", "the request was understood and refused", nil)
	p.Errors = []gate.FieldError{{Location: "header." + onceHeader,
		Message: "a repeat of this request would make another one; leave the field out, and look before you repeat it"}}
	return p
}

// named puts the name of a request that can be repeated into the context that it is worked
// on with.
func (s *Server) named(ctx context.Context, r route) (context.Context, error) {
	x := exchangeOf(ctx)
	key := x.Header(onceHeader)
	if !r.once && key != "" && r.status == http.StatusCreated {
		return ctx, notOnce()
	}
	if !r.once || key == "" {
		return ctx, nil
	}
	if len(key) > maxOnceKey || !utf8.ValidString(key) {
		return ctx, &domain.Invalid{Problems: []domain.Problem{{Field: onceHeader, Why: "it is not text of at most 255 bytes", Fix: "use a UUID"}}}
	}
	hash, err := x.requestHash()
	if err != nil {
		return ctx, fmt.Errorf("hash the request: %w", err)
	}
	return domain.WithOnce(ctx, domain.Once{Key: key, RequestHash: hash}), nil
}
