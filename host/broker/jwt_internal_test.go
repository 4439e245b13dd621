package broker

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

var jwtNow = time.Unix(1_800_000_000, 0)

func sealed(t testing.TB, algorithm, claims string, key secret.Text) string {
	t.Helper()
	token, err := signJWT(algorithm, contract.RawJSON(claims), key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// keyPair is a private and a public key in PEM for an algorithm.
func keyPair(t *testing.T, algorithm string) (private, public secret.Text) {
	t.Helper()
	var key, open any
	var err error
	switch algorithm[:2] {
	case "HS":
		same := secret.New("0123456789abcdef0123456789abcdef")
		return same, same
	case "RS", "PS":
		k, e := rsa.GenerateKey(rand.Reader, 2048)
		key, open, err = k, k.Public(), e
	case "ES":
		curve := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[algorithm]
		k, e := ecdsa.GenerateKey(curve, rand.Reader)
		key, open, err = k, k.Public(), e
	default:
		open, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err1 := x509.MarshalPKCS8PrivateKey(key)
	publicDER, err2 := x509.MarshalPKIXPublicKey(open)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}))),
		secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER})))
}

func TestATokenOfEveryAlgorithmIsVerifiedByItsOwnAndByNoOther(t *testing.T) {
	for _, algorithm := range []string{"HS256", "HS384", "HS512", "RS256", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			private, public := keyPair(t, algorithm)
			token := sealed(t, algorithm, `{"sub":"café","n":12345678901234567890}`, private)
			header, claims, problem := verifyJWT(contract.JWTVerify{Algorithm: algorithm, Token: token}, []secret.Text{public}, jwtNow)
			if problem != nil || string(claims) != `{"sub":"café","n":12345678901234567890}` || !strings.Contains(string(header), `"alg":"`+algorithm+`"`) {
				t.Fatalf("verify = %s, %s, %v", header, claims, problem)
			}
			for _, other := range jwtAlgorithms {
				if other == algorithm {
					continue
				}
				if _, claims, problem := verifyJWT(contract.JWTVerify{Algorithm: other, Token: token}, []secret.Text{public}, jwtNow); problem == nil || claims != nil {
					t.Errorf("a token of %s was believed where %s is the only algorithm", algorithm, other)
				}
			}
		})
	}
}

func TestATokenIsBelievedOnlyInItsTimeAndWithItsKey(t *testing.T) {
	key, now := secret.New("a key that nobody else knows"), jwtNow.Unix()
	claims := func(format string, arguments ...any) string {
		return sealed(t, "HS256", fmt.Sprintf(format, arguments...), key)
	}
	genuine := claims(`{"exp":%d,"nbf":%d,"iat":%d}`, now+60, now-60, now-60)
	head, rest, _ := strings.Cut(genuine, ".")
	body, signature, _ := strings.Cut(rest, ".")
	for _, tt := range []struct {
		name, token string
		leeway      int64
		want        string // a part of the message; empty means that it is believed
	}{
		{"in its time", genuine, 0, ""},
		{"without any time", claims(`{}`), 0, ""},
		{"at its very end", claims(`{"exp":%d}`, now), 0, "expired"},
		{"a second before its end", claims(`{"exp":%d}`, now+1), 0, ""},
		{"after its end, within what clocks may differ", claims(`{"exp":%d}`, now-29), 30, ""},
		{"after its end and beyond it", claims(`{"exp":%d}`, now-31), 30, "expired"},
		{"before its beginning", claims(`{"nbf":%d}`, now+31), 30, "not valid yet"},
		{"before its beginning, within what clocks may differ", claims(`{"nbf":%d}`, now+30), 30, ""},
		{"issued in the future", claims(`{"iat":%d}`, now+31), 30, "issued in the future"},
		{"an end that is a text", claims(`{"exp":"%d"}`, now+60), 0, "no number"},
		{"an end that is a list", claims(`{"exp":[%d]}`, now+60), 0, "no number"},
		{"signed with another key", sealed(t, "HS256", `{}`, secret.New("another key")), 0, "not genuine"},
		{"signed by nobody", encoded(`{"alg":"none"}`) + "." + encoded(`{}`) + ".", 0, "not genuine"},
		{"signed by nobody, spelt otherwise", encoded(`{"alg":"nOnE"}`) + "." + encoded(`{}`) + ".", 0, "not genuine"},
		{"without an algorithm", encoded(`{}`) + "." + body + "." + signature, 0, "not genuine"},
		{"another header", encoded(`{"alg":"HS256","kid":"1"}`) + "." + body + "." + signature, 0, "not genuine"},
		{"other claims", head + "." + encoded(`{"exp":9999999999}`) + "." + signature, 0, "not genuine"},
		{"no signature", head + "." + body + ".", 0, "not genuine"},
		{"two segments", head + "." + body, 0, "three segments"},
		{"four segments", genuine + ".x", 0, "three segments"},
		{"five segments, as an encrypted one has", genuine + ".x.x", 0, "three segments"},
		{"padding", head + "=." + body + "." + signature, 0, "base64url"},
		{"a line break", head[:4] + "\n" + head[4:] + "." + body + "." + signature, 0, "base64url"},
		{"claims that are no object", claims(`{}`)[:strings.Index(genuine, ".")] + "." + encoded(`[]`) + "." + signature, 0, "JSON objects"},
		{"a claim that stands twice", head + "." + encoded(`{"exp":1,"exp":9999999999}`) + "." + signature, 0, "JSON objects"},
		{"an extension that must be understood", encoded(`{"alg":"HS256","crit":["b64"],"b64":false}`) + "." + body + "." + signature, 0, "critical"},
		{"nothing", "", 0, "three segments"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := contract.JWTVerify{Name: "key", Algorithm: "HS256", Token: tt.token, LeewaySeconds: tt.leeway}
			_, claims, problem := verifyJWT(in, []secret.Text{key}, jwtNow)
			switch {
			case tt.want == "" && problem != nil:
				t.Errorf("%s: %v, want that it is believed", tt.token, problem)
			case tt.want != "" && (problem == nil || !strings.Contains(problem.Message, tt.want) || problem.Code != contract.HostRefused || claims != nil):
				t.Errorf("%s: %v, claims %s, want refused: %s", tt.token, problem, claims, tt.want)
			}
		})
	}
}

func TestAPublicKeyIsNoSecretToSignWith(t *testing.T) {
	_, public := keyPair(t, "RS256")
	// What an attacker does who knows the public key, and a plugin that took it for a secret.
	unsigned := encoded(`{"alg":"HS256","typ":"JWT"}`) + "." + encoded(`{}`)
	in := contract.JWTVerify{Name: "key", Algorithm: "HS256", Token: unsigned + ".AAAA"}
	if _, _, problem := verifyJWT(in, []secret.Text{public}, jwtNow); problem == nil || problem.Code != contract.HostInvalid {
		t.Errorf("verify with a public key as the secret of HS256: %v, want invalid", problem)
	}
	if token, err := signJWT("HS256", contract.RawJSON(`{}`), public); err == nil {
		t.Errorf("signed with a public key: %s", token)
	}
}

func TestAnyAcceptedValueOfTheSecretVerifies(t *testing.T) {
	older, newer := secret.New("the value before the rotation"), secret.New("the value after the rotation")
	for _, signedWith := range []secret.Text{older, newer} {
		in := contract.JWTVerify{Algorithm: "HS256", Token: sealed(t, "HS256", `{"a":1}`, signedWith)}
		if _, _, problem := verifyJWT(in, []secret.Text{newer, older}, jwtNow); problem != nil {
			t.Errorf("a token of an accepted value: %v", problem)
		}
	}
	expired := contract.JWTVerify{Algorithm: "HS256", Token: sealed(t, "HS256", `{"exp":1}`, older)}
	if _, _, problem := verifyJWT(expired, []secret.Text{older, newer}, jwtNow); problem == nil || !strings.Contains(problem.Message, "expired") {
		t.Errorf("an expired token of an old value: %v, want that it says so", problem)
	}
}

func FuzzVerifyJWT(f *testing.F) {
	key := secret.New("a key that nobody else knows")
	f.Add(sealed(f, "HS256", `{"exp":1800000060}`, key))
	f.Add("a.b.c")
	f.Add(encoded(`{"alg":"HS256"}`) + ".e30.")
	f.Fuzz(func(t *testing.T, token string) {
		header, claims, problem := verifyJWT(contract.JWTVerify{Algorithm: "HS256", Token: token}, []secret.Text{key}, jwtNow)
		if problem == nil && (!json.Valid(header) || !json.Valid(claims)) {
			t.Errorf("%q was believed, with header %q and claims %q", token, header, claims)
		}
		if problem != nil && (header != nil || claims != nil) {
			t.Errorf("%q was refused, and its claims are told all the same: %s %s", token, header, claims)
		}
		if _, _, problem := verifyJWT(contract.JWTVerify{Algorithm: "HS256", Token: token}, []secret.Text{secret.New("another key")}, jwtNow); problem == nil {
			t.Errorf("%q was believed by a key that signed nothing", token)
		}
	})
}
