package bridges_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// BenchmarkCarry measures one message on its way from the event log into the other side's
// lane, durable. No conversation has so many that it would have to wait.
func BenchmarkCarry(b *testing.B) {
	w := newWorld(b)
	w.bridge(shop, desk)
	var writers sync.WaitGroup
	for writer := range 64 {
		writers.Go(func() {
			for i := writer; i < b.N; i += 64 {
				name := fmt.Sprint("in-", i)
				_, err := w.store.CommitDelivery(b.Context(), domain.DeliveryEffects{
					Effects: domain.Effects{Workspace: ws, Connection: shop, At: noon, Events: []contract.Event{
						created(contract.PlatformMessageID(name), contract.ConversationID(fmt.Sprint("chat-", i%(b.N/50+1))), contract.RoleCustomer, name)}},
					Delivery: domain.Delivery{Delivery: contract.Delivery{ID: contract.DeliveryID(w.store.NewID("dlv")), ReceivedAt: noon}, Attempts: 1},
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	writers.Wait()
	b.ResetTimer()
	w.carry()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
