package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"filippo.io/age"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"

	"github.com/seed75a60ee1/patchbay/host/backup"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/lifecycle"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Upkeep looks after the data of the host.
type Upkeep interface {
	Settings(ctx context.Context, ws contract.WorkspaceID) (lifecycle.Settings, error)
	SetRetention(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, r domain.Retention) (lifecycle.Settings, error)
	// RunNow answers lifecycle.ErrUnderWay if a pass is under way already.
	RunNow(ctx context.Context, by domain.Actor) (lifecycle.Report, error)
	// Doctor examines the host's own data folder.
	Doctor(ctx context.Context, deep bool) (lifecycle.Diagnosis, error)
	// Backup writes a backup until it is complete or ctx ends.
	Backup(ctx context.Context, by domain.Actor, w io.Writer, recipients []age.Recipient) error
}

// retentionValues is domain.Retention as clients see it.
type retentionValues struct {
	PayloadDays int64 `json:"payload_days,omitempty" minimum:"-1" maximum:"36500" example:"30" doc:"Age at which bodies and recordings are removed."`
	EventDays   int64 `json:"event_days,omitempty" minimum:"-1" maximum:"36500" example:"90" doc:"Age at which events, messages, deliveries, ended commands and unused attachments are removed; parked commands at twice that."`
	DedupeDays  int64 `json:"dedupe_days,omitempty" minimum:"-1" maximum:"36500" example:"180" doc:"Age at which a repeat of a delivery or of an Idempotency-Key is not known any more; at least event_days."`
	MaxBytes    int64 `json:"max_bytes,omitempty" minimum:"-1" maximum:"1152921504606846976" example:"10737418240" doc:"Most bytes of bodies and recordings; beyond them the oldest go, whatever their age."`
}

// WorkspaceRetention is how long a workspace's data is kept.
type WorkspaceRetention struct {
	Own       retentionValues `json:"own" doc:"What was set for this workspace: what is absent is the host's default, and -1 keeps for ever."`
	Effective retentionValues `json:"effective" doc:"What holds: what is absent has no bound."`
	Usage     domain.Usage    `json:"usage" doc:"What the workspace keeps now."`
}

func retentionView(s lifecycle.Settings, err error) (*answer[WorkspaceRetention], error) {
	return &answer[WorkspaceRetention]{WorkspaceRetention{Own: retentionValues(s.Own), Effective: retentionValues(s.Effective), Usage: s.Usage}}, err
}

func (s *Server) addLifecycle() {
	const path = "/v1/workspaces/{workspace}/retention"
	register(s, route{
		id: "get-retention", method: http.MethodGet, path: path, tag: "workspaces", allow: access(identity.WorkspaceRead),
		summary: "Read how long a workspace's data is kept", description: "Also tells how much it keeps now.",
	}, func(ctx context.Context, in *InWorkspace) (*answer[WorkspaceRetention], error) {
		return retentionView(s.opts.Upkeep.Settings(ctx, in.Workspace))
	})
	register(s, route{
		id: "set-retention", method: http.MethodPut, path: path, tag: "workspaces", allow: access(identity.HostMaintain),
		summary: "Set how long a workspace's data is kept", description: "Sets all of it: what is left out is the host's default, and -1 keeps for ever. It holds from the next pass of retention on.",
		example: retentionValues{PayloadDays: 30, EventDays: 90, DedupeDays: 180}, errors: []int{http.StatusUnprocessableEntity},
	}, func(ctx context.Context, in *struct {
		InWorkspace
		Body retentionValues
	}) (*answer[WorkspaceRetention], error) {
		return retentionView(s.opts.Upkeep.SetRetention(ctx, caller(ctx).Actor(), in.Workspace, domain.Retention(in.Body)))
	})
	register(s, route{
		id: "run-retention", method: http.MethodPost, path: "/v1/retention/run", tag: "host", allow: access(identity.HostMaintain),
		summary: "Remove what is too old, now", description: "The host does so by itself now and then. Answers when it is done, with what went.",
		errors: []int{http.StatusConflict},
	}, s.runRetention)
	register(s, route{
		id: "examine", method: http.MethodGet, path: "/v1/doctor", tag: "host", allow: access(identity.HostMaintain),
		summary: "Examine the host's data", description: "Checks every invariant of the store, and the files of attachments, plugins and keys, and explains what it finds. It reads all of the store, so it takes its time; nothing is changed.",
	}, func(ctx context.Context, in *struct {
		Deep bool `query:"deep" doc:"Read every attachment, and not only a sample."`
	}) (*answer[lifecycle.Diagnosis], error) {
		d, err := s.opts.Upkeep.Doctor(ctx, in.Deep)
		return &answer[lifecycle.Diagnosis]{d}, err
	})
	register(s, route{
		id: "backup", method: http.MethodGet, path: "/v1/backup", tag: "host", allow: access(identity.HostMaintain),
		summary: "Back the host up", description: "A tar file of everything that the host keeps, as it stands at one moment, while the host goes on. It holds the host's keys: guard it like the host itself, or have it encrypted. An answer that breaks off is no backup.",
		gives:  &huma.Response{Description: "The backup.", Content: map[string]*huma.MediaType{backupType: {Schema: binary}}},
		errors: []int{http.StatusUnprocessableEntity},
	}, s.backup)
}

func (s *Server) runRetention(ctx context.Context, _ *struct{}) (*answer[lifecycle.Report], error) {
	report, err := s.opts.Upkeep.RunNow(ctx, caller(ctx).Actor())
	if errors.Is(err, lifecycle.ErrUnderWay) {
		err = coded(http.StatusConflict, "under_way", "the host is removing what is too old already; try again later", err)
	}
	return &answer[lifecycle.Report]{report}, err
}

// backupType is the content type of a backup: it is a tar file only if nobody encrypted it.
const backupType = "application/octet-stream"

func (s *Server) backup(ctx context.Context, in *struct {
	Recipients []string `query:"recipient,explode" maxItems:"32" example:"[\"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\"]" doc:"Encrypts the backup to this age recipient; may be repeated."`
}) (*streamed, error) {
	recipients, err := backup.Recipients(in.Recipients)
	if err != nil {
		return nil, err
	}
	by := caller(ctx).Actor()
	return &streamed{func(c huma.Context) {
		c.SetHeader("Content-Type", backupType)
		c.SetHeader("Content-Disposition", `attachment; filename="patchbay-backup"`)
		humafiber.Unwrap(c).Context().Response.SetBodyStream(s.backupBody(by, recipients), -1)
	}}, nil
}

// backupStream is a backup on its way to a client. What ends it before its end is an error
// of Read, which makes the server break the answer off without the mark of its end: the
// client cannot take it for whole.
type backupStream struct {
	*io.PipeReader
	cancel context.CancelFunc
	begin  sync.Once
	write  func()
}

func (s *Server) backupBody(by domain.Actor, recipients []age.Recipient) *backupStream {
	ctx, cancel := context.WithCancel(context.Background())
	in, out := io.Pipe()
	return &backupStream{PipeReader: in, cancel: cancel, write: func() {
		err := s.opts.Upkeep.Backup(ctx, by, out, recipients)
		switch {
		case err != nil && ctx.Err() != nil:
			s.opts.Gate.Log.Warn("a backup was given up by whoever asked for it", "subject", by.Subject)
		case err != nil:
			s.opts.Gate.Log.Error("a backup broke off", "subject", by.Subject, "error", err)
		}
		_ = out.CloseWithError(err) // never fails, by its documentation
	}}
}

// Read begins the backup when somebody wants it.
func (b *backupStream) Read(p []byte) (int, error) {
	b.begin.Do(func() { go b.write() })
	return b.PipeReader.Read(p)
}

// Close is called once the backup was sent or could not be.
func (b *backupStream) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}
