package broker

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Pages says where a person's browser may be sent.
type Pages interface {
	// Page returns the URL with its placeholders filled in, if a rule of the policy covers it.
	Page(ctx context.Context, p domain.EgressPolicy, reveal secret.Reveal, url string) (string, error)
}

// Consent is what a plugin needs to know to send a person to the platform's consent page.
type Consent struct {
	// RedirectURL is where the platform shall send the browser back.
	RedirectURL string
	// State is passed through, and Challenge is the PKCE challenge (S256).
	State, Challenge string
}

// AuthorizeURL asks the plugin of a connection where a person is to consent. The plugin may
// not call out, for the person waits, and what it writes is dropped. A [*domain.Failed] is the
// plugin's own refusal.
func (b *Broker) AuthorizeURL(ctx context.Context, c domain.Connection, consent Consent) (string, error) {
	inv, release, err := b.asking(ctx, c, contract.ExportAuthorizeURL)
	if err != nil {
		return "", err
	}
	defer release()
	in := &contract.AuthorizeURLInput{Command: inv.info(), Connection: inv.connectionInfo(),
		RedirectURL: consent.RedirectURL, State: consent.State, CodeChallenge: consent.Challenge}
	var out contract.CommandOutput
	if err := inv.call(ctx, in, &out, b.opts.ReceiveDeadline); err != nil {
		return "", fmt.Errorf("ask %s where to consent: %w", c.Plugin, err)
	}
	if out.Failure != nil {
		return "", &domain.Failed{Failure: *out.Failure}
	}
	page, err := b.opts.Pages.Page(ctx, inv.policy(), inv.reveal, out.URL)
	if err != nil {
		return "", fmt.Errorf("the consent page that %s names: %w", c.Plugin, err)
	}
	return page, nil
}

// Probe asks the plugin of a connection how it is. It is no command: nobody waits for it,
// nothing of it must survive a crash, and the next one knows better. What the plugin writes is
// committed, unless something that it read changed meanwhile (domain.ErrConflict). A
// [*domain.Failed] is the plugin's own word that it is not well.
func (b *Broker) Probe(ctx context.Context, c domain.Connection) (contract.Health, error) {
	inv, release, err := b.asking(ctx, c, contract.ExportCheckHealth)
	if err != nil {
		return contract.Health{}, err
	}
	defer release()
	inv.tracked = true
	var out contract.CommandOutput
	in := &contract.CheckHealthInput{Command: inv.info(), Connection: inv.connectionInfo()}
	if err := inv.call(ctx, in, &out, b.opts.CommandDeadline); err != nil {
		return contract.Health{}, fmt.Errorf("ask %s for its health: %w", c.Plugin, err)
	}
	effects := inv.effects(out.Events, out.Commands)
	effects.Recording = nil // a million of them say the same
	if changes(c, effects, out.Capabilities) {
		if err := b.opts.Store.CommitProbe(ctx, effects, out.Capabilities); err != nil {
			return contract.Health{}, fmt.Errorf("keep what a probe of %s found: %w", c.Plugin, err)
		}
	}
	switch {
	case out.Failure != nil:
		return contract.Health{}, b.probeFailed(ctx, inv, *out.Failure)
	case out.Health == nil:
		return contract.Health{CredentialsValid: true}, nil // it has nothing to complain of
	}
	return *out.Health, nil
}

// probeFailed is the failure of a probe. If the platform answered 401 to a token, that is
// renewed, as it is for a command; not again and again, though, where probes fail already.
func (b *Broker) probeFailed(ctx context.Context, inv *invocation, f contract.Failure) error {
	failed := &domain.Failed{Failure: f}
	for _, use := range inv.refused {
		replaced, renewing, err := b.opts.Tokens.Unauthorised(ctx, use, inv.connection.Health.Probe == nil)
		if err != nil {
			return fmt.Errorf("note a 401: %w", err)
		}
		failed.Renewing = failed.Renewing || replaced || renewing
	}
	return failed
}

// changes tells whether a probe found anything to keep: most find nothing, and a commit that
// says nothing costs as much as any.
func changes(c domain.Connection, e domain.Effects, found []contract.Capability) bool {
	return len(e.Writes)+len(e.Events)+len(e.Commands)+len(e.Routes) > 0 || e.Tokens != nil ||
		found != nil && !reflect.DeepEqual(found, c.Capabilities)
}

// asking begins an invocation that belongs to no delivery and no command.
func (b *Broker) asking(ctx context.Context, c domain.Connection, export contract.Export) (*invocation, func(), error) {
	version, release, err := b.acquire(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	inv, err := b.asks(ctx, version, c, export)
	if err != nil {
		release()
		return nil, nil, err
	}
	return inv, release, nil
}

func (b *Broker) asks(ctx context.Context, v *registry.Version, c domain.Connection, export contract.Export) (*invocation, error) {
	if !slices.Contains(v.Manifest.Abilities, export) {
		return nil, &domain.Failed{Failure: contract.Failure{Class: contract.FailurePermanent, Code: "unsupported",
			Message: fmt.Sprintf("The plugin %s cannot %s.", v.Manifest.Title, export)}}
	}
	app, err := b.appOf(ctx, c)
	if err != nil {
		return nil, err
	}
	inv := b.newInvocation(v, c, export)
	inv.app = app
	return inv, nil
}

// info is what an invocation is told that carries out no command that is kept.
func (inv *invocation) info() contract.CommandInfo {
	return contract.CommandInfo{ID: contract.CommandID(inv.broker.opts.Store.NewID("cmd")), Attempt: 1, CreatedAt: inv.now}
}
