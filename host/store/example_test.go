package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// A subscriber watches first, reads to the end, and then waits: so it misses nothing.
func ExampleStore_WatchEvents() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "patchbay")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	s, err := store.Open(filepath.Join(folder, "patchbay.db"), store.Options{})
	if err != nil {
		panic(err)
	}
	defer s.Close()
	furnish(ctx, s)

	news, cancel := s.WatchEvents("wsp_1")
	defer cancel()
	go deliver(ctx, s, "one", "two", "three")
	for after := uint64(0); after < 3; {
		events, err := s.Events(ctx, "wsp_1", after, 100)
		if err != nil {
			panic(err)
		}
		for _, e := range events {
			fmt.Println(e.Seq, e.Data.Raw.Kind)
			after = e.Seq
		}
		if len(events) == 0 {
			<-news
		}
	}
	// Output:
	// 1 one
	// 2 two
	// 3 three
}

func furnish(ctx context.Context, s *store.Store) {
	if err := s.CreateWorkspace(ctx, domain.Workspace{ID: "wsp_1"}); err != nil {
		panic(err)
	}
	if err := s.CreateConnection(ctx, domain.Connection{ID: "con_1", Workspace: "wsp_1"}, nil); err != nil {
		panic(err)
	}
}

func deliver(ctx context.Context, s *store.Store, kinds ...string) {
	for _, kind := range kinds {
		_, err := s.CommitDelivery(ctx, domain.DeliveryEffects{
			Effects: domain.Effects{Workspace: "wsp_1", Connection: "con_1",
				Events: []contract.Event{{Kind: contract.EventRaw, Raw: &contract.Raw{Kind: kind}}}},
			Delivery: domain.Delivery{Delivery: contract.Delivery{ID: contract.DeliveryID(s.NewID("dlv"))}},
		})
		if err != nil {
			panic(err)
		}
	}
}
