package lifecycle_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// TestWhatNobodyClaimsIsGivenUpAndAudited: half a minute after its time at most, however many
// there are.
func TestWhatNobodyClaimsIsGivenUpAndAudited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		for i := range 25 {
			f.parked = append(f.parked, domain.Parked{Delivery: contract.DeliveryID(fmt.Sprint("dlv_", i)), App: "app_1", Key: "k", ExpiresAt: time.Now().Add(time.Minute)})
		}
		f.parked = append(f.parked, domain.Parked{Delivery: "dlv_young", ExpiresAt: time.Now().Add(time.Hour)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			keeper(f).Run(ctx)
		}()
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if parked, audited := f.waiting(); parked != 26 || len(audited) != 0 {
			t.Errorf("before its time %d wait, audited %q", parked, audited)
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if parked, audited := f.waiting(); parked != 1 || len(audited) != 25 || audited[0] != "host delivery.expired" {
			t.Errorf("%d wait, audited %q", parked, audited)
		}
		cancel()
		<-done
	})
}

func TestGivingUpFailsWithTheStore(t *testing.T) {
	f := newFake()
	f.fails = domain.ErrUnavailable
	if gone, err := keeper(f).Expire(t.Context()); gone != 0 || err == nil {
		t.Errorf("Expire = %d, %v", gone, err)
	}
}
