package bridges_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed75a60ee1/patchbay/host/bridges"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// failing is a store that takes no steps, and cannot be listed, while it is down.
type failing struct {
	*store.Store
	down  atomic.Bool
	tried atomic.Int64
}

var errDown = errors.New("the disk is full")

func (f *failing) StepBridge(ctx context.Context, step domain.BridgeStep) ([]domain.Job, error) {
	if f.down.Load() {
		f.tried.Add(1)
		return nil, errDown
	}
	return f.Store.StepBridge(ctx, step)
}

func (f *failing) BridgedWorkspaces(ctx context.Context) ([]contract.WorkspaceID, error) {
	if f.down.Load() {
		return nil, errDown
	}
	return f.Store.BridgedWorkspaces(ctx)
}

// running is a world whose room runs by itself, over a store that may fail.
func running(t *testing.T) (*world, *failing) {
	w := newWorld(t)
	f := &failing{Store: w.store}
	w.room = bridges.New(w.options(f))
	return w, f
}

// start runs the room until the test ends.
func (w *world) start(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { w.room.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	synctest.Wait()
}

func TestARoomThatRunsCarriesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := running(t)
		w.bridge(shop, desk)
		w.writes(shop, chat, contract.RoleCustomer, "before the start")
		w.start(t)
		w.want(w.deliver(), "desk/chat-1 customer: before the start")
		w.writes(shop, chat, contract.RoleCustomer, "while it runs")
		synctest.Wait()
		w.want(w.deliver(), "desk/chat-1 customer: while it runs")
		w.bridge(phone, robo) // made while it runs
		w.writes(phone, chat, contract.RoleCustomer, "to the robot")
		synctest.Wait()
		w.want(w.deliver(), "bot/chat-1 customer: to the robot")
	})
}

func TestTheFirstBridgeOfAWorkspace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := running(t)
		w.start(t)
		b := w.bridge(shop, desk)
		synctest.Wait()
		w.writes(shop, chat, contract.RoleCustomer, "Hello")
		synctest.Wait()
		w.want(w.deliver(), "desk/chat-1 customer: Hello")
		paused := domain.BridgePaused
		w.update(b.ID, bridges.Patch{State: &paused})
		w.writes(shop, chat, contract.RoleCustomer, "paused")
		synctest.Wait()
		w.want(w.deliver())
		active := domain.BridgeActive
		w.update(b.ID, bridges.Patch{State: &active})
		synctest.Wait()
		w.want(w.deliver(), "desk/chat-1 customer: paused")
	})
}

func TestAStoreThatFailsIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, f := running(t)
		w.bridge(shop, desk)
		f.down.Store(true)
		w.start(t)
		f.down.Store(false)
		time.Sleep(time.Second) // of the bubble's clock: the list of workspaces is read again
		synctest.Wait()
		f.down.Store(true)
		w.writes(shop, chat, contract.RoleCustomer, "Hello")
		synctest.Wait()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if tried := f.tried.Load(); tried < 10 || tried > 40 {
			t.Errorf("tried %d times in ten minutes", tried)
		}
		f.down.Store(false)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		w.want(w.deliver(), "desk/chat-1 customer: Hello")
	})
}

// Events that do not concern a bridge do not cost a write each; when it is quiet, the
// cursor is kept.
func TestACursorThatOnlyPassedByIsKeptWhenItIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := running(t)
		b := w.bridge(shop, desk)
		w.start(t)
		for range 5 {
			w.writes(phone, chat, contract.RoleCustomer, "elsewhere")
			synctest.Wait()
		}
		if got := w.status(b.ID).Progress; got.Behind != 5 {
			t.Errorf("progress %+v", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := w.status(b.ID).Progress; got.Behind != 0 || got.Cursor != 5 {
			t.Errorf("progress when it was quiet %+v", got)
		}
	})
}

// A bug in the way of one bridge is an error of that one, and of nobody else.
func TestAPanicStopsOneBridge(t *testing.T) {
	w := newWorld(t)
	w.bridge(shop, desk)
	w.bridge(phone, robo)
	options := w.options(w.store)
	options.Abilities = func(plugin string) ([]contract.Export, bool) {
		if plugin == "desk" {
			panic("the plugin is haunted")
		}
		return all(), true
	}
	w.room = bridges.New(options)
	w.writes(shop, chat, contract.RoleCustomer, "Hello")
	w.writes(phone, chat, contract.RoleCustomer, "Hello, robot")
	if err := w.room.Round(t.Context(), ws); err == nil || !strings.Contains(err.Error(), "the plugin is haunted") {
		t.Errorf("Round() = %v", err)
	}
	w.want(w.deliver(), "bot/chat-1 customer: Hello, robot")
}
