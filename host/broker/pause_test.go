package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// TestADestinationThatIsLeftAloneCostsNoAttempt: however often a breaker refuses it, a
// command keeps its attempts for when the platform is there again.
func TestADestinationThatIsLeftAloneCostsNoAttempt(t *testing.T) {
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		if ask[contract.HTTPResult](g, contract.HostHTTPSend, post("one", false)).Error != nil {
			return contract.Marshal(&contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailureRetry, Code: "away"}}), nil
		}
		return contract.Marshal(&contract.CommandOutput{Sent: &contract.Sent{PlatformID: "p", Status: contract.MessageSent}}), nil
	})
	alone := &contract.HTTPResult{Error: &contract.HostError{Code: contract.HostUnavailable, Certain: true, RetryAfterMillis: 30_000}}
	w.outside.send = func(domain.EgressPolicy, secret.Reveal, contract.HTTPRequest) *contract.HTTPResult { return alone }
	job := w.send(t, "chat", "hi")
	for range 20 {
		after := w.run(t, job)
		wait := after.NotBefore.Sub(time.Unix(w.now.Load(), 0))
		if after.State != domain.JobQueued || after.Attempts != 0 || wait < 30*time.Second || wait > 40*time.Second {
			t.Fatalf("the job is %v after %d attempts, and waits %v", after.State, after.Attempts, wait)
		}
		w.now.Add(40)
	}
	w.platform()
	if after := w.run(t, job); after.State != domain.JobDone || after.Attempts != 1 {
		t.Errorf("the job is %v after %d attempts", after.State, after.Attempts)
	}
}

// TestAFailureForGoodIsNotPutOff: that another destination is left alone has no say in it.
func TestAFailureForGoodIsNotPutOff(t *testing.T) {
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		ask[contract.HTTPResult](g, contract.HostHTTPSend, post("one", false))
		return contract.Marshal(&contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailurePermanent, Code: "blocked"}}), nil
	})
	w.outside.send = func(domain.EgressPolicy, secret.Reveal, contract.HTTPRequest) *contract.HTTPResult {
		return &contract.HTTPResult{Error: &contract.HostError{Code: contract.HostUnavailable, Certain: true, RetryAfterMillis: 30_000}}
	}
	if after := w.run(t, w.send(t, "chat", "hi")); after.State != domain.JobParked || after.Attempts != 1 {
		t.Errorf("the job is %v after %d attempts", after.State, after.Attempts)
	}
}
