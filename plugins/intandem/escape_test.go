package main

import (
	"net/url"
	"testing"
)

// FuzzQuery claims that what is written reads back as it was, whatever it is.
func FuzzQuery(f *testing.F) {
	f.Add("filter[channel_uid]", "a&b=c d+e%2F\u00e9{{secret:x}}")
	f.Fuzz(func(t *testing.T, name, value string) {
		text := query("first", "1", name, value)
		got, err := url.ParseQuery(text)
		if err != nil || name != "first" && got.Get(name) != value {
			t.Errorf("query(%q, %q) = %q, which reads as %q, %v", name, value, text, got, err)
		}
		if path, err := url.PathUnescape(escape(value)); err != nil || path != value {
			t.Errorf("escape(%q) = %q, which reads as %q, %v", value, escape(value), path, err)
		}
	})
}
