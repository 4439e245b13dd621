package api

import (
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// MediaKeeper keeps attachments of workspaces.
type MediaKeeper interface {
	// Upload reads r to its end. An error of r is among those that its own wraps.
	Upload(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, name string, r io.Reader) (domain.Media, error)
	// OpenMedia returns the attachment with its bytes, which the caller closes.
	OpenMedia(ctx context.Context, ws contract.WorkspaceID, h contract.MediaHandle) (domain.Media, io.ReadSeekCloser, error)
}

type inMedia struct {
	InWorkspace
	Handle contract.MediaHandle `path:"handle" example:"med_01JD5Z6T9Q" doc:"The attachment."`
}

// stream is an answer that writes itself.
type streamed struct{ Body func(huma.Context) }

// binary is any bytes.
var binary = &huma.Schema{Type: huma.TypeString, Format: "binary"}

func (s *Server) addMedia() {
	const path = "/v1/workspaces/{workspace}/media"
	register(s, route{
		id: "upload-media", once: true, method: http.MethodPost, path: path, tag: "media", allow: access(identity.MessageSend), status: http.StatusCreated,
		summary: "Upload an attachment", description: "The body is the file itself, not encoded. Its handle can then stand in messages.",
		takes:  &huma.RequestBody{Required: true, Description: "The file.", Content: map[string]*huma.MediaType{"*/*": {Schema: binary}}},
		errors: []int{http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType},
	}, s.uploadMedia)
	register(s, route{
		id: "download-media", method: http.MethodGet, path: path + "/{handle}", tag: "media", allow: access(identity.MessageRead),
		summary: "Download an attachment", description: "The file itself, or with a Range field one part of it.",
		gives: &huma.Response{Description: "The file.", Content: map[string]*huma.MediaType{"*/*": {Schema: binary}},
			Headers: map[string]*huma.Param{"Content-Disposition": {Schema: &huma.Schema{Type: huma.TypeString}, Description: "Always attachment, with the file's name."}}},
		errors: []int{http.StatusRequestedRangeNotSatisfiable},
	}, s.downloadMedia)
}

func (s *Server) uploadMedia(ctx context.Context, in *struct {
	InWorkspace
	Name string `query:"name" maxLength:"255" example:"invoice.pdf" doc:"The file's name, without a path."`
}) (*answer[domain.Media], error) {
	c := exchangeOf(ctx).fiber
	if err := gate.GiveTime(c, s.opts.UploadTimeout); err != nil {
		return nil, err
	}
	body, err := gate.Body(c, s.opts.MediaMaxBytes)
	if err != nil {
		return nil, err
	}
	m, err := s.opts.Tenant.Upload(ctx, caller(ctx).Actor(), in.Workspace, in.Name, body)
	return &answer[domain.Media]{m}, err
}

func (s *Server) downloadMedia(ctx context.Context, in *inMedia) (*streamed, error) {
	m, content, err := s.opts.Tenant.OpenMedia(ctx, in.Workspace, in.Handle)
	if err != nil {
		return nil, err
	}
	return &streamed{func(c huma.Context) {
		download := gate.Download{Name: m.Name, MIME: m.MIME, SizeBytes: m.SizeBytes, Tag: m.SHA256, Content: content}
		if err := download.Send(humafiber.Unwrap(c)); err != nil {
			gate.Refuse(humafiber.Unwrap(c), s.problem(exchangeOf(ctx), err))
		}
	}}, nil
}
