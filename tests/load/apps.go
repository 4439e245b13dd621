//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/pack"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// cast is a platform whose webhooks come to an app: on a world of its own, with a conversation
// begun, so that they mean something.
type cast interface {
	stage.Platform
	Close() error
	// enter sets the app and one connection up.
	enter(ctx context.Context, w *World) error
	// webhooks makes so many requests, each of another message.
	webhooks(address string, n int) ([][]byte, error)
}

// apps compares what a webhook costs that route has to find a connection for with one that
// comes to a connection's own address.
func apps(ctx context.Context, b *Bench) (rows []Row, err error) {
	count := int(b.Scale.Floor * b.Scale.Time.Seconds())
	t, err := b.direct(ctx, count)
	if err != nil {
		return nil, err
	}
	rows = t.named("elma365")
	for _, name := range []string{"uspacy", "intandem"} {
		routed, err := b.routed(ctx, name, count)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		rows = append(rows, routed...)
	}
	return rows, nil
}

// named is the rows of a load that was offered as fast as it was taken.
func (t *Trial) named(name string) []Row {
	cost := t.cost()
	cost.What = name + ": " + cost.What
	return []Row{
		rowOf(name+": most webhooks", t.Answered(), PerSecond, t.Circumstances).noted("%d answered, %d failed", t.OK(), t.Failed()), cost,
		rowOf(name+": answered otherwise, or not at all", float64(t.Failed()), Number, t.Circumstances).atMost(0),
	}
}

// flood is a load that is due at once: the host always has as many requests as there are
// connections, one for each chat, for of one chat platforms send one message after the other.
func (b *Bench) flood(requests [][]byte) Load {
	return Load{Rate: 1e6, Count: len(requests), Connections: b.Scale.Chats, Patience: 2 * time.Minute,
		Build: func(n int, buf []byte) []byte { return append(buf, requests[n]...) }}
}

// direct has ELMA365's webhooks come, each to its connection.
func (b *Bench) direct(ctx context.Context, count int) (t *Trial, err error) {
	w, end, err := b.world(ctx, "apps-direct", nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	s, err := newStream(b, w, 0)
	if err != nil {
		return nil, err
	}
	load := s.take(float64(count), time.Second)
	load.Rate, load.Connections, load.Patience = 1e6, b.Scale.Chats, 2*time.Minute
	return b.offer(w, load)
}

// routed has webhooks come to an app of the platform's, and looks for what they said.
func (b *Bench) routed(ctx context.Context, name string, count int) (rows []Row, err error) {
	c, err := newCast(name)
	if err != nil {
		return nil, err
	}
	w, end, err := b.stage(ctx, name, c)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	defer func() { err = errors.Join(err, end(), c.Close()) }()
	warm := max(count/4, 1)
	requests, err := c.webhooks(w.Host.Address(), warm+count)
	if err != nil {
		return nil, err
	}
	first, err := b.offer(w, b.flood(requests[:warm]))
	if err != nil {
		return nil, err
	}
	endProfile := func() error { return nil }
	if b.Profile != "" {
		if endProfile, err = w.Host.Profile(b.Profile + "." + name); err != nil {
			return nil, err
		}
	}
	t, err := b.offer(w, b.flood(requests[warm:]))
	if err := errors.Join(err, endProfile()); err != nil {
		return nil, err
	}
	heard, err := w.heard(ctx)
	lost := rowOf(name+": acknowledged and lost", float64(first.OK()+t.OK()-heard), Number, t.Circumstances).atMost(0)
	return append(t.named(name), lost), err
}

// heard counts the different messages of a load that the tenant has events of.
func (w *World) heard(ctx context.Context) (int, error) {
	t, said := w.Tenants[0], map[int]bool{}
	for page := (domain.Page{Limit: 1000}); ; {
		events, err := t.Client.Events(ctx, t.Workspace, page)
		if err != nil || len(events.Items) == 0 {
			return len(said), err
		}
		for _, e := range events.Items {
			if m := e.Data.Message; m != nil && number(stage.Text(m)) > 0 {
				said[number(stage.Text(m))] = true
			}
			page.After = e.Sequence
		}
	}
}

func newCast(name string) (cast, error) {
	if name == "uspacy" {
		return newUspacy()
	}
	return newIntandem()
}

// stage makes a world for a platform, with its plugin admitted, one tenant, and its part
// begun. The function ends it and removes its folder.
func (b *Bench) stage(ctx context.Context, name string, c cast) (w *World, end func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, scenePatience)
	defer cancel()
	root, err := os.MkdirTemp(b.Dir, "apps-"+name+"-")
	if err != nil {
		return nil, nil, err
	}
	w = &World{plan: Plan{Chats: b.Scale.Chats, Root: root, Cache: filepath.Join(b.Dir, "cache"), Fields: map[string]any{"egress.resolve": stage.Resolve(c)}}}
	end = func() error { return errors.Join(w.Close(), os.RemoveAll(root)) }
	if err := b.open(ctx, w, name, c); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("set the scene: %w", err), end())
	}
	return w, end, nil
}

func (b *Bench) open(ctx context.Context, w *World, name string, c cast) (err error) {
	if w.folders, err = stage.MakeFolders(w.plan.Root, c); err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(w.plan.Cache, 0o700), os.Symlink(w.plan.Cache, filepath.Join(w.folders.Data, "cache"))); err != nil {
		return err
	}
	if err := w.Start(ctx, false); err != nil {
		return err
	}
	wasm, err := b.packed(ctx, name)
	if err != nil {
		return err
	}
	if _, err := w.people.Admit(ctx, w.folders, wasm, name); err != nil {
		return err
	}
	workspace, err := w.people.Open(ctx, w.Host.At, w.folders.Data, "Tenant")
	if err != nil {
		return err
	}
	w.Tenants = []*Tenant{{Workspace: workspace.ID, Client: w.people.Tenant}}
	if err := w.people.Tenant.EnablePlugin(ctx, workspace.ID, name); err != nil {
		return err
	}
	return c.enter(ctx, w)
}

// packed builds one of our plugins.
func (b *Bench) packed(ctx context.Context, name string) ([]byte, error) {
	top, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w; run this inside the repository", err)
	}
	file := filepath.Join(b.Dir, name+".wasm")
	if _, err := pack.Build(ctx, pack.Options{Dir: filepath.Join(strings.TrimSpace(string(top)), "plugins", name), Output: file}); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// allow has the operator allow an app the platform's address.
func (w *World) allow(ctx context.Context, app contract.ConnectionID, p stage.Platform) error {
	targets, err := stage.Target(p)
	if err != nil {
		return err
	}
	_, err = w.people.Operator.AllowPrivateTargets(ctx, domain.HostWorkspace, app, targets)
	return err
}

// chat is the tenant's name for one of the conversations.
func chat(i int) string { return fmt.Sprintf("tg-%06d", i) }

// greet has a customer write the first message of a chat.
func (w *World) greet(ctx context.Context, i int) error {
	t := w.Tenants[0]
	m := greeting(contract.ConversationID(chat(i)))
	m.Author.Contact.Phone = fmt.Sprintf("+3706%07d", i) // by which platforms know people
	_, err := t.Client.Send(ctx, t.Workspace, t.Connection, m)
	return err
}

// reaches waits until the tenant's connection has a state.
func (w *World) reaches(ctx context.Context, state contract.ConnectionState) error {
	t := w.Tenants[0]
	return stage.Poll(ctx, "the connection is "+string(state), func() (bool, error) {
		c, err := t.Client.Connection(ctx, t.Workspace, t.Connection)
		return c.State == state, err
	})
}

// post is a webhook as it goes over the wire.
func post(address, path string, header map[string]string, body []byte) []byte {
	var fields strings.Builder
	for _, name := range slices.Sorted(maps.Keys(header)) {
		fmt.Fprintf(&fields, "%s: %s\r\n", name, header[name])
	}
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n%s\r\n%s", path, address, len(body), &fields, body)
}
