package broker_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

const (
	installed = `k/{"access_token":"secret-access-1","refresh_token":"secret-refresh-1"}`
	signature = "c2lnbmF0dXJl-of-the-platform"
)

// installer is an app world whose plugin takes the tokens of what it receives, unless told
// otherwise.
type installer struct {
	*appWorld
	broken, ignores bool
	seen            []string // what receive was given
}

func newInstaller(t *testing.T) *installer {
	t.Helper()
	w := &installer{}
	w.appWorld = newAppWorld(t, nil)
	w.withTokens(manifest.TokenRule{})
	w.restart()
	w.plugins.set(func(ctx context.Context, g *call) ([]byte, error) {
		key, text, _ := strings.Cut(body(g), "/")
		if g.Export == string(contract.ExportRoute) {
			return contract.Marshal(&contract.RouteOutput{Key: key, Payload: text, Response: contract.Response{Status: 200},
				Park: &contract.Parking{Seconds: 600}}), nil
		}
		var in contract.ReceiveInput
		if err := contract.Unmarshal(g.Input, &in); err != nil {
			return nil, err
		}
		w.seen = append(w.seen, in.Routed.Payload+" "+in.Delivery.Headers[0].Value)
		if w.broken {
			return nil, &sandbox.Trap{}
		}
		if !w.ignores {
			ask[contract.Done](g, contract.HostCredentialsPut, &contract.CredentialsPut{AccessToken: "secret-access-1", RefreshToken: "secret-refresh-1"})
		}
		out := said("chat", "installed")
		out.DedupeKey = key
		return contract.Marshal(out), nil
	}, nil)
	return w
}

func (w *installer) install(t *testing.T) broker.Answer {
	t.Helper()
	return w.installAs(t, installed)
}

func (w *installer) installAs(t *testing.T, body string) broker.Answer {
	t.Helper()
	return w.Receive(t.Context(), broker.Request{Endpoint: appEndpoint, Method: "POST", Path: "/install", Body: []byte(body),
		Headers: []contract.Header{{Name: "authorization", Value: "Bearer aGVhZA.Ym9keQ." + signature}}})
}

// kept returns a delivery, having made sure that no token of its stands anywhere in the clear.
func (w *installer) kept(t *testing.T, id contract.DeliveryID, state domain.DeliveryState) domain.Delivery {
	t.Helper()
	d, err := w.store.Delivery(t.Context(), id)
	if err != nil || d.State != state {
		t.Fatalf("the delivery is %s (%s), %v, want %s", d.State, d.Reason, err, state)
	}
	sum := sha256.Sum256([]byte(installed))
	if d.BodySHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("its hash is %s, which is not that of what came", d.BodySHA256)
	}
	text := string(d.Body)
	if d.Routed != nil {
		text += d.Routed.Payload
	}
	runs, err := w.store.Recordings(t.Context(), string(id))
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range runs {
		raw, err := w.store.Recording(t.Context(), string(id), run)
		if err != nil {
			t.Fatal(err)
		}
		r, err := recording.Unpack(raw)
		if err != nil {
			t.Fatal(err)
		}
		text += written(r)
		shown, err := w.Recording(t.Context(), d.Workspace, string(id), run)
		if err != nil {
			t.Fatal(err)
		}
		if r, err = recording.Decode(shown); err != nil {
			t.Fatal(err)
		}
		text += written(r)
	}
	for _, secret := range []string{"secret-access-1", "secret-refresh-1"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is kept in the clear: %s", secret, text)
		}
	}
	if len(runs) > 0 && strings.Contains(text, signature) {
		t.Errorf("a recording holds the platform's signature: %s", text)
	}
	if problems := w.store.Check(t.Context()); len(problems) > 0 {
		t.Errorf("the store says %q", problems)
	}
	return d
}

func written(r *recording.Recording) string {
	text := string(r.Input) + string(r.Outcome.Output)
	for _, c := range r.Calls {
		text += string(c.Arguments) + string(c.Answer)
	}
	return text
}

func TestTokensOfADeliveryThatFailedAreEncryptedUntilTheyAreTaken(t *testing.T) {
	for _, tt := range []struct {
		name    string
		failing func(*installer)
		mended  func(*installer)
		owner   contract.ConnectionID
		ws      contract.WorkspaceID
	}{
		{"in receive", func(w *installer) { w.broken = true }, func(w *installer) { w.broken = false }, "con_a", "wsp_1"},
		{"because no plugin runs", func(w *installer) { w.plugins.err = registry.ErrNoPlugin }, func(w *installer) { w.plugins.err = nil }, "app_1", domain.HostWorkspace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newInstaller(t)
			w.assign(t, "k", w.a.ID)
			tt.failing(w)
			id := w.install(t).Delivery
			d := w.kept(t, id, domain.DeliveryFailed)
			if !d.Sealed || d.Connection != tt.owner || len(d.Body) == 0 {
				t.Errorf("kept is %+v", d)
			}
			if _, err := w.ReplayDelivery(t.Context(), domain.Actor{}, tt.ws, id, false); err != nil {
				t.Fatal(err)
			}
			w.kept(t, id, domain.DeliveryFailed)
			tt.mended(w)
			if _, err := w.ReplayDelivery(t.Context(), domain.Actor{}, tt.ws, id, false); err != nil {
				t.Fatal(err)
			}
			d = w.kept(t, id, domain.DeliveryAccepted)
			if d.Sealed || len(d.Body) > 0 || d.PayloadRemovedAt.IsZero() || d.Headers[0].Value != "removed" {
				t.Errorf("what was taken is kept as %+v", d)
			}
			want := `{"access_token":"secret-access-1","refresh_token":"secret-refresh-1"} Bearer aGVhZA.Ym9keQ.` + signature
			if i := slices.IndexFunc(w.seen, func(s string) bool { return s != want }); i >= 0 || len(w.seen) == 0 {
				t.Errorf("receive was given %q", w.seen)
			}
		})
	}
}

func TestTokensThatNobodyTakesStayEncrypted(t *testing.T) {
	w := newInstaller(t)
	w.ignores = true
	parked := w.install(t).Delivery
	if d := w.kept(t, parked, domain.DeliveryParked); !d.Sealed || !d.Routed.Sealed {
		t.Errorf("while it waits it is %+v", d)
	}
	w.assign(t, "k", w.a.ID)
	w.runClaims(t)
	if d := w.kept(t, parked, domain.DeliveryAccepted); !d.Sealed || len(d.Body) == 0 {
		t.Errorf("kept is %+v", d)
	}
	if !strings.Contains(w.seen[0], "secret-access-1") {
		t.Errorf("receive was given %q", w.seen)
	}
}

// TestAReplayThatTurnsOutToBeARepeatStaysEncrypted: it is kept, for it may be forced.
func TestAReplayThatTurnsOutToBeARepeatStaysEncrypted(t *testing.T) {
	w := newInstaller(t)
	w.assign(t, "k", w.a.ID)
	w.broken = true
	failed := w.install(t).Delivery
	w.broken = false
	if answer := w.installAs(t, installed+" "); answer.Status != 200 {
		t.Fatalf("the repeat was answered %d", answer.Status)
	}
	if _, err := w.ReplayDelivery(t.Context(), domain.Actor{}, "wsp_1", failed, false); err != nil {
		t.Fatal(err)
	}
	if d := w.kept(t, failed, domain.DeliverySuperseded); !d.Sealed || len(d.Body) == 0 {
		t.Errorf("kept is %+v", d)
	}
}

// TestTokensThatAreKnownAlreadyAreNotKeptInTheClearEither: the platform repeats itself.
func TestTokensThatAreKnownAlreadyAreNotKeptInTheClearEither(t *testing.T) {
	w := newInstaller(t)
	w.assign(t, "k", w.a.ID)
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		if g.Export == string(contract.ExportRoute) {
			return contract.Marshal(&contract.RouteOutput{Key: "k"}), nil
		}
		body(g)
		done := ask[contract.Done](g, contract.HostCredentialsPut, &contract.CredentialsPut{AccessToken: "secret-access-1", ExpiresAt: time.Unix(2e9, 0)})
		if done.Error != nil {
			return nil, done.Error
		}
		return contract.Marshal(said("chat", "installed")), nil
	}, nil)
	for _, body := range []string{installed + " ", installed} {
		id := w.installAs(t, body).Delivery
		if d, err := w.store.Delivery(t.Context(), id); err != nil || len(d.Body) > 0 || d.PayloadRemovedAt.IsZero() {
			t.Errorf("kept is %+v, %v", d, err)
		}
		if body == installed {
			w.kept(t, id, domain.DeliveryAccepted)
		}
	}
}

func TestWhatCarriesNoTokensOrMayTakeNoneIsKeptAsItCame(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		takes      bool
	}{
		{"an ordinary delivery", "k/hello", true},
		{"to a plugin that takes no tokens", installed, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newInstaller(t)
			w.assign(t, "k", w.a.ID)
			w.broken = true
			if !tt.takes {
				w.plugins.version.HostFunctions = []string{string(contract.HostDeliveryBody)}
			}
			answer := w.Receive(t.Context(), broker.Request{Endpoint: appEndpoint, Method: "POST", Body: []byte(tt.body), Headers: []contract.Header{{Name: "A", Value: "b"}}})
			d, err := w.store.Delivery(t.Context(), answer.Delivery)
			if err != nil || d.State != domain.DeliveryFailed || d.Sealed || string(d.Body) != tt.body {
				t.Errorf("kept is %+v with %q, %v", d, d.Body, err)
			}
			if runs, err := w.store.Recordings(t.Context(), string(d.ID)); err != nil || len(runs) != 1 {
				t.Errorf("recordings %v, %v", runs, err)
			}
		})
	}
}
