package contract

import (
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed75a60ee1/patchbay/pdk/internal/words"
)

// appendName begins a member: name is quoted and has its colon.
func appendName(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(dst, name...)
}

func appendString(dst []byte, s string) []byte {
	if isPlain(s) {
		dst = append(append(dst, '"'), s...)
		return append(dst, '"')
	}
	dst, _ = jsontext.AppendQuote(dst, s) // the error tells that bytes were replaced, as they should
	return dst
}

// isPlain tells that s is ASCII and needs no escape, as nearly every text does; copying
// one whole is much cheaper than the tokenizer's walk from rune to rune.
func isPlain(s string) bool {
	at := 0
	for ; at+words.Bytes <= len(s); at += words.Bytes {
		if words.Plain(words.At(s, at)) < words.Bytes {
			return false
		}
	}
	for ; at < len(s); at++ {
		if c := s[at]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

func appendBool(dst []byte, b bool) []byte { return strconv.AppendBool(dst, b) }

func appendTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	text, err := t.AppendText(dst)
	if err != nil { // RFC 3339 has no such year
		text, _ = time.Time{}.AppendText(dst)
	}
	return append(text, '"')
}

func appendBytes(dst []byte, b []byte) []byte {
	if b == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

func appendRaw(dst []byte, raw RawJSON) []byte {
	if tooDeep(raw, MaxRawDepth) || !raw.IsValid() {
		return append(dst, "null"...)
	}
	return append(dst, raw...)
}

func appendMap(dst []byte, m map[string]string) []byte {
	if m == nil {
		return append(dst, "null"...)
	}
	var room [16]string // most maps are small
	keys := slices.AppendSeq(room[:0], maps.Keys(m))
	slices.Sort(keys)
	if !allUTF8(keys) {
		return appendMap(dst, withUTF8Keys(m, keys))
	}
	dst = append(dst, '{')
	for i, key := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, key), ':')
		dst = appendString(dst, m[key])
	}
	return append(dst, '}')
}

func allUTF8(keys []string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool { return !utf8.ValidString(key) })
}

// withUTF8Keys returns m with the invalid bytes of its keys replaced. Keys can become
// equal by that; the first one stays, since a duplicate name would spoil the document.
func withUTF8Keys(m map[string]string, keys []string) map[string]string {
	valid := make(map[string]string, len(m))
	for _, key := range keys {
		name := string([]rune(key))
		if _, taken := valid[name]; !taken {
			valid[name] = m[key]
		}
	}
	return valid
}

func appendStrings[T ~string](dst []byte, list []T) []byte {
	if list == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, string(s))
	}
	return append(dst, ']')
}

func appendArray[T any](dst []byte, list []T, element func(*T, []byte) []byte) []byte {
	if list == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, '[')
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = element(&list[i], dst)
	}
	return append(dst, ']')
}
