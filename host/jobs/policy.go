package jobs

import (
	"math/rand/v2"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Policy says when a failed job runs again. The zero value means the defaults.
type Policy struct {
	// MaxAttempts is how many runs a job gets; 0 means 12.
	MaxAttempts int
	// MaxAge is how old a job may be when it runs again; 0 means 24 h.
	MaxAge time.Duration
	// BaseDelay and MaxDelay bound the wait before the next run: a random time between 0
	// and BaseDelay doubled for each run so far, at most MaxDelay; 0 means 1 s and 5 min.
	BaseDelay, MaxDelay time.Duration
	// Random returns a number in [0, n); nil means math/rand/v2.
	Random func(n int64) int64
}

func (p Policy) withDefaults() Policy {
	if p.MaxAttempts == 0 {
		p.MaxAttempts = 12
	}
	if p.MaxAge == 0 {
		p.MaxAge = 24 * time.Hour
	}
	if p.BaseDelay == 0 {
		p.BaseDelay = time.Second
	}
	if p.MaxDelay == 0 {
		p.MaxDelay = 5 * time.Minute
	}
	if p.Random == nil {
		p.Random = rand.Int64N
	}
	return p
}

// Next says where a job stands after a run that failed at now: queued again with the
// earliest time of its next run, or parked for somebody to decide.
func (p Policy) Next(job domain.Job, failure contract.Failure, now time.Time) (domain.JobState, time.Time) {
	p = p.withDefaults()
	wait, again := p.wait(job, failure)
	at := now.Add(wait)
	if !again || job.Attempts+1 >= p.MaxAttempts || at.Sub(job.CreatedAt) > p.MaxAge {
		return domain.JobParked, time.Time{}
	}
	return domain.JobQueued, at
}

// wait returns how long to wait, and whether the class of failure allows another run.
func (p Policy) wait(job domain.Job, failure contract.Failure) (time.Duration, bool) {
	backoff := p.Backoff(job.Attempts)
	switch failure.Class {
	case contract.FailureRetry:
		return backoff, true
	case contract.FailureRetryAfter:
		if failure.RetryAfterMillis <= 0 {
			return backoff, true // it did not say when
		}
		return time.Duration(min(failure.RetryAfterMillis, p.MaxAge.Milliseconds())) * time.Millisecond, true
	default: // permanent, uncertain and reauthorise wait for a person
		return 0, false
	}
}

// Backoff returns how long to wait after that many failed runs: exponential with full
// jitter, because without it jobs that failed together come back together.
func (p Policy) Backoff(attempts int) time.Duration {
	p = p.withDefaults()
	ceiling := p.BaseDelay << min(attempts, 30)
	if ceiling <= 0 || ceiling > p.MaxDelay {
		ceiling = p.MaxDelay
	}
	return time.Duration(p.Random(int64(ceiling) + 1))
}
