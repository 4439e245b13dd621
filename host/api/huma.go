package api

import (
	"reflect"
	"strings"

	stdjson "encoding/json"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// huma is configured by variables of its package; nothing else in this program uses it.
func init() {
	huma.NewError = newProblem
	huma.ValidateStrictCasing = true // the decoder is strict, too
	huma.DefaultArrayNullable = false
}

// newHuma makes the API without operations.
func (s *Server) newHuma() huma.API {
	registry := huma.NewMapRegistry("#/components/schemas/", schemaName)
	registry.RegisterTypeAlias(reflect.TypeFor[jsontext.Value](), reflect.TypeFor[stdjson.RawMessage]())
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "Patchbay", Version: s.opts.Version, Description: about},
			Tags:    tags,
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{"token": {
					Type: "http", Scheme: "bearer", BearerFormat: "JWT",
					Description: "A token of this host: POST /v1/tokens, or \"patchbay token issue\" on the host itself.",
				}},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": strict, "json": strict},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{nameRequest},
	}
	api := humafiber.New(s.gate.App(), config)
	api.UseMiddleware(s.enter)
	return api
}

const about = "Everything that can be done with a host. What belongs to another workspace is answered 404. " +
	"Refusals are problems (RFC 9457). Listings are pages: pass next as after. Members that a client does not know are to be ignored; " +
	"members that the host does not know are refused."

var tags = []*huma.Tag{
	{Name: "workspaces", Description: "Tenants, and which plugins they may connect with."},
	{Name: "tokens", Description: "Who may do what."},
	{Name: "plugins", Description: "Plugin versions, and what reviewers granted them."},
	{Name: "connections", Description: "Accounts on platforms."},
	{Name: "bridges", Description: "Connections patched together."},
	{Name: "messages", Description: "What was said, both ways."},
	{Name: "events", Description: "What happened, as CloudEvents, in order."},
	{Name: "commands", Description: "What plugins were asked to do."},
	{Name: "deliveries", Description: "Webhooks as they came."},
	{Name: "media", Description: "Attachments."},
	{Name: "audit", Description: "Who changed what."},
	{Name: "host", Description: "For probes and for verifiers of tokens."},
}

// strict is JSON as it must come: a duplicate name, invalid UTF-8 or trailing data is an
// error, and names are compared exactly.
var strict = huma.Format{
	Marshal:   huma.DefaultJSONFormat.Marshal,
	Unmarshal: func(data []byte, v any) error { return json.Unmarshal(data, v) },
}

// nameRequest puts the request's id into a problem.
func nameRequest(ctx huma.Context, _ string, v any) (any, error) {
	p, ok := v.(*gate.Problem)
	if !ok {
		return v, nil
	}
	named := *p
	named.RequestID = gate.RequestID(humafiber.Unwrap(ctx))
	return &named, nil
}

// schemaNames names types that would else have the name of another.
var schemaNames = map[reflect.Type]string{
	reflect.TypeFor[domain.Message](): "KeptMessage",
	reflect.TypeFor[domain.Command](): "CommandInput",
	reflect.TypeFor[domain.Media]():   "KeptMedia",
	reflect.TypeFor[contract.Event](): "EventData",
}

// schemaName names a schema after its Go type, capitalised.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if name, ok := schemaNames[t]; ok {
		return name
	}
	name := huma.DefaultSchemaNamer(t, hint)
	if item, ok := strings.CutPrefix(name, "List"); ok && item == "Message" {
		return "ListKeptMessage"
	}
	return name
}
