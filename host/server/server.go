// Package server wires the rooms of the host together and runs them. It is the only
// package that knows them all.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed75a60ee1/patchbay/host/api"
	"github.com/seed75a60ee1/patchbay/host/backup"
	"github.com/seed75a60ee1/patchbay/host/bridges"
	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/config"
	"github.com/seed75a60ee1/patchbay/host/credentials"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/egress"
	"github.com/seed75a60ee1/patchbay/host/health"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/ingress"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
	"github.com/seed75a60ee1/patchbay/host/jobs"
	"github.com/seed75a60ee1/patchbay/host/keyfile"
	"github.com/seed75a60ee1/patchbay/host/limits"
	"github.com/seed75a60ee1/patchbay/host/media"
	"github.com/seed75a60ee1/patchbay/host/oauth"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/host/subscribers"
	"github.com/seed75a60ee1/patchbay/host/telemetry"
	"github.com/seed75a60ee1/patchbay/host/tenant"
	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// Addresses is where a running host listens, as base URLs without a slash at their end.
type Addresses struct {
	Ingress, Management string
}

// Run runs a host until ctx ends, and then lets what is under way come to its end, for as
// long as cfg.Shutdown.Grace. ready is called once, when both listeners accept requests.
func Run(ctx context.Context, cfg config.Config, log *slog.Logger, ready func(Addresses)) (err error) {
	h, err := open(ctx, cfg, log)
	if err != nil {
		return errors.Join(err, h.close())
	}
	defer func() { err = errors.Join(err, h.close()) }()
	return h.serve(ctx, ready)
}

// host is the rooms of one host. Those that must be closed are closed in the reverse order
// of their making.
type host struct {
	cfg     config.Config
	log     *slog.Logger
	closers []func() error

	ingressListener, managementListener net.Listener
	addresses                           Addresses

	store       *store.Store
	authority   *identity.Authority
	keeper      *credentials.Keeper
	tokens      *credentials.Tokens
	egress      *egress.Client
	files       *media.Files
	links       *media.Links
	metrics     *telemetry.Metrics
	upkeep      upkeep
	registry    *registry.Registry
	limits      *limits.Limiter
	broker      *broker.Broker
	scheduler   *jobs.Scheduler
	told        atomic.Pointer[jobs.Scheduler] // scheduler, for the store, which is open before it
	tenant      *tenant.Service
	oauth       *oauth.Room
	prober      *health.Room
	bridges     *bridges.Room
	subscribers *subscribers.Room
	ingress     *ingress.Server
	api         *api.Server
}

// open makes the rooms, from the bottom up. Whatever it returns must be closed, with an
// error too.
func open(ctx context.Context, cfg config.Config, log *slog.Logger) (*host, error) {
	h := &host{cfg: cfg, log: log}
	if cfg.Plugins.AutoApprove {
		log.Warn("policy auto-approve is on: every plugin that is dropped in is granted all that it asks for; do not use this in production")
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"listen", h.listen},
		{"open the data folder", h.openData},
		{"open egress", h.openEgress},
		{"open the plugins", h.openPlugins},
		{"start the jobs", h.openBroker},
		{"open the doors", h.openDoors},
	} {
		if err := step.do(ctx); err != nil {
			return h, fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return h, nil
}

func (h *host) onClose(f func() error) { h.closers = append(h.closers, f) }

func (h *host) close() error {
	var errs []error
	for i := len(h.closers) - 1; i >= 0; i-- {
		errs = append(errs, h.closers[i]())
	}
	return errors.Join(errs...)
}

// listen takes the addresses first: a host that cannot be reached need not start.
func (h *host) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if h.ingressListener, err = lc.Listen(ctx, "tcp", h.cfg.Ingress.Listen); err != nil {
		return err
	}
	h.onClose(ignoreClosed(h.ingressListener.Close))
	if h.managementListener, err = lc.Listen(ctx, "tcp", h.cfg.Management.Listen); err != nil {
		return err
	}
	h.onClose(ignoreClosed(h.managementListener.Close))
	h.addresses = Addresses{Ingress: "http://" + h.ingressListener.Addr().String(),
		Management: "http://" + h.managementListener.Addr().String()}
	return nil
}

func ignoreClosed(f func() error) func() error {
	return func() error {
		if err := f(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

func (h *host) publicURL() string {
	if h.cfg.Ingress.PublicURL != "" {
		return h.cfg.Ingress.PublicURL
	}
	return h.addresses.Ingress
}

// linkKeyBytes is the length of the key of media links.
const linkKeyBytes = 32

// openData opens everything that lives in the data folder.
func (h *host) openData(ctx context.Context) (err error) {
	dir := h.cfg.Data
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := errors.Join(backup.Unfinished(dir), storeIsThere(dir), h.compactIfEmpty(ctx)); err != nil {
		return err
	}
	h.metrics = telemetry.NewMetrics(func() map[domain.JobKind]domain.Backlog { return h.scheduler.Backlog() })
	h.store, err = store.Open(filepath.Join(dir, "patchbay.db"), store.Options{Log: h.log, OnCommit: h.metrics.Commit, OnJobs: h.onQueued})
	if err != nil {
		return err
	}
	h.onClose(h.store.Close)
	if err := keyIsThere(ctx, dir, h.store); err != nil {
		return err
	}
	if h.authority, err = identity.Open(identity.Options{DataDir: dir, Revocations: h.store}); err != nil {
		return err
	}
	vault, err := credentials.OpenVault(dir, time.Now)
	if err != nil {
		return err
	}
	h.keeper = credentials.NewKeeper(vault, h.store)
	h.tokens = h.newTokens(vault)
	if err := h.openMedia(dir); err != nil {
		return err
	}
	h.upkeep = h.newUpkeep()
	return nil
}

func (h *host) openMedia(dir string) (err error) {
	if h.files, err = media.Open(filepath.Join(dir, "media")); err != nil {
		return err
	}
	if err := h.files.Sweep(); err != nil {
		return err
	}
	key, err := keyfile.LoadOrCreate(dir, "media-links.key", func() ([]byte, error) {
		key := make([]byte, linkKeyBytes)
		_, err := rand.Read(key)
		return key, err
	})
	if err != nil {
		return err
	}
	h.links = media.NewLinks(h.publicURL(), key)
	return nil
}

func (h *host) openEgress(context.Context) (err error) {
	resolve, err := config.ParseTargets(h.cfg.Egress.Resolve)
	if err != nil {
		return fmt.Errorf("egress.resolve: %w", err)
	}
	h.egress, err = egress.New(egress.Options{
		Resolve: resolve, Cached: egress.CacheOptions{MaxBytes: h.cfg.Egress.Cached.MaxBytes, TotalBytes: h.cfg.Egress.Cached.TotalBytes,
			Life: h.cfg.Egress.Cached.Life, PerMinute: h.cfg.Egress.Cached.PerMinute},
		CACertFile: h.cfg.Egress.CAFile, DefaultTimeout: h.cfg.Egress.DefaultTimeout, MaxTimeout: h.cfg.Egress.MaxTimeout,
		MaxRequestBytes: h.cfg.Egress.MaxRequestBytes, MaxResponseBytes: h.cfg.Egress.MaxResponseBytes, Observe: h.observe,
		BreakerFailures: h.cfg.Egress.BreakerFailures, BreakerDelay: h.cfg.Egress.BreakerDelay, MaxPause: h.cfg.Egress.MaxPause,
		OnBreaker: h.onBreaker,
	})
	if err != nil {
		return err
	}
	h.onClose(func() error { h.egress.Close(); return nil })
	return nil
}

// observe counts what went out, and logs what did not.
func (h *host) observe(e egress.Exchange) {
	h.metrics.Egress(e.Plugin, e.Status, e.Code, e.Took)
	switch {
	case e.Code == "":
	case e.Wait > 0: // it is asked again and again until it may go out
		h.log.Debug("a request has to wait", "plugin", e.Plugin, "rule", e.Rule, "method", e.Method, "host", e.Host,
			"wait", e.Wait, "cause", e.Err)
	default:
		h.log.Warn("a request was not answered", "plugin", e.Plugin, "rule", e.Rule, "method", e.Method, "host", e.Host,
			"code", e.Code, "cause", e.Err)
	}
}

func (h *host) openPlugins(ctx context.Context) error {
	engine, err := sandbox.NewEngine(sandbox.EngineOptions{
		CacheDir: filepath.Join(h.cfg.Data, "cache"), MemoryBytes: h.cfg.Sandbox.PoolBytes,
	})
	if err != nil {
		return err
	}
	h.onClose(func() error { return engine.Close(context.Background()) })
	options := sandbox.LoadOptions{HostFunctions: broker.Offered(), WarmUp: sandbox.OwnRecordings, Limits: sandbox.Limits{
		MemoryPages: uint32(h.cfg.Sandbox.MemoryPages), Fuel: int64(h.cfg.Sandbox.FuelMillion) * 1_000_000,
		Deadline: max(h.cfg.Receive.Deadline, h.cfg.Command.Deadline),
	}}
	h.registry, err = registry.Open(ctx, registry.Options{
		Store: h.store, Keep: filepath.Join(h.cfg.Data, "plugins"), Folder: h.cfg.Plugins.Dir, Poll: h.cfg.Plugins.PollInterval,
		Load: func(ctx context.Context, wasm []byte) (registry.Code, error) {
			return engine.Load(ctx, wasm, options)
		},
		Compare: func(ctx context.Context, wasm []byte, corpus recording.Corpus) error {
			return engine.CompareEngines(ctx, wasm, options, corpus)
		},
		AutoApprove: h.cfg.Plugins.AutoApprove, Now: time.Now, Log: h.log, OnChange: h.metrics.Plugins,
	})
	if err != nil {
		return err
	}
	h.onClose(func() error {
		grace, cancel := h.grace()
		defer cancel()
		return h.registry.Close(grace)
	})
	return nil
}

// attachments is what the broker needs of media: the bytes and the links to them.
type attachments struct {
	*media.Files
	*media.Links
}

// onQueued has jobs run that the store has just made durable, whether whoever queued them
// still waits for that or not.
func (h *host) onQueued(queued ...domain.Job) {
	if s := h.told.Load(); s != nil {
		s.Add(queued...)
	}
}

func (h *host) openBroker(ctx context.Context) error {
	h.limits = h.newLimiter()
	policy := jobs.Policy{MaxAttempts: h.cfg.Jobs.MaxAttempts, MaxFaults: h.cfg.Jobs.MaxFaults, MaxAge: h.cfg.Jobs.MaxAge,
		BaseDelay: h.cfg.Jobs.BaseDelay, MaxDelay: h.cfg.Jobs.MaxDelay, MaxRetryAfter: h.cfg.Jobs.MaxRetryAfter}
	h.broker = broker.New(broker.Options{
		Store: h.store, Plugins: h.registry, Egress: h.egress, Secrets: h.keeper, Tokens: h.tokens, Pages: h.egress, Authorize: h.consent, Media: attachments{h.files, h.links},
		Metrics: h.metrics, Limits: h.limits, Policy: policy,
		ReceiveDeadline: h.cfg.Receive.Deadline, CommandDeadline: h.cfg.Command.Deadline, MaxRepeatWindow: h.cfg.Receive.MaxRepeatWindow,
		MediaMaxBytes: h.cfg.Media.MaxBytes, MediaLinkTTL: h.cfg.Media.LinkTTL, PublicURL: h.publicURL(),
		Parking: domain.ParkBounds{Deliveries: h.cfg.Apps.MaxParked, Bytes: h.cfg.Apps.MaxParkedBytes,
			KeyDeliveries: h.cfg.Apps.MaxParkedPerKey, KeyBytes: h.cfg.Apps.MaxParkedBytesPerKey},
		MaxParkTime: h.cfg.Apps.MaxParkTime,
		Now:         time.Now, Random: rand.Reader, Log: h.log,
	})
	h.oauth, h.prober = h.newOAuth(), h.newProber()
	h.subscribers = h.newSubscribers()
	h.scheduler = jobs.New(jobs.Options{Queue: h.store, Runner: runners{
		domain.JobCommand: commands{h.broker, h}, domain.JobEvent: h.broker, domain.JobClaim: h.broker, domain.JobNotify: h.subscribers,
	}, Workers: h.cfg.Jobs.Workers, Log: h.log})
	h.told.Store(h.scheduler) // what was queued before, it reads when it starts
	h.tenant = tenant.New(tenant.Options{
		Store: h.store, Plugins: h.registry, Secrets: h.keeper, Tokens: h.tokens, Files: h.files, Jobs: h.scheduler, Limits: h.limits,
		PublicURL: h.publicURL(), MediaMaxBytes: h.cfg.Media.MaxBytes, Now: time.Now, Random: rand.Reader, Log: h.log,
	})
	h.bridges = h.newBridges()
	if err := h.scheduler.Start(ctx); err != nil {
		return err
	}
	h.onClose(func() error {
		grace, cancel := h.grace()
		defer cancel()
		return h.scheduler.Stop(grace)
	})
	return h.startSubscribers(ctx)
}

// serve runs the listeners and the plugin watch until ctx ends or one of them fails.
func (h *host) serve(ctx context.Context, ready func(Addresses)) error {
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return h.ingress.Serve(h.ingressListener) })
	group.Go(func() error { return h.api.Serve(h.managementListener) })
	group.Go(func() error { h.registry.Watch(running); return nil })
	group.Go(func() error { h.bridges.Run(running); return nil })
	group.Go(func() error { h.tokens.Run(running); return nil })
	group.Go(func() error { h.upkeep.Run(running); return nil })
	if h.cfg.Health.Interval > 0 {
		group.Go(func() error { h.prober.Run(running); return nil })
	}
	group.Go(func() error {
		<-running.Done()
		h.log.Info("stopping: what is under way comes to its end", "grace", h.cfg.Shutdown.Grace)
		return h.drain()
	})
	h.log.Info("patchbay is ready", "ingress", h.addresses.Ingress, "management", h.addresses.Management,
		"public_url", h.publicURL(), "data", h.cfg.Data, "mode", h.cfg.Mode)
	ready(h.addresses)
	return group.Wait()
}

// drain stops the doors: deliveries first, so that the management API can still be asked
// how it goes.
func (h *host) drain() error {
	grace, cancel := h.grace()
	defer cancel()
	return errors.Join(h.ingress.Shutdown(grace), h.api.Shutdown(grace))
}

// grace is a context for what is under way when the host stops.
func (h *host) grace() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), h.cfg.Shutdown.Grace)
}

// gateOptions bounds a listener.
func (h *host) gateOptions() gate.Options {
	return gate.Options{
		MaxHeaderBytes: h.cfg.Ingress.MaxHeaderBytes, ReadTimeout: h.cfg.Ingress.ReadTimeout,
		WriteTimeout: h.cfg.Ingress.WriteTimeout, IdleTimeout: h.cfg.Ingress.IdleTimeout,
		NewID: func() string { return h.store.NewID("req") }, Now: time.Now, Log: h.log, Metrics: h.metrics,
	}
}
