package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

// renewable is an app with a portal that is installed. Inside a bubble of synctest, its clock is
// the bubble's.
func renewable(t *testing.T, extra ...string) *app {
	t.Helper()
	a := newApp(t, extra...)
	a.h.SetNow(time.Now())
	a.h.SetKV(keyInstallation, installation{domain: acme, state: installActive}.encode())
	return a
}

func (a *app) refresh(ambiguous bool) *contract.CommandOutput {
	a.t.Helper()
	a.h.SetNow(time.Now())
	return a.command(&contract.RefreshCredentialsInput{Command: info(), Connection: a.connection(), Reason: contract.RefreshDue, Ambiguous: ambiguous})
}

// class is a failure as a word: its class and code, or "renewed".
func class(out *contract.CommandOutput) string {
	if out.Failure == nil {
		return "renewed"
	}
	return string(out.Failure.Class) + " " + out.Failure.Code
}

const freshPair = `{"jwt":"access-2","refreshToken":"refresh-2","expireInSeconds":3600}`

func TestARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := renewable(t)
		a.h.Answer("POST", pathRefresh, pdktest.JSON(200, freshPair))
		if got := class(a.refresh(false)); got != "renewed" {
			t.Fatalf("it came to %s", got)
		}
		c := a.h.Credentials()
		if c.AccessToken != "access-2" || c.RefreshToken != "refresh-2" || !c.ExpiresAt.Equal(time.Now().Add(time.Hour)) ||
			!c.RefreshExpiresAt.Equal(time.Now().Add(refreshTokenLife)) {
			t.Errorf("the host was handed %+v", c)
		}
		r := a.h.Requests()[0]
		want := contract.Header{Name: "Authorization", Value: "Bearer {{credential:refresh_token}}"}
		if r.URL != "https://"+acme+pathRefresh || r.Body != "" || r.Headers[0] != want || r.Idempotent {
			t.Errorf("the portal was asked %+v", r)
		}
	})
}

func TestHowLongATokenLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		claims := fmt.Sprintf(`{"exp":%d}`, time.Now().Add(2*time.Hour).Unix())
		withExp := "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".x"
		for _, tt := range []struct {
			name, token, life string
			want              time.Duration
		}{
			{"expireInSeconds", "a", `,"expireInSeconds":60`, time.Minute},
			{"expiresInSeconds", "a", `,"expiresInSeconds":60`, time.Minute},
			{"a text", "a", `,"expireInSeconds":"60"`, time.Minute},
			{"the token's own", withExp, "", 2 * time.Hour},
			{"the answer's before the token's own", withExp, `,"expireInSeconds":60`, time.Minute},
			{"nothing", "a", "", 24 * time.Hour},
			{"null", "a", `,"expireInSeconds":null`, 24 * time.Hour},
			{"nonsense", "a", `,"expireInSeconds":"soon","expiresInSeconds":-1`, 24 * time.Hour},
			{"an age", "a", `,"expireInSeconds":99999999999`, 24 * time.Hour},
		} {
			a := renewable(t)
			a.h.Answer("POST", pathRefresh, pdktest.JSON(200, `{"jwt":"`+tt.token+`","refreshToken":"b"`+tt.life+`}`))
			if got := class(a.refresh(false)); got != "renewed" {
				t.Errorf("%s: it came to %s", tt.name, got)
			} else if life := time.Until(a.h.Credentials().ExpiresAt); life != tt.want {
				t.Errorf("%s: the token is said to live %v, want %v", tt.name, life, tt.want)
			}
		}
	})
}

func TestRefreshesThatFail(t *testing.T) {
	fail := func(code string, certain bool) contract.HTTPResult {
		return contract.HTTPResult{Error: &contract.HostError{Code: code, Certain: certain}}
	}
	for _, tt := range []struct {
		name            string
		answer          contract.HTTPResult
		first, repeated string
	}{
		{"no answer", fail(contract.HostTimeout, false), "uncertain refresh_uncertain", "retry portal_unavailable"},
		{"no way", fail(contract.HostUnreachable, true), "retry portal_unreachable", "retry portal_unreachable"},
		{"not now", fail(contract.HostUnavailable, true), "retry portal_unreachable", "retry portal_unreachable"},
		{"not allowed", fail(contract.HostDenied, true), "permanent not_allowed", "permanent not_allowed"},
		{"a server's error", pdktest.JSON(500, "{}"), "uncertain refresh_uncertain", "retry portal_unavailable"},
		{"a gateway's error", pdktest.JSON(502, "{}"), "uncertain refresh_uncertain", "retry portal_unavailable"},
		{"busy", pdktest.JSON(503, "{}"), "retry portal_busy", "retry portal_busy"},
		{"no JSON", pdktest.JSON(200, "<html>"), "uncertain refresh_uncertain", "retry portal_unavailable"},
		{"no token", pdktest.JSON(200, `{"refreshToken":"b"}`), "uncertain refresh_uncertain", "retry portal_unavailable"},
		{"a token that is none", pdktest.JSON(200, `{"jwt":"a b","refreshToken":"b"}`), "uncertain refresh_uncertain", "retry portal_unavailable"},
		{"a redirect", pdktest.JSON(302, ""), "permanent refresh_refused", "permanent refresh_refused"},
		{"bad request", pdktest.JSON(400, "{}"), "permanent refresh_refused", "permanent refresh_refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, ambiguous := range []bool{false, true} {
				a := renewable(t)
				a.h.Answer("POST", pathRefresh, tt.answer)
				if got, want := class(a.refresh(ambiguous)), map[bool]string{false: tt.first, true: tt.repeated}[ambiguous]; got != want {
					t.Errorf("it came to %q, want %q; ambiguous before: %v", got, want, ambiguous)
				}
				if a.h.Credentials() != nil {
					t.Errorf("the host was handed %+v", a.h.Credentials())
				}
			}
		})
	}
	a := renewable(t)
	busy := pdktest.JSON(429, "{}")
	busy.Headers = append(busy.Headers, contract.Header{Name: "Retry-After", Value: "3600"})
	a.h.Answer("POST", pathRefresh, busy)
	if out := a.refresh(false); class(out) != "retry_after portal_busy" || out.Failure.RetryAfterMillis != maxRefreshWaitMillis {
		t.Errorf("a portal that asks to wait an hour came to %+v", out.Failure)
	}
}

func TestSigningInAfterARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int64{401, 403} {
			a := renewable(t)
			a.h.Answer("POST", pathRefresh, pdktest.JSON(status, "{}"))
			a.h.Answer("POST", pathSignIn, pdktest.JSON(200, freshPair))
			if got := class(a.refresh(true)); got != "renewed" || a.h.Credentials().AccessToken != "access-2" {
				t.Errorf("it came to %s, %+v", got, a.h.Credentials())
			}
			var sent map[string]string
			last := a.h.Requests()[1]
			if err := json.Unmarshal([]byte(last.Body), &sent); err != nil || sent["client_id"] != "app-1" || sent["client_secret"] != "{{secret:client_secret}}" {
				t.Errorf("the portal was sent %s", last.Body)
			}
			time.Sleep(signInPause - time.Second) // of the bubble
			out := a.refresh(false)
			if class(out) != "retry_after sign_in_paused" || out.Failure.RetryAfterMillis != 1000 {
				t.Errorf("a second sign-in within ten minutes came to %+v", out.Failure)
			}
			time.Sleep(time.Second)
			if got := class(a.refresh(false)); got != "renewed" {
				t.Errorf("a second sign-in after ten minutes came to %s", got)
			}
		}
	})
}

func TestASignInThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := renewable(t)
		a.h.Answer("POST", pathRefresh, pdktest.JSON(401, "{}"))
		a.h.Answer("POST", pathSignIn, pdktest.JSON(403, "{}"), pdktest.JSON(200, freshPair))
		for range 2 { // the host tries the refresh token before this one, too
			if got := class(a.refresh(false)); got != "reauthorise token_refused" {
				t.Errorf("it came to %s", got)
			}
		}
		if n := len(a.h.Requests()); n != 3 {
			t.Errorf("%d requests were made, want two refreshes and one sign-in", n)
		}
		time.Sleep(signInPause)
		if got := class(a.refresh(false)); got != "renewed" {
			t.Errorf("after ten minutes it came to %s", got)
		}
		b := renewable(t)
		b.h.Answer("POST", pathRefresh, pdktest.JSON(401, "{}"))
		b.h.Answer("POST", pathSignIn, pdktest.JSON(500, "{}"))
		if got := class(b.refresh(false)); got != "retry portal_unavailable" {
			t.Errorf("an outage came to %s", got)
		}
	})
}

func TestNoSignIn(t *testing.T) {
	for name, extra := range map[string][]string{"switched off": {"allow_app_sign_in", "false"}, "without client_id": {"client_id", ""}} {
		a := renewable(t, extra...)
		a.h.Answer("POST", pathRefresh, pdktest.JSON(401, "{}"))
		if got := class(a.refresh(false)); got != "reauthorise token_refused" || len(a.h.Requests()) != 1 {
			t.Errorf("%s, it came to %s with %d requests", name, got, len(a.h.Requests()))
		}
	}
	a := renewable(t)
	a.h.TakeCredential(contract.CredentialRefreshToken)
	a.h.Answer("POST", pathSignIn, pdktest.JSON(200, freshPair))
	if got := class(a.refresh(false)); got != "renewed" {
		t.Errorf("without a refresh token, signing in came to %s", got)
	}
}

// Tokens and the client secret go to the portal that installed the app, and nowhere else.
func TestWhereTokensDoNotGo(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ready func(a *app)
		want  string
	}{
		{"nothing installed", func(a *app) { a.h.SetKV(keyInstallation, installation{}.encode()) }, "permanent portal_mismatch"},
		{"another portal in the settings", func(a *app) { a.set["portal_url"] = "https://evil.uspacy.ua" }, "permanent portal_mismatch"},
		{"a longer URL in the settings", func(a *app) { a.set["portal_url"] = "https://" + acme + "/x" }, "permanent portal_mismatch"},
		{"another port in the settings", func(a *app) { a.set["portal_url"] = "https://" + acme + ":8443" }, "permanent portal_mismatch"},
		{"uninstalled", func(a *app) { a.h.SetKV(keyInstallation, installation{domain: acme, state: installGone}.encode()) }, "permanent uninstalled"},
		{"unproven", func(a *app) { a.h.SetKV(keyInstallation, installation{domain: acme, state: installUnproven}.encode()) }, "retry install_unproven"},
		{"a domain that is not allowed any more", func(a *app) { a.set["portal_domain_suffixes"] = "uspacy.com" }, "permanent domain_refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := renewable(t)
			tt.ready(a)
			if got := class(a.refresh(false)); got != tt.want || len(a.h.Requests()) > 0 {
				t.Errorf("it came to %q with the requests %v, want %q and none", got, a.h.Requests(), tt.want)
			}
		})
	}
	a := newApp(t)
	if got := class(a.refresh(false)); got != "reauthorise not_installed" {
		t.Errorf("before the install it came to %s", got)
	}
	out := a.command(&contract.RefreshCredentialsInput{Command: info(), Connection: a.appConnection()})
	if !strings.HasPrefix(class(out), "permanent") {
		t.Errorf("for the app it came to %s", class(out))
	}
}
