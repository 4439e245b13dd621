package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// webhook is a delivery of 1 KiB with one message in it, as most are.
func webhook(s *store.Store, conn domain.Connection, n int64) domain.DeliveryEffects {
	at := time.Unix(1_700_000_000, n).UTC()
	conversation := contract.Conversation{ID: contract.ConversationID(fmt.Sprintf("chat-%d", n%1000)), Title: "Ann"}
	return domain.DeliveryEffects{
		Effects: domain.Effects{Workspace: conn.Workspace, Connection: conn.ID, At: at,
			Events: []contract.Event{{Kind: contract.EventMessageCreated, At: at, Conversation: &conversation,
				Message: &contract.Message{
					PlatformID: contract.PlatformMessageID(fmt.Sprintf("m-%d", n)), Conversation: conversation,
					Author: contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{ID: "u1", Name: "Ann"}},
					Parts:  []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: "Hello, is anybody there?"}}},
				}}}},
		Delivery: domain.Delivery{
			Delivery: contract.Delivery{ID: contract.DeliveryID(s.NewID("dlv")), ReceivedAt: at, Method: "POST", BodyBytes: 1024,
				Headers: []contract.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "User-Agent", Value: "platform/1"}}},
			Plugin: "acme", Body: []byte(strings.Repeat("x", 1012) + fmt.Sprintf("%012d", n)),
			DedupeKey: fmt.Sprintf("%x-%d", n*2654435761%1000003, n), Response: contract.Response{Status: 200, Body: "ok"}, Attempts: 1,
		},
	}
}

// BenchmarkCommitDelivery commits deliveries from 64 goroutines that share fsyncs, and from
// as many that may not: that is what one transaction for each costs.
func BenchmarkCommitDelivery(b *testing.B) {
	for _, bb := range []struct {
		name       string
		goroutines int
		opts       store.Options
	}{
		{"64 share commits", 64, store.Options{}},
		{"64 with a commit each", 64, store.Options{}.WithGroup(1)},
		{"256 share commits", 256, store.Options{}},
		{"1 alone", 1, store.Options{}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			s, err := store.Open(filepath.Join(b.TempDir(), "bench.db"), bb.opts)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			conns := seedBench(b, s)
			var n atomic.Int64
			work := make(chan struct{}, b.N)
			for range b.N {
				work <- struct{}{}
			}
			close(work)
			done := make(chan error, bb.goroutines)
			b.ResetTimer()
			began := cpuTime(b)
			for range bb.goroutines {
				go func() { done <- commitAll(s, conns, &n, work) }()
			}
			for range bb.goroutines {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpuTime(b)-began).Microseconds())/float64(b.N), "cpu-µs/op")
			stats := s.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(stats.Writes)/float64(stats.Commits), "requests/fsync")
		})
	}
}

func commitAll(s *store.Store, conns []domain.Connection, n *atomic.Int64, work <-chan struct{}) error {
	for range work {
		i := n.Add(1)
		c, err := s.CommitDelivery(context.Background(), webhook(s, conns[i%int64(len(conns))], i))
		if err != nil {
			return err
		}
		s.MarkAnswered(c.Delivery)
	}
	return nil
}

// seedBench makes ten workspaces with one connection each.
func seedBench(b *testing.B, s *store.Store) []domain.Connection {
	b.Helper()
	var conns []domain.Connection
	for i := range 10 {
		ws := contract.WorkspaceID(fmt.Sprintf("wsp_%d", i))
		c := domain.Connection{ID: contract.ConnectionID(fmt.Sprintf("con_%d", i)), Workspace: ws, Plugin: "acme", Endpoint: fmt.Sprint("e", i)}
		if err := s.CreateWorkspace(b.Context(), domain.Workspace{ID: ws}); err != nil {
			b.Fatal(err)
		}
		if err := s.CreateConnection(b.Context(), c, nil); err != nil {
			b.Fatal(err)
		}
		conns = append(conns, c)
	}
	return conns
}
