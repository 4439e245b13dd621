package jobs

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

var epoch = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestPolicyDecidesByClassOfFailure(t *testing.T) {
	longest := Policy{Random: func(n int64) int64 { return n - 1 }}
	for _, tt := range []struct {
		name     string
		failure  contract.Failure
		attempts int
		age      time.Duration
		state    domain.JobState
		wait     time.Duration
	}{
		{"a first failure waits at most the base delay", contract.Failure{Class: contract.FailureRetry}, 0, 0, domain.JobQueued, time.Second},
		{"each further one doubles the ceiling", contract.Failure{Class: contract.FailureRetry}, 5, 0, domain.JobQueued, 32 * time.Second},
		{"the ceiling has a ceiling", contract.Failure{Class: contract.FailureRetry}, 10, 0, domain.JobQueued, 5 * time.Minute},
		{"the platform's Retry-After is honoured", contract.Failure{Class: contract.FailureRetryAfter, RetryAfterMillis: 90_000}, 0, 0, domain.JobQueued, 90 * time.Second},
		{"however soon it is", contract.Failure{Class: contract.FailureRetryAfter, RetryAfterMillis: 1}, 5, 0, domain.JobQueued, time.Millisecond},
		{"a negative Retry-After is none", contract.Failure{Class: contract.FailureRetryAfter, RetryAfterMillis: -5}, 0, 0, domain.JobQueued, time.Second},
		{"a Retry-After beyond the job's life parks it", contract.Failure{Class: contract.FailureRetryAfter, RetryAfterMillis: 1 << 60}, 0, time.Hour, domain.JobParked, 0},
		{"the last attempt parks it", contract.Failure{Class: contract.FailureRetry}, 11, 0, domain.JobParked, 0},
		{"an old job is parked", contract.Failure{Class: contract.FailureRetry}, 0, 24 * time.Hour, domain.JobParked, 0},
		{"permanent is permanent", contract.Failure{Class: contract.FailurePermanent}, 0, 0, domain.JobParked, 0},
		{"uncertain waits for a person", contract.Failure{Class: contract.FailureUncertain}, 0, 0, domain.JobParked, 0},
		{"reauthorise waits for a person", contract.Failure{Class: contract.FailureReauthorise}, 0, 0, domain.JobParked, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			job := domain.Job{Attempts: tt.attempts, CreatedAt: epoch.Add(-tt.age)}
			state, at := longest.Next(job, tt.failure, epoch)
			want := epoch.Add(tt.wait)
			if tt.state == domain.JobParked {
				want = time.Time{}
			}
			if state != tt.state || !at.Equal(want) {
				t.Errorf("Next(attempts %d, age %v, %+v) = %v at %v, want %v at %v",
					tt.attempts, tt.age, tt.failure, state, at, tt.state, want)
			}
		})
	}
}

func TestPolicyNeverGoesBackInTimeNorBeyondItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		job := domain.Job{Attempts: rapid.IntRange(0, 1<<20).Draw(t, "attempts"), CreatedAt: epoch}
		failure := contract.Failure{
			Class:            rapid.SampledFrom([]contract.FailureClass{contract.FailureRetry, contract.FailureRetryAfter}).Draw(t, "class"),
			RetryAfterMillis: rapid.Int64().Draw(t, "retry after"),
		}
		now := epoch.Add(time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "age")))
		state, at := Policy{}.Next(job, failure, now)
		if state == domain.JobQueued && (at.Before(now) || at.After(epoch.Add(24*time.Hour)) || job.Attempts >= 11) {
			t.Fatalf("Next(%+v, %+v, %v) = queued at %v", job, failure, now, at)
		}
	})
}
