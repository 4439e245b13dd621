// Package identity says who somebody is and what they may do.
//
// A token is a JWT that this host signed with its own Ed25519 key: it names a subject, a
// role, and for the roles of a workspace that workspace. [Authority.Issue] makes one,
// [Authority.Verify] turns one into a [Principal], and [Principal.Can] answers whether
// that one may do a thing. Nothing else of a token is believed: the algorithm is pinned,
// and the key is found among the host's own.
package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// What Verify answers. Match with errors.Is.
var (
	// ErrNoToken means that there was no token.
	ErrNoToken = errors.New("no token was given")
	// ErrBadToken means that the token is not one of this host's.
	ErrBadToken = errors.New("the token is not valid")
	// ErrExpired means that the token was this host's, and its time is over.
	ErrExpired = errors.New("the token has expired")
	// ErrRevoked means that the token was taken back.
	ErrRevoked = errors.New("the token was revoked")
)

// Bounds of a token's life.
const (
	MinTTL = time.Minute
	MaxTTL = 365 * 24 * time.Hour
)

const (
	// party is issuer and audience: a token of this host for this host.
	party = "patchbay"
	// leeway is how far clocks may differ.
	leeway = 30 * time.Second
	// maxTokenBytes bounds what is parsed.
	maxTokenBytes = 8 << 10
	// maxSubjectBytes bounds a subject.
	maxSubjectBytes = 200
)

// Revocations knows the tokens that were taken back.
type Revocations interface {
	TokenRevoked(ctx context.Context, jti string) (bool, error)
}

// Options says how an authority works.
type Options struct {
	// DataDir is the data folder; the keys are made there on first start.
	DataDir string
	// Revocations is asked about every token; nil means that none was revoked.
	Revocations Revocations
	// Now is the clock, nil for time.Now; Random is nil for crypto/rand.
	Now    func() time.Time
	Random io.Reader
}

// Authority issues and verifies tokens. It is safe for concurrent use.
type Authority struct {
	options Options
	keys    []key
	parser  *jwt.Parser
}

// Open returns the authority of a data folder.
func Open(o Options) (*Authority, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	keys, err := loadKeys(o.DataDir, o.Random)
	if err != nil {
		return nil, err
	}
	return &Authority{options: o, keys: keys, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithIssuer(party), jwt.WithAudience(party),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithNotBeforeRequired(),
		jwt.WithLeeway(leeway), jwt.WithTimeFunc(o.Now), jwt.WithStrictDecoding(),
	)}, nil
}

// claims is what a token says.
type claims struct {
	Role      Role                 `json:"role"`
	Workspace contract.WorkspaceID `json:"workspace,omitempty"`
	jwt.RegisteredClaims
}

// Grant is what a new token shall say.
type Grant struct {
	// Subject is who the token is for, 1 to 200 bytes; for people and the audit log.
	Subject string
	Role    Role
	// Workspace is required for the roles of a workspace, and empty for the others.
	Workspace contract.WorkspaceID
	// TTL is how long the token works, MinTTL to MaxTTL, counted in whole seconds.
	TTL time.Duration
}

// Issue makes a token; jti names it for a revocation. A grant that makes no sense is a
// [*domain.Invalid] with every problem.
func (a *Authority) Issue(_ context.Context, g Grant) (token, jti string, err error) {
	if problems := g.problems(); len(problems) > 0 {
		return "", "", &domain.Invalid{Problems: problems}
	}
	id := make([]byte, 16)
	if _, err := io.ReadFull(a.options.Random, id); err != nil {
		return "", "", fmt.Errorf("issue token: %w", err)
	}
	jti = "tok_" + base64.RawURLEncoding.EncodeToString(id)
	now := a.options.Now().Truncate(time.Second)
	unsigned := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		Role: g.Role, Workspace: g.Workspace,
		RegisteredClaims: jwt.RegisteredClaims{
			ID: jti, Subject: g.Subject, Issuer: party, Audience: jwt.ClaimStrings{party},
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(g.TTL)),
		},
	})
	unsigned.Header["kid"] = a.keys[0].id
	token, err = unsigned.SignedString(a.keys[0].private)
	if err != nil {
		return "", "", fmt.Errorf("issue token: %w", err)
	}
	return token, jti, nil
}

func (g Grant) problems() (problems []domain.Problem) {
	add := func(field, value, why, fix string) {
		problems = append(problems, domain.Problem{Field: field, Value: value, Why: why, Fix: fix})
	}
	if g.Subject == "" || len(g.Subject) > maxSubjectBytes {
		add("subject", g.Subject, "it is empty or too long", fmt.Sprintf("name the person or program in 1 to %d bytes", maxSubjectBytes))
	}
	switch {
	case !g.Role.known():
		add("role", string(g.Role), "there is no such role", "use one of "+roleNames())
	case g.Role.ofWorkspace() && g.Workspace == "":
		add("workspace", "", "the role "+string(g.Role)+" is a role in a workspace", "name the workspace")
	case !g.Role.ofWorkspace() && g.Workspace != "":
		add("workspace", string(g.Workspace), "the role "+string(g.Role)+" is a role on the whole host", "leave it out")
	}
	if g.TTL < MinTTL || g.TTL > MaxTTL {
		add("ttl_seconds", fmt.Sprint(int64(g.TTL/time.Second)), "it is out of bounds",
			fmt.Sprintf("choose %d to %d seconds", MinTTL/time.Second, MaxTTL/time.Second))
	}
	return problems
}

// Principal is who presented a valid token.
type Principal struct {
	Subject   string
	Role      Role
	Workspace contract.WorkspaceID
	// TokenID names the token; ExpiresAt is when it ends.
	TokenID   string
	ExpiresAt time.Time
}

// Actor is the principal as the audit log names it.
func (p Principal) Actor() domain.Actor {
	return domain.Actor{Subject: p.Subject, Role: string(p.Role)}
}

// Verify returns who presents a token: the compact serialisation, without "Bearer". The
// error matches one of ErrNoToken, ErrBadToken, ErrExpired and ErrRevoked, or is the
// failure to find out whether the token was revoked.
func (a *Authority) Verify(ctx context.Context, token string) (Principal, error) {
	if token == "" {
		return Principal{}, ErrNoToken
	}
	if len(token) > maxTokenBytes {
		return Principal{}, fmt.Errorf("%w: it is longer than %d bytes", ErrBadToken, maxTokenBytes)
	}
	var said claims
	if _, err := a.parser.ParseWithClaims(token, &said, a.keyOf); errors.Is(err, jwt.ErrTokenExpired) {
		return Principal{}, ErrExpired
	} else if err != nil {
		return Principal{}, fmt.Errorf("%w: %w", ErrBadToken, err)
	}
	if err := said.check(); err != nil {
		return Principal{}, err
	}
	if err := a.checkRevoked(ctx, said.ID); err != nil {
		return Principal{}, err
	}
	return Principal{Subject: said.Subject, Role: said.Role, Workspace: said.Workspace,
		TokenID: said.ID, ExpiresAt: said.ExpiresAt.Time}, nil
}

// keyOf finds the key that a token's header names among the host's own.
func (a *Authority) keyOf(token *jwt.Token) (any, error) {
	id, _ := token.Header["kid"].(string)
	for _, k := range a.keys {
		if k.id == id {
			return k.public(), nil
		}
	}
	return nil, errors.New("no key of this host has the token's kid")
}

// check refuses what this host would not have said, whoever signed it.
func (c claims) check() error {
	g := Grant{Subject: c.Subject, Role: c.Role, Workspace: c.Workspace, TTL: MinTTL}
	if problems := g.problems(); len(problems) > 0 || c.ID == "" {
		return fmt.Errorf("%w: its claims make no sense", ErrBadToken)
	}
	return nil
}

func (a *Authority) checkRevoked(ctx context.Context, jti string) error {
	if a.options.Revocations == nil {
		return nil
	}
	switch revoked, err := a.options.Revocations.TokenRevoked(ctx, jti); {
	case err != nil:
		return fmt.Errorf("look up revocation of token %s: %w", jti, err)
	case revoked:
		return ErrRevoked
	}
	return nil
}

// JWKS returns the public keys as a JWK set (RFC 7517), in JSON.
func (a *Authority) JWKS() []byte {
	set := jwkSet{Keys: make([]jwk, len(a.keys))}
	for i, k := range a.keys {
		set.Keys[i] = describe(k.private)
	}
	out, err := json.Marshal(set)
	if err != nil {
		panic("BUG: a JWK set of strings cannot be encoded: " + err.Error())
	}
	return out
}
