package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// mediaFetch is the host function media_fetch: the bytes go from the platform into the
// host's keeping and never through the guest. Only commands may call out.
func (inv *invocation) mediaFetch(ctx context.Context, in *contract.MediaFetch) (*contract.MediaFetchResult, error) {
	switch {
	case inv.answersPlatform():
		return &contract.MediaFetchResult{Error: denied("receive and route may not call out; name the attachment's source_url, " +
			"or return a command instead")}, nil
	case in.MaxBytes < 0:
		return &contract.MediaFetchResult{Error: invalid("max_bytes is negative")}, nil
	case len(in.Name) > contract.MaxNameBytes:
		return &contract.MediaFetchResult{Error: invalid(fmt.Sprintf("name is longer than %d bytes", contract.MaxNameBytes))}, nil
	}
	kept, err := inv.download(ctx, *in)
	if refusal := (*contract.HostError)(nil); errors.As(err, &refusal) {
		return &contract.MediaFetchResult{Error: refusal}, nil
	}
	if err != nil {
		return nil, err
	}
	return &contract.MediaFetchResult{Media: &contract.Media{Kind: kindOfMedia(kept.MIME), Handle: kept.Handle, Name: kept.Name,
		MIME: kept.MIME, SizeBytes: kept.SizeBytes}}, nil
}

// download streams from the network into the media folder, with bounded memory, and keeps
// what it is for the workspace. An error that holds a [*contract.HostError] says what was
// wrong with the request or its answer.
func (inv *invocation) download(ctx context.Context, in contract.MediaFetch) (domain.Media, error) {
	b, most := inv.broker, inv.broker.opts.MediaMaxBytes
	if in.MaxBytes > 0 {
		most = min(most, in.MaxBytes)
	}
	inv.carried = nil
	var got domain.Fetched
	reader, writer := io.Pipe()
	fetched := make(chan error, 1)
	go func() {
		var err error
		got, err = b.opts.Egress.Download(ctx, inv.policy(), inv.reveal, in.URL, in.Headers, most, writer)
		_ = writer.CloseWithError(err) // never fails; a nil error ends the stream
		fetched <- err
	}()
	sum, size, mime, err := b.opts.Media.Put(ctx, reader, most)
	_ = reader.CloseWithError(err) // lets the download end if the folder failed first
	if cause := <-fetched; cause != nil && err != nil {
		err = cause // the network's reason says more than the folder's
	}
	inv.noteDownload(ctx, err)
	if err != nil {
		return domain.Media{}, err
	}
	name := in.Name
	if name == "" {
		name = got.Name
	}
	kept := domain.Media{Handle: contract.MediaHandle(b.opts.Store.NewID("med")), Workspace: inv.connection.Workspace,
		SHA256: sum, Name: plainName(name), MIME: mime, SizeBytes: size, CreatedAt: b.opts.Now()}
	if err := b.opts.Store.PutMedia(ctx, kept); err != nil {
		return domain.Media{}, fmt.Errorf("keep attachment: %w", err)
	}
	return kept, nil
}

// noteDownload notes how the platform took the access tokens of a download, and for how long
// it is left alone.
func (inv *invocation) noteDownload(ctx context.Context, err error) {
	answer := &contract.HTTPResult{Status: 200}
	if refusal := (*contract.HostError)(nil); errors.As(err, &refusal) {
		if answer = (&contract.HTTPResult{Error: refusal}); refusal.Code == contract.HostUnauthorised {
			answer = &contract.HTTPResult{Status: 401} // of the platform: where the host says so, nothing was carried
		}
	} else if err != nil {
		answer = &contract.HTTPResult{Error: &contract.HostError{Code: contract.HostUnavailable}}
	}
	inv.noteAnswer(ctx, answer)
}

// plainName makes a file name of what somebody called a file: no path, and nothing that
// cannot be seen.
func plainName(name string) string {
	name = strings.ToValidUTF8(name[strings.LastIndexAny(name, `/\`)+1:], "")
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, name)
	for len(name) > contract.MaxNameBytes {
		_, last := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-last]
	}
	return name
}

// kindOfMedia is the kind of attachment that a media type stands for.
func kindOfMedia(mime string) contract.MediaKind {
	family, _, _ := strings.Cut(mime, "/")
	switch {
	case family == "image":
		return contract.MediaImage
	case family == "audio", mime == "application/ogg": // which is what Ogg looks like, whatever is in it
		return contract.MediaAudio
	case family == "video":
		return contract.MediaVideo
	}
	return contract.MediaFile
}
