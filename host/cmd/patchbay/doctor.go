package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"github.com/seed75a60ee1/patchbay/host/lifecycle"
	"github.com/seed75a60ee1/patchbay/host/store"
)

// storeName is what the store is called in a data folder.
const storeName = "patchbay.db"

type doctorCommand struct {
	Data string `placeholder:"DIR" help:"Examine this data folder, which no host may have open. Without it, the host at --url examines its own."`
	Deep bool   `help:"Read every attachment, and not only a sample."`
}

func (c *doctorCommand) Run(ctx context.Context, s *session) error {
	d, err := c.diagnose(ctx, s)
	if err != nil {
		return err
	}
	if err := s.show(d, func() { showDiagnosis(s, d) }); err != nil {
		return err
	}
	if len(d.Findings) > 0 {
		return fmt.Errorf("%d things are not as they should be", len(d.Findings))
	}
	return nil
}

func (c *doctorCommand) diagnose(ctx context.Context, s *session) (lifecycle.Diagnosis, error) {
	if c.Data == "" {
		return s.connect().Doctor(ctx, c.Deep)
	}
	path := filepath.Join(c.Data, storeName)
	opened, err := store.OpenReadOnly(path, store.Options{})
	if err != nil {
		return lifecycle.Diagnosis{}, offline(err, "have the host examine it: patchbay doctor --url URL --token JWT")
	}
	d, err := examineData(ctx, c.Data, opened, c.Deep)
	return d, errors.Join(err, opened.Close())
}

// offline explains why a data folder cannot be worked on.
func offline(err error, inUse string) error {
	switch {
	case errors.Is(err, store.ErrInUse):
		return &hinted{fmt.Errorf("a host has the folder open: %w", err), inUse}
	case errors.Is(err, fs.ErrNotExist):
		return &hinted{err, "name the data folder of a host, the one that patchbay serve has as --data"}
	}
	return err
}

// examineData looks at a data folder whose store is open.
func examineData(ctx context.Context, dir string, s *store.Store, deep bool) (lifecycle.Diagnosis, error) {
	space, err := s.Space(ctx)
	if err != nil {
		return lifecycle.Diagnosis{}, err
	}
	return lifecycle.Examine(ctx, lifecycle.Subject{Data: dir, Store: s, Schema: store.Schema(),
		StoreBytes: space.FileBytes, FreeBytes: space.FreeBytes, Deep: deep, Now: time.Now})
}

func showDiagnosis(s *session, d lifecycle.Diagnosis) {
	read := fmt.Sprintf("%d, %d of them read", d.Media, d.Read)
	printFields(s.stdout, field{"store", fmt.Sprintf("schema %d, %d bytes, %d of them free", d.Schema, d.StoreBytes, d.FreeBytes)},
		field{"attachments", read}, field{"plugins", strconv.Itoa(d.Plugins)}, field{"keys", strconv.Itoa(d.Keys)})
	if len(d.Findings) == 0 {
		fmt.Fprintln(s.stdout, "all is well")
	}
	for _, f := range d.Findings {
		fmt.Fprintf(s.stdout, "\n%s: %s\n", f.Severity, clean(f.What))
		fmt.Fprintf(s.stdout, "  means: %s\n  do:    %s\n", clean(f.Means), clean(f.Do))
	}
}
