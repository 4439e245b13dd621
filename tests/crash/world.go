package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/server"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// world is one data folder with its platforms and its tenant, over many lives of the host.
type world struct {
	product *product
	seed    uint64
	rnd     *rand.Rand
	fates   *fates
	root    string // the evidence folder
	folders stage.Folders
	at      server.Addresses // the same in every life
	seen    *witness

	platform *emulator.Platform
	channel  *emulator.Channel
	code     string // what the platform proves itself with
	ledger   *ledger

	people    *stage.People
	workspace domain.Workspace
	// app is the ledger's, at which deliveries arrive whose connection nobody knows yet.
	app client.Connection
	// elma is ELMA365; ledged is the ledger's; shop is another of the ledger's, which bridge
	// carries over to elma and back; branch is the one that has keys, by which deliveries to the
	// app find it.
	elma, ledged, shop, branch client.Connection
	bridge                     client.Bridge
	receiver                   *receiver
	subscriber                 string
	inbox                      *stage.Inbox

	host  *process
	lives int
}

// patience is how long the host may take for anything that is not load: to start, to be
// set up, to become quiet.
const patience = time.Minute

// newWorld makes the platforms and sets the host up, up to two connected connections.
// Whatever it returns must be closed, with an error too.
func newWorld(ctx context.Context, p *product, seed uint64, root string) (*world, error) {
	w := &world{product: p, seed: seed, rnd: rand.New(rand.NewPCG(seed, 0)), root: root, seen: newWitness(seed)}
	w.fates = &fates{rnd: w.rnd}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"open the platforms", w.openPlatforms},
		{"start the host", func(ctx context.Context) error { return w.revive(ctx, "") }},
		{"let the plugins in", w.admit},
		{"connect ELMA365", w.connectELMA},
		{"register the app", w.register},
		{"connect the ledger", w.connectLedger},
		{"bridge the shop", w.bridgeShop},
		{"subscribe", w.subscribe},
	} {
		if err := step.do(ctx); err != nil {
			return w, fmt.Errorf("%s: %w%s", step.what, err, w.lastWords())
		}
	}
	w.inbox = stage.Listen(context.Background(), w.people.Tenant, w.workspace.ID, "0")
	return w, nil
}

// lastWords is the end of the log of a host that is dead, to explain an error.
func (w *world) lastWords() string {
	if w.host == nil {
		return ""
	}
	select {
	case <-w.host.ended:
		return "\n" + w.host.tail()
	default:
		return ""
	}
}

func (w *world) openPlatforms(context.Context) (err error) {
	w.ledger = openLedger(w.seed)
	if w.platform, err = emulator.Start(emulator.Options{}); err != nil {
		return err
	}
	w.platform.Otherwise(emulator.Step{Outcome: emulator.OutcomeNone})
	if w.folders, err = stage.MakeFolders(w.root, w.platform); err != nil {
		return err
	}
	if err := os.WriteFile(w.folders.CAFile, append(w.platform.CAPEM(), w.ledger.certificate()...), 0o600); err != nil {
		return err
	}
	ingress, err := freeAddress(w.rnd)
	if err != nil {
		return err
	}
	management, err := freeAddress(w.rnd)
	if err != nil {
		return err
	}
	w.at = server.Addresses{Ingress: "http://" + ingress, Management: "http://" + management}
	return errors.Join(os.Symlink(w.product.cache, filepath.Join(w.folders.Data, "cache")),
		w.folders.Drop(w.product.elma, "elma365.wasm"), w.folders.Drop(w.product.ledger, "ledger.wasm"))
}

// freeAddress finds a port below those that the system gives out, so that no outgoing
// connection takes it while the host is dead.
func freeAddress(rnd *rand.Rand) (string, error) {
	var err error
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 12_000+rnd.IntN(18_000))
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", err
}

// revive starts the host in the world's folder. It is not ready yet.
func (w *world) revive(ctx context.Context, setting string) (err error) {
	w.lives++
	host := func(base string) string { return base[len("http://"):] }
	args := []string{"serve", "--data", w.folders.Data, "--plugins", w.folders.Plugins, "--egress.ca_file", w.folders.CAFile,
		"--ingress", host(w.at.Ingress), "--management", host(w.at.Management), "--log.format", "json", "--log.level", "warn",
		"--plugins.poll_interval", "200ms", "--jobs.base_delay", "20ms", "--jobs.max_delay", "200ms", "--jobs.max_attempts", "100",
		"--jobs.workers", strconv.Itoa(workers), "--subscribers.base_delay", "20ms", "--subscribers.max_delay", "200ms",
		// What is kept of payloads is next to nothing, so that there is always something to remove.
		"--retention.interval", "1s", "--retention.max_bytes", "64KiB", "--retention.batch", "5"}
	w.host, err = start(context.WithoutCancel(ctx), w.product.binary, args, setting, filepath.Join(w.root, fmt.Sprintf("life-%03d.log", w.lives)))
	return err
}

// admit has the reviewer approve both plugins, and the tenant enable them.
func (w *world) admit(ctx context.Context) (err error) {
	if err := w.host.ready(ctx, w.at.Management); err != nil {
		return err
	}
	if w.people, err = stage.Hire(w.at, w.folders.Data); err != nil {
		return err
	}
	if w.workspace, err = w.people.Open(ctx, w.at, w.folders.Data, "Crash"); err != nil {
		return err
	}
	for _, name := range []string{"elma365", "ledger"} {
		plugin, err := w.people.AwaitPlugin(ctx, name)
		if err != nil {
			return err
		}
		if _, err := w.people.Reviewer.ApprovePlugin(ctx, plugin.Digest, client.Approval{All: true}); err != nil {
			return err
		}
		if err := w.people.Tenant.EnablePlugin(ctx, w.workspace.ID, name); err != nil {
			return err
		}
	}
	return nil
}

// connectELMA makes the connection whose platform has no names for its deliveries. Files
// of its messages lie with the ledger.
func (w *world) connectELMA(ctx context.Context) (err error) {
	w.elma, err = w.connect(ctx, client.NewConnection{Plugin: "elma365", Settings: map[string]string{
		"company_url": w.platform.URL(), "files_url": w.ledger.server.URL, "outcome_policy": "ignore", "unknown_chat": "accept",
	}})
	if err != nil {
		return err
	}
	m, err := w.people.Messenger(ctx, w.workspace.ID, w.elma.ID)
	if err != nil {
		return err
	}
	w.code = m.Code
	w.channel, err = w.platform.Connect(ctx, m)
	return err
}

func (w *world) register(ctx context.Context) (err error) {
	w.app, err = w.people.Operator.CreateApp(ctx, client.NewApp{Plugin: "ledger", Name: "ledger",
		Settings: map[string]string{"ledger_url": w.ledger.server.URL}})
	if err != nil {
		return err
	}
	return w.allow(ctx, domain.HostWorkspace, w.app.ID)
}

func (w *world) connectLedger(ctx context.Context) (err error) {
	for _, c := range []*client.Connection{&w.ledged, &w.shop, &w.branch} {
		if *c, err = w.connect(ctx, client.NewConnection{Plugin: "ledger", App: w.app.ID}); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) connect(ctx context.Context, n client.NewConnection) (client.Connection, error) {
	n.Name = n.Plugin
	c, err := w.people.Tenant.CreateConnection(ctx, w.workspace.ID, n)
	if err != nil {
		return c, err
	}
	return c, w.allow(ctx, w.workspace.ID, c.ID)
}

// allow has the operator allow a connection, or an app, the platforms' addresses.
func (w *world) allow(ctx context.Context, ws contract.WorkspaceID, c contract.ConnectionID) error {
	var targets []string
	for _, base := range []string{w.platform.URL(), w.ledger.server.URL} {
		u, err := url.Parse(base)
		if err != nil {
			return err
		}
		targets = append(targets, u.Host)
	}
	_, err := w.people.Operator.AllowPrivateTargets(ctx, ws, c, targets)
	return err
}

// tenantID is what the load and the collecting need to name things.
func (w *world) tenantID() contract.WorkspaceID { return w.workspace.ID }

// fallback is how long a life lasts, once it is ready, whose failpoint is never reached.
const fallback = 2500 * time.Millisecond

// die lets the host live until it dies as d says, and starts none anew. It tells whether
// it died there; a failpoint that is not reached ends by the clock.
func (w *world) die(ctx context.Context, d death) (asTold bool, err error) {
	if err := w.revive(ctx, d.setting()); err != nil {
		return false, err
	}
	life := d.after
	if d.point != "" {
		life = fallback
	}
	if d.ready || d.point != "" {
		if err := w.await(ctx, d.point != ""); err != nil {
			return false, err
		}
	}
	timer := time.NewTimer(life)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.host.ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	w.host.kill()
	if !w.host.murdered() {
		w.seen.crash("life %d ended by itself (%v), to be killed at %s:\n%s", w.lives, w.host.err, d, w.host.tail())
	}
	return d.point == "" || w.host.atFailpoint(d.point), err
}

// await waits until the host is ready, and notes if it never is. One that mayDie may end
// before: whoever waits for that sees how.
func (w *world) await(ctx context.Context, mayDie bool) error {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := w.host.ready(waiting, w.at.Management)
	if mayDie && errors.Is(err, errEnded) {
		return nil
	}
	if err != nil && ctx.Err() == nil {
		w.host.kill()
		w.seen.crash("life %d never became ready: %v\n%s", w.lives, err, w.host.tail())
		return fmt.Errorf("life %d never became ready: %w", w.lives, err)
	}
	return err
}

// inspect opens the dead host's store, as the next life will, and asks it whether all is
// well.
func (w *world) inspect(ctx context.Context) error {
	s, err := store.Open(filepath.Join(w.folders.Data, "patchbay.db"), store.Options{})
	if err != nil {
		w.seen.unclean("after life %d the store does not open: %v", w.lives, err)
		return err
	}
	for _, problem := range s.Check(ctx) {
		w.seen.unclean("after life %d: %s", w.lives, problem)
	}
	return s.Close()
}

// close ends everything. The folder stays.
func (w *world) close() {
	if w.inbox != nil {
		w.inbox.Close()
	}
	if w.host != nil {
		w.host.kill()
	}
	if w.people != nil {
		w.people.Close()
	}
	if w.platform != nil {
		_ = w.platform.Close() // what it did not finish, nobody waits for
	}
	if w.ledger != nil {
		w.ledger.server.Close()
	}
	if w.receiver != nil {
		w.receiver.server.Close()
	}
}
