package limits_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/limits"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// BenchmarkDelivery is what every delivery pays: admission, fuel and the way out.
func BenchmarkDelivery(b *testing.B) {
	l := limits.New(limits.Options{
		Defaults: domain.Limits{DeliveriesPerSecond: 1e9, BytesPerSecond: 1e12, FuelMillionPerSecond: 1e9, QueuedJobs: 1e6}, InFlight: 1000,
		Own:    func(context.Context, contract.WorkspaceID) (domain.Limits, error) { return domain.Limits{}, nil },
		Queued: func(contract.WorkspaceID) int { return 0 }, Refused: func(limits.Name) {}, Now: time.Now,
		Random: func() float64 { return 0 }, Log: slog.New(slog.DiscardHandler),
	})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			release, err := l.AdmitDelivery(acme, 1000)
			if err != nil {
				b.Fatal(err)
			}
			l.ChargeFuel(acme, 1_000_000)
			release()
		}
	})
}
