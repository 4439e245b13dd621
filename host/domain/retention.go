package domain

import (
	"fmt"
	"strconv"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// maxRetentionDays is the longest age that can be asked for: a hundred years.
const maxRetentionDays = 36500

// Over returns r with its zero fields taken from defaults. DedupeDays of the result is
// never less than EventDays: while a delivery is kept, so is the key that it is known by.
func (r Retention) Over(defaults Retention) Retention {
	for _, f := range []struct{ field, value *int64 }{
		{&r.PayloadDays, &defaults.PayloadDays}, {&r.EventDays, &defaults.EventDays},
		{&r.DedupeDays, &defaults.DedupeDays}, {&r.MaxBytes, &defaults.MaxBytes},
	} {
		if *f.field == 0 {
			*f.field = *f.value
		}
	}
	if r.EventDays == Unlimited || r.DedupeDays != Unlimited && r.DedupeDays < r.EventDays {
		r.DedupeDays = r.EventDays
	}
	return r
}

// Check finds what is wrong with a retention that somebody asks for; an [*Invalid].
func (r Retention) Check() error {
	var problems []Problem
	for _, f := range []struct {
		name  string
		value int64
		most  int64
	}{
		{"payload_days", r.PayloadDays, maxRetentionDays}, {"event_days", r.EventDays, maxRetentionDays},
		{"dedupe_days", r.DedupeDays, maxRetentionDays}, {"max_bytes", r.MaxBytes, 1 << 60},
	} {
		if f.value < Unlimited || f.value > f.most {
			problems = append(problems, Problem{Field: f.name, Value: strconv.FormatInt(f.value, 10), Why: "it is out of bounds",
				Fix: fmt.Sprintf("give 1 to %d, %d for no bound, or 0 for the host's default", f.most, Unlimited)})
		}
	}
	if r.DedupeDays > 0 && r.EventDays > 0 && r.DedupeDays < r.EventDays {
		problems = append(problems, Problem{Field: "dedupe_days", Value: strconv.FormatInt(r.DedupeDays, 10),
			Why: "it is less than event_days, so that a repeat of a delivery that is kept would not be known",
			Fix: "give at least event_days, or leave it out"})
	}
	if len(problems) > 0 {
		return &Invalid{Problems: problems}
	}
	return nil
}

// Cutoff returns the time before which something is too old that is kept for so many days;
// zero if it is kept for ever.
func Cutoff(now time.Time, days int64) time.Time {
	if days <= 0 {
		return time.Time{}
	}
	return now.AddDate(0, 0, -int(min(days, maxRetentionDays)))
}

// Usage is what a workspace keeps.
type Usage struct {
	// PayloadBytes counts the bodies of its deliveries, and the recordings of these and of
	// its commands.
	PayloadBytes int64 `json:"payload_bytes"`
}

// SweepRoom is one kind of record that retention goes through.
type SweepRoom string

// The rooms, in the order in which retention goes through them: what leads to something
// goes before what it leads to.
const (
	// SweepPayload is bodies and recordings.
	SweepPayload    SweepRoom = "payload"
	SweepDeliveries SweepRoom = "deliveries"
	SweepEvents     SweepRoom = "events"
	SweepMessages   SweepRoom = "messages"
	SweepJobs       SweepRoom = "jobs"
	// SweepMedia is what is known of attachments; their bytes are files.
	SweepMedia   SweepRoom = "media"
	SweepNotices SweepRoom = "notices"
	SweepTokens  SweepRoom = "tokens"
	// SweepDedupe and SweepIdempotency are gone through a part at a time.
	SweepDedupe      SweepRoom = "dedupe"
	SweepIdempotency SweepRoom = "idempotency"
)

// SweepRooms lists the rooms in their order.
func SweepRooms() []SweepRoom {
	return []SweepRoom{SweepPayload, SweepDeliveries, SweepEvents, SweepMessages, SweepJobs, SweepMedia,
		SweepNotices, SweepTokens, SweepDedupe, SweepIdempotency}
}

// Slow tells whether the room is gone through a part at a time, over many passes: its
// records do not stand in the order of their age.
func (r SweepRoom) Slow() bool { return r == SweepDedupe || r == SweepIdempotency }

// SweepPlan is what one pass of retention goes by. A store makes it and keeps it up to date
// as the pass goes on.
type SweepPlan struct {
	Now      time.Time
	Defaults Retention
	// Shortest holds the shortest age of each kind that any workspace has.
	Shortest Retention
	// Over is how many bytes a workspace keeps beyond what it may.
	Over map[contract.WorkspaceID]int64
	// InUse holds the attachments of jobs that are old and have not ended, or are parked.
	InUse map[contract.MediaHandle]bool
	// Told remembers what there has been a notice about in this pass.
	Told map[string]bool
}

// Swept is what one step of retention came to.
type Swept struct {
	// Next is where the next step begins; empty once the room is through.
	Next string
	// Seen counts the records that were looked at, Removed those that went, and Damaged those
	// that could not be read and were left alone.
	Seen, Removed, Damaged int
	// Bytes counts the payload that went.
	Bytes int64
}
