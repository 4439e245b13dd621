package broker

import (
	"context"
	"errors"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// attachment returns what a handle stands for. A handle of another workspace is as unknown
// as one that was never made.
func (inv *invocation) attachment(ctx context.Context, h contract.MediaHandle) (domain.Media, *contract.HostError, error) {
	media, err := inv.broker.opts.Store.Media(ctx, h)
	switch {
	case errors.Is(err, domain.ErrNotFound) || err == nil && media.Workspace != inv.connection.Workspace:
		return domain.Media{}, notFound("there is no such attachment"), nil
	case err != nil:
		return domain.Media{}, nil, err
	}
	return media, nil, nil
}

// mediaLink is the host function media_link.
func (inv *invocation) mediaLink(ctx context.Context, in *contract.MediaLink) (*contract.MediaLinkResult, error) {
	if _, problem, err := inv.attachment(ctx, in.Handle); problem != nil || err != nil {
		return &contract.MediaLinkResult{Error: problem}, err
	}
	if in.TTLSeconds < 0 {
		return &contract.MediaLinkResult{Error: invalid("ttl_seconds is negative")}, nil
	}
	ttl := inv.broker.opts.MediaLinkTTL
	if in.TTLSeconds > 0 && in.TTLSeconds < int64(ttl/time.Second) {
		ttl = time.Duration(in.TTLSeconds) * time.Second
	}
	expires := inv.now.Add(ttl).Truncate(time.Second)
	return &contract.MediaLinkResult{URL: inv.broker.opts.Media.Link(in.Handle, expires), ExpiresAt: expires}, nil
}

// mediaPut is the host function media_put: the bytes go from the host to the platform and
// never through the guest. Only commands may call out.
func (inv *invocation) mediaPut(ctx context.Context, in *contract.MediaPut) (*contract.HTTPResult, error) {
	if inv.answersPlatform() {
		return &contract.HTTPResult{Error: denied("receive and route may not call out; return a command instead")}, nil
	}
	media, problem, err := inv.attachment(ctx, in.Handle)
	if problem != nil || err != nil {
		return &contract.HTTPResult{Error: problem}, err
	}
	body, err := inv.broker.opts.Media.Open(media.SHA256)
	if err != nil {
		return nil, err
	}
	inv.carried = nil
	return inv.noteAnswer(ctx, inv.broker.opts.Egress.Upload(ctx, inv.policy(), inv.reveal, *in, domain.Attachment{
		Name: media.Name, MIME: media.MIME, SizeBytes: media.SizeBytes, Body: body,
	})), nil
}

// answersPlatform tells whether a platform waits for what this invocation answers, or a
// person in front of a browser.
func (inv *invocation) answersPlatform() bool {
	return inv.export == contract.ExportReceive || inv.export == contract.ExportRoute || inv.export == contract.ExportAuthorizeURL
}
