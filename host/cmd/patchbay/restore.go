package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"filippo.io/age"

	"github.com/seed75a60ee1/patchbay/host/backup"
	"github.com/seed75a60ee1/patchbay/host/lifecycle"
	"github.com/seed75a60ee1/patchbay/host/store"
)

type restoreCommand struct {
	From     string `required:"" placeholder:"FILE" help:"The backup, or - for standard input."`
	Data     string `required:"" placeholder:"DIR" help:"The data folder to make; it must be empty, or not be there."`
	Identity string `placeholder:"FILE" help:"File with the age key that opens the backup, if it is encrypted."`
}

// Run says yes only to a folder that was verified whole: each file against its hash, and the
// store against its invariants.
func (c *restoreCommand) Run(ctx context.Context, s *session) error {
	identities, err := readIdentities(c.Identity)
	if err != nil {
		return err
	}
	from := s.stdin
	if c.From != "-" {
		file, err := os.Open(c.From)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // only read
		from = file
	}
	made, err := backup.Restore(ctx, from, backup.Target{Data: c.Data, Schema: store.Schema(), Identities: identities,
		Verify: func(dir string) error { return verifyRestored(ctx, dir) }, Progress: s.tellBytes("restored")})
	if wrong := new(backup.Refused); errors.As(err, &wrong) {
		return &hinted{fmt.Errorf("restore: %s", wrong.Why), wrong.Fix}
	}
	if err != nil {
		return err
	}
	return s.show(map[string]any{"data": c.Data, "made_at": made.MadeAt, "version": made.Version, "size_bytes": made.Bytes(), "files": len(made.Files)}, func() {
		fmt.Fprintf(s.stdout, "restored into %s and verified; start it with: patchbay serve --data %s\n", clean(c.Data), clean(c.Data))
		printFields(s.stdout, field{"made at", when(made.MadeAt)}, field{"by version", made.Version},
			field{"bytes", strconv.FormatInt(made.Bytes(), 10)}, field{"files", strconv.Itoa(len(made.Files))})
	})
}

func readIdentities(path string) ([]age.Identity, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	identities, err := age.ParseIdentities(file)
	if err != nil {
		return nil, &hinted{fmt.Errorf("%s holds no age key: %w", path, err), "give the file that age-keygen made"}
	}
	return identities, nil
}

// verifyRestored brings the store in a folder up to date, and refuses the folder if anything
// in it is broken.
func verifyRestored(ctx context.Context, dir string) error {
	s, err := store.Open(filepath.Join(dir, storeName), store.Options{})
	if err != nil {
		return err
	}
	d, err := examineData(ctx, dir, s, false)
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	var broken []error
	for _, f := range d.Findings {
		if f.Severity == lifecycle.Broken {
			broken = append(broken, errors.New(f.What))
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("what the backup holds is not sound, and was not restored: %w", errors.Join(broken...))
	}
	return nil
}
