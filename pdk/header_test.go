package pdk_test

import (
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestHeaderIsTheFirstOfItsName(t *testing.T) {
	headers := []contract.Header{{Name: "Accept", Value: "a"}, {Name: "x-KEY", Value: "1"}, {Name: "X-Key", Value: "2"}}
	for name, want := range map[string]string{"X-Key": "1", "accept": "a", "X-Ke": "", "": ""} {
		if got := pdk.Header(headers, name); got != want {
			t.Errorf("Header(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestRetryAfterMillis(t *testing.T) {
	date := contract.Header{Name: "Date", Value: "Mon, 02 Mar 2026 10:00:00 GMT"}
	for _, tt := range []struct {
		name    string
		headers []contract.Header
		want    int64
	}{
		{"none", nil, 0},
		{"an empty one", []contract.Header{{Name: "Retry-After"}}, 0},
		{"seconds", []contract.Header{{Name: "Retry-After", Value: "7"}}, 7000},
		{"another case", []contract.Header{{Name: "retry-after", Value: "7"}}, 7000},
		{"a date", []contract.Header{date, {Name: "Retry-After", Value: "Mon, 02 Mar 2026 10:01:30 GMT"}}, 90_000},
		{"a date gone by", []contract.Header{date, {Name: "Retry-After", Value: "Mon, 02 Mar 2026 09:00:00 GMT"}}, 0},
		{"a date without Date", []contract.Header{{Name: "Retry-After", Value: "Mon, 02 Mar 2026 10:01:30 GMT"}}, 0},
		{"a date of another year", []contract.Header{date, {Name: "Retry-After", Value: "Tue, 02 Mar 2027 10:00:00 GMT"}}, pdk.MaxRetryAfterMillis},
		{"a year", []contract.Header{{Name: "Retry-After", Value: "31536000"}}, pdk.MaxRetryAfterMillis},
		{"more than fits", []contract.Header{{Name: "Retry-After", Value: "99999999999999999999"}}, 0},
		{"nonsense", []contract.Header{{Name: "Retry-After", Value: "soon"}}, 0},
		{"a negative number", []contract.Header{{Name: "Retry-After", Value: "-5"}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := pdk.RetryAfterMillis(tt.headers); got != tt.want {
				t.Errorf("RetryAfterMillis(%v) = %d, want %d", tt.headers, got, tt.want)
			}
		})
	}
}
