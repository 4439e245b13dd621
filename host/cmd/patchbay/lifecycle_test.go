package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/seed75a60ee1/patchbay/host/backup"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/lifecycle"
	"github.com/seed75a60ee1/patchbay/host/store"
)

// lifecycleRoutes are those that are about the data of the host.
func lifecycleRoutes() map[string]http.HandlerFunc {
	const ws = "/v1/workspaces/{ws}"
	settings := answers(200, lifecycle.Settings{Own: domain.Retention{PayloadDays: 7, MaxBytes: -1},
		Effective: domain.Retention{PayloadDays: 7, EventDays: 90, DedupeDays: 180, MaxBytes: -1}, Usage: domain.Usage{PayloadBytes: 4096}})
	return map[string]http.HandlerFunc{
		"GET " + ws + "/retention": settings,
		"PUT " + ws + "/retention": settings,
		"POST /v1/retention/run":   answers(200, lifecycle.Report{StartedAt: at, Removed: []lifecycle.Removed{{Room: "payload", Removed: 12, Bytes: 4096}, {Room: "events", Removed: 3, Damaged: 1}}}),
		"GET /v1/doctor": answers(200, lifecycle.Diagnosis{At: at, Schema: 2, StoreBytes: 1 << 20, Media: 1, Findings: []lifecycle.Finding{
			{Class: lifecycle.ClassKey, Severity: lifecycle.Broken, What: "key file secrets.json: it is empty\x1b[2J", Means: "no secret can be opened", Do: "restore it from a backup"}}}),
		"GET /v1/backup": backsUp,
	}
}

// backsUp sends the backup of a host that keeps one workspace; to a recipient "age1broken"
// half of it.
func backsUp(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("recipient") == "age1broken" {
		_, _ = w.Write([]byte("half of"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	if err := writeBackup(r.Context(), w); err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
	}
}

func writeBackup(ctx context.Context, w http.ResponseWriter) (err error) {
	dir, err := os.MkdirTemp("", "patchbay-backup-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := store.Open(filepath.Join(dir, storeName), store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := errors.Join(s.CreateWorkspace(ctx, workspace), os.Mkdir(filepath.Join(dir, "keys"), 0o700)); err != nil {
		return err
	}
	for _, name := range lifecycle.KeyFiles {
		if err := os.WriteFile(filepath.Join(dir, "keys", name), []byte("a key"), 0o600); err != nil {
			return err
		}
	}
	_, err = backup.Write(ctx, w, backup.Source{Data: dir, Snapshot: s.Snapshot, Hold: func() func() { return func() {} },
		Schema: store.Schema(), Version: "1.2.3", Now: func() time.Time { return at }}, nil)
	return err
}
