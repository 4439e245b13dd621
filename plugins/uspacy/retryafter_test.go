package main

import (
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestRetryAfter(t *testing.T) {
	const date = "Sun, 01 Mar 2026 12:00:00 GMT"
	for _, tt := range []struct {
		name, value string
		want        int64
	}{
		{"seconds", "90", 90_000}, {"a day", "86400", 300_000}, {"a date", "Sun, 01 Mar 2026 12:00:30 GMT", 30_000},
		{"a date in the past", "Sun, 01 Mar 2026 11:00:00 GMT", 0}, {"nothing", "", 0}, {"a negative number", "-5", 0}, {"words", "soon", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			headers := []contract.Header{{Name: "date", Value: date}, {Name: "retry-after", Value: tt.value}}
			if got := retryAfterMillis(headers); got != tt.want {
				t.Errorf("Retry-After %q is %d ms, want %d", tt.value, got, tt.want)
			}
		})
	}
}
