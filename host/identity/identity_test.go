package identity_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/keyfile"
)

var (
	ctx   = context.Background()
	start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	grant = identity.Grant{Subject: "dana", Role: identity.WorkspaceMember, Workspace: "wsp_1", TTL: time.Hour}
)

// revoked is the set of tokens that were taken back.
type revoked map[string]bool

func (r revoked) TokenRevoked(_ context.Context, jti string) (bool, error) { return r[jti], nil }

type brokenStore struct{ error }

func (b brokenStore) TokenRevoked(context.Context, string) (bool, error) { return false, b.error }

// house is an authority with its folder and a clock that is moved by hand.
type house struct {
	*identity.Authority
	data    string
	now     time.Time
	revoked revoked
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{data: t.TempDir(), now: start, revoked: revoked{}}
	a, err := identity.Open(identity.Options{DataDir: h.data, Revocations: h.revoked, Now: func() time.Time { return h.now }})
	if err != nil {
		t.Fatal(err)
	}
	h.Authority = a
	return h
}

// key reads the private key of the house and its name.
func (h *house) key(t testing.TB) (ed25519.PrivateKey, string) {
	t.Helper()
	stored, err := os.ReadFile(filepath.Join(keyfile.Folder(h.data), "identity.json"))
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []struct{ Kid, D string }
	}
	if err := json.Unmarshal(stored, &set); err != nil {
		t.Fatal(err)
	}
	seed, err := base64.RawURLEncoding.DecodeString(set.Keys[0].D)
	if err != nil {
		t.Fatal(err)
	}
	return ed25519.NewKeyFromSeed(seed), set.Keys[0].Kid
}

func issue(t testing.TB, h *house, g identity.Grant) (token, jti string) {
	t.Helper()
	token, jti, err := h.Issue(ctx, g)
	if err != nil {
		t.Fatal(err)
	}
	return token, jti
}

func TestATokenSaysWhatWasGranted(t *testing.T) {
	h := newHouse(t)
	for _, role := range identity.Roles() {
		g := identity.Grant{Subject: "dana", Role: role, TTL: time.Hour}
		if strings.HasPrefix(string(role), "workspace-") {
			g.Workspace = "wsp_1"
		}
		token, jti := issue(t, h, g)
		got, err := h.Verify(ctx, token)
		want := identity.Principal{Subject: "dana", Role: role, Workspace: g.Workspace, TokenID: jti, ExpiresAt: start.Add(time.Hour)}
		if got.ExpiresAt.Equal(want.ExpiresAt) {
			got.ExpiresAt = want.ExpiresAt // another location
		}
		if err != nil || got != want {
			t.Errorf("Verify = %+v, %v, want %+v", got, err, want)
		}
		if actor := got.Actor(); actor != (domain.Actor{Subject: "dana", Role: string(role)}) {
			t.Errorf("Actor = %+v", actor)
		}
	}
}

func TestGrantsThatMakeNoSenseAreRefusedWithEveryProblem(t *testing.T) {
	h := newHouse(t)
	for _, tt := range []struct {
		name   string
		change func(*identity.Grant)
		blamed []string
	}{
		{"no subject", func(g *identity.Grant) { g.Subject = "" }, []string{"subject"}},
		{"a long subject", func(g *identity.Grant) { g.Subject = strings.Repeat("x", 201) }, []string{"subject"}},
		{"no role", func(g *identity.Grant) { g.Role = "" }, []string{"role"}},
		{"an unknown role", func(g *identity.Grant) { g.Role = "workspace-root" }, []string{"role"}},
		{"a workspace role without one", func(g *identity.Grant) { g.Workspace = "" }, []string{"workspace"}},
		{"a host role in a workspace", func(g *identity.Grant) { g.Role = identity.Operator }, []string{"workspace"}},
		{"too short", func(g *identity.Grant) { g.TTL = time.Minute - 1 }, []string{"ttl_seconds"}},
		{"too long", func(g *identity.Grant) { g.TTL = 365*24*time.Hour + 1 }, []string{"ttl_seconds"}},
		{"everything", func(g *identity.Grant) { *g = identity.Grant{} }, []string{"subject", "role", "ttl_seconds"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := grant
			tt.change(&g)
			token, _, err := h.Issue(ctx, g)
			invalid := new(domain.Invalid)
			if !errors.As(err, &invalid) || token != "" || len(invalid.Problems) != len(tt.blamed) {
				t.Fatalf("Issue(%+v) = %q, %v, want problems of %v", g, token, err, tt.blamed)
			}
			for i, p := range invalid.Problems {
				if p.Field != tt.blamed[i] {
					t.Errorf("problem %d blames %s, want %s", i, p.Field, tt.blamed[i])
				}
			}
		})
	}
}

// claims are those of a genuine token, to be spoilt.
func claims() jwt.MapClaims {
	return jwt.MapClaims{"sub": "dana", "role": "operator", "jti": "tok_x", "iss": "patchbay", "aud": "patchbay",
		"iat": start.Unix(), "nbf": start.Unix(), "exp": start.Add(time.Hour).Unix()}
}

func sign(t testing.TB, method jwt.SigningMethod, kid any, key any, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	token.Header["kid"] = kid
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestForgedTokensAreRefused(t *testing.T) {
	h := newHouse(t)
	private, kid := h.key(t)
	public := private.Public().(ed25519.PublicKey)
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	genuine := sign(t, jwt.SigningMethodEdDSA, kid, private, claims())
	if _, err := h.Verify(ctx, genuine); err != nil {
		t.Fatalf("the token to spoil is not valid: %v", err)
	}
	parts := strings.Split(genuine, ".")
	spoilt := func(change func(jwt.MapClaims)) string {
		c := claims()
		change(c)
		return sign(t, jwt.SigningMethodEdDSA, kid, private, c)
	}
	without := func(name string) string { return spoilt(func(c jwt.MapClaims) { delete(c, name) }) }
	with := func(name string, value any) string { return spoilt(func(c jwt.MapClaims) { c[name] = value }) }
	for name, token := range map[string]string{
		"alg none":                               sign(t, jwt.SigningMethodNone, kid, jwt.UnsafeAllowNoneSignatureType, claims()),
		"HS256 with the public key":              sign(t, jwt.SigningMethodHS256, kid, []byte(public), claims()),
		"HS256 with the public key in base64":    sign(t, jwt.SigningMethodHS256, kid, []byte(base64.RawURLEncoding.EncodeToString(public)), claims()),
		"a stranger's key":                       sign(t, jwt.SigningMethodEdDSA, kid, stranger, claims()),
		"a stranger's key under another kid":     sign(t, jwt.SigningMethodEdDSA, "other", crypto.Signer(stranger), claims()),
		"the right key under another kid":        sign(t, jwt.SigningMethodEdDSA, "other", private, claims()),
		"no kid":                                 sign(t, jwt.SigningMethodEdDSA, nil, private, claims()),
		"a kid that is a number":                 sign(t, jwt.SigningMethodEdDSA, 1, private, claims()),
		"another issuer":                         with("iss", "elsewhere"),
		"no issuer":                              without("iss"),
		"another audience":                       with("aud", "elsewhere"),
		"no audience":                            without("aud"),
		"no end":                                 without("exp"),
		"an end that is text":                    with("exp", "tomorrow"),
		"no beginning":                           without("nbf"),
		"a beginning to come":                    with("nbf", start.Add(time.Minute).Unix()),
		"issued in the future":                   with("iat", start.Add(time.Minute).Unix()),
		"no subject":                             without("sub"),
		"no id":                                  without("jti"),
		"an unknown role":                        with("role", "root"),
		"no role":                                without("role"),
		"a role that is a list":                  with("role", []string{"operator"}),
		"a workspace role without a workspace":   with("role", "workspace-admin"),
		"a host role with a workspace":           with("workspace", "wsp_1"),
		"another payload":                        parts[0] + "." + strings.Split(with("sub", "eve"), ".")[1] + "." + parts[2],
		"no signature":                           parts[0] + "." + parts[1] + ".",
		"two parts":                              parts[0] + "." + parts[1],
		"four parts":                             genuine + ".x",
		"a space before":                         " " + genuine,
		"padding behind":                         genuine + "=",
		"the scheme in front":                    "Bearer " + genuine,
		"not a token":                            "hello",
		"too long":                               genuine + strings.Repeat("A", 8<<10),
		"bits set behind the end of a signature": parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-1] + nextLetter(parts[2]),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := h.Verify(ctx, token); !errors.Is(err, identity.ErrBadToken) || got != (identity.Principal{}) {
				t.Errorf("Verify = %+v, %v, want ErrBadToken and nobody", got, err)
			}
		})
	}
}

// nextLetter changes bits of the last letter that do not belong to the signature.
func nextLetter(signature string) string { return string(signature[len(signature)-1] + 1) }

func TestATokenWorksForItsTime(t *testing.T) {
	h := newHouse(t)
	token, _ := issue(t, h, grant)
	for _, tt := range []struct {
		name string
		at   time.Duration
		want error
	}{
		{"a clock slightly behind", -30 * time.Second, nil},
		{"a clock far behind", -31 * time.Second, identity.ErrBadToken},
		{"to the end", time.Hour, nil},
		{"slightly later", time.Hour + 29*time.Second, nil},
		{"later", time.Hour + 30*time.Second, identity.ErrExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.now = start.Add(tt.at)
			if _, err := h.Verify(ctx, token); !errors.Is(err, tt.want) {
				t.Errorf("Verify at %v = %v, want %v", tt.at, err, tt.want)
			}
		})
	}
}

func TestNoTokenIsItsOwnError(t *testing.T) {
	if _, err := newHouse(t).Verify(ctx, ""); !errors.Is(err, identity.ErrNoToken) {
		t.Errorf("Verify of nothing = %v, want ErrNoToken", err)
	}
}

func TestARevokedTokenIsRefusedAtOnce(t *testing.T) {
	h := newHouse(t)
	token, jti := issue(t, h, grant)
	other, _ := issue(t, h, grant)
	h.revoked[jti] = true
	if _, err := h.Verify(ctx, token); !errors.Is(err, identity.ErrRevoked) {
		t.Errorf("Verify = %v, want ErrRevoked", err)
	}
	if _, err := h.Verify(ctx, other); err != nil {
		t.Errorf("Verify of another token = %v, want none", err)
	}
}

func TestNobodyGetsInWhileRevocationsCannotBeRead(t *testing.T) {
	h := newHouse(t)
	token, _ := issue(t, h, grant)
	cause := errors.New("store unavailable")
	a, err := identity.Open(identity.Options{DataDir: h.data, Revocations: brokenStore{cause}, Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Verify(ctx, token)
	if !errors.Is(err, cause) || errors.Is(err, identity.ErrBadToken) || got != (identity.Principal{}) {
		t.Errorf("Verify = %+v, %v, want the store's error and nobody", got, err)
	}
}

func TestTheKeyOutlivesTheProcess(t *testing.T) {
	h := newHouse(t)
	token, _ := issue(t, h, grant)
	again, err := identity.Open(identity.Options{DataDir: h.data, Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Verify(ctx, token); err != nil {
		t.Errorf("Verify after a restart = %v", err)
	}
	info, err := os.Stat(filepath.Join(keyfile.Folder(h.data), "identity.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file has mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestASecondKeyVerifiesAndTheFirstSigns(t *testing.T) {
	old, young := newHouse(t), newHouse(t)
	oldToken, _ := issue(t, old, grant)
	_, youngID := young.key(t)
	path := func(h *house) string { return filepath.Join(keyfile.Folder(h.data), "identity.json") }
	var sets [2]map[string][]any
	for i, h := range []*house{young, old} {
		stored, err := os.ReadFile(path(h))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(stored, &sets[i]); err != nil {
			t.Fatal(err)
		}
	}
	both, err := json.Marshal(map[string]any{"keys": append(sets[0]["keys"], sets[1]["keys"]...)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path(young), both, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := identity.Open(identity.Options{DataDir: young.data, Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Verify(ctx, oldToken); err != nil {
		t.Errorf("a token of the old key: %v", err)
	}
	token, _, err := a.Issue(ctx, grant)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil || parsed.Header["kid"] != youngID {
		t.Errorf("a new token names key %v, %v, want the first one, %s", parsed.Header["kid"], err, youngID)
	}
}

func TestJWKSHoldsPublicKeysAlone(t *testing.T) {
	h := newHouse(t)
	private, kid := h.key(t)
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(h.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid,
		"x": base64.RawURLEncoding.EncodeToString(private.Public().(ed25519.PublicKey))}
	if len(set.Keys) != 1 || !maps.Equal(set.Keys[0], want) {
		t.Errorf("JWKS = %s, want %v", h.JWKS(), want)
	}
}

func TestAKeyFileThatIsNotOneIsRefusedWithoutShowingIt(t *testing.T) {
	h := newHouse(t)
	path := filepath.Join(keyfile.Folder(h.data), "identity.json")
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, kid := h.key(t)
	for name, content := range map[string][]byte{
		"not JSON":    []byte("hunter2"),
		"no keys":     []byte(`{"keys":[]}`),
		"a short key": []byte(`{"keys":[{"kid":"x","d":"aHVudGVyMg"}]}`),
		"another kid": bytes.ReplaceAll(stored, []byte(kid), []byte("hunter2")),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := identity.Open(identity.Options{DataDir: h.data})
			if err == nil || name != "another kid" && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Open = %v, want an error that does not show the file", err)
			}
		})
	}
}

// FuzzVerify asserts that whatever is accepted is a token that this host issued.
func FuzzVerify(f *testing.F) {
	h := newHouse(f)
	token, _ := issue(f, h, grant)
	private, kid := h.key(f)
	f.Add(token)
	f.Add(sign(f, jwt.SigningMethodNone, kid, jwt.UnsafeAllowNoneSignatureType, claims()))
	f.Add(sign(f, jwt.SigningMethodHS256, kid, []byte(private.Public().(ed25519.PublicKey)), claims()))
	f.Add("eyJhbGciOiJFZERTQSJ9..")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := h.Verify(ctx, text)
		if err == nil && text != token {
			t.Errorf("Verify(%q) = %+v, and this host never issued it", text, got)
		}
		if err != nil && got != (identity.Principal{}) {
			t.Errorf("Verify(%q) = %+v with error %v", text, got, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	h := newHouse(b)
	token, _ := issue(b, h, grant)
	for b.Loop() {
		if _, err := h.Verify(ctx, token); err != nil {
			b.Fatal(err)
		}
	}
}
