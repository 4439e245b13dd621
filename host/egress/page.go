package egress

import (
	"context"
	"net/http"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
)

// Page returns the URL of a page that a person's browser is to be sent to: one that a rule of
// the policy lets be asked for, with its placeholders filled in. What is filled in is shown to
// that person, so a rule that covers such a page must allow nothing that they may not know.
// Nothing is sent. An error is a [*Fault].
func (c *Client) Page(ctx context.Context, p domain.EgressPolicy, reveal secret.Reveal, page string) (string, error) {
	if beforeQuery, _, _ := strings.Cut(page, "?"); resemblesPlaceholder(beforeQuery) {
		return "", denied("a placeholder may stand in the query of a URL, and nowhere else in it")
	}
	target, err := ParseURL(page)
	if err != nil {
		return "", invalid(err)
	}
	rules := matching(p, http.MethodGet, target, false)
	if len(rules) == 0 {
		return "", denied("no rule allows a browser to be sent to %s://%s%.200s; the page needs one with GET", target.Scheme, target.Host, target.EscapedPath())
	}
	if target.RawQuery, err = newFiller(ctx, reveal, rules).query(target.RawQuery); err != nil {
		return "", err
	}
	return target.String(), nil
}
