package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/keyfile"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type tokenCommand struct {
	Issue  tokenIssue  `cmd:"" help:"Issue a token, and print it this once."`
	Revoke tokenRevoke `cmd:"" help:"End a token at once."`
}

type tokenIssue struct {
	Subject   string               `required:"" placeholder:"NAME" help:"Who will hold it; the name stands in the audit log."`
	Role      identity.Role        `required:"" enum:"operator,reviewer,workspace-admin,workspace-member,workspace-reader" placeholder:"ROLE" help:"What it allows: ${enum}."`
	Workspace contract.WorkspaceID `short:"w" placeholder:"ID" help:"The workspace, for the roles that begin with its name."`
	TTL       time.Duration        `name:"ttl" default:"24h" help:"How long it is valid."`
	Data      string               `placeholder:"DIR" help:"Sign with the keys in the data folder of a host on this machine instead of asking the host. This is how the first token is made."`
}

func (c *tokenIssue) Run(ctx context.Context, s *session) error {
	issue := c.ask
	if c.Data != "" {
		issue = c.sign
	}
	token, err := issue(ctx, s)
	if err != nil {
		return err
	}
	return s.show(token, func() {
		fmt.Fprintln(s.stdout, token.Token)
		fmt.Fprintf(s.stderr, "token %s for %s, role %s, until %s\n", token.ID, clean(c.Subject), c.Role, when(token.ExpiresAt))
	})
}

// ask has the host issue the token.
func (c *tokenIssue) ask(ctx context.Context, s *session) (client.Token, error) {
	return s.connect().IssueToken(ctx, client.NewToken{
		Subject: c.Subject, Role: string(c.Role), Workspace: c.Workspace, TTLSeconds: int64(c.TTL / time.Second),
	})
}

// sign issues the token with the host's own keys. A folder without keys gets some, since
// the first token is wanted before the first start; it is said, since the folder may just
// be misspelt.
func (c *tokenIssue) sign(ctx context.Context, s *session) (client.Token, error) {
	if _, err := os.Stat(keyfile.Folder(c.Data)); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(s.stderr, "%s held no keys, and does now: only a host that is started with --data %s takes this token\n", clean(c.Data), clean(c.Data))
	}
	now := time.Now()
	authority, err := identity.Open(identity.Options{DataDir: c.Data, Now: func() time.Time { return now }})
	if err != nil {
		return client.Token{}, err
	}
	token, id, err := authority.Issue(ctx, identity.Grant{Subject: c.Subject, Role: c.Role, Workspace: c.Workspace, TTL: c.TTL})
	return client.Token{Token: token, ID: id, ExpiresAt: now.Add(c.TTL).UTC().Truncate(time.Second)}, err
}

type tokenRevoke struct {
	ID string `arg:"" help:"The token's id, which was printed when it was issued."`
}

func (c *tokenRevoke) Run(ctx context.Context, s *session) error {
	if err := s.connect().RevokeToken(ctx, c.ID); err != nil {
		return err
	}
	return s.done(map[string]any{"id": c.ID, "revoked": true}, "token %s is revoked", c.ID)
}
