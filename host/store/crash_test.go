package store_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// When crashFile is set, the test binary is a process that commits to that file until it
// is killed, and says on its standard output what was acknowledged.
const crashFile = "PATCHBAY_STORE_CRASH_FILE"

// crashWorkers is how many goroutines the process commits from.
const crashWorkers = 16

func crashChild(path string) {
	s, err := store.Open(path, store.Options{})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	ctx := context.Background()
	_ = s.CreateWorkspace(ctx, domain.Workspace{ID: "wsp_0"}) // it may be there from the last round
	conn := domain.Connection{ID: "con_0", Workspace: "wsp_0", Plugin: "acme", Endpoint: "e"}
	_ = s.CreateConnection(ctx, conn, nil) // likewise
	var out sync.Mutex
	for worker := range crashWorkers {
		go func() {
			for n := int64(worker); ; n += crashWorkers {
				e := webhook(s, conn, rand.Int64())
				e.Writes = []domain.KVWrite{{Key: fmt.Sprint(n % 100), Value: string(e.Delivery.ID)}}
				e.Commands = []contract.CommandRequest{{Payload: string(e.Delivery.ID)}}
				c, err := s.CommitDelivery(ctx, e)
				out.Lock()
				if err != nil {
					fmt.Println("error", err)
				} else {
					fmt.Println(c.Delivery, c.Events[0].Seq, c.Jobs[0].ID)
				}
				out.Unlock()
			}
		}()
	}
	select {}
}

// TestCrash kills a process that commits, again and again, and looks for every delivery
// that it had acknowledged.
func TestCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crash.db")
	for round := range 5 {
		acknowledged := killAfter(t, path, 50+rand.IntN(1000))
		t.Logf("round %d: killed after %d acknowledged deliveries", round, len(acknowledged))
		s := openAt(t, path)
		for _, line := range acknowledged {
			checkAcknowledged(t, s.Store, line)
		}
		for _, problem := range s.Check(t.Context()) {
			t.Errorf("after round %d: %s", round, problem)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter runs the process, kills it once it has acknowledged so many deliveries, and
// returns all that it acknowledged.
func killAfter(t *testing.T, path string, enough int) (lines []string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashFile+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(out)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			break // the pipe has ended with the process; an unfinished line acknowledges nothing
		}
		if lines = append(lines, strings.TrimSpace(line)); len(lines) == enough {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // it was killed
	if len(lines) < enough {
		t.Fatalf("the process ended by itself after %q", lines)
	}
	return lines
}

// checkAcknowledged looks for one delivery, its body, its event and its job.
func checkAcknowledged(t *testing.T, s *store.Store, line string) {
	t.Helper()
	var id, job string
	var seq uint64
	if _, err := fmt.Sscan(line, &id, &seq, &job); err != nil {
		t.Fatalf("the process said %q", line)
	}
	d, err := s.Delivery(t.Context(), contract.DeliveryID(id))
	if err != nil || d.State != domain.DeliveryAccepted || len(d.Body) < 1024 {
		t.Errorf("%s was acknowledged and is %q with %d bytes: %v", id, d.State, len(d.Body), err)
	}
	events, err := s.Events(t.Context(), "wsp_0", seq-1, 1)
	if err != nil || len(events) != 1 || string(events[0].Delivery) != id {
		t.Errorf("%s was acknowledged with event %d, which is %v: %v", id, seq, events, err)
	}
	if kept, err := s.Job(t.Context(), job); err != nil || kept.Command.Payload != id {
		t.Errorf("%s was acknowledged with job %s, which is %v: %v", id, job, kept, err)
	}
}
