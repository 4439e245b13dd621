package store_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// sectorBytes is what a disk writes whole or not at all.
const sectorBytes = 512

// diskWrite is one write to the file, as the system was asked for it.
type diskWrite struct {
	at   int64
	data []byte
	// epoch counts the fsyncs before it: writes of one epoch reach the disk in any order,
	// in part, or not at all, until the next fsync is over.
	epoch int
	// promised is how many deliveries were acknowledged before it was asked for.
	promised int
}

// disk remembers what was written to a store's file since base, which was on the disk.
// bbolt writes the pages of a transaction, fsyncs, writes the page that points to them,
// and fsyncs; so a write of that page begins an epoch, and what follows it another.
type disk struct {
	base   []byte
	writes []diskWrite // only the store's writer appends
	epoch  int
	meta   bool // the last write was that of a page that points to a transaction

	mu       sync.Mutex
	promises []promise
}

// promise is a delivery that was acknowledged.
type promise struct {
	id   contract.DeliveryID
	seq  uint64
	body string
	job  string
}

// spy puts a disk between a store and its file. The store must be idle.
func spy(t *testing.T, s *store.Store) *disk {
	t.Helper()
	bolt := s.Bolt()
	base, err := os.ReadFile(bolt.Path())
	if err != nil {
		t.Fatal(err)
	}
	if bolt.NoSync || bolt.NoGrowSync {
		t.Fatal("the store does not fsync")
	}
	// Room that bbolt has reserved and not used is left out, so that images are small.
	used := len(bytes.TrimRight(base, "\x00"))
	d := &disk{base: base[:min(len(base), (used/bolt.Info().PageSize+1)*bolt.Info().PageSize)]}
	// The one place where bbolt writes. It has no name outside its package.
	field := reflect.ValueOf(bolt).Elem().FieldByName("ops").FieldByName("writeAt")
	write := (*func([]byte, int64) (int, error))(unsafe.Pointer(field.UnsafeAddr()))
	real, pages := *write, int64(bolt.Info().PageSize)
	*write = func(data []byte, at int64) (int, error) {
		d.note(data, at, at < 2*pages)
		return real(data, at)
	}
	return d
}

func (d *disk) note(data []byte, at int64, meta bool) {
	if meta || d.meta {
		d.epoch++
	}
	d.meta = meta
	d.mu.Lock()
	promised := len(d.promises)
	d.mu.Unlock()
	d.writes = append(d.writes, diskWrite{at: at, data: slices.Clone(data), epoch: d.epoch, promised: promised})
}

func (d *disk) promise(p promise) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.promises = append(d.promises, p)
}

// busy commits deliveries from several goroutines, with events, entries and jobs, and
// notes what was acknowledged.
func busy(t *testing.T, s *store.Store, d *disk, deliveries int) {
	t.Helper()
	const goroutines = 8
	ctx := t.Context()
	conn := domain.Connection{ID: "con_0", Workspace: "wsp_0", Plugin: "acme", Endpoint: "e"}
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for n := g; n < deliveries; n += goroutines {
				if err := keep(ctx, s, d, conn, int64(n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func keep(ctx context.Context, s *store.Store, d *disk, conn domain.Connection, n int64) error {
	e := webhook(s, conn, n)
	e.Writes = []domain.KVWrite{{Key: fmt.Sprint(n % 50), Value: string(e.Delivery.ID)}}
	e.Commands = []contract.CommandRequest{{Payload: string(e.Delivery.ID)}}
	c, err := s.CommitDelivery(ctx, e)
	if err != nil {
		return err
	}
	d.promise(promise{id: c.Delivery, seq: c.Events[0].Seq, body: string(e.Delivery.Body), job: c.Jobs[0].ID})
	return nil
}

// image is the disk as a power cut before the write at index cut leaves it: all that was
// fsynced, and of the rest each sector or not, by chance. A disk that lies has lost some of
// what it said was written, too: pages, since a store keeps two of those that point.
func (d *disk) image(rnd *rand.Rand, cut int, lies bool) []byte {
	image := slices.Clone(d.base)
	now := d.epoch + 1 // after the last write and its fsync, all is there
	if cut < len(d.writes) {
		now = d.writes[cut].epoch
	}
	for _, w := range d.writes[:cut] {
		if end := w.at + int64(len(w.data)); end > int64(len(image)) {
			image = append(image, make([]byte, end-int64(len(image)))...) // growing is fsynced before
		}
		switch {
		case w.epoch < now && !(lies && w.epoch == now-1):
			copy(image[w.at:], w.data)
		case rnd.IntN(4) == 0: // not a byte of it
		default:
			tear(rnd, image[w.at:], w.data)
		}
	}
	return image
}

// tear writes some of the sectors: all of them, up to one, or each by chance.
func tear(rnd *rand.Rand, dst, data []byte) {
	how, upTo := rnd.IntN(3), rnd.IntN(len(data)/sectorBytes+1)*sectorBytes
	for at := 0; at < len(data); at += sectorBytes {
		if how == 0 || how == 1 && at < upTo || how == 2 && rnd.IntN(2) == 0 {
			copy(dst[at:], data[at:min(at+sectorBytes, len(data))])
		}
	}
}

// record runs a store under load on a disk that remembers.
func record(t *testing.T, deliveries int) *disk {
	t.Helper()
	s := open(t)
	ctx := t.Context()
	conn := domain.Connection{ID: "con_0", Workspace: "wsp_0", Plugin: "acme", Endpoint: "e"}
	if err := s.CreateWorkspace(ctx, domain.Workspace{ID: "wsp_0"}); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateConnection(ctx, conn, nil); err != nil {
		t.Fatal(err)
	}
	d := spy(t, s.Store)
	busy(t, s.Store, d, deliveries)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}

// imageFolder is a folder in memory if there is one: what is tried is the image, not the
// disk below it.
func imageFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "patchbay-powerloss-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestAPowerCut cuts the power at 500 moments, and looks for everything that had been
// acknowledged.
func TestAPowerCut(t *testing.T) {
	d := record(t, 250)
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(imageFolder(t), "image.db")
	const images = 500
	for range images {
		cut := 1 + rnd.IntN(len(d.writes))
		promised := d.promises[:d.writes[min(cut, len(d.writes)-1)].promised]
		if cut == len(d.writes) {
			promised = d.promises
		}
		if problems := survey(t, path, d.image(rnd, cut, false), promised); len(problems) > 0 {
			t.Fatalf("seed %d: the power was cut before write %d of %d, with %d deliveries acknowledged: %q",
				seed, cut, len(d.writes), len(promised), problems)
		}
	}
	t.Logf("%d images of %d writes in %d epochs, %d deliveries", images, len(d.writes), d.epoch, len(d.promises))
}

// TestALyingDiskIsNoticed shows that the test above could fail: a disk that has lost what
// it said was written does lose deliveries.
func TestALyingDiskIsNoticed(t *testing.T) {
	d := record(t, 100)
	rnd := rand.New(rand.NewPCG(1, 1))
	path := filepath.Join(imageFolder(t), "image.db")
	for range 50 {
		cut := len(d.writes)/2 + rnd.IntN(len(d.writes)/2)
		promised := d.promises[:d.writes[cut].promised]
		if len(survey(t, path, d.image(rnd, cut, true), promised)) > 0 {
			return
		}
	}
	t.Error("50 images with synced writes missing were all found in order")
}

// survey opens an image and returns what is wrong with it.
func survey(t *testing.T, path string, image []byte, promised []promise) (problems []string) {
	t.Helper()
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(path, store.Options{})
	if err != nil {
		return []string{err.Error()}
	}
	problems = s.Check(t.Context())
	for _, p := range promised {
		if problem := kept(t.Context(), s, p); problem != "" {
			problems = append(problems, problem)
		}
	}
	if err := s.Close(); err != nil {
		problems = append(problems, err.Error())
	}
	return problems
}

// kept tells what is missing or wrong of a delivery that was acknowledged; empty if
// nothing is.
func kept(ctx context.Context, s *store.Store, p promise) string {
	d, err := s.Delivery(ctx, p.id)
	if err != nil || d.State != domain.DeliveryAccepted || string(d.Body) != p.body {
		return fmt.Sprintf("%s was acknowledged and is %q with %d bytes: %v", p.id, d.State, len(d.Body), err)
	}
	events, err := s.Events(ctx, "wsp_0", p.seq-1, 1)
	if err != nil || len(events) != 1 || events[0].Delivery != p.id {
		return fmt.Sprintf("%s was acknowledged with event %d, which is %v: %v", p.id, p.seq, events, err)
	}
	job, err := s.Job(ctx, p.job)
	if err != nil || job.Command == nil || job.Command.Payload != string(p.id) {
		return fmt.Sprintf("%s was acknowledged with job %s, which is %v: %v", p.id, p.job, job, err)
	}
	return ""
}
