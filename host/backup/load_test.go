package backup_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/backup"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/media"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// writers is how many write while the backup is made.
const writers = 64

// A backup of a host under load holds every write that was acknowledged before it began,
// and every attachment that its store names; and the writers go on meanwhile.
func TestABackupUnderLoadLosesNothing(t *testing.T) {
	dir := t.TempDir()
	live, err := store.Open(filepath.Join(dir, "patchbay.db"), store.Options{})
	must(t, err)
	files, err := media.Open(filepath.Join(dir, "media"))
	must(t, err)
	must(t, live.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_1"}))
	must(t, live.CreateConnection(t.Context(), domain.Connection{ID: "con_1", Workspace: "wsp_1", Endpoint: "e"}, nil))

	load := &load{store: live, files: files, stop: make(chan struct{})}
	for w := range writers {
		load.running.Go(func() { load.write(t, w) })
	}
	load.waitFor(t, 500)
	acknowledged := load.acknowledged() // before the backup begins

	var stream bytes.Buffer
	made, err := backup.Write(t.Context(), &stream, backup.Source{Data: dir, Snapshot: live.Snapshot, Hold: files.Hold,
		Schema: store.Schema(), Version: "1", Now: time.Now}, nil)
	must(t, err)
	load.waitFor(t, load.done.Load()+100) // the writers were not stopped by it
	close(load.stop)
	load.running.Wait()
	must(t, live.Close())

	to := backup.Target{Data: filepath.Join(t.TempDir(), "data"), Schema: store.Schema(), Verify: func(string) error { return nil }}
	_, err = backup.Restore(t.Context(), &stream, to)
	must(t, err)
	restored, err := store.Open(filepath.Join(to.Data, "patchbay.db"), store.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, restored.Close()) })
	if problems := restored.Check(t.Context()); len(problems) > 0 {
		t.Fatalf("the restored store: %s", strings.Join(problems, "\n"))
	}
	for _, id := range acknowledged {
		if d, err := restored.Delivery(t.Context(), id); err != nil || string(d.Body) != "body of "+string(id) {
			t.Fatalf("delivery %s was acknowledged before the backup began: %q, %v", id, d.Body, err)
		}
	}
	attachments := everyAttachment(t, restored, filepath.Join(to.Data, "media"))
	t.Logf("%d deliveries were acknowledged before, %d attachments in the backup of %d bytes", len(acknowledged), attachments, made.Bytes())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// load is what goes on while a backup is made.
type load struct {
	store   *store.Store
	files   *media.Files
	stop    chan struct{}
	running sync.WaitGroup
	done    atomic.Int64

	mu  sync.Mutex
	ids []contract.DeliveryID
}

func (l *load) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// write accepts deliveries and now and then keeps an attachment, until it is stopped.
func (l *load) write(t *testing.T, w int) {
	for n := 0; !l.stopped(); n++ {
		id := contract.DeliveryID(l.store.NewID("dlv"))
		body := "body of " + string(id)
		_, err := l.store.CommitDelivery(context.Background(), domain.DeliveryEffects{
			Effects: domain.Effects{Workspace: "wsp_1", Connection: "con_1", At: time.Now()},
			Delivery: domain.Delivery{Delivery: contract.Delivery{ID: id, ReceivedAt: time.Now(), BodyBytes: int64(len(body))},
				Body: []byte(body), DedupeKey: string(id), Response: contract.Response{Status: 200}}})
		if err == nil && n%10 == 0 {
			err = l.attach(fmt.Sprintf("attachment %d of %d", n, w))
		}
		if err != nil {
			t.Errorf("writer %d: %v", w, err)
			return
		}
		l.mu.Lock()
		l.ids = append(l.ids, id)
		l.mu.Unlock()
		l.done.Add(1)
	}
}

func (l *load) attach(content string) error {
	sum, size, _, err := l.files.Put(context.Background(), strings.NewReader(content), 1<<20)
	if err != nil {
		return err
	}
	return l.store.PutMedia(context.Background(), domain.Media{Handle: contract.MediaHandle(l.store.NewID("med")), Workspace: "wsp_1",
		SHA256: sum, SizeBytes: size, CreatedAt: time.Now()})
}

// waitFor waits until so many deliveries were acknowledged.
func (l *load) waitFor(t *testing.T, n int64) {
	t.Helper()
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	deadline := time.After(30 * time.Second)
	for l.done.Load() < n && !t.Failed() {
		select {
		case <-ticks.C:
		case <-deadline:
			t.Fatalf("only %d of %d deliveries were accepted", l.done.Load(), n)
		}
	}
}

func (l *load) acknowledged() []contract.DeliveryID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]contract.DeliveryID(nil), l.ids...)
}

// everyAttachment reads the bytes of every attachment that a store names.
func everyAttachment(t *testing.T, s *store.Store, dir string) (n int) {
	t.Helper()
	files, err := media.Look(dir)
	must(t, err)
	for page := (domain.Page{Limit: 1000}); ; {
		items, next, err := s.AllMedia(t.Context(), page)
		must(t, err)
		for _, m := range items {
			content, err := files.Open(m.SHA256)
			must(t, err)
			bytes, err := io.ReadAll(content)
			must(t, err)
			must(t, content.Close())
			if hashOf(string(bytes)) != m.SHA256 {
				t.Errorf("attachment %s has other bytes", m.Handle)
			}
			n++
		}
		if next == "" {
			return n
		}
		page.After = next
	}
}
