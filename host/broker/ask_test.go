package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// pages lets a browser go to what a rule of the policy names by its host alone.
type pages struct{}

func (pages) Page(_ context.Context, p domain.EgressPolicy, _ secret.Reveal, url string) (string, error) {
	for _, r := range p.Rules {
		if r.Host == "files.test" && url == "https://files.test/consent" {
			return url, nil
		}
	}
	return "", &contract.HostError{Code: contract.HostDenied}
}

// newAsker is a world whose plugin can be asked.
func newAsker(t *testing.T, g guest) *world {
	t.Helper()
	w := newWorld(t, g)
	w.plugins.version.Manifest.Abilities = append(w.plugins.version.Manifest.Abilities, contract.ExportAuthorizeURL, contract.ExportCheckHealth)
	w.opts.Pages = pages{}
	w.outside.send = func(domain.EgressPolicy, secret.Reveal, contract.HTTPRequest) *contract.HTTPResult {
		return &contract.HTTPResult{Status: 204}
	}
	w.restart()
	return w
}

var consent = broker.Consent{RedirectURL: "https://host.test/oauth/callback", State: "pbo_s", Challenge: "c"}

func TestAPluginSaysWhereToConsent(t *testing.T) {
	w := newAsker(t, func(_ context.Context, g *call) ([]byte, error) {
		var in contract.AuthorizeURLInput
		if err := contract.Unmarshal(g.Input, &in); err != nil || g.Export != string(contract.ExportAuthorizeURL) {
			return nil, fmt.Errorf("%s: %w", g.Export, err)
		}
		if in.RedirectURL != consent.RedirectURL || in.State != consent.State || in.CodeChallenge != consent.Challenge || in.Connection.ID != "con_1" {
			return nil, fmt.Errorf("the input is %+v", in)
		}
		if sent := ask[contract.HTTPResult](g, contract.HostHTTPSend, &contract.HTTPRequest{Method: "POST", URL: "https://acme.test:8443/api"}); sent.Error == nil {
			return nil, errors.New("it could call out")
		}
		if put := ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "k", Value: "v"}); put.Error != nil {
			return nil, errors.New(put.Error.Message)
		}
		return contract.Marshal(&contract.CommandOutput{URL: "https://files.test/consent"}), nil
	})
	page, err := w.AuthorizeURL(t.Context(), w.connection, consent)
	if err != nil || page != "https://files.test/consent" {
		t.Errorf("AuthorizeURL = %q, %v", page, err)
	}
	if _, _, found, err := w.store.KVGet(t.Context(), "con_1", "k", w.opts.Now()); found || err != nil {
		t.Errorf("what it wrote was kept: %t, %v", found, err)
	}
	if len(w.outside.sent) != 0 {
		t.Errorf("it sent %+v while a person waited", w.outside.sent)
	}
}

func TestAConsentPageMustBeAllowed(t *testing.T) {
	answer := &contract.CommandOutput{URL: "https://evil.test/consent"}
	w := newAsker(t, func(context.Context, *call) ([]byte, error) { return contract.Marshal(answer), nil })
	host := new(contract.HostError)
	if page, err := w.AuthorizeURL(t.Context(), w.connection, consent); !errors.As(err, &host) || host.Code != contract.HostDenied {
		t.Errorf("AuthorizeURL = %q, %v; want it denied", page, err)
	}
	answer.Failure = &contract.Failure{Class: contract.FailurePermanent, Code: "no_brand"}
	failed := new(domain.Failed)
	if _, err := w.AuthorizeURL(t.Context(), w.connection, consent); !errors.As(err, &failed) || failed.Failure.Code != "no_brand" {
		t.Errorf("AuthorizeURL = %v; want the plugin's failure", err)
	}
}

func TestAProbeKeepsWhatItFindsAndNothingElse(t *testing.T) {
	out := &contract.CommandOutput{Health: &contract.Health{CredentialsValid: true, Detail: "fine"},
		Capabilities: []contract.Capability{{Feature: "text", Support: contract.SupportFull}}}
	w := newAsker(t, func(_ context.Context, g *call) ([]byte, error) {
		if r := ask[contract.HTTPResult](g, contract.HostHTTPSend, &contract.HTTPRequest{Method: "POST", URL: "https://acme.test:8443/api"}); r.Error != nil {
			return nil, errors.New(r.Error.Message)
		}
		if put := ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "k", Value: "v"}); put.Error != nil {
			return nil, errors.New(put.Error.Message)
		}
		return contract.Marshal(out), nil
	})
	found, err := w.Probe(t.Context(), w.connection)
	if err != nil || !found.CredentialsValid || found.Detail != "fine" {
		t.Errorf("Probe = %+v, %v", found, err)
	}
	if v, _, _, err := w.store.KVGet(t.Context(), "con_1", "k", w.opts.Now()); v != "v" || err != nil {
		t.Errorf("what it wrote is %q, %v", v, err)
	}
	c, err := w.store.Connection(t.Context(), "con_1")
	if err != nil || len(c.Capabilities) != 1 {
		t.Errorf("the connection carries %+v, %v", c.Capabilities, err)
	}
	if jobs, _, err := w.store.Jobs(t.Context(), domain.JobFilter{}, domain.Page{}); len(jobs) != 0 || err != nil {
		t.Errorf("a probe left jobs: %+v, %v", jobs, err)
	}
}

func TestAProbeTellsTheWorst(t *testing.T) {
	for _, tt := range []struct {
		name string
		out  *contract.CommandOutput
		err  error
		want func(contract.Health, error) bool
	}{
		{"a failure", &contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailureRetry, Code: "down"}}, nil, func(_ contract.Health, err error) bool {
			failed := new(domain.Failed)
			return errors.As(err, &failed) && failed.Failure.Code == "down" && !failed.Renewing
		}},
		{"nothing at all", &contract.CommandOutput{}, nil, func(h contract.Health, err error) bool { return err == nil && h.CredentialsValid }},
		{"credentials that are not taken", &contract.CommandOutput{Health: &contract.Health{}}, nil, func(h contract.Health, err error) bool { return err == nil && !h.CredentialsValid }},
		{"a breakdown", nil, errors.New("trap"), func(_ contract.Health, err error) bool { return err != nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newAsker(t, func(context.Context, *call) ([]byte, error) {
				if tt.err != nil {
					return nil, tt.err
				}
				return contract.Marshal(tt.out), nil
			})
			if found, err := w.Probe(t.Context(), w.connection); !tt.want(found, err) {
				t.Errorf("Probe = %+v, %v", found, err)
			}
		})
	}
}

func TestWhoCannotBeAskedIsNot(t *testing.T) {
	w := newWorld(t, echo)
	failed := new(domain.Failed)
	if _, err := w.Probe(t.Context(), w.connection); !errors.As(err, &failed) || failed.Failure.Code != "unsupported" {
		t.Errorf("Probe = %v", err)
	}
	other := w.connection
	other.Plugin = "disabled"
	if _, err := w.AuthorizeURL(t.Context(), other, consent); err == nil {
		t.Error("a plugin that the workspace has not enabled was asked")
	}
}

func TestAProbeThatIsAnswered401HasTheTokenRenewedOnce(t *testing.T) {
	for _, failing := range []bool{false, true} {
		t.Run(fmt.Sprintf("while probes fail: %t", failing), func(t *testing.T) {
			w, p := newTokenWorld(t, manifest.TokenRule{})
			w.plugins.version.Manifest.Abilities = append(w.plugins.version.Manifest.Abilities, contract.ExportCheckHealth)
			p.install(t)
			if found, err := w.Probe(t.Context(), w.connection); err != nil || !found.CredentialsValid || !w.set(t).Proven {
				t.Fatalf("Probe = %+v, %v", found, err)
			}
			p.refuseAll = true
			c := w.connection
			if failing {
				c.Health.Probe = &contract.StateChange{State: contract.StateDegraded}
			}
			failed := new(domain.Failed)
			_, err := w.Probe(t.Context(), c)
			if !errors.As(err, &failed) || failed.Renewing == failing || w.set(t).StaleAt.IsZero() != failing {
				t.Errorf("Probe = %v, renewing %t, and the token set is stale since %v", err, failed.Renewing, w.set(t).StaleAt)
			}
		})
	}
}
