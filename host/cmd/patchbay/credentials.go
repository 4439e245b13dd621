package main

import (
	"context"
	"strconv"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
)

type connectionCredentials struct {
	Show    connectionCredentialsShow    `cmd:"" help:"Tell how the tokens of a connection stand; no token is shown."`
	Refresh connectionCredentialsRefresh `cmd:"" help:"Renew the tokens of a connection now."`
}

type connectionCredentialsShow struct{ oneConnection }

func (c *connectionCredentialsShow) Run(ctx context.Context, s *session) error {
	found, err := s.connect().Credentials(ctx, c.Workspace, c.ID)
	return s.showCredentials(found, err)
}

type connectionCredentialsRefresh struct{ oneConnection }

func (c *connectionCredentialsRefresh) Run(ctx context.Context, s *session) error {
	queued, err := s.connect().RefreshCredentials(ctx, c.Workspace, c.ID)
	return s.queued(queued, err)
}

type appCredentials struct {
	Show    appCredentialsShow    `cmd:"" help:"Tell how the tokens of an app stand; no token is shown."`
	Refresh appCredentialsRefresh `cmd:"" help:"Renew the tokens of an app now."`
}

type appCredentialsShow struct{ oneApp }

func (c *appCredentialsShow) Run(ctx context.Context, s *session) error {
	found, err := s.connect().AppCredentials(ctx, c.ID)
	return s.showCredentials(found, err)
}

type appCredentialsRefresh struct{ oneApp }

func (c *appCredentialsRefresh) Run(ctx context.Context, s *session) error {
	queued, err := s.connect().RefreshAppCredentials(ctx, c.ID)
	return s.queued(queued, err)
}

// renewable says whether the tokens can be renewed without a person.
func renewable(c client.Credentials) string {
	if c.CanRefresh && c.State == domain.TokensRefused {
		return "no: the platform refused; see what to do: patchbay connection health, patchbay app health"
	}
	return yesOrNo(c.CanRefresh)
}

func (s *session) showCredentials(c client.Credentials, err error) error {
	if err != nil {
		return err
	}
	return s.show(c, func() {
		fields := []field{{"state", string(c.State)}, {"valid", yesOrNo(c.Valid)}, {"version", strconv.FormatUint(c.Version, 10)}, {"scope", c.Scope},
			{"obtained", when(c.ObtainedAt)}, {"expires", when(c.ExpiresAt)}, {"can be renewed", renewable(c)},
			{"renewable until", when(c.RefreshExpiresAt)}, {"next renewal", when(c.NextRefreshAt)},
			{"failed renewals", many(c.Failures)}, {"last failed", when(c.FailedAt)}}
		if c.LastFailure != nil {
			fields = append(fields, field{"last failure", c.LastFailure.Code + ": " + c.LastFailure.Message})
		}
		printFields(s.stdout, fields...)
	})
}
