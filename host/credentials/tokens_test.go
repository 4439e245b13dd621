package credentials_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/seed75a60ee1/patchbay/host/credentials"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is a keeper of token sets over a safe.
type room struct {
	*credentials.Tokens
	t    *testing.T
	safe *safe
	m    *manifest.Manifest
	gone atomic.Bool // its plugin does not run
}

func newRoom(t *testing.T, rule manifest.TokenRule) *room {
	r := &room{t: t, safe: newSafe(), m: &manifest.Manifest{
		Abilities: []contract.Export{contract.ExportRefreshCredentials}, Tokens: map[string]manifest.TokenRule{"connection": rule}}}
	r.Tokens = r.keeper()
	return r
}

func (r *room) keeper() *credentials.Tokens {
	r.t.Helper()
	vault, err := credentials.OpenVault(r.t.TempDir(), time.Now)
	if err != nil {
		r.t.Fatal(err)
	}
	return credentials.NewTokens(credentials.TokenOptions{Vault: vault, Store: r.safe, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Manifest: func(string) (*manifest.Manifest, error) {
			if r.gone.Load() {
				return nil, errors.New("it was revoked")
			}
			return r.m, nil
		}})
}

// owner is how requests see the connection.
func (r *room) owner() domain.TokenOwner {
	o, _ := domain.TokenOwnerOf(r.m, domain.Connection{ID: conn, Workspace: "wsp_1"})
	return o
}

func (r *room) put(in contract.CredentialsPut) domain.TokenSet {
	r.t.Helper()
	set, err := r.Put(ctx, domain.Connection{ID: conn, Workspace: "wsp_1"}, &in, nil, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	return set
}

// renewed has the queued refresh succeed with a new pair that lives as long as life.
func (r *room) renewed(n int, life time.Duration) {
	r.t.Helper()
	job := r.safe.end(conn)
	from := job.Command.Refresh.Version
	_, err := r.Put(ctx, domain.Connection{ID: conn, Workspace: "wsp_1"}, &contract.CredentialsPut{
		AccessToken: fmt.Sprintf("access-%d", n), RefreshToken: fmt.Sprintf("refresh-%d", n), ExpiresAt: time.Now().Add(life)}, &from, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
}

// failed has the queued refresh fail.
func (r *room) failed(class contract.FailureClass) {
	r.t.Helper()
	job := r.safe.end(conn)
	for range 2 { // a run that was cut off tells it again
		if err := r.Failed(ctx, r.owner(), job.ID, *job.Command.Refresh, contract.Failure{Class: class, Code: "no"}, 0); err != nil {
			r.t.Fatal(err)
		}
	}
}

// running runs f with the keeper at work, in a bubble.
func running(t *testing.T, rule manifest.TokenRule, f func(r *room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, rule)
		stop := r.start()
		f(r)
		stop()
	})
}

// start has token sets kept fresh until stop is called.
func (r *room) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	return func() { cancel(); <-done }
}

// wait lets time pass.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// hour is a pair that lives for an hour.
func hour() contract.CredentialsPut {
	return contract.CredentialsPut{AccessToken: "access-0", RefreshToken: "refresh-0", ExpiresAt: time.Now().Add(time.Hour)}
}

func (r *room) lend() (string, string) {
	value, _, err := r.Access(ctx, r.owner())
	return value.Reveal(), contract.HostErrorCode(err)
}

func TestTokensAreRenewedAheadAndNotAllAtOnce(t *testing.T) {
	running(t, manifest.TokenRule{RefreshAheadPercent: 20}, func(r *room) {
		began, in := time.Now(), hour()
		for n := range 60 {
			c := domain.Connection{ID: contract.ConnectionID(fmt.Sprintf("con_%d", n)), Workspace: "wsp_1"}
			if _, err := r.Put(ctx, c, &in, nil, began); err != nil {
				r.t.Fatal(err)
			}
		}
		wait(44 * time.Minute)
		if early := r.safe.refreshes(); len(early) > 0 {
			r.t.Errorf("%d refreshes were queued within 44 minutes", len(early))
		}
		wait(4*time.Minute + time.Second)
		all := r.safe.refreshes()
		if len(all) != 60 {
			r.t.Fatalf("%d refreshes were queued, want one for each of 60", len(all))
		}
		if spread := all[59].at.Sub(all[0].at); spread < time.Minute || all[0].Reason != contract.RefreshDue || all[0].Version != 1 {
			r.t.Errorf("queued within %v: %+v", spread, all[0])
		}
	})
}

func TestAnIdleTokenSetIsKeptAlive(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rule  manifest.TokenRule
		in    contract.CredentialsPut
		after time.Duration
	}{
		{"by the manifest", manifest.TokenRule{KeepAliveSeconds: 20 * 86400}, contract.CredentialsPut{AccessToken: "a", RefreshToken: "r"}, 20 * 24 * time.Hour},
		{"before the refresh token expires", manifest.TokenRule{}, contract.CredentialsPut{AccessToken: "a", RefreshToken: "r",
			RefreshExpiresAt: time.Date(2000, 1, 31, 0, 0, 0, 0, time.UTC)}, 24 * 24 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			running(t, tt.rule, func(r *room) {
				r.put(tt.in)
				wait(tt.after * 88 / 100)
				if early := r.safe.refreshes(); len(early) > 0 {
					t.Errorf("renewed early: %+v", early)
				}
				wait(tt.after * 13 / 100)
				if all := r.safe.refreshes(); len(all) != 1 || all[0].Reason != contract.RefreshKeepAlive {
					t.Errorf("after %v: %+v", tt.after, all)
				}
			})
		})
	}
}

func TestAnOutageIsWaitedOutWithLongerAndLongerPauses(t *testing.T) {
	running(t, manifest.TokenRule{}, func(r *room) {
		r.put(hour())
		wait(48 * time.Minute)
		var pauses []time.Duration
		last := time.Now()
		for range 12 {
			r.failed(contract.FailureRetry)
			failed := time.Now()
			for len(r.safe.queuedOf(conn)) == 0 {
				wait(time.Second)
			}
			pauses = append(pauses, time.Since(failed))
			last = failed
		}
		for i, pause := range pauses {
			least := min(30*time.Second<<i, 15*time.Minute)
			if pause < least || pause > least+least/4+2*time.Second {
				t.Errorf("pause %d was %v, want %v and up to a quarter more", i+1, pause, least)
			}
		}
		if state, code := r.safe.state(conn); state != contract.StateDegraded || code != "credentials_failing" {
			t.Errorf("with an expired token the connection is %q, %q", state, code)
		}
		r.renewed(1, time.Hour)
		synctest.Wait()
		if state, code := r.safe.state(conn); state != "" {
			t.Errorf("renewed, the connection is %q, %q", state, code)
		}
		if token, code := r.lend(); token != "access-1" {
			t.Errorf("lent %q, %s; the last failure was at %v", token, code, last)
		}
	})
}

func TestAnOutageWithoutEndIsGivenUpAfterFourDaysAndNotBefore(t *testing.T) {
	running(t, manifest.TokenRule{}, func(r *room) {
		r.put(hour())
		began := time.Now()
		for time.Since(began) < 5*24*time.Hour {
			wait(10 * time.Minute)
			if len(r.safe.queuedOf(conn)) == 0 {
				continue
			}
			r.failed(contract.FailureRetry)
			synctest.Wait()
			state, code := r.safe.state(conn)
			if acts := state == contract.StateNeedsAction; acts != (time.Since(began) > 4*24*time.Hour+40*time.Minute) {
				t.Fatalf("after %v the connection is %q, %q", time.Since(began), state, code)
			}
		}
		if _, code := r.safe.state(conn); code != "credentials_given_up" {
			t.Errorf("the reason is %q", code)
		}
		if _, code := r.lend(); code != contract.HostUnauthorised {
			t.Errorf("a request is answered %q", code)
		}
		tries := len(r.safe.refreshes())
		wait(24 * time.Hour)
		if more := len(r.safe.refreshes()) - tries; more > 0 {
			t.Errorf("after it was given up, it was tried %d times", more)
		}
		if _, err := r.Ask(ctx, conn, "ann"); err != nil {
			t.Fatal(err)
		}
		r.renewed(1, time.Hour)
		synctest.Wait()
		if state, _ := r.safe.state(conn); state != "" {
			t.Errorf("renewed by hand, the connection is %q", state)
		}
	})
}

func TestARefreshWithoutAnAnswerIsTriedSoonAndSaysSo(t *testing.T) {
	running(t, manifest.TokenRule{}, func(r *room) {
		r.put(hour())
		for n := range 8 { // each token set is due at a moment of its own
			for len(r.safe.queuedOf(conn)) == 0 {
				wait(time.Second)
			}
			if all := r.safe.refreshes(); all[len(all)-1].Ambiguous {
				t.Error("one that follows no failure is ambiguous")
			}
			for _, pause := range []time.Duration{5 * time.Second, 30 * time.Second} {
				r.failed(contract.FailureUncertain)
				wait(pause - 10*time.Millisecond)
				if early := r.safe.queuedOf(conn); len(early) > 0 {
					t.Errorf("tried again before %v", pause)
				}
				wait(20 * time.Millisecond)
				if all := r.safe.refreshes(); len(r.safe.queuedOf(conn)) == 0 || !all[len(all)-1].Ambiguous {
					t.Fatalf("after %v queued is %+v", pause, all[len(all)-1])
				}
			}
			r.renewed(n+1, time.Hour)
		}
	})
}

func TestANewRefreshTokenThatIsRefusedBeforeItEverWorkedFallsBackOnce(t *testing.T) {
	for _, works := range []bool{true, false} {
		t.Run(fmt.Sprintf("the one before works %t", works), func(t *testing.T) {
			running(t, manifest.TokenRule{}, func(r *room) {
				r.put(hour())
				wait(48 * time.Minute)
				r.renewed(1, time.Hour)
				wait(48 * time.Minute)
				if token, _ := r.Refresh(ctx, r.owner()); token.Reveal() != "refresh-1" {
					t.Errorf("used %q", token.Reveal())
				}
				r.failed(contract.FailureReauthorise)
				wait(2 * time.Second)
				if token, _ := r.Refresh(ctx, r.owner()); token.Reveal() != "refresh-0" || len(r.safe.queuedOf(conn)) != 1 {
					t.Errorf("falls back to %q", token.Reveal())
				}
				if works {
					r.renewed(2, time.Hour)
				} else {
					r.failed(contract.FailureReauthorise)
				}
				synctest.Wait()
				if state, code := r.safe.state(conn); (state == contract.StateNeedsAction) == works {
					t.Errorf("the connection is %q, %q", state, code)
				}
			})
		})
	}
}

func TestARefreshTokenThatHasWorkedIsRefusedForGood(t *testing.T) {
	running(t, manifest.TokenRule{}, func(r *room) {
		r.put(hour())
		wait(48 * time.Minute)
		r.renewed(1, time.Hour)
		_, use, err := r.Access(ctx, r.owner())
		if err := errors.Join(err, r.Worked(ctx, use)); err != nil {
			t.Fatal(err)
		}
		wait(48 * time.Minute)
		r.failed(contract.FailureReauthorise)
		synctest.Wait()
		if state, code := r.safe.state(conn); state != contract.StateNeedsAction || code != "credentials_refused" {
			t.Errorf("the connection is %q, %q", state, code)
		}
		if token, _ := r.lend(); token != "access-1" {
			t.Errorf("the access token is good for 12 more minutes; lent was %q", token)
		}
		if status, err := r.Status(ctx, conn); err != nil || status.State != domain.TokensRefused || !status.Valid || !status.NextRefreshAt.IsZero() {
			t.Errorf("the status is %+v, %v", status, err)
		}
		wait(13 * time.Minute)
		if _, code := r.lend(); code != contract.HostUnauthorised {
			t.Errorf("a request is answered %q", code)
		}
		if n := len(r.safe.refreshes()); n != 2 {
			t.Errorf("%d refreshes", n)
		}
	})
}

func TestATokenSetThatCanBeHadIsGotWhenItIsNeeded(t *testing.T) {
	running(t, manifest.TokenRule{Obtain: true}, func(r *room) {
		wait(time.Hour)
		if _, code := r.lend(); code != contract.HostUnavailable {
			t.Errorf("a request is answered %q", code)
		}
		synctest.Wait()
		if all := r.safe.refreshes(); len(all) != 1 || all[0].Reason != contract.RefreshMissing || all[0].Version != 0 {
			t.Fatalf("queued are %+v", all)
		}
		r.failed(contract.FailurePermanent)
		synctest.Wait()
		if state, code := r.safe.state(conn); state != contract.StateNeedsAction || code != "credentials_refused" {
			t.Errorf("the connection is %q, %q", state, code)
		}
		if _, code := r.lend(); code != contract.HostUnauthorised {
			t.Errorf("a request is answered %q", code)
		}
		wait(time.Hour)
		o := r.owner()
		o.Since = time.Now() // its secret was changed, and it is set up again
		if _, _, err := r.Access(ctx, o); contract.HostErrorCode(err) != contract.HostUnavailable {
			t.Errorf("a new setup is answered %v", err)
		}
		synctest.Wait()
		r.renewed(1, time.Hour)
		synctest.Wait()
		if token, _ := r.lend(); token != "access-1" {
			t.Errorf("lent %q", token)
		}
		if state, _ := r.safe.state(conn); state != "" {
			t.Errorf("the connection is %q", state)
		}
	})
}

func TestA401MakesOneRefreshHoweverManyAskForIt(t *testing.T) {
	running(t, manifest.TokenRule{}, func(r *room) {
		r.put(hour())
		wait(time.Minute)
		_, use, err := r.Access(ctx, r.owner())
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if replaced, renewing, err := r.Unauthorised(ctx, use, true); replaced || !renewing || err != nil {
				t.Errorf("Unauthorised = %t, %t, %v", replaced, renewing, err)
			}
		}
		if _, code := r.lend(); code != contract.HostUnavailable {
			t.Errorf("a request is answered %q", code)
		}
		synctest.Wait()
		if all := r.safe.refreshes(); len(all) != 1 || all[0].Reason != contract.RefreshRefused {
			t.Errorf("queued are %+v", all)
		}
		r.renewed(1, time.Hour)
		if replaced, renewing, err := r.Unauthorised(ctx, use, true); !replaced || renewing || err != nil {
			t.Errorf("afterwards Unauthorised = %t, %t, %v", replaced, renewing, err)
		}
	})
}

func TestWhatCannotBeRenewedSaysSoWhenItExpires(t *testing.T) {
	running(t, manifest.TokenRule{}, func(r *room) {
		r.put(contract.CredentialsPut{AccessToken: "access-0", ExpiresAt: time.Now().Add(time.Hour)})
		wait(time.Hour - time.Minute)
		if state, code := r.safe.state(conn); state != "" {
			t.Errorf("a minute before, the connection is %q, %q", state, code)
		}
		wait(2 * time.Minute)
		if state, code := r.safe.state(conn); state != contract.StateNeedsAction || code != "credentials_expired" {
			t.Errorf("the connection is %q, %q", state, code)
		}
		var invalid *domain.Invalid
		if _, err := r.Ask(ctx, conn, "ann"); !errors.As(err, &invalid) {
			t.Errorf("asked by hand: %v", err)
		}
		if len(r.safe.refreshes()) > 0 {
			t.Error("it was tried")
		}
	})
}

func TestADisconnectedConnectionAndOneThatIsGoneAreLeftAlone(t *testing.T) {
	running(t, manifest.TokenRule{}, func(r *room) {
		r.safe.mu.Lock()
		r.safe.said = contract.StateDisconnected
		r.safe.mu.Unlock()
		r.put(hour())
		if _, err := r.Put(ctx, domain.Connection{ID: "con_gone", Workspace: "wsp_1"}, new(hour()), nil, time.Now()); err != nil {
			t.Fatal(err)
		}
		wait(3 * time.Hour)
		if all := r.safe.refreshes(); len(all) > 0 {
			t.Errorf("queued are %+v", all)
		}
	})
}

func TestAfterARestartAndWithoutItsPluginATokenSetIsRenewedAsSoonAsItCanBe(t *testing.T) {
	running(t, manifest.TokenRule{}, func(r *room) {
		r.put(hour())
		r.gone.Store(true)
		wait(50 * time.Minute)
		r.gone.Store(false)
		wait(6 * time.Minute)
		if all := r.safe.refreshes(); len(all) != 1 {
			t.Errorf("queued are %+v", all)
		}
		r.safe.end(conn)
		again := r.keeper()
		ctx, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { again.Run(ctx); close(done) }()
		synctest.Wait()
		if all := r.safe.refreshes(); len(all) != 2 {
			t.Errorf("after a restart queued are %+v", all)
		}
		stop()
		<-done
	})
}

func TestATokenIsLentOnlyAsLongAsItIsGood(t *testing.T) {
	r := newRoom(t, manifest.TokenRule{})
	rapid.Check(t, func(rt *rapid.T) {
		life := time.Duration(rapid.Int64Range(-5, 100_000).Draw(rt, "life")) * time.Second
		age := time.Duration(rapid.Int64Range(0, 100_000).Draw(rt, "age")) * time.Second
		now := time.Now()
		in := contract.CredentialsPut{AccessToken: rapid.StringMatching(`[ -~]{1,40}`).Draw(rt, "token"), RefreshToken: "r", ExpiresAt: now.Add(life - age)}
		if _, err := r.Put(ctx, domain.Connection{ID: conn, Workspace: "wsp_1"}, &in, nil, now.Add(-age)); err != nil {
			rt.Fatal(err)
		}
		token, code := r.lend()
		left := life - age
		switch good := left > 0 && left > min(10*time.Second, life/10)+time.Second; {
		case good && token != in.AccessToken:
			rt.Errorf("with %v left of %v, lent %q, %s", left, life, token, code)
		case left <= 0 && code != contract.HostUnavailable:
			rt.Errorf("with %v left of %v, lent %q, %s", left, life, token, code)
		}
	})
}

func TestManyHandOverAndBorrowTokensAtOnce(t *testing.T) {
	r := newRoom(t, manifest.TokenRule{})
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			for i := range 20 {
				r.put(contract.CredentialsPut{AccessToken: fmt.Sprintf("access-%d-%d", n, i), RefreshToken: "r"})
				if token, code := r.lend(); token == "" {
					t.Errorf("lent nothing: %s", code)
				}
			}
		})
	}
	all.Wait()
	if set, err := r.safe.Tokens(ctx, conn); err != nil || set.Version != 16*20 {
		t.Errorf("version %d, %v", set.Version, err)
	}
}

func TestATokenThatIsNotThereOrNotReadableIsNotLent(t *testing.T) {
	r := newRoom(t, manifest.TokenRule{})
	if _, code := r.lend(); code != contract.HostUnauthorised {
		t.Errorf("without tokens: %q", code)
	}
	if _, err := r.Refresh(ctx, r.owner()); contract.HostErrorCode(err) != contract.HostUnauthorised {
		t.Errorf("without tokens: %v", err)
	}
	r.put(hour())
	moved := r.safe.sets[conn]
	moved.Owner = "con_other"
	r.safe.sets["con_other"] = moved
	o := r.owner()
	o.ID = "con_other"
	if token, _, err := r.Access(ctx, o); err == nil || !token.IsZero() {
		t.Errorf("a token set that was moved to another connection lent %q", token.Reveal())
	}
}

func TestACodeAndAJournalOpenOnlyWhereTheyWereSealed(t *testing.T) {
	r := newRoom(t, manifest.TokenRule{})
	code, err := r.SealCode(conn, secret.New("code"), secret.Text{})
	if err != nil {
		t.Fatal(err)
	}
	if got, verifier, err := r.OpenCode(conn, code); err != nil || got.Reveal() != "code" || !verifier.IsZero() {
		t.Errorf("OpenCode = %q, %q, %v", got.Reveal(), verifier.Reveal(), err)
	}
	if _, _, err := r.OpenCode("con_2", code); err == nil {
		t.Error("another connection opened it")
	}
	entry, err := r.SealJournal(conn, "cmd_1", []byte("entry"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.OpenJournal(conn, "cmd_1", entry); err != nil || string(got) != "entry" {
		t.Errorf("OpenJournal = %q, %v", got, err)
	}
	if _, err := r.OpenJournal(conn, "cmd_2", entry); err == nil {
		t.Error("another job opened it")
	}
}
