package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/failpoint"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Tokens keeps the token sets of connections and apps.
type Tokens interface {
	// Put keeps a token set durably. With from it replaces that version alone, or the error
	// matches domain.ErrConflict. A token set that cannot be taken is a [*contract.HostError].
	Put(ctx context.Context, c domain.Connection, in *contract.CredentialsPut, from *uint64, at time.Time) (domain.TokenSet, error)
	// Draft makes the token set that follows the present one, for whoever commits it; known
	// tells that it is the present one.
	Draft(ctx context.Context, c domain.Connection, in *contract.CredentialsPut, renews bool, at time.Time) (set domain.TokenSet, known bool, err error)
	// Changed is to be called after such a commit.
	Changed(owner contract.ConnectionID)
	// Version is that of the present token set; 0 if there is none.
	Version(ctx context.Context, owner contract.ConnectionID) (uint64, error)
	// Access and Refresh lend a token for one request. What may not go out is a
	// [*contract.HostError] for the plugin.
	Access(ctx context.Context, o domain.TokenOwner) (secret.Text, domain.TokenUse, error)
	Refresh(ctx context.Context, o domain.TokenOwner) (secret.Text, error)
	// Worked and Unauthorised are told how the platform took an access token; see there.
	Worked(ctx context.Context, use domain.TokenUse) error
	Unauthorised(ctx context.Context, use domain.TokenUse, renew bool) (replaced, renewing bool, err error)
	// Failed is told of a refresh that failed.
	Failed(ctx context.Context, o domain.TokenOwner, job string, r domain.Refresh, failure contract.Failure, paused time.Duration) error
	OpenCode(c contract.ConnectionID, sealed []byte) (code, verifier secret.Text, err error)
	SealJournal(c contract.ConnectionID, job string, entry []byte) ([]byte, error)
	OpenJournal(c contract.ConnectionID, job string, sealed []byte) ([]byte, error)
}

// token lends a token of the invocation's own token set, or of its app's.
func (inv *invocation) token(ctx context.Context, name string) (secret.Text, error) {
	owner, ok := inv.tokenOwner(name)
	if !ok {
		return secret.Text{}, domain.ErrNotFound
	}
	if name == contract.CredentialRefreshToken {
		return inv.broker.opts.Tokens.Refresh(ctx, owner)
	}
	value, use, err := inv.broker.opts.Tokens.Access(ctx, owner)
	if err != nil {
		return secret.Text{}, err
	}
	inv.carried = append(inv.carried, use)
	failpoint.Hit(failpoint.CredentialsBeforeUse)
	return value, nil
}

// tokenOwner says whose token set a credential is of; false if there is no such thing.
func (inv *invocation) tokenOwner(credential string) (domain.TokenOwner, bool) {
	c := inv.connection
	switch credential {
	case contract.CredentialAccessToken, contract.CredentialRefreshToken:
	case contract.CredentialAppAccessToken:
		if inv.app == nil {
			return domain.TokenOwner{}, false
		}
		c = *inv.app
	default:
		return domain.TokenOwner{}, false
	}
	owner, _ := domain.TokenOwnerOf(&inv.version.Manifest, c)
	owner.Since = inv.since
	return owner, true
}

// noteAnswer notes how the platform took the access tokens that a request carried.
func (inv *invocation) noteAnswer(ctx context.Context, r *contract.HTTPResult) *contract.HTTPResult {
	for _, use := range inv.carried {
		switch {
		case r.Error != nil:
		case r.Status == 401:
			inv.refused = append(inv.refused, use)
		case r.Status < 400:
			if err := inv.broker.opts.Tokens.Worked(ctx, use); err != nil {
				inv.broker.opts.Log.Warn("that a token set works was not noted", "owner", use.Owner.ID, "error", err)
			}
		}
	}
	inv.carried = nil
	return inv.notePause(r)
}

// recallToken notes a 401 that is known from the journal. Of which version the token was is
// not.
func (inv *invocation) recallToken(args []byte, r *contract.HTTPResult) {
	if r.Error != nil || r.Status != 401 {
		return
	}
	for _, name := range []string{contract.CredentialAccessToken, contract.CredentialAppAccessToken} {
		if owner, ok := inv.tokenOwner(name); ok && strings.Contains(string(args), "{{"+credentialPrefix+name+"}}") {
			inv.refused = append(inv.refused, domain.TokenUse{Owner: owner})
		}
	}
}

// credentialsPut is the host function credentials_put.
func (inv *invocation) credentialsPut(ctx context.Context, in *contract.CredentialsPut) (*contract.Done, error) {
	if inv.export == contract.ExportAuthorizeURL {
		return &contract.Done{Error: denied("authorize_url hands over no tokens")}, nil
	}
	err := inv.takeTokens(ctx, in)
	problem := (*contract.HostError)(nil)
	switch {
	case errors.As(err, &problem):
		return &contract.Done{Error: problem}, nil
	case errors.Is(err, domain.ErrConflict):
		return &contract.Done{Error: &contract.HostError{Code: contract.HostConflict, Certain: true,
			Message: "the token set was replaced since this refresh began; the newer one stays"}}, nil
	}
	return &contract.Done{}, err
}

func (inv *invocation) takeTokens(ctx context.Context, in *contract.CredentialsPut) error {
	tokens := inv.broker.opts.Tokens
	if inv.answersPlatform() {
		set, known, err := tokens.Draft(ctx, inv.connection, in, false, inv.now)
		if err == nil && !known {
			inv.tokens = &set
		}
		inv.handed = inv.handed || err == nil
		return err
	}
	var from *uint64
	if inv.refresh != nil {
		version := max(inv.refresh.Version, inv.renewed)
		from = &version
	}
	set, err := tokens.Put(ctx, inv.connection, in, from, inv.now)
	if err == nil {
		inv.renewed = set.Version
	}
	return err
}

// tokensCommitted is called after the commit of an invocation that may have handed over
// tokens.
func (b *Broker) tokensCommitted(e domain.Effects) {
	if e.Tokens != nil {
		b.opts.Tokens.Changed(e.Tokens.Owner)
	}
}

// The waits before a command is run again that the platform answered 401: until the token set
// is renewed, or not at all. Each is made a little longer by [jobs.Policy.Pause].
const renewalWait = time.Second

// maxUnauthorised bounds how often a command is run again because of a 401, whoever replaces
// its token set meanwhile.
const maxUnauthorised = 4

// afterUnauthorised has a command that failed run again if the platform answered 401 to an
// access token of its: once after the token set was renewed for it, or whenever it was
// replaced since. What the plugin made of the 401 counts otherwise.
func (b *Broker) afterUnauthorised(ctx context.Context, inv *invocation, job domain.Job, e *domain.CommandEffects) error {
	count := job.Command.Unauthorised
	if e.Failure == nil || job.Command.Refresh != nil || job.Command.Exchange != nil || count >= maxUnauthorised {
		return nil
	}
	again := false
	for _, use := range inv.refused {
		replaced, renewing, err := b.opts.Tokens.Unauthorised(ctx, use, count == 0)
		if err != nil {
			return fmt.Errorf("note a 401: %w", err)
		}
		again = again || replaced || renewing
	}
	if again {
		e.State, e.NotBefore = b.opts.Policy.Pause(job, renewalWait, b.opts.Now())
		e.CountAttempt, e.Unauthorised = false, true
	}
	return nil
}

// superseded tells whether the token set that a refresh was to renew was replaced before it
// began. One that was cut off goes on all the same, to commit what else it did.
func (b *Broker) superseded(ctx context.Context, job domain.Job, j *journal) (bool, error) {
	if job.Command.Refresh == nil || j.resumes() {
		return false, nil
	}
	version, err := b.opts.Tokens.Version(ctx, job.Connection)
	return version > job.Command.Refresh.Version, err
}

// done commits that there was nothing to do, unless err is set.
func (b *Broker) done(ctx context.Context, job domain.Job, err error) (domain.Job, []domain.Job, error) {
	if err != nil {
		return job, nil, err
	}
	return b.settle(ctx, job, domain.CommandEffects{
		Effects: domain.Effects{Workspace: job.Workspace, Connection: job.Connection, At: b.opts.Now()}, State: domain.JobDone,
	})
}

// settleRefresh says how a refresh that ran ended. It is never run again itself: what is known
// of the token set says when the next one takes its place.
func (b *Broker) settleRefresh(ctx context.Context, job domain.Job, e *domain.CommandEffects) error {
	refresh := job.Command.Refresh
	if refresh == nil || e.Unbegun && !e.CountAttempt {
		return nil // it is no refresh, or it only waits for its workspace
	}
	version, err := b.opts.Tokens.Version(ctx, job.Connection)
	if err != nil {
		return err
	}
	if version > refresh.Version {
		e.State, e.Failure = domain.JobDone, nil
		return nil
	}
	if e.Failure == nil {
		e.Failure = &contract.Failure{Class: contract.FailureRetry, Code: "no_tokens", Message: "The plugin handed over no new tokens."}
	}
	paused := time.Duration(0)
	if !e.CountAttempt {
		paused = max(0, e.NotBefore.Sub(b.opts.Now()))
	}
	e.State, e.NotBefore, e.CountAttempt = domain.JobCancelled, time.Time{}, true
	owner := domain.TokenOwner{ID: job.Connection, Workspace: job.Workspace}
	return b.opts.Tokens.Failed(ctx, owner, job.ID, *refresh, *e.Failure, paused)
}

// guard has the journal of an invocation that may see tokens kept encrypted, and of one that
// is there to get some, made durable at once.
func (b *Broker) guard(j *journal, v *registry.Version, job domain.Job) {
	if slices.Contains(v.HostFunctions, string(contract.HostCredentialsPut)) {
		j.seal = func(entry []byte) ([]byte, error) {
			return b.opts.Tokens.SealJournal(job.Connection, job.ID, entry)
		}
	}
	j.prompt = job.Command.Export == contract.ExportRefreshCredentials || job.Command.Export == contract.ExportExchangeCode
}

// unsealed decrypts the entries of a job's journal that are encrypted: those that are no
// JSON object.
func (b *Broker) unsealed(job domain.Job, entries [][]byte) ([][]byte, error) {
	for i, entry := range entries {
		if len(entry) > 0 && entry[0] == '{' {
			continue
		}
		plain, err := b.opts.Tokens.OpenJournal(job.Connection, job.ID, entry)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		entries[i] = plain
	}
	return entries, nil
}

// exchangeInput is the input of exchange_code, with the code decrypted.
func (b *Broker) exchangeInput(job domain.Job, info contract.CommandInfo, c contract.Connection) (*contract.ExchangeCodeInput, error) {
	code, verifier, err := b.opts.Tokens.OpenCode(job.Connection, job.Command.Exchange.Sealed)
	return &contract.ExchangeCodeInput{Command: info, Connection: c, Code: code.Reveal(),
		RedirectURL: job.Command.Exchange.RedirectURL, CodeVerifier: verifier.Reveal()}, err
}
