package broker

import (
	"context"
	"errors"
	"fmt"
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

// maxHeld is how long in all an event waits for an attachment that was not asked for yet,
// because the host leaves the destination alone, keeps to a rate or renews a token.
const maxHeld = 10 * time.Minute

// release makes an event visible. The media it carries is fetched first; what cannot be
// had is named with the reason, and never holds the conversation up for ever.
func (b *Broker) release(ctx context.Context, c domain.Connection, job domain.Job) (domain.Job, []domain.Job, error) {
	event := job.Event.Data
	var again error
	for _, media := range attachments(&event) {
		err := b.fetch(ctx, c, media, job.Attempts == 0)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return job, nil, err // the host stops: the job is run again
		case transient(err) && (job.Attempts+1 < maxFetches || held(err) && b.opts.Now().Sub(job.CreatedAt) < maxHeld):
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

// fetch downloads one attachment into the host's keeping and gives it its handle. With renew,
// a token that the platform does not take is renewed, and the error then passes.
func (b *Broker) fetch(ctx context.Context, c domain.Connection, m *contract.Media, renew bool) error {
	version, release, err := b.acquire(ctx, c)
	if err != nil {
		return err
	}
	defer release()
	inv := b.newInvocation(version, c, contract.ExportReceive)
	if inv.app, err = b.appOf(ctx, c); err != nil {
		return err
	}
	kept, err := inv.download(ctx, contract.MediaFetch{URL: m.SourceURL, Headers: m.SourceHeaders, Name: m.Name})
	if err != nil {
		return b.unlessRenewed(ctx, inv, err, renew)
	}
	if m.SizeBytes > 0 && m.SizeBytes != kept.SizeBytes {
		b.opts.Log.Warn("an attachment has another size than the platform said; it was kept",
			"connection", c.ID, "said", m.SizeBytes, "got", kept.SizeBytes)
	}
	m.Handle, m.Name, m.MIME, m.SizeBytes = kept.Handle, kept.Name, kept.MIME, kept.SizeBytes
	return nil
}

// unlessRenewed turns the error of a request whose token the platform did not take into one
// that passes, if there is a newer token or is going to be.
func (b *Broker) unlessRenewed(ctx context.Context, inv *invocation, cause error, renew bool) error {
	for _, use := range inv.refused {
		replaced, renewing, err := b.opts.Tokens.Unauthorised(ctx, use, renew)
		if err != nil {
			return fmt.Errorf("note a 401: %w", err)
		}
		if replaced || renewing {
			return &contract.HostError{Code: contract.HostUnavailable, Message: "the token is renewed", RetryAfterMillis: renewalWait.Milliseconds()}
		}
	}
	return cause
}

// held tells whether a request did not go out because the host holds it back for a while.
func held(err error) bool {
	var host *contract.HostError
	return errors.As(err, &host) && host.Certain && host.RetryAfterMillis > 0
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
	case contract.HostUnauthorised:
		return "The platform does not let this connection have the attachment: its credentials must be renewed."
	case contract.HostTimeout, contract.HostUnreachable, contract.HostUnavailable:
		return "The platform did not hand the attachment out in time."
	}
	return "The platform's link to the attachment is not usable."
}
