package ingress

import (
	"net/http"
	"net/textproto"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/seed75a60ee1/patchbay/host/broker"
)

// ours lists the fields of an answer that are not the plugin's to set: they concern the
// connection or the length (RFC 9110 section 7.6.1), which this side decides.
var ours = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Content-Length": true, "Date": true, "X-Request-Id": true,
}

// write makes the broker's answer the answer.
func write(c *fiber.Ctx, a broker.Answer) {
	named := namedByConnection(a)
	for _, field := range a.Headers {
		name := textproto.CanonicalMIMEHeaderKey(field.Name)
		if !ours[name] && !named[name] && validField(name, field.Value) {
			c.Response().Header.Add(name, field.Value)
		}
	}
	// Whatever a plugin answers, a browser that is led here does not run it.
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; sandbox")
	c.Status(statusOf(a))
	c.Response().SetBody(a.Body)
}

// statusOf keeps what is no final status away from the connection.
func statusOf(a broker.Answer) int {
	if a.Status < 200 || a.Status > 599 {
		return http.StatusServiceUnavailable
	}
	return a.Status
}

// namedByConnection lists the fields that a Connection field declares to be of one hop.
func namedByConnection(a broker.Answer) map[string]bool {
	named := map[string]bool{}
	for _, field := range a.Headers {
		if textproto.CanonicalMIMEHeaderKey(field.Name) != "Connection" {
			continue
		}
		for name := range strings.SplitSeq(field.Value, ",") {
			named[textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	return named
}

// validField tells whether a field can be sent without becoming two.
func validField(name, value string) bool {
	for i := range len(value) {
		if b := value[i]; b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return name != "" && strings.IndexFunc(name, func(r rune) bool { return !isToken(r) }) < 0
}

// isToken tells whether r may stand in a field's name (RFC 9110 section 5.6.2).
func isToken(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
