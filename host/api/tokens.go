package api

import (
	"context"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Tokens keeps which tokens were revoked, and who issued and revoked which.
type Tokens interface {
	// RevokeToken ends a token at once, known or not; until is when it may be forgotten.
	RevokeToken(ctx context.Context, id string, until time.Time) error
	Audit(ctx context.Context, e domain.AuditEntry) error
}

type newToken struct {
	Subject    string               `json:"subject" minLength:"1" maxLength:"200" example:"anna@acme.test" doc:"Who will hold it; stands in the audit log."`
	Role       identity.Role        `json:"role" enum:"operator,reviewer,workspace-admin,workspace-member,workspace-reader" doc:"What it allows."`
	Workspace  contract.WorkspaceID `json:"workspace,omitempty" example:"wsp_01JD5Z6T9Q" doc:"Required for the workspace roles, refused for the others."`
	TTLSeconds int64                `json:"ttl_seconds,omitempty" minimum:"60" maximum:"31536000" example:"3600" doc:"How long it works; without it, as long as the host is configured to say."`
}

// issuedToken is shown once.
type issuedToken struct {
	Token     string    `json:"token" doc:"The token itself. It is not kept and cannot be read again."`
	ID        string    `json:"id" example:"tok_01JD5Z6T9Q" doc:"Its name, to revoke it by."`
	ExpiresAt time.Time `json:"expires_at"`
}

type tokenID struct {
	ID string `path:"token" maxLength:"200" example:"tok_01JD5Z6T9Q" doc:"The token's id, its claim jti."`
}

func (s *Server) addTokens() {
	register(s, route{
		id: "issue-token", method: http.MethodPost, path: "/v1/tokens", tag: "tokens", allow: access(identity.TokenIssue), status: http.StatusCreated,
		summary: "Issue a token", description: "An operator may issue any; a workspace admin those of the own workspace.",
		example: newToken{Subject: "anna@acme.test", Role: identity.WorkspaceMember, Workspace: "wsp_1", TTLSeconds: 3600},
		errors:  []int{http.StatusNotFound},
	}, s.issueToken)
	register(s, route{
		id: "revoke-token", method: http.MethodPost, path: "/v1/tokens/{token}/revoke", tag: "tokens", allow: anyToken, status: http.StatusNoContent,
		summary: "Revoke a token", description: "It stops working at once. An operator may revoke any; everybody may revoke the token they hold.",
	}, s.revokeToken)
}

func (s *Server) issueToken(ctx context.Context, in *struct{ Body newToken }) (*answer[issuedToken], error) {
	who := caller(ctx)
	grant := identity.Grant{Subject: in.Body.Subject, Role: in.Body.Role, Workspace: in.Body.Workspace,
		TTL: time.Duration(in.Body.TTLSeconds) * time.Second}
	if grant.TTL == 0 {
		grant.TTL = s.opts.TokenTTL
	}
	if err := s.mayIssue(ctx, who, grant); err != nil {
		return nil, err
	}
	token, id, err := s.opts.Identity.Issue(ctx, grant)
	if err != nil {
		return nil, err
	}
	holder, err := s.opts.Identity.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	s.audit(ctx, who, "token.issued", grant.Workspace, id, string(grant.Role)+" for "+grant.Subject)
	return &answer[issuedToken]{issuedToken{Token: token, ID: id, ExpiresAt: holder.ExpiresAt}}, nil
}

// mayIssue tells why who may not hand out the grant. A workspace that does not exist and
// one that is not theirs look the same.
func (s *Server) mayIssue(ctx context.Context, who identity.Principal, g identity.Grant) error {
	if bound(who) && g.Workspace != "" && g.Workspace != who.Workspace {
		return notFound()
	}
	if !who.MayIssue(g) {
		return coded(http.StatusForbidden, "forbidden", "only an operator may issue a token with this role", nil)
	}
	if g.Workspace == "" {
		return nil
	}
	return s.exists(ctx, g.Workspace)
}

func (s *Server) revokeToken(ctx context.Context, in *tokenID) (*struct{}, error) {
	who := caller(ctx)
	if in.ID != who.TokenID && !who.Can(identity.TokenIssueAny, "") {
		return nil, notFound()
	}
	if err := s.opts.Store.RevokeToken(ctx, in.ID, s.opts.Gate.Now().Add(identity.MaxTTL+time.Hour)); err != nil {
		return nil, err
	}
	s.audit(ctx, who, "token.revoked", who.Workspace, in.ID, "")
	return nil, nil
}

func (s *Server) audit(ctx context.Context, who identity.Principal, action string, ws contract.WorkspaceID, target, detail string) {
	err := s.opts.Store.Audit(ctx, domain.AuditEntry{At: s.opts.Gate.Now(), Actor: who.Subject, Action: action,
		Workspace: ws, Target: target, Detail: detail})
	if err != nil {
		s.opts.Gate.Log.Error("an audit entry was not kept", "action", action, "target", target, "error", err)
	}
}
