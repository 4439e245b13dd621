package pdktest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // platforms still sign with it
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"hash"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// madeUp returns the value of a secret that nobody set: the same for the same name, and
// found nowhere by accident.
func madeUp(name string) string {
	sum := sha256.Sum256([]byte("pdktest " + name))
	return "pdktest-" + hex.EncodeToString(sum[:16])
}

// resolved is the secret whose value counts: the stand-in's, if name has none.
func (h *Host) resolved(name string) string {
	if h.manifest != nil && h.secrets[name] == "" && h.manifest.Secrets[name].Default != "" {
		return h.manifest.Secrets[name].Default
	}
	return name
}

// key returns the value of a secret for a host function.
func (h *Host) key(function contract.HostFunction, name string) (string, error) {
	if err := h.enter(function); err != nil {
		return "", err
	}
	if h.manifest != nil {
		if _, ok := h.manifest.Secrets[name]; !ok {
			return "", h.refuse(contract.HostDenied, string(function)+": the manifest declares no secret "+name)
		}
	}
	value := h.Secret(name)
	if value == "" {
		return "", failure(contract.HostNotFound, "the connection has no secret "+name)
	}
	return value, nil
}

// SecretEqual implements [pdk.Host].
func (h *Host) SecretEqual(name, value string) (bool, error) {
	key, err := h.key(contract.HostSecretEqual, name)
	if err != nil {
		return false, err
	}
	return value != "" && subtle.ConstantTimeCompare([]byte(key), []byte(value)) == 1, nil
}

var hashes = map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}

func (h *Host) mac(function contract.HostFunction, name, algorithm string, message []byte) ([]byte, error) {
	key, err := h.key(function, name)
	if err != nil {
		return nil, err
	}
	digest, ok := hashes[algorithm]
	if !ok {
		return nil, h.refuse(contract.HostInvalid, string(function)+": there is no algorithm "+algorithm)
	}
	code := hmac.New(digest, []byte(key))
	code.Write(message)
	return code.Sum(nil), nil
}

// HMACVerify implements [pdk.Host].
func (h *Host) HMACVerify(q contract.HMACVerify) (bool, error) {
	message := q.Message
	if q.OverBody {
		message = h.body
	}
	want, err := h.mac(contract.HostHMACVerify, q.Name, q.Algorithm, message)
	return err == nil && hmac.Equal(want, q.MAC), err
}

// HMACSign implements [pdk.Host].
func (h *Host) HMACSign(q contract.HMACSign) ([]byte, error) {
	return h.mac(contract.HostHMACSign, q.Name, q.Algorithm, q.Message)
}

// JWTVerify implements [pdk.Host]. Times in the token are compared with [Host.Now].
func (h *Host) JWTVerify(q contract.JWTVerify) (contract.RawJSON, error) {
	secret, err := h.key(contract.HostJWTVerify, q.Name)
	if err != nil {
		return nil, err
	}
	keyed := func(*jwt.Token) (any, error) { return jwtKey(q.Algorithm, secret, false) }
	token, err := jwt.NewParser(jwt.WithValidMethods([]string{q.Algorithm}), jwt.WithTimeFunc(h.Now)).Parse(q.Token, keyed)
	if err != nil {
		return nil, failure(contract.HostDenied, "the token is not genuine")
	}
	claims, err := json.Marshal(token.Claims)
	if err != nil {
		return nil, failure(contract.HostInvalid, "the claims are no JSON object")
	}
	return claims, nil
}

// JWTSign implements [pdk.Host].
func (h *Host) JWTSign(q contract.JWTSign) (string, error) {
	secret, err := h.key(contract.HostJWTSign, q.Name)
	if err != nil {
		return "", err
	}
	var claims jwt.MapClaims
	method := jwt.GetSigningMethod(q.Algorithm)
	if err := json.Unmarshal(q.Claims, &claims); err != nil || method == nil || method == jwt.SigningMethodNone {
		return "", h.refuse(contract.HostInvalid, "jwt_sign: the claims are no JSON object, or there is no algorithm "+q.Algorithm)
	}
	key, err := jwtKey(q.Algorithm, secret, true)
	if err != nil {
		return "", failure(contract.HostInvalid, "the secret "+q.Name+" is no key for "+q.Algorithm)
	}
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		return "", failure(contract.HostInvalid, "the secret "+q.Name+" is no key for "+q.Algorithm)
	}
	return token, nil
}

// jwtKey turns a secret into a key: the bytes themselves for HMAC, PEM for the rest.
func jwtKey(algorithm, secret string, private bool) (any, error) {
	pemText := []byte(secret)
	switch family := strings.TrimRight(algorithm, "0123456789"); {
	case family == "HS":
		return pemText, nil
	case (family == "RS" || family == "PS") && private:
		return jwt.ParseRSAPrivateKeyFromPEM(pemText)
	case family == "RS" || family == "PS":
		return jwt.ParseRSAPublicKeyFromPEM(pemText)
	case family == "ES" && private:
		return jwt.ParseECPrivateKeyFromPEM(pemText)
	case family == "ES":
		return jwt.ParseECPublicKeyFromPEM(pemText)
	case algorithm == "EdDSA" && private:
		return jwt.ParseEdPrivateKeyFromPEM(pemText)
	case algorithm == "EdDSA":
		return jwt.ParseEdPublicKeyFromPEM(pemText)
	}
	return nil, jwt.ErrInvalidKeyType
}

// SignatureVerify implements [pdk.Host].
func (h *Host) SignatureVerify(q contract.SignatureVerify) (bool, error) {
	if err := h.enter(contract.HostSignatureVerify); err != nil {
		return false, err
	}
	key, err := publicKey(q.PEM)
	if err != nil {
		return false, failure(contract.HostInvalid, "the PEM holds no certificate and no public key")
	}
	sum1, sum256 := sha1.Sum(q.Message), sha256.Sum256(q.Message) //nolint:gosec // as above
	switch k := key.(type) {
	case *rsa.PublicKey:
		if q.Algorithm == "rsa-sha1" {
			return rsa.VerifyPKCS1v15(k, crypto.SHA1, sum1[:], q.Signature) == nil, nil
		}
		return q.Algorithm == "rsa-sha256" && rsa.VerifyPKCS1v15(k, crypto.SHA256, sum256[:], q.Signature) == nil, nil
	case *ecdsa.PublicKey:
		return q.Algorithm == "ecdsa-sha256" && ecdsa.VerifyASN1(k, sum256[:], q.Signature), nil
	case ed25519.PublicKey:
		return q.Algorithm == "ed25519" && ed25519.Verify(k, q.Message, q.Signature), nil
	}
	return false, failure(contract.HostInvalid, "a key of this kind is not supported")
}

func publicKey(text string) (any, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, jwt.ErrInvalidKeyType
	}
	if block.Type == "CERTIFICATE" {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}
