package jobs

import (
	"math/rand/v2"
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
		{"a Retry-After beyond the job's life parks it", contract.Failure{Class: contract.FailureRetryAfter, RetryAfterMillis: 1 << 60}, 0, 20 * time.Hour, domain.JobParked, 0},
		{"a Retry-After is honoured up to a bound", contract.Failure{Class: contract.FailureRetryAfter, RetryAfterMillis: 1 << 60}, 0, 0, domain.JobQueued, 6 * time.Hour},
		{"the last attempt parks it", contract.Failure{Class: contract.FailureRetry}, 999, 0, domain.JobParked, 0},
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

func TestTypingIsNotTriedAgain(t *testing.T) {
	job := domain.Job{CreatedAt: epoch, Command: &domain.Command{Export: contract.ExportSendTyping}}
	for _, class := range []contract.FailureClass{contract.FailureRetry, contract.FailureRetryAfter, contract.FailurePermanent, contract.FailureUncertain} {
		if state, _ := (Policy{}).Next(job, contract.Failure{Class: class}, epoch); state != domain.JobCancelled {
			t.Errorf("after a failure of class %s the job is %s", class, state)
		}
	}
	if state, _ := (Policy{}).Pause(job, time.Minute, epoch); state != domain.JobCancelled {
		t.Errorf("after a pause the job is %s", state)
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
		if state == domain.JobQueued && (at.Before(now) || at.After(epoch.Add(24*time.Hour)) || job.Attempts >= 999) {
			t.Fatalf("Next(%+v, %+v, %v) = queued at %v", job, failure, now, at)
		}
	})
}

func TestAJobOutlivesAPlatformThatIsAwayForHours(t *testing.T) {
	failure := contract.Failure{Class: contract.FailureRetry}
	for _, away := range []time.Duration{time.Minute, time.Hour, 8 * time.Hour, 23 * time.Hour} {
		source := rand.New(rand.NewPCG(1, uint64(away)))
		policy := Policy{Random: source.Int64N}
		job, now := domain.Job{CreatedAt: epoch}, epoch
		for now.Before(epoch.Add(away)) {
			state, at := policy.Next(job, failure, now)
			if state != domain.JobQueued {
				t.Fatalf("parked after %d attempts and %v of %v", job.Attempts+1, now.Sub(epoch), away)
			}
			job.Attempts, now = job.Attempts+1, at
		}
		if late := now.Sub(epoch.Add(away)); late > 5*time.Minute {
			t.Errorf("runs %v after the platform was back from %v", late, away)
		}
	}
}

func TestAPluginThatBreaksGetsFewerRuns(t *testing.T) {
	failure := contract.Failure{Class: contract.FailureRetry}
	for attempts, want := range map[int]domain.JobState{0: domain.JobQueued, 10: domain.JobQueued, 11: domain.JobParked} {
		if state, _ := (Policy{}).Fault(domain.Job{Attempts: attempts, CreatedAt: epoch}, failure, epoch); state != want {
			t.Errorf("Fault after %d attempts = %v, want %v", attempts, state, want)
		}
	}
}

func TestAJobThatIsQueuedAgainBeginsAnew(t *testing.T) {
	failure := contract.Failure{Class: contract.FailureRetry}
	old := domain.Job{Attempts: 999, CreatedAt: epoch.Add(-72 * time.Hour)}
	if state, _ := (Policy{}).Next(old, failure, epoch); state != domain.JobParked {
		t.Errorf("Next(%+v) = %v, want parked", old, state)
	}
	again := old
	again.Since, again.Before = epoch, 999
	state, at := Policy{Random: func(n int64) int64 { return n - 1 }}.Next(again, failure, epoch)
	if state != domain.JobQueued || !at.Equal(epoch.Add(time.Second)) {
		t.Errorf("Next(%+v) = %v at %v, want queued a second later", again, state, at)
	}
}

func TestAPauseIsNoAttemptAndSpreadsOut(t *testing.T) {
	job := domain.Job{Attempts: 998, CreatedAt: epoch}
	first, last := Policy{Random: func(int64) int64 { return 0 }}, Policy{Random: func(n int64) int64 { return n - 1 }}
	if state, at := first.Pause(job, 40*time.Second, epoch); state != domain.JobQueued || !at.Equal(epoch.Add(40*time.Second)) {
		t.Errorf("Pause = %v at %v, want queued after 40 s", state, at)
	}
	if state, at := last.Pause(job, 40*time.Second, epoch); state != domain.JobQueued || !at.Equal(epoch.Add(50*time.Second)) {
		t.Errorf("Pause = %v at %v, want queued after 50 s", state, at)
	}
	if state, _ := first.Pause(job, time.Minute, epoch.Add(24*time.Hour)); state != domain.JobParked {
		t.Errorf("Pause of a job a day old = %v, want parked", state)
	}
}
