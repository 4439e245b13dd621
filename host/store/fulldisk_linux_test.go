package store_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
)

func init() { children[fullDiskFile] = fullDiskChild }

// When fullDiskFile is set, the test binary is a process that runs out of room in that
// file. The limit is the process's, hence a process of its own.
const fullDiskFile = "PATCHBAY_STORE_FULL_DISK_FILE"

// TestARealFullDisk lets the system refuse writes beyond a size, in the middle of bbolt's
// own commit.
func TestARealFullDisk(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), fullDiskFile+"="+filepath.Join(t.TempDir(), "full.db"))
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func fullDiskChild(path string) {
	signal.Ignore(syscall.SIGXFSZ)
	if err := runOutOfDisk(context.Background(), path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func runOutOfDisk(ctx context.Context, path string) error {
	s, err := store.Open(path, store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	conn := domain.Connection{ID: "con_0", Workspace: "wsp_0", Endpoint: "e"}
	err = errors.Join(s.CreateWorkspace(ctx, domain.Workspace{ID: "wsp_0"}), s.CreateConnection(ctx, conn, nil))
	if err != nil {
		return err
	}
	if err := limitFiles(1 << 20); err != nil {
		return err
	}
	refused, kept, err := fill(ctx, s, conn)
	if err != nil {
		return err
	}
	if err := s.Ping(ctx); err == nil {
		fmt.Println("note: a small write still fits") // it may: freed pages are used again
	}
	if err := intact(ctx, s, kept); err != nil {
		return fmt.Errorf("while the disk is full: %w", err)
	}
	if err := limitFiles(math.MaxUint64); err != nil {
		return err
	}
	if c, err := s.CommitDelivery(ctx, refused); err != nil || c.Duplicate {
		return fmt.Errorf("once there is room: duplicate %t, %w", c.Duplicate, err)
	}
	return intact(ctx, s, kept+1)
}

// fill commits until the disk is full, and returns what was refused and how many were not.
func fill(ctx context.Context, s *store.Store, conn domain.Connection) (refused domain.DeliveryEffects, kept uint64, err error) {
	for kept = 0; kept < 10_000; kept++ {
		e := webhook(s, conn, int64(kept))
		switch _, err := s.CommitDelivery(ctx, e); {
		case errors.Is(err, domain.ErrUnavailable) && errors.Is(err, syscall.EFBIG):
			return e, kept, nil
		case err != nil:
			return e, kept, fmt.Errorf("delivery %d was refused for another reason: %w", kept, err)
		}
	}
	return refused, kept, errors.New("the disk never filled")
}

func intact(ctx context.Context, s *store.Store, deliveries uint64) error {
	if problems := s.Check(ctx); len(problems) > 0 {
		return fmt.Errorf("inconsistent: %v", problems)
	}
	if last, err := s.LastEventSeq(ctx, "wsp_0"); err != nil || last != deliveries {
		return fmt.Errorf("%d events for %d deliveries: %w", last, deliveries, err)
	}
	return nil
}

// limitFiles limits how large files of this process can become.
func limitFiles(bytes uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = min(bytes, limit.Max)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}
