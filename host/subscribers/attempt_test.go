package subscribers

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestWhatAnAnswerMeans(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name               string
		answer             contract.HTTPResult
		taken, gone, holds bool
		wait               time.Duration
		class              contract.FailureClass
	}{
		{"any success", contract.HTTPResult{Status: 299}, true, false, false, 0, ""},
		{"a redirect is not followed", contract.HTTPResult{Status: 302}, false, false, false, 0, contract.FailureRetry},
		{"an error", contract.HTTPResult{Status: 400}, false, false, false, 0, contract.FailureRetry},
		{"gone", contract.HTTPResult{Status: 410}, false, true, false, 0, contract.FailureRetry},
		{"too many", contract.HTTPResult{Status: 429}, false, false, true, 0, contract.FailureRetry},
		{"too many, with a time", contract.HTTPResult{Status: 429, Headers: []contract.Header{{Name: "Retry-After", Value: "7"}}}, false, false, true, 7 * time.Second, contract.FailureRetryAfter},
		{"busy until a date", contract.HTTPResult{Status: 503, Headers: []contract.Header{{Name: "retry-after", Value: "Sun, 22 Nov 2026 10:01:00 GMT"}}}, false, false, true, time.Minute, contract.FailureRetryAfter},
		{"no connection", contract.HTTPResult{Error: &contract.HostError{Code: contract.HostUnreachable, Certain: true}}, false, false, true, 0, contract.FailureRetry},
		{"a broken connection", contract.HTTPResult{Error: &contract.HostError{Code: contract.HostUnreachable}}, false, false, false, 0, contract.FailureRetry},
		{"no answer in time", contract.HTTPResult{Error: &contract.HostError{Code: contract.HostTimeout}}, false, false, false, 0, contract.FailureRetry},
		{"an address that is not allowed", contract.HTTPResult{Error: &contract.HostError{Code: contract.HostDenied, Certain: true}}, false, false, true, 0, contract.FailureRetry},
		{"more than may be sent", contract.HTTPResult{Error: &contract.HostError{Code: contract.HostQuota, Certain: true}}, false, false, false, 0, contract.FailurePermanent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := read(&tt.answer, now)
			var class contract.FailureClass
			if o.failure != nil {
				class = o.failure.Class
			}
			if (o.failure == nil) != tt.taken || o.gone != tt.gone || o.holds != tt.holds || o.wait != tt.wait || class != tt.class {
				t.Errorf("got %+v with %+v", o, o.failure)
			}
		})
	}
}

func TestAnExcerptIsShort(t *testing.T) {
	if got := excerpt(strings.Repeat("é", maxExcerpt)); len(got) > maxExcerpt+len("…") || !strings.HasSuffix(got, "é…") {
		t.Errorf("got %d bytes: %q", len(got), got)
	}
}

// FuzzRetryAfter checks that whatever a subscriber says, it is left alone for a bounded time.
func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("-1")
	f.Add("18446744073709551615")
	f.Add("Sun, 22 Nov 2026 10:01:00 GMT")
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT")
	f.Fuzz(func(t *testing.T, text string) {
		if got := retryAfter(text, time.Unix(1_800_000_000, 0)); got < 0 || got > maxWait {
			t.Errorf("retryAfter(%q) = %v", text, got)
		}
	})
}

// FuzzInert checks that a body means the same and holds nothing like a placeholder.
func FuzzInert(f *testing.F) {
	f.Add("{{secret:token}}")
	f.Add(`{{{"\u007b{`)
	f.Add("{")
	f.Fuzz(func(t *testing.T, text string) {
		body, err := json.Marshal(map[string]any{text: []any{map[string]any{"a": text}, text}})
		if err != nil {
			t.Skip()
		}
		got := inert(body)
		if bytes.Contains(got, []byte("{{")) {
			t.Errorf("%s still looks like a placeholder", got)
		}
		var before, after any
		if json.Unmarshal(body, &before) != nil || json.Unmarshal(got, &after) != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("%s became %s", body, got)
		}
	})
}
