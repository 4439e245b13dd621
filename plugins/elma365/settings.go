package main

import (
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/origin"
)

// settings holds the connection's settings as the host hands them over: one text each,
// checked against plugin.yaml, defaults filled in. Each method reads one when it is
// needed, because most invocations need few.
type settings map[string]string

func (s settings) companyURL() string { return s["company_url"] }

func (s settings) filesURL() string { return s["files_url"] }

func (s settings) failureNotice() bool { return s["failure_notice"] == "true" }

func (s settings) failureNoticeText() string { return s["failure_notice_text"] }

func (s settings) htmlToText() bool { return s["html"] != "off" }

func (s settings) allowHostChange() bool { return s["allow_host_change"] == "true" }

func (s settings) markReadThrough() bool { return s["mark_read"] != "one" }

func (s settings) fileURLKey() string {
	if s["file_url_key"] == "url" {
		return "url"
	}
	return "URL"
}

// The values of outcome_policy; whatever is none of the first two is "auto".
const (
	outcomesRequired = "require"
	outcomesIgnored  = "ignore"
)

func (s settings) outcomePolicy() string { return s["outcome_policy"] }

// The values of unknown_chat; whatever is none of these looks the target up as a user id.
const (
	unknownChatRefused  = "refuse"
	unknownChatAccepted = "accept"
)

func (s settings) unknownChat() string { return s["unknown_chat"] }

// outcomeTimeoutMillis is how long to wait for an outcome, in milliseconds.
func (s settings) outcomeTimeoutMillis() int64 {
	return s.integer("outcome_timeout_seconds", 60) * 1000
}

// maxText is the longest text of one post, in Unicode code points.
func (s settings) maxText() int { return int(s.integer("max_text", 4000)) }

// integer reads a setting of type integer; the fallback is for tests and hosts that fill
// no defaults in.
func (s settings) integer(name string, fallback int64) int64 {
	n, err := strconv.ParseInt(s[name], 10, 64)
	if err != nil || n <= 0 {
		return fallback
	}
	return n
}

// What retry_delays_seconds may hold.
const (
	maxRepeats      = 10
	maxDelaySeconds = 7 * 24 * 3600 // the host's limit for a command
)

// defaultDelays is the protocol's schedule, in seconds.
var defaultDelays = []int64{30, 120, 600, 1800, 7200}

// retryDelays is how long to wait before each repeat, in seconds. It is false if the
// setting is none, and the schedule is then the default one.
func (s settings) retryDelays() ([]int64, bool) {
	text := strings.TrimSpace(s["retry_delays_seconds"])
	if text == "" {
		return defaultDelays, true
	}
	var delays []int64
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(field), 10, 64)
		if err != nil || n < 0 || n > maxDelaySeconds || len(delays) == maxRepeats {
			return defaultDelays, false
		}
		delays = append(delays, n)
	}
	return delays, true
}

// ttlOutcome is how long what a repeat needs is kept, in seconds.
func (s settings) ttlOutcome() int64 {
	delays, _ := s.retryDelays()
	total := int64(ttlSpare)
	for _, delay := range delays {
		total += delay + s.outcomeTimeoutMillis()/1000
	}
	return total
}

// userInfoKeys returns the new name of each of our keys that user_info_keys renames. It
// is false if the setting names a key that is not ours or no pair.
func (s settings) userInfoKeys() (map[string]string, bool) {
	text := strings.TrimSpace(s["user_info_keys"])
	if text == "" {
		return nil, true
	}
	renamed, fine := map[string]string{}, true
	for pair := range strings.SplitSeq(text, ",") {
		ours, theirs, ok := strings.Cut(pair, "=")
		ours = strings.TrimSpace(ours)
		if !ok || !isUserInfoKey(ours) {
			fine = false
			continue
		}
		renamed[ours] = strings.TrimSpace(theirs)
	}
	return renamed, fine
}

// problem says what is wrong with the settings beyond what their types tell; empty if
// nothing is.
func (s settings) problem() string {
	if _, ok := origin.Of(s.companyURL()); !ok {
		return "company_url is not a plain https URL; enter scheme and host, such as https://acme.elma365.eu"
	}
	if _, ok := origin.Of(s.filesURL()); !ok && s.filesURL() != "" {
		return "files_url is not a plain https URL; enter scheme and host, or leave it empty"
	}
	if _, ok := s.retryDelays(); !ok {
		return "retry_delays_seconds needs at most 10 whole numbers of seconds, each at most 604800, such as 30,120,600"
	}
	if _, ok := s.userInfoKeys(); !ok {
		return "user_info_keys needs pairs such as fullName=displayName; ours are " + strings.Join(userInfoKeys[:], ", ")
	}
	return ""
}
