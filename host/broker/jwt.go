package broker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// jwtAlgorithms are those of RFC 7518 and RFC 8037 that a token may be signed with; "none"
// is not among them.
var jwtAlgorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

const (
	// maxTokenBytes bounds a token.
	maxTokenBytes = 16 << 10
	// maxLeewaySeconds is by how much clocks may differ, in seconds.
	maxLeewaySeconds = 300
)

// jwtVerify is the host function jwt_verify. Every value of the secret that is accepted is
// tried, as while it is being rotated.
func (inv *invocation) jwtVerify(ctx context.Context, in *contract.JWTVerify) (*contract.JWTVerifyResult, error) {
	problem := inv.unusable(in.Name, in.Algorithm)
	switch {
	case problem != nil:
	case in.LeewaySeconds < 0 || in.LeewaySeconds > maxLeewaySeconds:
		problem = invalid(fmt.Sprintf("leeway_seconds is not 0 to %d", maxLeewaySeconds))
	case len(in.Token) > maxTokenBytes:
		problem = refused(fmt.Sprintf("the token is longer than %d bytes", maxTokenBytes))
	}
	if problem != nil {
		return &contract.JWTVerifyResult{Error: problem}, nil
	}
	keys, err := inv.keys(ctx, in.Name)
	switch {
	case errors.Is(err, domain.ErrNotFound):
		return &contract.JWTVerifyResult{Error: notFound("the connection has no such secret")}, nil
	case err != nil:
		return nil, err
	}
	header, claims, problem := verifyJWT(*in, keys, inv.judgedAt())
	return &contract.JWTVerifyResult{Error: problem, Header: header, Claims: claims}, nil
}

// judgedAt is the time that times in a token are held against: when the delivery came, for one
// that is replayed was genuine then.
func (inv *invocation) judgedAt() time.Time {
	if !inv.received.IsZero() {
		return inv.received
	}
	return inv.now
}

// keys returns every accepted value of a secret, or of the one that stands in for it.
func (inv *invocation) keys(ctx context.Context, name string) ([]secret.Text, error) {
	return valued(inv, name, func(owner contract.ConnectionID, name string) ([]secret.Text, error) {
		return inv.broker.opts.Secrets.Values(ctx, owner, name)
	})
}

// unusable says why nothing can be signed or verified with a secret and an algorithm.
func (inv *invocation) unusable(name, algorithm string) *contract.HostError {
	switch {
	case !inv.granted(name):
		return denied(fmt.Sprintf("the grant leaves secret %q out", name))
	case !slices.Contains(jwtAlgorithms, algorithm):
		return invalid("algorithm is none of " + strings.Join(jwtAlgorithms, ", "))
	}
	return nil
}

func refused(message string) *contract.HostError {
	return &contract.HostError{Code: contract.HostRefused, Message: message, Certain: true}
}

// verifyJWT verifies a token with any of the keys, and returns its header and its claims as
// they were signed.
func verifyJWT(in contract.JWTVerify, keys []secret.Text, now time.Time) (header, claims contract.RawJSON, problem *contract.HostError) {
	header, claims, problem = openJWT(in.Token)
	if problem != nil {
		return nil, nil, problem
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{in.Algorithm}), jwt.WithTimeFunc(func() time.Time { return now }),
		jwt.WithIssuedAt(), jwt.WithLeeway(time.Duration(in.LeewaySeconds)*time.Second), jwt.WithStrictDecoding())
	problem = refused("the token is not genuine")
	for _, value := range keys {
		key, err := jwtKey(in.Algorithm, value, false)
		if err != nil {
			problem = invalid(fmt.Sprintf("the secret %q is no key for %s", in.Name, in.Algorithm))
			continue
		}
		_, err = parser.ParseWithClaims(in.Token, jwt.MapClaims{}, func(*jwt.Token) (any, error) { return key, nil })
		if err == nil {
			return header, claims, nil
		}
		if why := refusalOf(err); why != "" {
			problem = refused(why)
		}
	}
	return nil, nil, problem
}

// refusalOf says why a token is refused whose signature is genuine; empty if it is not.
func refusalOf(err error) string {
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return "the token has expired"
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return "the token is not valid yet"
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return "the token was issued in the future"
	case errors.Is(err, jwt.ErrTokenInvalidClaims):
		return "a time in the token is no number"
	}
	return ""
}

// openJWT splits a compact serialisation, and decodes what was signed. Both parts must be
// JSON objects that every parser reads alike: no name stands twice. A token with critical
// extensions (RFC 7515 section 4.1.11) is refused, for the host knows none.
func openJWT(token string) (header, claims contract.RawJSON, problem *contract.HostError) {
	segments := strings.Split(token, ".")
	if len(segments) != 3 {
		return nil, nil, refused("the token has not three segments")
	}
	for i, to := range []*contract.RawJSON{&header, &claims} {
		raw, err := rawURL.DecodeString(segments[i])
		if err != nil || !isObject(raw) || strings.ContainsAny(segments[i], "\r\n") {
			return nil, nil, refused("the token's segments are not JSON objects in base64url")
		}
		*to = raw
	}
	var critical struct {
		Crit json.RawMessage `json:"crit"`
	}
	if err := json.Unmarshal(header, &critical); err != nil || critical.Crit != nil {
		return nil, nil, refused("the token has critical extensions")
	}
	return header, claims, nil
}

// rawURL is base64url as RFC 7515 has it, with one way to write each text.
var rawURL = base64.RawURLEncoding.Strict()

// isObject tells whether a text is one JSON object in which no name stands twice.
func isObject(text jsontext.Value) bool { return text.IsValid() && text.Kind() == '{' }

// jwtSign is the host function jwt_sign: it signs with the newest value of the secret.
func (inv *invocation) jwtSign(ctx context.Context, in *contract.JWTSign) (*contract.JWTSignResult, error) {
	problem := inv.unusable(in.Name, in.Algorithm)
	switch {
	case problem != nil:
	case !isObject(in.Claims):
		problem = invalid("claims is no JSON object, or has a name twice")
	case len(in.Claims) > maxTokenBytes/2:
		problem = invalid(fmt.Sprintf("claims is longer than %d bytes", maxTokenBytes/2))
	}
	if problem != nil {
		return &contract.JWTSignResult{Error: problem}, nil
	}
	keys, err := inv.keys(ctx, in.Name)
	switch {
	case errors.Is(err, domain.ErrNotFound):
		return &contract.JWTSignResult{Error: notFound("the connection has no such secret")}, nil
	case err != nil:
		return nil, err
	}
	token, err := signJWT(in.Algorithm, in.Claims, keys[0])
	if err != nil { // its text may repeat a part of the key
		return &contract.JWTSignResult{Error: invalid(fmt.Sprintf("the secret %q is no key for %s", in.Name, in.Algorithm))}, nil
	}
	return &contract.JWTSignResult{Token: token}, nil
}

// signJWT signs the claims as they are written: large numbers and the order of names stay.
func signJWT(algorithm string, claims []byte, value secret.Text) (string, error) {
	key, err := jwtKey(algorithm, value, true)
	if err != nil {
		return "", err
	}
	header := fmt.Sprintf(`{"alg":%q,"typ":"JWT"}`, algorithm)
	signed := rawURL.EncodeToString([]byte(header)) + "." + rawURL.EncodeToString(claims)
	signature, err := jwt.GetSigningMethod(algorithm).Sign(signed, key)
	if err != nil {
		return "", err
	}
	return signed + "." + rawURL.EncodeToString(signature), nil
}

// jwtKey turns a secret into a key for one algorithm: the bytes themselves for HMAC, PEM
// for the rest. The algorithm is the plugin's word and never the token's.
func jwtKey(algorithm string, value secret.Text, private bool) (any, error) {
	text := []byte(value.Reveal())
	family := strings.TrimRight(algorithm, "0123456789")
	switch {
	case family == "HS" && strings.Contains(value.Reveal(), "-----BEGIN "):
		return nil, jwt.ErrInvalidKeyType // a public key is no secret, whatever a plugin takes it for
	case family == "HS":
		return text, nil
	case (family == "RS" || family == "PS") && private:
		return jwt.ParseRSAPrivateKeyFromPEM(text)
	case family == "RS" || family == "PS":
		return jwt.ParseRSAPublicKeyFromPEM(text)
	case family == "ES" && private:
		return jwt.ParseECPrivateKeyFromPEM(text)
	case family == "ES":
		return jwt.ParseECPublicKeyFromPEM(text)
	case private:
		return jwt.ParseEdPrivateKeyFromPEM(text)
	}
	return jwt.ParseEdPublicKeyFromPEM(text)
}
