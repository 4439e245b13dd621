package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// maxRetryAfterMillis bounds a wait that the platform asks for, in milliseconds: a day.
const maxRetryAfterMillis = 24 * 3600 * 1000

// retryAfterMillis reads Retry-After (RFC 9110 section 10.2.3), in milliseconds; 0 if the
// answer has none. A date counts from the answer's own Date, so that no clock is needed.
func retryAfterMillis(headers []contract.Header) int64 {
	value := header(headers, "Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(int64(seconds)*1000, maxRetryAfterMillis)
	}
	until, err := time.Parse(httpDate, value)
	if err != nil {
		return 0
	}
	now, err := time.Parse(httpDate, header(headers, "Date"))
	if err != nil {
		return 0
	}
	return min(max(until.Sub(now).Milliseconds(), 0), maxRetryAfterMillis)
}

// httpDate is the preferred form of a date in HTTP (RFC 9110 section 5.6.7).
const httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"

// header returns the first field of a name.
func header(headers []contract.Header, name string) string {
	for _, h := range headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}
