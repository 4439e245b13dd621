package sandbox

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

// waiting is a module whose export "run" calls the host function "wait".
func waiting() []byte {
	m := &w.Module{}
	f := m.Import("extism:host/user", "wait", "I:I")
	m.Memory(1)
	m.Func("run", ":", "", w.I64Const(0), w.Call(f), w.Drop)
	return m.Bytes()
}

// room is an engine with memory for so many instances of waiting.
func room(t *testing.T, instances int64) (*Engine, *Plugin) {
	e := newEngineWith(t, EngineOptions{MemoryBytes: instances * (1<<16 + instanceBytes)})
	return e, mustLoad(t, e, waiting(), LoadOptions{HostFunctions: []string{"wait"}})
}

// TestTenantsThatWaitAreServedInTurn has one tenant with many calls waiting before
// another's first one comes.
func TestTenantsThatWaitAreServedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := room(t, 1)
		gate := make(chan struct{})
		var served []string
		call := func(tenant string) {
			host := map[string]HostFunc{"wait": func(context.Context, []byte) ([]byte, error) {
				<-gate
				served = append(served, tenant)
				return nil, nil
			}}
			if _, err := p.Call(context.Background(), Invocation{Export: "run", Host: host, Tenant: tenant, Deadline: time.Minute}); err != nil {
				t.Error(err)
			}
		}
		for _, tenant := range []string{"big", "big", "big", "big", "small", "other", "small"} {
			go call(tenant)
			synctest.Wait()
		}
		for range 7 {
			gate <- struct{}{}
			synctest.Wait()
		}
		if want := []string{"big", "big", "small", "other", "big", "small", "big"}; !slices.Equal(served, want) {
			t.Errorf("served %v, want %v", served, want)
		}
	})
}

func TestACallThatWaitsTooLongIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, p := room(t, 1)
		release := make(chan struct{})
		host := map[string]HostFunc{"wait": func(context.Context, []byte) ([]byte, error) {
			<-release
			return nil, nil
		}}
		go p.Call(context.Background(), Invocation{Export: "run", Host: host, Deadline: time.Hour})
		synctest.Wait()
		_, err := p.Call(context.Background(), Invocation{Export: "run", Host: host, Deadline: time.Second})
		var fault *HostFault
		if !errors.As(err, &fault) || !errors.Is(err, ErrBusy) {
			t.Errorf("got %v, want ErrBusy", err)
		}
		gone := errors.New("the platform hung up")
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, gone)
		defer cancel()
		if _, err := p.Call(ctx, Invocation{Export: "run", Host: host}); !errors.Is(err, gone) {
			t.Errorf("got %v, want the caller's own reason", err)
		}
		if !e.pool.queue.empty() || len(e.pool.queue.lines) != 0 {
			t.Errorf("those who gave up still wait: %+v", e.pool.queue)
		}
		close(release)
		synctest.Wait()
		if _, err := p.Call(context.Background(), Invocation{Export: "run", Host: host}); err != nil {
			t.Errorf("after that: %v", err)
		}
	})
}

func TestIdleInstancesMakeRoomForOtherPlugins(t *testing.T) {
	e, p := room(t, 2)
	host := map[string]HostFunc{"wait": func(context.Context, []byte) ([]byte, error) { return nil, nil }}
	for range 3 {
		output(t, p, Invocation{Export: "run", Host: host})
	}
	two := mustLoad(t, e, leaky(), LoadOptions{})
	output(t, two, Invocation{Export: "write", Input: []byte("8 bytes!")})
	output(t, p, Invocation{Export: "run", Host: host})
	if e.pool.used > e.pool.most {
		t.Errorf("%d bytes are used of %d", e.pool.used, e.pool.most)
	}
}

func TestMemoryThatOthersHoldCannotBeGrownInto(t *testing.T) {
	m := &w.Module{}
	m.Memory(1)
	m.Func("run", ":", "", w.I32Const(100), w.MemoryGrow, w.Drop)
	e := newEngineWith(t, EngineOptions{MemoryBytes: 50 << 16})
	p := mustLoad(t, e, m.Bytes(), LoadOptions{})
	if _, err := p.Call(context.Background(), Invocation{Export: "run"}); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v: the plugin was told that there is no memory, which another time there is", err)
	}
}

// TestAllThatMemoryGrowsByIsCounted has an instance grow by less than it began with.
func TestAllThatMemoryGrowsByIsCounted(t *testing.T) {
	m := &w.Module{}
	f := m.Import("extism:host/user", "look", "I:I")
	m.Memory(4)
	m.Func("run", ":", "", w.I32Const(3), w.MemoryGrow, w.Drop, w.I64Const(0), w.Call(f), w.Drop)
	e := newEngineWith(t, EngineOptions{})
	p := mustLoad(t, e, m.Bytes(), LoadOptions{HostFunctions: []string{"look"}})
	var used int64
	host := map[string]HostFunc{"look": func(context.Context, []byte) ([]byte, error) {
		e.pool.mu.Lock()
		defer e.pool.mu.Unlock()
		used = e.pool.used
		return nil, nil
	}}
	output(t, p, Invocation{Export: "run", Host: host})
	if want := 7*pageBytes + p.besides; used != want {
		t.Errorf("%d bytes were counted while it ran, want %d", used, want)
	}
	if e.pool.used != 0 {
		t.Errorf("%d bytes are counted after it, and it was thrown away", e.pool.used)
	}
}

// TestAPluginIsNotSlowForEverBecauseAllMemoryWasInUse is loaded while there is none.
func TestAPluginIsNotSlowForEverBecauseAllMemoryWasInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, p := room(t, 1)
		release := make(chan struct{})
		host := map[string]HostFunc{"wait": func(context.Context, []byte) ([]byte, error) {
			<-release
			return nil, nil
		}}
		go p.Call(context.Background(), Invocation{Export: "run", Host: host, Deadline: time.Hour})
		synctest.Wait()
		if _, err := e.Load(context.Background(), waiting(), LoadOptions{HostFunctions: []string{"wait"}}); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v, want ErrBusy", err)
		}
		close(release)
		synctest.Wait()
		if again := mustLoad(t, e, waiting(), LoadOptions{HostFunctions: []string{"wait"}}); !again.Image().Frozen {
			t.Errorf("the image is %+v", again.Image())
		}
	})
}

func TestSweepingKeepsWhatWasNeededAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, p := room(t, 10)
		keeper := p.source.(*frozenInstances).keeper
		release := make(chan struct{})
		host := map[string]HostFunc{"wait": func(context.Context, []byte) ([]byte, error) {
			<-release
			return nil, nil
		}}
		for range 5 {
			go p.Call(context.Background(), Invocation{Export: "run", Host: host, Deadline: time.Hour})
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		for sweep, want := range []int{5, 1, 1} {
			time.Sleep(sweepEvery)
			synctest.Wait()
			if kept := idle(keeper); kept != want {
				t.Errorf("after sweep %d %d instances are kept, want %d", sweep+1, kept, want)
			}
		}
		e.pool.mu.Lock()
		defer e.pool.mu.Unlock()
		if want := keeper.idle[0].idleBytes(); e.pool.used != want {
			t.Errorf("%d bytes are counted, want %d", e.pool.used, want)
		}
	})
}

func idle(k *keeper) int {
	k.pool.mu.Lock()
	defer k.pool.mu.Unlock()
	return len(k.idle)
}

func TestClosingAPluginLeavesNothing(t *testing.T) {
	e, p := room(t, 10)
	host := map[string]HostFunc{"wait": func(context.Context, []byte) ([]byte, error) { return nil, nil }}
	output(t, p, Invocation{Export: "run", Host: host})
	f := p.source.(*frozenInstances)
	if err := p.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if e.pool.used != 0 || len(e.pool.keepers) != 0 {
		t.Errorf("%d bytes are counted, and %d plugins", e.pool.used, len(e.pool.keepers))
	}
	if _, err := f.image.NewMemory(1 << 16); err == nil {
		t.Error("the image is still there")
	}
}

// TestTimeEndsWhatComputes has a loop that no limit ends but the deadline, and a caller
// who goes away.
func TestTimeEndsWhatComputes(t *testing.T) {
	p := load(t, run(forever), LoadOptions{Limits: Limits{Fuel: 1 << 60, Deadline: 24 * time.Hour}})
	_, err := p.Call(context.Background(), Invocation{Export: "run", Deadline: 30 * time.Millisecond})
	wantLimit(t, err, "deadline")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not match context.DeadlineExceeded", err)
	}
	gone := errors.New("the platform hung up")
	ctx, cancel := context.WithTimeoutCause(context.Background(), 30*time.Millisecond, gone)
	defer cancel()
	if _, err := p.Call(ctx, Invocation{Export: "run"}); !errors.Is(err, gone) {
		t.Errorf("got %v, want the caller's own reason", err)
	}
}

// TestAPluginThatComputesDoesNotHoldUpOthers: Go cannot interrupt compiled code, and
// waits for it where it collects garbage.
func TestAPluginThatComputesDoesNotHoldUpOthers(t *testing.T) {
	p := load(t, run(forever), LoadOptions{Limits: Limits{Fuel: 1 << 60}})
	done := make(chan error)
	go func() {
		_, err := p.Call(context.Background(), Invocation{Export: "run", Deadline: 2 * time.Second})
		done <- err
	}()
	collected := 0
	for {
		select {
		case err := <-done:
			wantLimit(t, err, "deadline")
			if collected < 5 {
				t.Errorf("garbage was collected %d times in 2 s", collected)
			}
			return
		default:
			garbage = fmt.Sprint(collected)
			runtime.GC()
			collected++
		}
	}
}

var garbage string

// TestOneThatGivesUpDoesNotHoldUpTheNext has a call that wants more than there is before
// one that wants less.
func TestOneThatGivesUpDoesNotHoldUpTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, p := room(t, 2)
		large := &w.Module{}
		large.Memory(2)
		large.Func("run", ":", "")
		big := mustLoad(t, e, large.Bytes(), LoadOptions{})
		release := make(chan struct{})
		defer close(release)
		host := map[string]HostFunc{"wait": func(context.Context, []byte) ([]byte, error) {
			<-release
			return nil, nil
		}}
		go p.Call(context.Background(), Invocation{Export: "run", Host: host, Deadline: time.Hour})
		synctest.Wait()
		go big.Call(context.Background(), Invocation{Export: "run", Tenant: "big", Deadline: time.Second})
		synctest.Wait()
		began := time.Now()
		quick := map[string]HostFunc{"wait": func(context.Context, []byte) ([]byte, error) { return nil, nil }}
		if _, err := p.Call(context.Background(), Invocation{Export: "run", Host: quick, Tenant: "small", Deadline: time.Minute}); err != nil {
			t.Error(err)
		}
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("it waited for %v, want until the other gave up", waited)
		}
	})
}
