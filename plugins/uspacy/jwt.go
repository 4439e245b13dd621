package main

import (
	"encoding/base64"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// maxTokenBytes bounds a token that somebody shows us (protocol section 2.2).
const maxTokenBytes = 8 << 10

// proof is what the bearer of a lifecycle webhook says, once it is believed.
type proof struct {
	// domain is the portal's, in normal form and under an allowed suffix.
	domain string
	// issued is the token's iat, in Unix seconds; 0 if nobody vouches for it.
	issued int64
	// signed tells that the token was signed with the client secret. Without it, the domain is
	// no more than a claim, for install_auth_mode "proof_call".
	signed bool
}

// refusal is why a request is not believed, with the status to answer.
type refusal struct {
	status int64
	code   string
	reason string
}

var (
	noBearer     = &refusal{401, "bearer_missing", "The request has no bearer token, more than one, or none that is a token."}
	badSignature = &refusal{401, "token_not_genuine", "The bearer token is not signed with the client secret, or its time is over."}
	badClaims    = &refusal{401, "token_incomplete", "The bearer token lacks one of exp, nbf and iat, or has what is not understood."}
	noDomain     = &refusal{403, "domain_refused", "The bearer token names no portal, two of them, or one that is not under portal_domain_suffixes."}
)

// believe verifies the bearer of an install or uninstall, in the order of the protocol's
// section 2.2: nothing of the token is used before its signature is known to be good.
func believe(h pdk.Host, set settings, headers []contract.Header) (proof, *refusal, error) {
	token, ok := bearer(headers)
	if !ok {
		return proof{}, noBearer, nil
	}
	if set.provesByCall() {
		return claimed(token, set.domainSuffixes())
	}
	verified, err := h.JWTVerify(contract.JWTVerify{
		Name: "client_secret", Algorithm: "HS256", Token: token, LeewaySeconds: set.skewSeconds(),
	})
	switch contract.HostErrorCode(err) {
	case "":
	case contract.HostRefused, contract.HostInvalid:
		return proof{}, badSignature, nil
	}
	if err != nil {
		return proof{}, nil, err
	}
	return readProof(verified.Header, verified.Claims, set.domainSuffixes())
}

// readProof reads a token whose signature is good and whose times, as far as they are there,
// fit.
func readProof(header, claims contract.RawJSON, suffixes []string) (proof, *refusal, error) {
	head, body, ok := documents(header, claims)
	if !ok || head.Has("crit") {
		return proof{}, badClaims, nil
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		if !body.Has(name) || body.Float(name) <= 0 {
			return proof{}, badClaims, nil
		}
	}
	issued := int64(body.Float("iat"))
	if body.Err() != nil {
		return proof{}, badClaims, nil
	}
	domain, ok := domainOf(head, body, suffixes)
	if !ok {
		return proof{}, noDomain, nil
	}
	return proof{domain: domain, issued: issued, signed: true}, nil, nil
}

// claimed reads what a token says without a look at its signature.
func claimed(token string, suffixes []string) (proof, *refusal, error) {
	segments := strings.Split(token, ".")
	var decoded [2]contract.RawJSON
	for i := range decoded {
		data, err := base64.RawURLEncoding.DecodeString(segments[i])
		if err != nil {
			return proof{}, noBearer, nil
		}
		decoded[i] = data
	}
	head, body, ok := documents(decoded[0], decoded[1])
	if !ok {
		return proof{}, noBearer, nil
	}
	domain, ok := domainOf(head, body, suffixes)
	if !ok {
		return proof{}, noDomain, nil
	}
	return proof{domain: domain}, nil, nil
}

// documents parses a token's header and claims.
func documents(header, claims contract.RawJSON) (head, body payload.Object, ok bool) {
	limits := payload.Limits{MaxBytes: maxTokenBytes}
	head, err := payload.Parse(header, limits)
	if err != nil {
		return head, body, false
	}
	body, err = payload.Parse(claims, limits)
	return head, body, err == nil
}

// domainOf returns the portal that a token is about. An integration token names it in the
// header, others in the claims; where both do, they must mean the same.
func domainOf(head, body payload.Object, suffixes []string) (string, bool) {
	var domain string
	for _, part := range []payload.Object{head, body} {
		if !part.Has("domain") {
			continue
		}
		named, ok := normalDomain(part.String("domain"))
		if !ok || part.Err() != nil || domain != "" && named != domain {
			return "", false
		}
		domain = named
	}
	return domain, domain != "" && allowedDomain(domain, suffixes)
}

// bearer returns the bearer token of a request, if it has one that could be a JWT.
func bearer(headers []contract.Header) (string, bool) {
	value, ok := headerOnce(headers, "Authorization")
	scheme, token, found := strings.Cut(value, " ")
	if !ok || !found || !strings.EqualFold(scheme, "Bearer") || len(token) > maxTokenBytes {
		return "", false
	}
	segments := strings.Split(token, ".")
	if len(segments) != 3 {
		return "", false
	}
	for _, segment := range segments {
		if segment == "" || !only(segment, isBase64URL) {
			return "", false
		}
	}
	return token, true
}

func isBase64URL(c byte) bool { return isHostByte(c) || c == '_' }
