package credentials_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/credentials"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/keyfile"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const conn = contract.ConnectionID("con_1")

var ctx = context.Background()

// shelf is a store in memory.
type shelf struct {
	mu   sync.Mutex
	kept map[string]domain.Secret
}

func (s *shelf) Secret(_ context.Context, c contract.ConnectionID, name string) (domain.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.kept[string(c)+"/"+name]
	if !ok {
		return domain.Secret{}, domain.ErrNotFound
	}
	kept.Values = slices.Clone(kept.Values)
	return kept, nil
}

func (s *shelf) PutSecret(_ context.Context, d domain.Secret) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[string(d.Connection)+"/"+d.Name] = d
	return nil
}

// clock is moved by hand.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newKeeper(t *testing.T) (*credentials.Keeper, *shelf, *clock) {
	t.Helper()
	c := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	vault, err := credentials.OpenVault(t.TempDir(), c.now)
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{kept: map[string]domain.Secret{}}
	return credentials.NewKeeper(vault, s), s, c
}

func rotate(t *testing.T, k *credentials.Keeper, value string, overlap time.Duration) {
	t.Helper()
	if err := k.Rotate(ctx, conn, "token", secret.New(value), overlap); err != nil {
		t.Fatal(err)
	}
}

// wantEqual fails unless exactly the values in want are equal to the secret.
func wantEqual(t *testing.T, k *credentials.Keeper, when string, want map[string]bool) {
	t.Helper()
	for candidate, equal := range want {
		if got, err := k.Equal(ctx, conn, "token", candidate); err != nil || got != equal {
			t.Errorf("%s: Equal(%q) = %v, %v, want %v", when, candidate, got, err, equal)
		}
	}
}

func TestASealedValueOpensForItsConnectionAndNameAlone(t *testing.T) {
	k, _, c := newKeeper(t)
	sealed, err := k.Seal(conn, "token", secret.New("value"))
	if err != nil || !sealed.CreatedAt.Equal(c.at) || bytes.Contains(sealed.Ciphertext, []byte("value")) {
		t.Fatalf("Seal = %+v, %v", sealed, err)
	}
	if got, err := k.Open(conn, "token", sealed); err != nil || got.Reveal() != "value" {
		t.Errorf("Open = %q, %v, want value", got.Reveal(), err)
	}
	flipped := domain.SecretValue{Ciphertext: bytes.Clone(sealed.Ciphertext)}
	flipped.Ciphertext[len(flipped.Ciphertext)-1] ^= 1
	for _, tt := range []struct {
		what, name string
		c          contract.ConnectionID
		sealed     domain.SecretValue
	}{
		{"another connection", "token", "con_2", sealed},
		{"another name", "token2", conn, sealed},
		{"a border moved between them", "1token", "con_", sealed},
		{"a flipped bit", "token", conn, flipped},
		{"nothing", "token", conn, domain.SecretValue{}},
	} {
		if got, err := k.Open(tt.c, tt.name, tt.sealed); err == nil {
			t.Errorf("Open of %s = %q, want an error", tt.what, got.Reveal())
		}
	}
}

func TestZeroBytesDoNotMoveTheBorderBetweenConnectionAndName(t *testing.T) {
	k, _, _ := newKeeper(t)
	sealed, err := k.Seal("a", "b\x00c", secret.New("value"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open("a\x00b", "c", sealed); err == nil {
		t.Errorf("Open = %q, want an error", got.Reveal())
	}
}

func TestOneValueSealedTwiceLooksDifferent(t *testing.T) {
	k, _, _ := newKeeper(t)
	a, errA := k.Seal(conn, "token", secret.New("value"))
	b, errB := k.Seal(conn, "token", secret.New("value"))
	if err := errors.Join(errA, errB); err != nil || bytes.Equal(a.Ciphertext, b.Ciphertext) {
		t.Errorf("two seals of one value are equal, %v", err)
	}
}

func TestSealRefusesEmptyAndHugeValuesWithoutShowingThem(t *testing.T) {
	k, _, _ := newKeeper(t)
	for _, value := range []string{"", strings.Repeat("hunter2", credentials.MaxBytes)} {
		_, err := k.Seal(conn, "token", secret.New(value))
		if invalid := (*domain.Invalid)(nil); !errors.As(err, &invalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Seal of %d bytes = %v, want *domain.Invalid", len(value), err)
		}
	}
}

func TestTheVaultOpensAgainWithItsKey(t *testing.T) {
	data := t.TempDir()
	first, err := credentials.OpenVault(data, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := first.Seal(conn, "token", secret.New("value"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := credentials.OpenVault(data, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open(conn, "token", sealed); err != nil || got.Reveal() != "value" {
		t.Errorf("Open after a restart = %q, %v", got.Reveal(), err)
	}
	other, err := credentials.OpenVault(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(conn, "token", sealed); err == nil {
		t.Error("another host's vault opened the value")
	}
}

func TestAKeyFileThatIsNotOneIsRefused(t *testing.T) {
	data := t.TempDir()
	if _, err := credentials.OpenVault(data, time.Now); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(keyfile.Folder(data), "secrets.json")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := credentials.OpenVault(data, time.Now)
	if refused := (*keyfile.Error)(nil); !errors.As(err, &refused) {
		t.Errorf("OpenVault with a key that others may read = %v, want *keyfile.Error", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"primaryKeyId":1,"key":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := credentials.OpenVault(data, time.Now); err == nil {
		t.Error("OpenVault with an empty keyset succeeded")
	}
}

// TestAKeysetWithTwoKeysOpensBoth holds the promise that keys can be rotated without a new
// format.
func TestAKeysetWithTwoKeysOpensBoth(t *testing.T) {
	folders := []string{t.TempDir(), t.TempDir()}
	var sets [2]struct {
		Primary uint32            `json:"primaryKeyId"`
		Keys    []json.RawMessage `json:"key"`
	}
	var sealed [2]domain.SecretValue
	for i, data := range folders {
		vault, err := credentials.OpenVault(data, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if sealed[i], err = vault.Seal(conn, "token", secret.New("value")); err != nil {
			t.Fatal(err)
		}
		stored, err := os.ReadFile(filepath.Join(keyfile.Folder(data), "secrets.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(stored, &sets[i]); err != nil {
			t.Fatal(err)
		}
	}
	sets[0].Keys = append(sets[0].Keys, sets[1].Keys...)
	merged, err := json.Marshal(sets[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(keyfile.Folder(folders[0]), "secrets.json"), merged, 0o600); err != nil {
		t.Fatal(err)
	}
	vault, err := credentials.OpenVault(folders[0], time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		if got, err := vault.Open(conn, "token", sealed[i]); err != nil || got.Reveal() != "value" {
			t.Errorf("key %d: Open = %q, %v", i, got.Reveal(), err)
		}
	}
}

func TestRotationOverlaps(t *testing.T) {
	k, _, c := newKeeper(t)
	rotate(t, k, "first", time.Hour)
	wantEqual(t, k, "at first", map[string]bool{"first": true, "second": false, "": false})
	rotate(t, k, "second", time.Hour)
	wantEqual(t, k, "within the overlap", map[string]bool{"first": true, "second": true})
	if got, err := k.Reveal(ctx, conn, "token"); err != nil || got.Reveal() != "second" {
		t.Errorf("Reveal = %q, %v, want the newest", got.Reveal(), err)
	}
	c.at = c.at.Add(time.Hour - time.Nanosecond)
	wantEqual(t, k, "just before its end", map[string]bool{"first": true, "second": true})
	c.at = c.at.Add(time.Nanosecond)
	wantEqual(t, k, "at its end", map[string]bool{"first": false, "second": true})
	rotate(t, k, "third", 0)
	wantEqual(t, k, "without an overlap", map[string]bool{"first": false, "second": false, "third": true})
}

func TestRotatingAgainNeverProlongsAnOldValue(t *testing.T) {
	k, s, c := newKeeper(t)
	rotate(t, k, "first", 0)
	rotate(t, k, "second", time.Minute)
	rotate(t, k, "third", time.Hour)
	c.at = c.at.Add(time.Minute)
	wantEqual(t, k, "after a minute", map[string]bool{"first": false, "second": true, "third": true})
	rotate(t, k, "third", 0) // the same again, to end the others
	wantEqual(t, k, "ended early", map[string]bool{"second": false, "third": true})
	if n := len(s.kept["con_1/token"].Values); n != 1 {
		t.Errorf("%d values are kept, want 1", n)
	}
}

func TestRevealIgnoresAClockThatWentBack(t *testing.T) {
	k, _, c := newKeeper(t)
	rotate(t, k, "first", 0)
	c.at = c.at.Add(-time.Hour)
	rotate(t, k, "second", 24*time.Hour)
	if got, err := k.Reveal(ctx, conn, "token"); err != nil || got.Reveal() != "second" {
		t.Errorf("Reveal = %q, %v, want the value that was set last", got.Reveal(), err)
	}
}

func TestTooManyValuesAtOnceAreAQuota(t *testing.T) {
	k, _, _ := newKeeper(t)
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = k.Rotate(ctx, conn, "token", secret.New(strings.Repeat("x", i+1)), time.Hour)
	}
	if !errors.Is(err, domain.ErrQuota) {
		t.Errorf("a hundred rotations = %v, want ErrQuota", err)
	}
}

func TestRotationsAtOnceLoseNoValue(t *testing.T) {
	k, _, _ := newKeeper(t)
	values := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	var all sync.WaitGroup
	for _, value := range values {
		all.Go(func() {
			if err := k.Rotate(ctx, conn, "token", secret.New(value), time.Hour); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, value := range values {
		wantEqual(t, k, "afterwards", map[string]bool{value: true})
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	k, s, c := newKeeper(t)
	sealed, err := k.Seal(conn, "old", secret.New("value"))
	if err != nil {
		t.Fatal(err)
	}
	sealed.ExpiresAt = c.at
	s.kept["con_1/old"] = domain.Secret{Connection: conn, Name: "old", Values: []domain.SecretValue{sealed}}
	for _, name := range []string{"none", "old"} {
		_, reveal := k.Reveal(ctx, conn, name)
		_, equal := k.Equal(ctx, conn, name, "value")
		_, verify := k.HMACVerify(ctx, conn, name, "sha256", nil, nil)
		_, sign := k.HMACSign(ctx, conn, name, "sha256", nil)
		for what, err := range map[string]error{"Reveal": reveal, "Equal": equal, "HMACVerify": verify, "HMACSign": sign} {
			if !errors.Is(err, domain.ErrNotFound) {
				t.Errorf("%s(%q) = %v, want ErrNotFound", what, name, err)
			}
		}
	}
}

// The vectors are test case 2 of RFC 2202 (SHA-1) and of RFC 4231 (SHA-2).
func TestHMAC(t *testing.T) {
	k, _, _ := newKeeper(t)
	rotate(t, k, "Jefe", 0)
	message := []byte("what do ya want for nothing?")
	for algorithm, code := range map[string]string{
		"sha1":   "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
		"sha256": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		"sha512": "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
	} {
		t.Run(algorithm, func(t *testing.T) {
			want, err := hex.DecodeString(code)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := k.HMACSign(ctx, conn, "token", algorithm, message); err != nil || !bytes.Equal(got, want) {
				t.Errorf("HMACSign = %x, %v, want %s", got, err, code)
			}
			rotate(t, k, "another key", time.Hour) // the old one still verifies
			defer rotate(t, k, "Jefe", 0)
			for name, mac := range map[string][]byte{"genuine": want, "cut short": want[:8], "empty": nil, "flipped": append(bytes.Clone(want[:len(want)-1]), want[len(want)-1]^1)} {
				if ok, err := k.HMACVerify(ctx, conn, "token", algorithm, message, mac); err != nil || ok != (name == "genuine") {
					t.Errorf("HMACVerify of a code that is %s = %v, %v", name, ok, err)
				}
			}
		})
	}
	_, sign := k.HMACSign(ctx, conn, "token", "md5", message)
	_, verify := k.HMACVerify(ctx, conn, "token", "md5", message, nil)
	if !errors.Is(sign, credentials.ErrAlgorithm) || !errors.Is(verify, credentials.ErrAlgorithm) {
		t.Errorf("md5: %v and %v, want ErrAlgorithm", sign, verify)
	}
}

// BenchmarkEqual is one comparison with a secret in a store in memory.
func BenchmarkEqual(b *testing.B) {
	vault, err := credentials.OpenVault(b.TempDir(), time.Now)
	if err != nil {
		b.Fatal(err)
	}
	k := credentials.NewKeeper(vault, &shelf{kept: map[string]domain.Secret{}})
	if err := k.Rotate(ctx, conn, "token", secret.New(strings.Repeat("x", 43)), 0); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if ok, err := k.Equal(ctx, conn, "token", "no"); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
