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
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"hash"
	"strings"
	"time"

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
func (h *Host) JWTVerify(q contract.JWTVerify) (*contract.JWTVerifyResult, error) {
	secret, err := h.key(contract.HostJWTVerify, q.Name)
	if err != nil {
		return nil, err
	}
	if q.LeewaySeconds < 0 || q.LeewaySeconds > 300 {
		return nil, h.refuse(contract.HostInvalid, "jwt_verify: leeway_seconds is not 0 to 300")
	}
	keyed := func(*jwt.Token) (any, error) { return jwtKey(q.Algorithm, secret, false) }
	_, err = jwt.NewParser(jwt.WithValidMethods([]string{q.Algorithm}), jwt.WithTimeFunc(h.Now), jwt.WithIssuedAt(),
		jwt.WithLeeway(time.Duration(q.LeewaySeconds)*time.Second)).Parse(q.Token, keyed)
	if err != nil {
		return nil, failure(contract.HostRefused, "the token is not genuine")
	}
	result := new(contract.JWTVerifyResult)
	for i, to := range []*contract.RawJSON{&result.Header, &result.Claims} {
		*to, err = base64.RawURLEncoding.DecodeString(strings.Split(q.Token, ".")[i])
		if err != nil {
			return nil, failure(contract.HostRefused, "the token is not genuine")
		}
	}
	return result, nil
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
func (h *Host) SignatureVerify(q contract.SignatureVerify) (*contract.SignatureVerdict, error) {
	if err := h.enter(contract.HostSignatureVerify); err != nil {
		return nil, err
	}
	key, certificate, err := publicKey(q.PEM)
	if err != nil {
		return nil, failure(contract.HostInvalid, "the PEM is not one certificate or one public key")
	}
	verdict := &contract.SignatureVerdict{Certificate: certificate}
	sum1, sum256 := sha1.Sum(q.Message), sha256.Sum256(q.Message) //nolint:gosec // as above
	switch k := key.(type) {
	case *rsa.PublicKey:
		if q.Algorithm == "rsa-sha1" {
			verdict.OK = rsa.VerifyPKCS1v15(k, crypto.SHA1, sum1[:], q.Signature) == nil
		} else {
			verdict.OK = q.Algorithm == "rsa-sha256" && rsa.VerifyPKCS1v15(k, crypto.SHA256, sum256[:], q.Signature) == nil
		}
	case *ecdsa.PublicKey:
		verdict.OK = q.Algorithm == "ecdsa-sha256" && ecdsa.VerifyASN1(k, sum256[:], q.Signature)
	case ed25519.PublicKey:
		verdict.OK = q.Algorithm == "ed25519" && ed25519.Verify(k, q.Message, q.Signature)
	default:
		return nil, failure(contract.HostInvalid, "a key of this kind is not supported")
	}
	return verdict, nil
}

// publicKey reads a PEM that is one block and nothing else.
func publicKey(text string) (any, *contract.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || strings.TrimSpace(string(rest)) != "" || !strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN "+block.Type) {
		return nil, nil, jwt.ErrInvalidKeyType
	}
	if block.Type != "CERTIFICATE" {
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		return key, nil, err
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	about := &contract.Certificate{NotBefore: c.NotBefore, NotAfter: c.NotAfter, KeyAlgorithm: strings.ToLower(c.PublicKeyAlgorithm.String())}
	for _, name := range c.DNSNames {
		about.DNSNames = append(about.DNSNames, strings.ToLower(name))
	}
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		about.KeyBits = int64(k.N.BitLen())
	case *ecdsa.PublicKey:
		about.KeyBits = int64(k.Curve.Params().BitSize)
	case ed25519.PublicKey:
		about.KeyBits = int64(8 * len(k))
	}
	return c.PublicKey, about, nil
}
