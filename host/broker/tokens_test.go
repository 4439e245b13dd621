package broker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// withTokens has the plugin of a world keep tokens.
func (w *world) withTokens(rule manifest.TokenRule) {
	p := &w.plugins.version.Plugin
	p.Manifest.Abilities = append(p.Manifest.Abilities, contract.ExportRefreshCredentials, contract.ExportExchangeCode)
	p.Manifest.Tokens = map[string]manifest.TokenRule{"connection": rule}
	p.Manifest.Credentials = map[string]manifest.Credential{}
	for _, name := range []string{contract.CredentialAccessToken, contract.CredentialRefreshToken} {
		p.Manifest.Credentials[name] = manifest.Credential{SendTo: []string{"api"}}
		p.Grant.Secrets = append(p.Grant.Secrets, "credential:"+name)
	}
}

// tokenPlatform takes one access token and one refresh token, and rotates both.
type tokenPlatform struct {
	w               *world
	access, refresh string
	next            int
	refreshes       int
	sent            []string // access tokens that came with messages
	failRefresh     *contract.HTTPResult
	refuseAll       bool
}

func (p *tokenPlatform) send(_ domain.EgressPolicy, reveal secret.Reveal, r contract.HTTPRequest) *contract.HTTPResult {
	name := "credential:access_token"
	if r.Body == "refresh" {
		name = "credential:refresh_token"
	}
	value, err := reveal(context.Background(), name)
	if refused := (*contract.HostError)(nil); errors.As(err, &refused) {
		return &contract.HTTPResult{Error: refused}
	} else if err != nil {
		return &contract.HTTPResult{Error: &contract.HostError{Code: contract.HostUnavailable, Message: err.Error(), Certain: true}}
	}
	if r.Body != "refresh" {
		p.sent = append(p.sent, value.Reveal())
		if value.Reveal() != p.access || p.refuseAll {
			return &contract.HTTPResult{Status: 401}
		}
		return &contract.HTTPResult{Status: 200}
	}
	p.refreshes++
	if p.failRefresh != nil {
		return p.failRefresh
	}
	if value.Reveal() != p.refresh {
		return &contract.HTTPResult{Status: 400, Body: `{"error":"invalid_grant"}`}
	}
	p.next++
	p.access, p.refresh = "access-token-"+string(rune('A'+p.next)), "refresh-token-"+string(rune('A'+p.next))
	return &contract.HTTPResult{Status: 200, Body: `{"access_token":"` + p.access + `","refresh_token":"` + p.refresh + `"}`}
}

// tokenGuest renews, exchanges and sends; hour is how long its tokens last.
func tokenGuest(_ context.Context, g *call) ([]byte, error) {
	switch contract.Export(g.Export) {
	case contract.ExportReceive:
		done := ask[contract.Done](g, contract.HostCredentialsPut, &contract.CredentialsPut{AccessToken: body(g), RefreshToken: "refresh-token-A",
			ExpiresAt: g.Now.Add(time.Hour)})
		if done.Error != nil {
			return nil, done.Error
		}
		return contract.Marshal(said("chat", "installed")), nil
	case contract.ExportRefreshCredentials:
		return contract.Marshal(renew(g)), nil
	case contract.ExportExchangeCode:
		var in contract.ExchangeCodeInput
		if err := contract.Unmarshal(g.Input, &in); err != nil {
			return nil, err
		}
		ask[contract.Done](g, contract.HostCredentialsPut, &contract.CredentialsPut{AccessToken: "for " + in.Code + " and " + in.CodeVerifier})
		return contract.Marshal(&contract.CommandOutput{}), nil
	}
	answer := ask[contract.HTTPResult](g, contract.HostHTTPSend, post("message {{credential:access_token}}", false))
	var out contract.CommandOutput
	switch {
	case answer.Error != nil && answer.Error.Code == contract.HostUnavailable:
		out.Failure = &contract.Failure{Class: contract.FailureRetry, Code: "token_renewed"}
	case answer.Error != nil || answer.Status == 401:
		out.Failure = &contract.Failure{Class: contract.FailureReauthorise, Code: "token_refused"}
	default:
		out.Sent = &contract.Sent{PlatformID: "p", Status: contract.MessageSent}
	}
	return contract.Marshal(&out), nil
}

func renew(g *call) *contract.CommandOutput {
	r := ask[contract.HTTPResult](g, contract.HostHTTPSend, post("refresh", false))
	switch {
	case r.Error != nil && r.Error.Certain || r.Status >= 500:
		return &contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailureRetry, Code: "away"}}
	case r.Error != nil:
		return &contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailureUncertain, Code: "no_answer"}}
	case r.Status != 200:
		return &contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailureReauthorise, Code: "invalid_grant", Message: "It is used up."}}
	}
	quoted := strings.Split(r.Body, `"`)
	done := ask[contract.Done](g, contract.HostCredentialsPut, &contract.CredentialsPut{AccessToken: quoted[3], RefreshToken: quoted[7],
		ExpiresAt: g.Now.Add(time.Hour)})
	if done.Error != nil {
		return &contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailureRetry, Code: done.Error.Code}}
	}
	return &contract.CommandOutput{}
}

func newTokenWorld(t *testing.T, rule manifest.TokenRule) (*world, *tokenPlatform) {
	t.Helper()
	w := newWorld(t, tokenGuest)
	w.withTokens(rule)
	p := &tokenPlatform{w: w, access: "access-token-A", refresh: "refresh-token-A"}
	w.outside.send = p.send
	return w, p
}

// install has the platform hand over its first tokens.
func (p *tokenPlatform) install(t *testing.T) {
	t.Helper()
	if a := p.w.deliver(t, p.access); a.Status != 200 {
		t.Fatalf("the install was answered %d", a.Status)
	}
}

// due queues the refresh that is to be made now.
func (w *world) due(t *testing.T, reason contract.RefreshReason) domain.Job {
	t.Helper()
	set := w.set(t)
	job, _, err := w.store.AcceptRefresh(t.Context(), domain.NewCommand{Workspace: "wsp_1", Connection: "con_1", At: time.Unix(w.now.Load(), 0),
		Command: domain.Command{Export: contract.ExportRefreshCredentials, By: "host",
			Refresh: &domain.Refresh{Reason: reason, Version: set.Version, Ambiguous: set.Ambiguous}}})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func (w *world) set(t *testing.T) domain.TokenSet {
	t.Helper()
	set, err := w.store.Tokens(t.Context(), "con_1")
	if err != nil && !errors.Is(err, domain.ErrNotFound) {
		t.Fatal(err)
	}
	return set
}

func TestTokensThatAWebhookBringsAreKeptWithItAndUsed(t *testing.T) {
	w, p := newTokenWorld(t, manifest.TokenRule{})
	if after := w.run(t, w.send(t, "chat", "too soon")); after.State != domain.JobParked || after.Failure.Class != contract.FailureReauthorise {
		t.Errorf("without a token set the message is %v with %+v", after.State, after.Failure)
	}
	p.install(t)
	set := w.set(t)
	if set.Version != 1 || !set.CanRefresh || set.Proven || bytes.Contains(set.Sealed, []byte("token-A")) {
		t.Errorf("kept is %+v", set)
	}
	if after := w.run(t, w.send(t, "chat", "hi")); after.State != domain.JobDone {
		t.Errorf("the message is %v with %+v", after.State, after.Failure)
	}
	if !w.set(t).Proven {
		t.Error("the platform took the token, and nobody noted it")
	}
	if list, _, err := w.store.Deliveries(t.Context(), domain.DeliveryFilter{Connection: "con_1"}, domain.Page{}); err != nil || len(list) != 1 || list[0].PayloadRemovedAt.IsZero() {
		t.Errorf("the delivery is kept as %+v, %v: its body holds the token", list, err)
	}
}

func TestARequestDoesNotGoOutWithAnExpiredTokenAndItsCommandWaits(t *testing.T) {
	w, p := newTokenWorld(t, manifest.TokenRule{})
	p.install(t)
	w.now.Add(3600)
	job := w.send(t, "chat", "hi")
	for range 3 {
		after := w.run(t, job)
		if after.State != domain.JobQueued || after.Attempts != 0 || len(p.sent) > 0 {
			t.Fatalf("the message is %v after %d attempts, sent with %q", after.State, after.Attempts, p.sent)
		}
		w.now.Add(2)
	}
	if after := w.run(t, w.due(t, contract.RefreshDue)); after.State != domain.JobDone {
		t.Fatalf("the refresh is %v with %+v", after.State, after.Failure)
	}
	if after := w.run(t, job); after.State != domain.JobDone || after.Attempts != 1 {
		t.Errorf("the message is %v after %d attempts", after.State, after.Attempts)
	}
	if len(p.sent) != 1 || p.sent[0] != "access-token-B" {
		t.Errorf("sent with %q", p.sent)
	}
}

func TestA401IsFollowedByOneRefreshAndOneRetry(t *testing.T) {
	w, p := newTokenWorld(t, manifest.TokenRule{})
	p.install(t)
	p.access = "revoked"
	one, two := w.send(t, "one", "hi"), w.send(t, "two", "hi")
	for _, job := range []domain.Job{one, two} {
		if after := w.run(t, job); after.State != domain.JobQueued || after.Attempts != 0 {
			t.Fatalf("after a 401 the message is %v after %d attempts, with %+v", after.State, after.Attempts, after.Failure)
		}
		w.now.Add(2)
	}
	if len(p.sent) != 1 {
		t.Errorf("%d requests went out with a token that was answered 401 before", len(p.sent)-1)
	}
	if set := w.set(t); set.StaleAt.IsZero() {
		t.Errorf("kept is %+v", set)
	}
	w.run(t, w.due(t, contract.RefreshRefused))
	for _, job := range []domain.Job{one, two} {
		if after := w.run(t, job); after.State != domain.JobDone || after.Attempts != 1 {
			t.Errorf("the message is %v after %d attempts, with %+v", after.State, after.Attempts, after.Failure)
		}
	}
	if p.refreshes != 1 {
		t.Errorf("refreshed %d times", p.refreshes)
	}
}

func TestASecond401WithANewerTokenIsThePluginsToJudge(t *testing.T) {
	w, p := newTokenWorld(t, manifest.TokenRule{})
	p.install(t)
	p.refuseAll = true
	job := w.run(t, w.send(t, "one", "hi"))
	w.run(t, w.due(t, contract.RefreshRefused))
	after := w.run(t, job)
	if after.State != domain.JobParked || after.Failure == nil || after.Failure.Code != "token_refused" || len(p.sent) != 2 {
		t.Errorf("the message is %v with %+v after %q", after.State, after.Failure, p.sent)
	}
	if !w.set(t).StaleAt.IsZero() {
		t.Error("the second 401 made the new token set stale, too")
	}
}

func TestA401WithoutAWayToRenewIsThePluginsToJudge(t *testing.T) {
	w, p := newTokenWorld(t, manifest.TokenRule{})
	p.install(t)
	w.plugins.version.Manifest.Abilities = w.plugins.version.Manifest.Abilities[:4] // refresh_credentials is not among them
	p.refuseAll = true
	if after := w.run(t, w.send(t, "one", "hi")); after.State != domain.JobParked || after.Failure.Code != "token_refused" {
		t.Errorf("the message is %v with %+v", after.State, after.Failure)
	}
}

func TestARefreshThatWasReplacedMeanwhileIsNotMade(t *testing.T) {
	w, p := newTokenWorld(t, manifest.TokenRule{})
	p.install(t)
	job := w.due(t, contract.RefreshAsked)
	if again := w.due(t, contract.RefreshDue); again.ID != job.ID {
		t.Errorf("two refreshes are queued: %s and %s", job.ID, again.ID)
	}
	p.access = "access-token-Z"
	p.install(t)
	if after := w.run(t, job); after.State != domain.JobDone || p.refreshes != 0 {
		t.Errorf("the refresh is %v after %d requests", after.State, p.refreshes)
	}
}

// TestARefreshThatLosesARaceLeavesTheNewerTokens: a person authorised the connection while
// the refresh was under way.
func TestARefreshThatLosesARaceLeavesTheNewerTokens(t *testing.T) {
	w, p := newTokenWorld(t, manifest.TokenRule{})
	p.install(t)
	job := w.due(t, contract.RefreshDue)
	w.outside.send = func(q domain.EgressPolicy, reveal secret.Reveal, r contract.HTTPRequest) *contract.HTTPResult {
		answer := p.send(q, reveal, r)
		if _, err := w.tokens.Put(t.Context(), w.connection, &contract.CredentialsPut{AccessToken: "by hand"}, nil, time.Unix(w.now.Load(), 0)); err != nil {
			t.Error(err)
		}
		return answer
	}
	if after := w.run(t, job); after.State != domain.JobDone {
		t.Errorf("the refresh is %v with %+v", after.State, after.Failure)
	}
	value, _, err := w.tokens.Access(t.Context(), domain.TokenOwner{ID: "con_1", Workspace: "wsp_1"})
	if err != nil || value.Reveal() != "by hand" {
		t.Errorf("the token is %q, %v", value.Reveal(), err)
	}
}

func TestAFailedRefreshEndsAndTheTokenSetSaysWhenTheNextIs(t *testing.T) {
	for _, tt := range []struct {
		name             string
		answer           contract.HTTPResult
		class            contract.FailureClass
		refused, ambigue bool
	}{
		{"an outage", contract.HTTPResult{Status: 503}, contract.FailureRetry, false, false},
		{"no answer", contract.HTTPResult{Error: &contract.HostError{Code: contract.HostTimeout}}, contract.FailureUncertain, false, true},
		{"a refusal", contract.HTTPResult{Status: 400}, contract.FailureReauthorise, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, p := newTokenWorld(t, manifest.TokenRule{})
			p.install(t)
			p.failRefresh = &tt.answer
			after := w.run(t, w.due(t, contract.RefreshDue))
			set := w.set(t)
			if after.State != domain.JobCancelled || after.Failure.Class != tt.class || set.Failures != 1 || set.FailedWith.Class != tt.class {
				t.Errorf("the refresh is %v with %+v; the token set %+v", after.State, after.Failure, set)
			}
			if set.RefusedAt.IsZero() == tt.refused || set.Ambiguous != tt.ambigue || set.RetryAt.IsZero() {
				t.Errorf("the token set is %+v", set)
			}
			if _, _, err := w.tokens.Access(t.Context(), domain.TokenOwner{ID: "con_1", Workspace: "wsp_1"}); err != nil {
				t.Errorf("the access token is good until it expires, and is not lent: %v", err)
			}
			notices, _, err := w.store.Notices(t.Context(), domain.NoticeFilter{Kind: domain.NoticeJobParked}, domain.Page{})
			if err != nil || len(notices) > 0 {
				t.Errorf("told %+v, %v", notices, err)
			}
		})
	}
}

func TestAnAuthorisationCodeIsOpenedForThePluginAlone(t *testing.T) {
	w, _ := newTokenWorld(t, manifest.TokenRule{})
	sealed, err := w.tokens.SealCode("con_1", secret.New("the-secret-code"), secret.New("the-secret-verifier"))
	if err != nil || bytes.Contains(sealed, []byte("the-secret")) {
		t.Fatal(err)
	}
	job, _, err := w.store.AcceptCommand(t.Context(), domain.NewCommand{Workspace: "wsp_1", Connection: "con_1", At: time.Unix(w.now.Load(), 0),
		Command: domain.Command{Export: contract.ExportExchangeCode, By: "host", Exchange: &domain.Exchange{Sealed: sealed}}})
	if err != nil {
		t.Fatal(err)
	}
	if after := w.run(t, job); after.State != domain.JobDone {
		t.Fatalf("the exchange is %v with %+v", after.State, after.Failure)
	}
	value, _, err := w.tokens.Access(t.Context(), domain.TokenOwner{ID: "con_1"})
	if err != nil || value.Reveal() != "for the-secret-code and the-secret-verifier" {
		t.Errorf("the token is %q, %v", value.Reveal(), err)
	}
	kept := w.recorded(t, job.ID)
	if bytes.Contains(kept, []byte("the-secret")) {
		t.Errorf("the recording holds the code:\n%s", kept)
	}
}

// recorded returns the recording of the first run of a job as it is kept, decoded.
func (w *world) recorded(t *testing.T, job string) []byte {
	t.Helper()
	kept, err := w.store.Recording(t.Context(), job, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := recording.Unpack(kept)
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// cutting is a store that loses power right after something was written.
type cutting struct {
	broker.Store
	after func(entries [][]byte) bool
}

func (c *cutting) WriteJournal(ctx context.Context, job string, from int, entries [][]byte) error {
	if err := c.Store.WriteJournal(ctx, job, from, entries); err != nil {
		return err
	}
	if c.after != nil && c.after(entries) {
		c.after = nil
		panic(errPowerCut)
	}
	return nil
}

// TestNewTokensSurviveACrashBeforeTheyAreSaved: the platform answered, and took the old
// refresh token away; its answer is in the journal alone.
func TestNewTokensSurviveACrashBeforeTheyAreSaved(t *testing.T) {
	w, p := newTokenWorld(t, manifest.TokenRule{})
	p.install(t)
	writes := 0
	cut := &cutting{Store: w.store}
	cut.after = func(entries [][]byte) bool {
		for _, e := range entries {
			if e[0] == '{' {
				t.Errorf("the journal holds %q in the clear", e)
			}
		}
		writes++
		return writes == 2 // the intent is the first
	}
	w.opts.Store = cut
	w.restart()
	job := w.due(t, contract.RefreshDue)
	w.runCut(t, job)
	if set := w.set(t); set.Version != 1 {
		t.Fatalf("kept is %+v", set)
	}
	after := w.run(t, job)
	if after.State != domain.JobDone || p.refreshes != 1 {
		t.Errorf("the refresh is %v with %+v after %d requests", after.State, after.Failure, p.refreshes)
	}
	if after := w.run(t, w.send(t, "chat", "hi")); after.State != domain.JobDone || len(p.sent) != 1 || p.sent[0] != "access-token-B" {
		t.Errorf("the message is %v, sent with %q", after.State, p.sent)
	}
	if kept := w.recorded(t, job.ID); bytes.Contains(kept, []byte("token-B")) {
		t.Errorf("the recording holds tokens:\n%s", kept)
	}
}

func TestTokensThatCannotBeSentAreRefused(t *testing.T) {
	for _, bad := range []string{"", "two\nlines", "naïve", strings.Repeat("x", 40<<10)} {
		w, _ := newTokenWorld(t, manifest.TokenRule{})
		var told *contract.HostError
		w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
			told = ask[contract.Done](g, contract.HostCredentialsPut, &contract.CredentialsPut{AccessToken: bad}).Error
			return contract.Marshal(said("chat", "x")), nil
		}, nil)
		w.deliver(t, "x")
		if told == nil || told.Code != contract.HostInvalid || w.set(t).Held() {
			t.Errorf("%.10q was answered %+v", bad, told)
		}
	}
}

// TestARefreshMayHandOverTwice: the second pair follows the first, as of a platform whose answer
// comes in two parts.
func TestARefreshMayHandOverTwice(t *testing.T) {
	w, p := newTokenWorld(t, manifest.TokenRule{})
	p.install(t)
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		for _, access := range []string{"access-token-1", "access-token-2"} {
			if done := ask[contract.Done](g, contract.HostCredentialsPut, &contract.CredentialsPut{AccessToken: access, RefreshToken: "refresh"}); done.Error != nil {
				return nil, done.Error
			}
		}
		return contract.Marshal(&contract.CommandOutput{}), nil
	}, nil)
	if after := w.run(t, w.due(t, contract.RefreshDue)); after.State != domain.JobDone {
		t.Fatalf("the refresh is %v with %+v", after.State, after.Failure)
	}
	if set := w.set(t); set.Version != 3 {
		t.Errorf("kept is version %d", set.Version)
	}
}

// TestACommandIsNotRunAgainForEverBecauseTokensAreReplaced: somebody else may replace them each
// time.
func TestACommandIsNotRunAgainForEverBecauseTokensAreReplaced(t *testing.T) {
	w, p := newTokenWorld(t, manifest.TokenRule{})
	p.install(t)
	p.refuseAll = true
	job, runs := w.send(t, "chat", "hi"), 0
	w.outside.send = func(policy domain.EgressPolicy, reveal secret.Reveal, r contract.HTTPRequest) *contract.HTTPResult {
		answer := p.send(policy, reveal, r)
		_, err := w.opts.Tokens.Put(t.Context(), domain.Connection{ID: "con_1", Workspace: "wsp_1"},
			&contract.CredentialsPut{AccessToken: fmt.Sprint("access-token-", runs)}, nil, time.Unix(w.now.Load(), 0))
		if err != nil {
			t.Error(err)
		}
		return answer
	}
	for job.State == domain.JobQueued && runs < 20 {
		job = w.run(t, job)
		runs++
		w.now.Add(2)
	}
	if job.State != domain.JobParked || runs != 5 || job.Attempts != 1 {
		t.Errorf("after %d runs the message is %v with %d attempts, %+v", runs, job.State, job.Attempts, job.Failure)
	}
}
