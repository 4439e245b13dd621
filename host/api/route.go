package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// route is one operation of the API.
type route struct {
	id, method, path, tag string
	summary, description  string
	// allow says who may use it.
	allow access
	// status is what success is answered with; 0 means 200.
	status int
	// example is an example of the request's JSON body, for routes that take one.
	example any
	// errors lists what it may be refused with, besides what every route may be.
	errors []int
	// once tells that a client may name the request, and repeat it safely: see domain.Once.
	once bool
	// takes and gives describe a body and an answer that are not JSON.
	takes *huma.RequestBody
	gives *huma.Response
}

// Names of what an operation carries with it.
const (
	accessKey = "access"
	jsonKey   = "takes JSON"
)

// register adds a route. The handler runs only for those who may use the route; its errors
// become problems.
func register[I, O any](s *Server, r route, handle func(context.Context, *I) (*O, error)) {
	op := r.operation()
	op.Metadata = map[string]any{accessKey: r.allow, jsonKey: r.example != nil}
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		ctx, err := s.named(ctx, r)
		if err != nil {
			return nil, s.problem(exchangeOf(ctx), err)
		}
		out, err := handle(ctx, in)
		if err != nil {
			return nil, s.problem(exchangeOf(ctx), err)
		}
		return out, nil
	})
}

func (r route) operation() huma.Operation {
	op := huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, Tags: []string{r.tag}, DefaultStatus: r.status,
		Summary: r.summary, Description: r.description, Errors: r.refusals(),
		MaxBodyBytes: -1, // exchange limits it
	}
	if r.allow != anybody {
		op.Security = []map[string][]string{{"token": {}}}
		op.Extensions = map[string]any{"x-roles": r.allow.roles()}
	}
	if r.example != nil {
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {Example: r.example}}}
	}
	if r.once {
		op.Parameters = append(op.Parameters, onceParameter())
	}
	if r.takes != nil {
		op.RequestBody = r.takes
	}
	if r.gives != nil {
		op.Responses = map[string]*huma.Response{strconv.Itoa(max(r.status, http.StatusOK)): r.gives}
	}
	return op
}

// refusals lists the statuses of the problems that the route may answer with.
func (r route) refusals() []int {
	all := append([]int{}, r.errors...)
	if r.allow != anybody {
		all = append(all, http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable)
	}
	if strings.Contains(r.path, "{") {
		all = append(all, http.StatusNotFound)
	}
	if r.example != nil {
		all = append(all, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if r.once {
		all = append(all, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests)
	}
	if len(all) == 0 {
		all = append(all, http.StatusInternalServerError)
	}
	return all
}

// list is one page of a listing.
type list[T any] struct {
	Items []T    `json:"items" doc:"The page, in order."`
	Next  string `json:"next,omitempty" doc:"Pass it as after to get the page that follows; absent on the last page."`
}

// listed makes an answer of a page.
func listed[T any](items []T, next string) *answer[list[T]] {
	if items == nil {
		items = []T{}
	}
	return &answer[list[T]]{list[T]{Items: items, Next: next}}
}

// mapped applies a view to each item.
func mapped[T, V any](items []T, view func(T) V) []V {
	views := make([]V, len(items))
	for i, item := range items {
		views[i] = view(item)
	}
	return views
}
