package pdk

import (
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Header returns the value of the first field of a name, in any case; "" if there is none.
func Header(headers []contract.Header, name string) string {
	for _, h := range headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// MaxRetryAfterMillis bounds what [RetryAfterMillis] returns, in milliseconds: a day.
const MaxRetryAfterMillis = 24 * 3600 * 1000

// RetryAfterMillis reads the field Retry-After of an answer (RFC 9110 section 10.2.3), in
// milliseconds, up to [MaxRetryAfterMillis]; 0 if there is none that can be read. A date
// counts from the answer's own Date, so that no clock is needed.
func RetryAfterMillis(headers []contract.Header) int64 {
	value := Header(headers, "Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(int64(seconds)*1000, MaxRetryAfterMillis)
	}
	until, err := time.Parse(httpDate, value)
	if err != nil {
		return 0
	}
	now, err := time.Parse(httpDate, Header(headers, "Date"))
	if err != nil {
		return 0
	}
	return min(max(until.Sub(now).Milliseconds(), 0), MaxRetryAfterMillis)
}

// httpDate is the preferred form of a date in HTTP (RFC 9110 section 5.6.7).
const httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"
