package emulator

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what the platform signs with is not documented
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Signature says how messages are signed. The zero value is the protocol's default:
// HMAC-SHA256 over the raw body with the webhook's key, in hex behind "sha256=", in
// X-Hub-Signature-256.
type Signature struct {
	Header string
	// SHA1 takes SHA-1 instead of SHA-256.
	SHA1 bool
	// Key is "verification_key", "flow_key" or "partner_key"; empty means the first.
	Key string
	// PHP signs the body as PHP writes it, and sends it as it was.
	PHP bool
	// Base64 takes base64 instead of hex.
	Base64 bool
	// NoPrefix leaves the algorithm out.
	NoPrefix bool
	// None signs nothing.
	None bool
}

func (s Signature) name() string { return cmp.Or(s.Header, "X-Hub-Signature-256") }

// over signs a body, and returns the value of the header field; empty if there is none.
func (s Signature) over(body []byte, keys map[string]string) string {
	if s.None {
		return ""
	}
	prefix, digest := "sha256=", func() hash.Hash { return sha256.New() }
	if s.SHA1 {
		prefix, digest = "sha1=", func() hash.Hash { return sha1.New() } //nolint:gosec // see above
	}
	code := hmac.New(digest, []byte(keys[s.Key]))
	if s.PHP {
		code.Write([]byte(php(string(body))))
	} else {
		code.Write(body)
	}
	value := hex.EncodeToString(code.Sum(nil))
	if s.Base64 {
		value = base64.StdEncoding.EncodeToString(code.Sum(nil))
	}
	if s.NoPrefix {
		prefix = ""
	}
	return prefix + value
}

// php writes what [encode] wrote as PHP would: slashes and everything beyond ASCII escaped.
func php(compact string) string {
	var out strings.Builder
	for _, r := range compact {
		switch {
		case r == '/':
			out.WriteString(`\/`)
		case r < utf8.RuneSelf:
			out.WriteRune(r)
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				out.WriteString(`\u`)
				out.WriteString(hex.EncodeToString([]byte{byte(unit >> 8), byte(unit)}))
			}
		}
	}
	return out.String()
}
