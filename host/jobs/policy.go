package jobs

import (
	"math/rand/v2"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Policy says when a failed job runs again. The zero value means the defaults, with which a
// platform may be away for most of a day: about 580 runs, a run every 2.5 minutes once it
// has been away for long.
type Policy struct {
	// MaxAttempts is how many runs a job gets; 0 means 1000.
	MaxAttempts int
	// MaxFaults is how many runs a job gets in which the plugin itself breaks down; 0 means 12.
	MaxFaults int
	// MaxAge is how long after its first time, or after somebody queued it again, a job may
	// run again; 0 means 24 h.
	MaxAge time.Duration
	// BaseDelay and MaxDelay bound the wait before the next run: a random time between 0
	// and BaseDelay doubled for each run so far, at most MaxDelay; 0 means 1 s and 5 min.
	BaseDelay, MaxDelay time.Duration
	// MaxRetryAfter is the longest wait that a platform's Retry-After brings about; 0 means
	// 6 h.
	MaxRetryAfter time.Duration
	// Random returns a number in [0, n); nil means math/rand/v2.
	Random func(n int64) int64
}

func (p Policy) withDefaults() Policy {
	if p.MaxAttempts == 0 {
		p.MaxAttempts = 1000
	}
	if p.MaxFaults == 0 {
		p.MaxFaults = 12
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
	if p.MaxRetryAfter == 0 {
		p.MaxRetryAfter = 6 * time.Hour
	}
	if p.Random == nil {
		p.Random = rand.Int64N
	}
	return p
}

// Next says where a job stands after a run that failed at now: queued again with the
// earliest time of its next run, or parked for somebody to decide.
func (p Policy) Next(job domain.Job, failure contract.Failure, now time.Time) (domain.JobState, time.Time) {
	if passing(job) {
		return domain.JobCancelled, time.Time{}
	}
	p = p.withDefaults()
	wait, again := p.wait(job, failure)
	if !again || job.Tries()+1 >= p.MaxAttempts {
		return domain.JobParked, time.Time{}
	}
	return p.at(job, now.Add(wait))
}

// Fault is Next for a run in which the plugin broke down (a trap, too much fuel, an answer
// that is none). The same input breaks it again, so there are fewer runs, and the lane does
// not wait for a day behind a message that cannot be sent.
func (p Policy) Fault(job domain.Job, failure contract.Failure, now time.Time) (domain.JobState, time.Time) {
	p = p.withDefaults()
	p.MaxAttempts = min(p.MaxAttempts, p.MaxFaults)
	return p.Next(job, failure, now)
}

// Pause says where a job stands that could not try at all, since its destination is left
// alone for the given time. That is no attempt, so that only its age parks it. Up to a
// quarter more is added, that jobs which waited for one destination do not come all at once.
func (p Policy) Pause(job domain.Job, wait time.Duration, now time.Time) (domain.JobState, time.Time) {
	if passing(job) {
		return domain.JobCancelled, time.Time{}
	}
	p = p.withDefaults()
	wait = max(p.BaseDelay, min(wait, p.MaxRetryAfter))
	return p.at(job, now.Add(wait+time.Duration(p.Random(int64(wait)/4+1))))
}

// passing tells whether a job is worth nothing later: that somebody types is no news any
// more when it could be tried again, and nobody need decide about it.
func passing(job domain.Job) bool {
	return job.Command != nil && job.Command.Export == contract.ExportSendTyping
}

// at queues the job for that time, unless it is too old then.
func (p Policy) at(job domain.Job, at time.Time) (domain.JobState, time.Time) {
	if at.Sub(job.Began()) > p.MaxAge {
		return domain.JobParked, time.Time{}
	}
	return domain.JobQueued, at
}

// wait returns how long to wait, and whether the class of failure allows another run.
func (p Policy) wait(job domain.Job, failure contract.Failure) (time.Duration, bool) {
	backoff := p.Backoff(job.Tries())
	switch failure.Class {
	case contract.FailureRetry:
		return backoff, true
	case contract.FailureRetryAfter:
		if failure.RetryAfterMillis <= 0 {
			return backoff, true // it did not say when
		}
		return time.Duration(min(failure.RetryAfterMillis, p.MaxRetryAfter.Milliseconds())) * time.Millisecond, true
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
