package api

import (
	"context"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// SecretKeeper fills secrets in where people need them, and changes them.
type SecretKeeper interface {
	Setup(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) ([]contract.SetupStep, error)
	// RotateSecret makes value the newest value of a secret, or a generated one if it is
	// empty; what was valid stays so for overlap.
	RotateSecret(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, name, value string, overlap time.Duration) error
}

type setup struct {
	Steps []contract.SetupStep `json:"steps" doc:"What a person must enter or do on the platform, in order, with secrets filled in."`
}

type rotation struct {
	Value          string `json:"value,omitempty" maxLength:"16384" doc:"The new value; without it, the host generates one, where the manifest lets it."`
	OverlapSeconds int64  `json:"overlap_seconds,omitempty" minimum:"0" maximum:"2592000" example:"86400" doc:"How long what was valid stays accepted."`
}

func (s *Server) addSecrets() {
	register(s, route{
		id: "get-setup", method: http.MethodGet, path: connectionPath + "/setup", tag: "connections", allow: access(identity.SecretWrite),
		summary: "Read the setup steps", description: "Tells what to enter on the platform, secrets included. Every look is audited.",
	}, func(ctx context.Context, in *InConnection) (*answer[setup], error) {
		steps, err := s.opts.Tenant.Setup(ctx, caller(ctx).Actor(), in.Workspace, in.Connection)
		return &answer[setup]{setup{Steps: orEmpty(steps)}}, err
	})
	register(s, route{
		id: "rotate-secret", method: http.MethodPost, path: connectionPath + "/secrets/{name}/rotate", tag: "connections", allow: access(identity.SecretWrite), status: http.StatusNoContent,
		summary: "Give a secret a new value", description: "The new value is used at once; the old one stays accepted for as long as is asked.",
		example: rotation{OverlapSeconds: 86400},
	}, s.rotateSecret)
}

func (s *Server) rotateSecret(ctx context.Context, in *struct {
	InConnection
	Name string `path:"name" example:"webhook_token" doc:"The secret's name in the manifest."`
	Body rotation
}) (*struct{}, error) {
	overlap := time.Duration(in.Body.OverlapSeconds) * time.Second
	return nil, s.opts.Tenant.RotateSecret(ctx, caller(ctx).Actor(), in.Workspace, in.Connection, in.Name, in.Body.Value, overlap)
}
