package domain_test

import (
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

func TestRetentionOverDefaults(t *testing.T) {
	host := domain.Retention{PayloadDays: 30, EventDays: 90, DedupeDays: 180}
	for _, tt := range []struct {
		name      string
		own, want domain.Retention
	}{
		{"nothing of its own", domain.Retention{}, host},
		{"some of its own", domain.Retention{PayloadDays: 7}, domain.Retention{PayloadDays: 7, EventDays: 90, DedupeDays: 180}},
		{"events that outlive the host's keys", domain.Retention{EventDays: 365}, domain.Retention{PayloadDays: 30, EventDays: 365, DedupeDays: 365}},
		{"events for ever", domain.Retention{EventDays: -1}, domain.Retention{PayloadDays: 30, EventDays: -1, DedupeDays: -1}},
		{"keys for ever", domain.Retention{DedupeDays: -1}, domain.Retention{PayloadDays: 30, EventDays: 90, DedupeDays: -1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.own.Over(host); got != tt.want {
				t.Errorf("%+v over %+v = %+v, want %+v", tt.own, host, got, tt.want)
			}
		})
	}
}

func TestCutoff(t *testing.T) {
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	if got := domain.Cutoff(now, 30); !got.Equal(now.AddDate(0, 0, -30)) {
		t.Errorf("Cutoff of 30 days = %v", got)
	}
	for _, days := range []int64{0, domain.Unlimited} {
		if got := domain.Cutoff(now, days); !got.IsZero() {
			t.Errorf("Cutoff of %d days = %v, want none", days, got)
		}
	}
}
