package main

import (
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/origin"
)

// normalDomain returns a portal's domain in one form, and whether it is a host name at all:
// nothing that two parsers might read differently, and so no port, no user and no path.
func normalDomain(text string) (string, bool) {
	domain := strings.ToLower(strings.TrimSuffix(text, "."))
	return domain, origin.IsName(domain)
}

func isHostByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c == '-'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// only tells whether every byte of a text is fit; an empty text has none that is not.
func only(text string, fit func(byte) bool) bool {
	for i := range len(text) {
		if !fit(text[i]) {
			return false
		}
	}
	return true
}

// allowedDomain tells whether a normal domain is a portal's: under one of the suffixes, with
// at least one label in front. Tokens are sent to no other.
func allowedDomain(domain string, suffixes []string) bool {
	for _, suffix := range suffixes {
		suffix = strings.ToLower(strings.Trim(suffix, "."))
		if front, ok := strings.CutSuffix(domain, "."+suffix); ok && suffix != "" && front != "" {
			return true
		}
	}
	return false
}

// headerOnce returns the only field of a name. It is false if there are several: which of
// them counts would be up to whoever reads them.
func headerOnce(headers []contract.Header, name string) (value string, ok bool) {
	found := false
	for _, h := range headers {
		if !strings.EqualFold(h.Name, name) {
			continue
		}
		if found {
			return "", false
		}
		value, found = h.Value, true
	}
	return value, true
}
