package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// maxFetches is how often the media of an event is tried before the event goes out
// without it.
const maxFetches = 4

// maxFetchWait is how long at most one try waits for a destination that is left alone for a
// while: a conversation must not stand still for an attachment.
const maxFetchWait = 2 * time.Minute

// release makes an event visible. The media it carries is fetched first; what cannot be
// had is named with the reason, and never holds the conversation up for ever.
func (b *Broker) release(ctx context.Context, c domain.Connection, job domain.Job) (domain.Job, []domain.Job, error) {
	event := job.Event.Data
	var again error
	for _, media := range attachments(&event) {
		err := b.fetch(ctx, c, media)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return job, nil, err // the host stops: the job is run again
		case transient(err) && job.Attempts+1 < maxFetches:
			again = err
		default:
			media.Missing = missing(err)
		}
	}
	if again != nil {
		return b.postpone(ctx, job, again)
	}
	if _, err := b.opts.Store.ReleaseEvent(ctx, job.ID, event, b.opts.Now()); err != nil {
		return job, nil, fmt.Errorf("release event %s: %w", job.ID, err)
	}
	job.State = domain.JobDone
	return job, nil, nil
}

// postpone has an event wait for another try to fetch what it carries.
func (b *Broker) postpone(ctx context.Context, job domain.Job, cause error) (domain.Job, []domain.Job, error) {
	why := contract.Failure{Class: contract.FailureRetry, Code: "media_unavailable", Message: bounded(cause.Error())}
	now := b.opts.Now()
	wait := b.opts.Policy.Backoff(job.Tries())
	if host := (*contract.HostError)(nil); errors.As(cause, &host) {
		paused := time.Duration(host.RetryAfterMillis) * time.Millisecond
		wait = max(wait, min(paused, maxFetchWait))
	}
	after, err := b.opts.Store.PostponeEvent(ctx, job.ID, why, now, now.Add(wait))
	if err != nil {
		return job, nil, fmt.Errorf("postpone event %s: %w", job.ID, err)
	}
	return after, nil, nil
}

// attachments returns the media of an event that the host has yet to fetch.
func attachments(e *contract.Event) (found []*contract.Media) {
	if e.Message == nil {
		return nil
	}
	add := func(m *contract.Media) {
		if m != nil && m.SourceURL != "" && m.Handle == "" && m.Missing == "" {
			found = append(found, m)
		}
	}
	for i := range e.Message.Parts {
		part := &e.Message.Parts[i]
		add(part.Media)
		if part.Card != nil {
			add(part.Card.Image)
		}
		if part.Carousel != nil {
			for j := range part.Carousel.Cards {
				add(part.Carousel.Cards[j].Image)
			}
		}
	}
	return found
}

// fetch downloads one attachment into the host's keeping and gives it its handle.
func (b *Broker) fetch(ctx context.Context, c domain.Connection, m *contract.Media) error {
	version, release, err := b.acquire(ctx, c)
	if err != nil {
		return err
	}
	defer release()
	sum, size, mime, err := b.download(ctx, policyOf(version.Plugin, c), m.SourceURL)
	if err != nil {
		return err
	}
	if m.SizeBytes > 0 && m.SizeBytes != size {
		b.opts.Log.Warn("an attachment has another size than the platform said; it was kept",
			"connection", c.ID, "said", m.SizeBytes, "got", size)
	}
	kept := domain.Media{Handle: contract.MediaHandle(b.opts.Store.NewID("med")), Workspace: c.Workspace,
		SHA256: sum, Name: m.Name, MIME: mime, SizeBytes: size, CreatedAt: b.opts.Now()}
	if err := b.opts.Store.PutMedia(ctx, kept); err != nil {
		return fmt.Errorf("keep attachment: %w", err)
	}
	m.Handle, m.MIME, m.SizeBytes = kept.Handle, mime, size
	return nil
}

// download streams from the network into the media folder; memory stays bounded.
func (b *Broker) download(ctx context.Context, p domain.EgressPolicy, url string) (sum string, size int64, mime string, err error) {
	reader, writer := io.Pipe()
	fetched := make(chan error, 1)
	go func() {
		_, err := b.opts.Egress.Fetch(ctx, p, url, nil, b.opts.MediaMaxBytes, writer)
		_ = writer.CloseWithError(err) // never fails; a nil error ends the stream
		fetched <- err
	}()
	sum, size, mime, err = b.opts.Media.Put(ctx, reader, b.opts.MediaMaxBytes)
	_ = reader.CloseWithError(err) // lets the download end if the folder failed first
	if cause := <-fetched; cause != nil && err != nil {
		return "", 0, "", cause // the network's reason says more than the folder's
	}
	return sum, size, mime, err
}

// transient tells whether trying again may help.
func transient(err error) bool {
	var host *contract.HostError
	if !errors.As(err, &host) {
		return true // the host's own trouble, which somebody will mend
	}
	switch host.Code {
	case contract.HostUnreachable, contract.HostTimeout, contract.HostUnavailable:
		return true
	}
	return false
}

// missing is the reason for a tenant: no address, and so no token in one.
func missing(err error) string {
	var host *contract.HostError
	if !errors.As(err, &host) {
		return "The host could not keep the attachment."
	}
	switch host.Code {
	case contract.HostDenied:
		return "The attachment is at an address that this connection may not fetch from."
	case contract.HostQuota:
		return "The attachment is larger than this host accepts."
	case contract.HostNotFound:
		return "The platform no longer has the attachment."
	case contract.HostTimeout, contract.HostUnreachable, contract.HostUnavailable:
		return "The platform did not hand the attachment out in time."
	}
	return "The platform's link to the attachment is not usable."
}
