package store

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// BenchmarkQueuedTickets reads the tickets of 100,000 jobs in 10,000 lanes, as a host does
// when it starts.
func BenchmarkQueuedTickets(b *testing.B) {
	const jobs, lanes = 100_000, 10_000
	s, err := Open(filepath.Join(b.TempDir(), "tickets.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for from := 0; from < jobs; from += 2000 {
		err := s.update(b.Context(), "queue", func(t *tx) error {
			for i := range 2000 {
				id := t.ids.next("cmd")
				t.addJob(domain.Job{ID: id, Kind: domain.JobCommand, Workspace: "wsp_1", Connection: "con_1", CreatedAt: time.Unix(1, 0),
					Lane:    domain.ConversationLane("con_1", contract.ConversationID(fmt.Sprint((from+i)%lanes))),
					Command: &domain.Command{ID: contract.CommandID(id), Export: contract.ExportSendMessage, Message: &contract.Message{Parts: []contract.Part{{Text: &contract.Text{Plain: "hello"}}}}}})
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("tickets", func(b *testing.B) {
		for b.Loop() {
			n := 0
			if err := s.QueuedTickets(b.Context(), func(domain.Ticket) error { n++; return nil }); err != nil || n != jobs {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("whole jobs", func(b *testing.B) {
		for b.Loop() {
			n := 0
			if err := s.QueuedJobs(b.Context(), func(domain.Job) error { n++; return nil }); err != nil || n != jobs {
				b.Fatal(n, err)
			}
		}
	})
}
