// Package api is the management API: everything that people and programs do with a host,
// as JSON over HTTP, described by OpenAPI 3.1 at /openapi.json.
//
// Each route stands in the file of its resource, next to who may use it ([access]). A
// request passes through [exchange]: the token is verified, the role is held against the
// route, the workspace in the path against the token's, and only then is anything of the
// request looked at. What belongs to another workspace does not exist, whatever is asked
// of it. What goes wrong is answered as a problem (RFC 9457), made in problem.go and
// nowhere else.
//
// The rules about what is possible live in the rooms behind the interfaces that the
// resources declare; here is only HTTP.
package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"

	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
)

// Store is what the API reads directly.
type Store interface {
	Workspaces
	Connections
	Messages
	EventLog
	SubscriberLog
	Commands
	Deliveries
	Notices
	Plugins
	AuditLog
	Tokens
}

// Tenant is what the API asks to be done for a workspace.
type Tenant interface {
	WorkspaceKeeper
	ConnectionKeeper
	AppKeeper
	TokenKeeper
	Sender
	CommandKeeper
	DeadLetter
	MediaKeeper
}

// Metrics counts requests and event streams.
type Metrics interface {
	gate.Metrics
	// Stream counts an event stream in, and out when closed is called.
	Stream() (closed func())
}

// Options says how an API works. The zero value of a field means what stands beside it, if
// anything does.
type Options struct {
	// Gate holds the limits of the listener. Its Name and Metrics are set by New.
	Gate     gate.Options
	Identity Identity
	Tenant   Tenant
	Reviewer Reviewer
	Replayer Replayer
	Bridges  BridgeKeeper
	// Subscribers sends events to the URLs that tenants named.
	Subscribers SubscriberKeeper
	// Upkeep looks after the data of the host.
	Upkeep Upkeep
	// Authorizer takes people through a consent, Prober asks connections how they are, and
	// Credentials keeps their tokens.
	Authorizer  Authorizer
	Prober      Prober
	Credentials TokenReader
	// Recordings is the broker.
	Recordings Recordings
	Store      Store
	Metrics    Metrics
	// MetricsHandler serves /metrics.
	MetricsHandler http.Handler
	// Ready answers why the host cannot work now, nil if it can. Its text is shown to
	// whoever asks.
	Ready func(ctx context.Context) error
	// MaxBodyBytes limits a JSON document; 1 MiB.
	MaxBodyBytes int64
	// MediaMaxBytes limits an upload; 100 MiB. UploadTimeout limits its time; 10 minutes.
	MediaMaxBytes int64
	UploadTimeout time.Duration
	// Heartbeat is how often an event stream says that it is alive; 15 s.
	Heartbeat time.Duration
	// NewTicker makes the heartbeat; time.NewTicker.
	NewTicker func(time.Duration) (ticks <-chan time.Time, stop func())
	// MaxStreams limits the event streams of one workspace; 100.
	MaxStreams int
	// TokenTTL is how long a token works that is issued without saying; 24 h.
	TokenTTL time.Duration
	// Version is the host's, for the OpenAPI document; "dev".
	Version string
}

func (o *Options) fill() {
	setDefault(&o.MaxBodyBytes, 1<<20)
	setDefault(&o.MediaMaxBytes, 100<<20)
	setDefault(&o.UploadTimeout, 10*time.Minute)
	setDefault(&o.Heartbeat, 15*time.Second)
	setDefault(&o.MaxStreams, 100)
	setDefault(&o.TokenTTL, 24*time.Hour)
	setDefault(&o.Version, "dev")
	if o.NewTicker == nil {
		o.NewTicker = func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTicker(d)
			return t.C, t.Stop
		}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Server is the management API. It is safe for concurrent use.
type Server struct {
	opts    Options
	gate    *gate.Server
	api     huma.API
	streams streamCount
}

// New makes an API.
func New(opts Options) (*Server, error) {
	opts.fill()
	opts.Gate.Name, opts.Gate.Metrics = "api", opts.Metrics
	s := &Server{opts: opts, gate: gate.New(opts.Gate), streams: streamCount{open: map[string]int{}}}
	s.gate.App().Use(secure)
	s.api = s.newHuma()
	s.addHealth()
	s.addWorkspaces()
	s.addLimits()
	s.addLifecycle()
	s.addTokens()
	s.addPlugins()
	s.addConnections()
	s.addConnectionHealth()
	s.addSecrets()
	s.addApps()
	s.addCredentials()
	s.addBridges()
	s.addMessages()
	s.addEvents()
	s.addSubscribers()
	s.addCommands()
	s.addDeliveries()
	s.addDeadLetter()
	s.addRecordings()
	s.addNotices()
	s.addMedia()
	s.addAudit()
	s.gate.App().Get("/metrics", adaptor.HTTPHandler(opts.MetricsHandler))
	s.finishSchemas()
	if err := s.serveOpenAPI(); err != nil {
		return nil, fmt.Errorf("make the management API: %w", err)
	}
	return s, nil
}

// Serve answers requests that come to l, until Shutdown. It closes l.
func (s *Server) Serve(l net.Listener) error { return s.gate.Serve(l) }

// Shutdown takes no more requests, ends event streams, and waits until the other requests
// have been answered, or until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return s.gate.Shutdown(ctx) }

// secure sets what every answer says to a browser: this is no page, keep nothing, show it
// to nobody.
func secure(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'; sandbox")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set("Cross-Origin-Resource-Policy", "same-origin")
	return c.Next()
}

// serveOpenAPI encodes the document once: huma would do it at the first request, and
// twice if two come at once.
func (s *Server) serveOpenAPI() error {
	document, err := s.OpenAPI()
	if err != nil {
		return err
	}
	s.gate.App().Get("/openapi.json", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, "application/openapi+json")
		return c.Send(document)
	})
	return nil
}

// OpenAPI returns the OpenAPI 3.1 document in JSON.
func (s *Server) OpenAPI() ([]byte, error) {
	document, err := s.api.OpenAPI().MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	return document, nil
}

// hostStatus is what a probe is told.
type hostStatus struct {
	Status string `json:"status" example:"ok" doc:"Always ok; anything else is a problem."`
}

func (s *Server) addHealth() {
	register(s, route{
		id: "get-health", method: http.MethodGet, path: "/healthz", tag: "host", allow: anybody,
		summary: "Tell whether the process is up", description: "Says nothing about whether it can work; see /readyz.",
	}, func(context.Context, *struct{}) (*answer[hostStatus], error) {
		return &answer[hostStatus]{hostStatus{Status: "ok"}}, nil
	})
	register(s, route{
		id: "get-readiness", method: http.MethodGet, path: "/readyz", tag: "host", allow: anybody,
		summary: "Tell whether the host can work", description: "Answers 503 with the reasons while it cannot take deliveries.",
		errors: []int{http.StatusServiceUnavailable},
	}, func(ctx context.Context, _ *struct{}) (*answer[hostStatus], error) {
		if err := s.opts.Ready(ctx); err != nil {
			return nil, gate.NewProblem(http.StatusServiceUnavailable, "the host is not ready: "+err.Error())
		}
		return &answer[hostStatus]{hostStatus{Status: "ok"}}, nil
	})
	register(s, route{
		id: "get-jwks", method: http.MethodGet, path: "/.well-known/jwks.json", tag: "host", allow: anybody,
		summary: "Read the keys that tokens are signed with", description: "A JSON Web Key Set (RFC 7517), for whoever wants to verify a token of this host.",
		gives: &huma.Response{Description: "The keys.", Content: map[string]*huma.MediaType{jwkSet: {Schema: &huma.Schema{Type: huma.TypeObject}}}},
	}, func(context.Context, *struct{}) (*document, error) {
		return &document{Type: jwkSet, Body: s.opts.Identity.JWKS()}, nil
	})
}

// answer is an answer with a JSON body.
type answer[T any] struct{ Body T }

// jwkSet is the content type of a JSON Web Key Set.
const jwkSet = "application/jwk-set+json"

// document is an answer that is encoded already.
type document struct {
	Type string `header:"Content-Type"`
	Body []byte
}
