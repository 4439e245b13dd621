// Package ingress takes the webhooks of platforms off the network and hands them to the
// broker, and hands out attachments to whoever holds a signed link to one.
//
// A request is copied, whole and raw, within the limits of [Options]; nothing of it is
// parsed beyond HTTP, and nothing is decompressed, because only the plugin knows what was
// signed. Every request gets an answer: the broker's, or a problem (RFC 9457) if it never
// got that far.
package ingress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/failpoint"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// DefaultMaxBodyBytes is the largest body that is taken where Options say nothing.
const DefaultMaxBodyBytes = 4 << 20

// Broker answers deliveries. It never fails: there always is an answer.
type Broker interface {
	Receive(ctx context.Context, r broker.Request) broker.Answer
}

// Links knows which links to attachments are genuine.
type Links interface {
	// Verify answers an error unless the handle, the expiry and the signature of a link, as
	// they stand in it, belong together and it has not expired at now.
	Verify(h contract.MediaHandle, expires, signature string, now time.Time) error
}

// Media knows attachments.
type Media interface {
	// Media answers domain.ErrNotFound if there is no such attachment.
	Media(ctx context.Context, h contract.MediaHandle) (domain.Media, error)
}

// Files holds the bytes of attachments.
type Files interface {
	Open(sha256 string) (io.ReadSeekCloser, error)
}

// Options says how an ingress works.
type Options struct {
	// Gate holds the limits of the listener. Its Name and PanicStatus are set by New.
	Gate gate.Options
	// MaxBodyBytes limits a body; 0 means DefaultMaxBodyBytes.
	MaxBodyBytes int64
	// Shedding says when there is too much to do.
	Shedding Shedding
	Broker   Broker
	// Links, Media and Files serve signed links.
	Links Links
	Media Media
	Files Files
	// OAuth serves the pages of a consent; without it there are none.
	OAuth OAuth
}

// Server is the ingress. It is safe for concurrent use.
type Server struct {
	opts      Options
	gate      *gate.Server
	turnstile *turnstile
	bodies    *gate.Budget
}

// New makes an ingress.
func New(opts Options) *Server {
	if opts.MaxBodyBytes == 0 {
		opts.MaxBodyBytes = DefaultMaxBodyBytes
	}
	opts.Shedding.fill()
	opts.Gate.Name = "ingress"
	opts.Gate.PanicStatus = http.StatusServiceUnavailable // platforms try that again
	s := &Server{opts: opts, gate: gate.New(opts.Gate),
		turnstile: newTurnstile(opts.Shedding.MaxInFlight, opts.Shedding.MaxWaiting, opts.Shedding.MaxWait)}
	s.bodies = gate.NewBudget(opts.Shedding.MaxBodyBytes, func() *gate.Problem { return s.shed(tooManyBytes) })
	app := s.gate.App()
	app.All("/in/*", s.receive)
	app.Get("/media/:handle", s.download)
	if opts.OAuth != nil {
		s.addOAuth()
	}
	app.Get("/healthz", func(c *fiber.Ctx) error { return c.SendString("ok\n") })
	return s
}

// Serve answers requests that come to l, until Shutdown. It closes l.
func (s *Server) Serve(l net.Listener) error { return s.gate.Serve(l) }

// Shutdown takes no more requests and waits until those that run have been answered, or
// until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return s.gate.Shutdown(ctx) }

// receive takes one delivery, or sheds it: before its body is read if it is clear by then
// that there is no room, and at the latest before anything is done about it.
func (s *Server) receive(c *fiber.Ctx) error {
	if s.returns(&c.Request().Header, c.Request().URI().QueryString()) {
		return s.visit(c, s.opts.OAuth.Callback)
	}
	r, err := parse(&c.Request().Header, c.Request().URI().PathOriginal(), c.Request().URI().QueryString())
	if err != nil {
		return err
	}
	if s.turnstile.full(r.Endpoint) {
		return s.shed(tooManyWaiting)
	}
	body, release, err := gate.ReadBodyWithin(c, s.opts.MaxBodyBytes, s.bodies)
	defer release()
	if err != nil {
		return err
	}
	leave, let := s.turnstile.enter(r.Endpoint)
	if !let {
		return s.shed(waitedTooLong)
	}
	defer leave()
	r.Body = body
	return s.deliver(c, r)
}

// deliver has the broker answer. Its context is not bound to the connection: a platform
// that hangs up early must not stop a commit half way.
func (s *Server) deliver(c *fiber.Ctx, r broker.Request) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Shedding.MaxTime)
	defer cancel()
	answer := s.opts.Broker.Receive(ctx, r)
	failpoint.Hit(failpoint.IngressAfterCommit)
	write(c, answer)
	gate.OnWritten(c, answer.Answered)
	return nil
}

// download serves a signed link. Nobody is told whether the attachment or the signature
// was wrong.
func (s *Server) download(c *fiber.Ctx) error {
	handle := contract.MediaHandle(c.Params("handle"))
	if s.opts.Links.Verify(handle, c.Query("exp"), c.Query("sig"), s.opts.Gate.Now()) != nil {
		return errLink
	}
	m, err := s.opts.Media.Media(c.UserContext(), handle)
	switch {
	case errors.Is(err, domain.ErrNotFound):
		return errLink
	case err != nil:
		return fmt.Errorf("linked media %s: %w", handle, err)
	}
	content, err := s.opts.Files.Open(m.SHA256)
	if err != nil {
		return fmt.Errorf("open linked media %s: %w", handle, err)
	}
	return gate.Download{Name: m.Name, MIME: m.MIME, SizeBytes: m.SizeBytes, Tag: m.SHA256, Content: content}.Send(c)
}

var errLink = gate.NewProblem(http.StatusNotFound, "the link is not valid, or not any more")
