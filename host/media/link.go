package media

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// ErrLink means that a link was not made by this host, or does not work any more.
var ErrLink = errors.New("the link is not valid, or has expired")

// Links makes and verifies signed links, by which a platform can download an attachment
// without an account.
type Links struct {
	base string
	key  []byte
}

// NewLinks makes links below base, an absolute URL without a slash at its end, signed with
// key (32 bytes).
func NewLinks(base string, key []byte) *Links { return &Links{base: base, key: key} }

// Link returns a link to the attachment that works until expires.
func (l *Links) Link(h contract.MediaHandle, expires time.Time) string {
	exp := strconv.FormatInt(expires.Unix(), 10)
	query := url.Values{"exp": {exp}, "sig": {base64.RawURLEncoding.EncodeToString(l.sign(h, exp))}}
	return l.base + "/media/" + url.PathEscape(string(h)) + "?" + query.Encode()
}

// Verify checks the parameters of a link at now. It answers ErrLink.
func (l *Links) Verify(h contract.MediaHandle, exp, sig string, now time.Time) error {
	given, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil || !hmac.Equal(given, l.sign(h, exp)) {
		return ErrLink
	}
	until, err := strconv.ParseInt(exp, 10, 64)
	if err != nil || now.Unix() >= until {
		return ErrLink
	}
	return nil
}

func (l *Links) sign(h contract.MediaHandle, exp string) []byte {
	mac := hmac.New(sha256.New, l.key)
	mac.Write([]byte("patchbay media link\n" + string(h) + "\n" + exp)) // a hash never fails
	return mac.Sum(nil)
}
