package api

import (
	"context"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/health"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/oauth"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Authorizer takes people through the consent of a platform.
type Authorizer interface {
	Begin(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) (oauth.Begun, error)
}

// Prober knows of the probes of connections.
type Prober interface {
	// Probes answers false if the connection is not probed.
	Probes(id contract.ConnectionID) (health.Status, bool)
}

// TokenReader says how the token sets of connections stand.
type TokenReader interface {
	Status(ctx context.Context, owner contract.ConnectionID) (domain.TokenStatus, error)
}

// authorisation is a link for a person to open.
type authorisation struct {
	URL       string    `json:"url" format:"uri" example:"https://hooks.example.com/oauth/start/N3pV5" doc:"Open it in a browser. Whoever does so first goes on to the platform; it then works in no other browser."`
	ExpiresAt time.Time `json:"expires_at" doc:"Until when the whole way there and back must be done."`
}

// ConnectionHealth is what is known of how well a connection works.
type ConnectionHealth struct {
	State  contract.ConnectionState `json:"state" enum:"pending,connecting,connected,degraded,needs_action,disconnected" doc:"The worst of what is known."`
	Code   string                   `json:"code,omitempty" example:"token_refused" doc:"Why it is in this state; for programs."`
	Reason string                   `json:"reason,omitempty" doc:"Why it is in this state; for people."`
	Action string                   `json:"action,omitempty" doc:"What to do about it."`
	Known  []KnownHealth            `json:"known" doc:"What each of those who know something says."`
	// Credentials is nil if the connection has no tokens, and Probe if it is not probed.
	Credentials *CredentialsHealth `json:"credentials,omitempty" doc:"How its tokens stand; absent if it has none."`
	Probe       *ProbeHealth       `json:"probe,omitempty" doc:"The regular checks; absent if it is not checked."`
	Traffic     TrafficHealth      `json:"traffic" doc:"When it was last seen to work."`
}

// KnownHealth is what one of those who know something says of a connection.
type KnownHealth struct {
	By     domain.HealthCause       `json:"by" enum:"plugin,credentials,probe" doc:"Who says so."`
	State  contract.ConnectionState `json:"state" enum:"pending,connecting,connected,degraded,needs_action,disconnected"`
	Code   string                   `json:"code,omitempty"`
	Reason string                   `json:"reason,omitempty"`
	Action string                   `json:"action,omitempty"`
}

// CredentialsHealth is how the tokens of a connection stand.
type CredentialsHealth struct {
	Valid         bool              `json:"valid" doc:"Whether the access token may be used now."`
	ExpiresAt     time.Time         `json:"expires_at,omitzero" doc:"When it expires; absent if that is not known."`
	RefreshedAt   time.Time         `json:"refreshed_at,omitzero" doc:"When the host got it."`
	NextRefreshAt time.Time         `json:"next_refresh_at,omitzero" doc:"When it will be renewed; absent if it will not."`
	Failures      int               `json:"failures" doc:"Renewals that failed since the last that worked."`
	LastFailure   *contract.Failure `json:"last_failure,omitempty" doc:"Why the last of them failed."`
}

// ProbeHealth is what the regular checks found.
type ProbeHealth struct {
	LastAt   time.Time `json:"last_at,omitzero" doc:"When the last one ended."`
	NextAt   time.Time `json:"next_at,omitzero" doc:"When the next one is due."`
	Failures int       `json:"failures" doc:"Checks that failed since the last that went well."`
	Detail   string    `json:"detail,omitempty" doc:"What the last one said; for people."`
}

// TrafficHealth is when a connection was last seen to work.
type TrafficHealth struct {
	LastInboundAt  time.Time `json:"last_inbound_at,omitzero" doc:"When the last genuine delivery came."`
	LastOutboundAt time.Time `json:"last_outbound_at,omitzero" doc:"When the platform last accepted a message."`
}

func (s *Server) addConnectionHealth() {
	register(s, route{
		id: "get-connection-health", method: http.MethodGet, path: connectionPath + "/health", tag: "connections", allow: access(identity.ConnectionRead),
		summary: "Tell how well a connection works", description: "Its state with the reason and what to do, its tokens, the regular checks, and when traffic was last seen.",
	}, s.connectionHealth)
	register(s, route{
		id: "authorize-connection", method: http.MethodPost, path: connectionPath + "/authorize", tag: "connections", allow: access(identity.SecretWrite), status: http.StatusCreated,
		summary:     "Begin to authorise a connection",
		description: "Gives a link that takes one browser to the platform's consent page and back. It lasts ten minutes; every step is audited.", errors: []int{http.StatusUnprocessableEntity, http.StatusTooManyRequests},
	}, func(ctx context.Context, in *InConnection) (*answer[authorisation], error) {
		begun, err := s.opts.Authorizer.Begin(ctx, caller(ctx).Actor(), in.Workspace, in.Connection)
		return &answer[authorisation]{authorisation{URL: begun.URL, ExpiresAt: begun.ExpiresAt}}, err
	})
}

func (s *Server) connectionHealth(ctx context.Context, in *InConnection) (*answer[ConnectionHealth], error) {
	c, err := s.connection(ctx, in)
	if err != nil {
		return nil, err
	}
	tokens, err := s.opts.Credentials.Status(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	v := ConnectionHealth{State: c.State, Code: c.StateCode, Reason: c.StateReason, Action: c.StateAction, Known: known(c.Health),
		Traffic: TrafficHealth{LastInboundAt: c.LastInboundAt, LastOutboundAt: c.LastOutboundAt}}
	if tokens.State != domain.TokensNone {
		v.Credentials = &CredentialsHealth{Valid: tokens.Valid, ExpiresAt: tokens.ExpiresAt, RefreshedAt: tokens.ObtainedAt,
			NextRefreshAt: tokens.NextRefreshAt, Failures: tokens.Failures, LastFailure: tokens.LastFailure}
	}
	if probes, ok := s.opts.Prober.Probes(c.ID); ok {
		p := ProbeHealth(probes)
		v.Probe = &p
	}
	return &answer[ConnectionHealth]{v}, nil
}

// known lists what is known of a connection, by who knows it.
func known(h domain.Health) []KnownHealth {
	all := []KnownHealth{}
	add := func(by domain.HealthCause, s *contract.StateChange) {
		if s != nil && s.State != "" {
			all = append(all, KnownHealth{By: by, State: s.State, Code: s.Code, Reason: s.Reason, Action: s.Action})
		}
	}
	add(domain.CausePlugin, &h.Said)
	add(domain.CauseCredentials, h.Credentials)
	add(domain.CauseProbe, h.Probe)
	return all
}
