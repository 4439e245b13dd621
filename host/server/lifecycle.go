package server

import (
	"context"
	"io"
	"path/filepath"
	"time"

	"filippo.io/age"

	"github.com/seed75a60ee1/patchbay/host/backup"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/lifecycle"
	"github.com/seed75a60ee1/patchbay/host/store"
)

// upkeep looks after the data of the host.
type upkeep struct {
	*lifecycle.Keeper
	host *host
}

// newUpkeep makes the room that removes what is too old. The data must be open.
func (h *host) newUpkeep() upkeep {
	r := h.cfg.Retention
	keeper := lifecycle.New(lifecycle.Options{
		Store: h.store, Files: h.files, Metrics: h.metrics, Interval: r.Interval, Batch: r.Batch,
		ExpireInterval: h.cfg.Apps.ExpireInterval, Now: time.Now, Log: h.log,
		Defaults: domain.Retention{PayloadDays: r.PayloadDays, EventDays: r.EventDays, DedupeDays: r.DedupeDays, MaxBytes: r.MaxBytes},
	})
	return upkeep{keeper, h}
}

// Doctor examines the data folder of this host.
func (u upkeep) Doctor(ctx context.Context, deep bool) (lifecycle.Diagnosis, error) {
	space, err := u.host.store.Space(ctx)
	if err != nil {
		return lifecycle.Diagnosis{}, err
	}
	return lifecycle.Examine(ctx, lifecycle.Subject{Data: u.host.cfg.Data, Store: u.host.store, Schema: store.Schema(),
		StoreBytes: space.FileBytes, FreeBytes: space.FreeBytes, Deep: deep, Now: time.Now})
}

// Backup writes a backup of this host.
func (u upkeep) Backup(ctx context.Context, by domain.Actor, w io.Writer, recipients []age.Recipient) error {
	h := u.host
	entry := domain.AuditEntry{At: time.Now(), Actor: by.Subject, Action: "host.backed_up", Detail: "not encrypted"}
	if len(recipients) > 0 {
		entry.Detail = "encrypted"
	}
	if err := h.store.Audit(ctx, entry); err != nil {
		return err // whoever takes everything along leaves a trace of it, or does not
	}
	_, err := backup.Write(ctx, w, backup.Source{Data: h.cfg.Data, Snapshot: h.store.Snapshot, Hold: h.files.Hold,
		Schema: store.Schema(), Version: Version(), Now: time.Now}, recipients)
	return err
}

// worthCompacting is how many bytes must be gained for a file to be written anew.
const worthCompacting = 64 << 20

// compactIfEmpty writes the store's file anew if much of it holds nothing. A file that
// cannot be looked at is left for the store to judge.
func (h *host) compactIfEmpty(ctx context.Context) error {
	most := h.cfg.Store.CompactOnStartAbove
	if most == 0 {
		return nil
	}
	path := filepath.Join(h.cfg.Data, "patchbay.db")
	space, err := store.SpaceOf(ctx, path, store.Options{Log: h.log})
	if err != nil || space.FreeBytes < worthCompacting || space.FreeShare()*100 <= float64(most) {
		return nil
	}
	h.log.Info("the store is being compacted", "bytes", space.FileBytes, "free", space.FreeBytes)
	before, after, err := store.Compact(ctx, path, store.Options{Log: h.log})
	if err != nil {
		h.log.Warn("the store could not be compacted; it is used as it is", "error", err)
		return ctx.Err()
	}
	h.log.Info("the store was compacted", "before", before, "after", after)
	return nil
}
