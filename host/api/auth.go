package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Identity issues and verifies tokens.
type Identity interface {
	// Verify returns who holds the token. An error that is none of identity's means that it
	// cannot be told now.
	Verify(ctx context.Context, token string) (identity.Principal, error)
	// Issue answers *domain.Invalid for a grant that makes no sense.
	Issue(ctx context.Context, g identity.Grant) (token, id string, err error)
	// JWKS returns the public keys as a JSON Web Key Set.
	JWKS() []byte
}

// access says who may use a route: everybody, or whoever has the permission.
type access identity.Permission

const (
	// anybody is the access of routes that need no token.
	anybody access = ""
	// anyToken is the access of routes that take any valid token.
	anyToken access = "any token"
)

// check tells why p may not use the route, nil if it may. ws is the workspace in the path;
// empty if the route has none, and concerns the principal's own.
func (a access) check(p identity.Principal, ws contract.WorkspaceID, scoped bool) *gate.Problem {
	if !scoped {
		ws = p.Workspace
	} else if bound(p) && p.Workspace != ws {
		return notFound() // whether it exists is not theirs to know
	}
	if !a.granted(p, ws) {
		return coded(http.StatusForbidden, "forbidden", fmt.Sprintf("the role %s may not do this; it takes one of %s",
			p.Role, strings.Join(a.roles(), ", ")), nil)
	}
	return nil
}

func (a access) granted(p identity.Principal, ws contract.WorkspaceID) bool {
	return a == anyToken || p.Can(identity.Permission(a), ws)
}

// roles lists the roles that may use the route.
func (a access) roles() (names []string) {
	const some = "some workspace"
	for _, role := range identity.Roles() {
		if a.granted(identity.Principal{Role: role, Workspace: some}, some) {
			names = append(names, string(role))
		}
	}
	return names
}

// bound tells whether the principal's role is one in a single workspace.
func bound(p identity.Principal) bool { return p.Workspace != "" }

// authenticate verifies the token of a request.
func (s *Server) authenticate(ctx context.Context, header string) (identity.Principal, string, *gate.Problem) {
	token, p := bearer(header)
	if p != nil {
		return identity.Principal{}, "", p
	}
	who, err := s.opts.Identity.Verify(ctx, token)
	switch {
	case err == nil:
		return who, token, nil
	case !refused(err):
		return identity.Principal{}, "", unavailable(err)
	}
	p = unauthorized("the token is not valid, or not any more", `Bearer realm="patchbay", error="invalid_token"`)
	p.Cause = err
	return identity.Principal{}, "", p
}

// refused tells whether an error of Verify is about the token.
func refused(err error) bool {
	return errors.Is(err, identity.ErrNoToken) || errors.Is(err, identity.ErrBadToken) ||
		errors.Is(err, identity.ErrExpired) || errors.Is(err, identity.ErrRevoked)
}

// bearer takes the token out of an Authorization field (RFC 6750 section 2.1).
func bearer(header string) (string, *gate.Problem) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", unauthorized("the request has no token; send \"Authorization: Bearer TOKEN\"", `Bearer realm="patchbay"`)
	}
	return token, nil
}

func unauthorized(detail, challenge string) *gate.Problem {
	p := gate.NewProblem(http.StatusUnauthorized, detail)
	p.Header = http.Header{"Www-Authenticate": {challenge}}
	return p
}
