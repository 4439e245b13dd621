package ingress

import (
	"context"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/seed75a60ee1/patchbay/host/oauth"
)

// OAuth takes browsers through the consent of a platform. It never fails: there always is a
// page.
type OAuth interface {
	Start(ctx context.Context, v oauth.Visit) oauth.Page
	Callback(ctx context.Context, v oauth.Visit) oauth.Page
}

// visitTime bounds a visit: the room waits for up to 20 s for what comes of a code.
const visitTime = 30 * time.Second

// addOAuth adds the pages of a consent.
func (s *Server) addOAuth() {
	app := s.gate.App()
	app.All("/oauth/start/:ticket", func(c *fiber.Ctx) error { return s.visit(c, s.opts.OAuth.Start) })
	app.All("/oauth/callback", func(c *fiber.Ctx) error { return s.visit(c, s.opts.OAuth.Callback) })
}

// returns tells whether a request to an endpoint is a browser that comes back from a consent.
func (s *Server) returns(h *fasthttp.RequestHeader, query []byte) bool {
	return s.opts.OAuth != nil && oauth.Returns(string(h.Method()), string(query))
}

// visit has the room answer a browser.
func (s *Server) visit(c *fiber.Ctx, room func(context.Context, oauth.Visit) oauth.Page) error {
	ctx, cancel := context.WithTimeout(context.Background(), visitTime)
	defer cancel()
	uri := c.Request().URI()
	page := room(ctx, oauth.Visit{Method: string(c.Request().Header.Method()), Path: string(uri.PathOriginal()),
		Query: string(uri.QueryString()), Cookies: cookies(&c.Request().Header), Framed: framed(c.Get("Sec-Fetch-Dest"))})
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderContentSecurityPolicy, page.Policy)
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer") // the address holds a code
	if !page.Framable {
		c.Set(fiber.HeaderXFrameOptions, "DENY")
	}
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set("Cross-Origin-Resource-Policy", "same-origin")
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	if page.Location != "" {
		c.Set(fiber.HeaderLocation, page.Location)
	}
	if page.Cookie != nil {
		c.Set(fiber.HeaderSetCookie, page.Cookie.String())
	}
	return c.Status(page.Status).Send(page.Body)
}

// framed tells whether what a browser asks for is to stand within another page (Fetch Metadata).
func framed(destination string) bool {
	switch destination {
	case "iframe", "frame", "embed", "object":
		return true
	}
	return false
}

// cookies returns the cookies of the consent pages that a browser brings, by name. Of two with
// one name neither counts: which is whose is not known.
func cookies(h *fasthttp.RequestHeader) map[string]string {
	found := map[string]string{}
	for name, value := range h.Cookies() {
		if !oauth.OwnCookie(string(name)) {
			continue
		}
		if _, twice := found[string(name)]; twice {
			found[string(name)] = ""
			continue
		}
		found[string(name)] = string(value)
	}
	return found
}

// withoutOurCookies is a Cookie field without those of the consent pages: they are between a
// browser and the host, and no plugin's business.
func withoutOurCookies(field string) string {
	own := false
	var kept []string
	for pair := range strings.SplitSeq(field, ";") {
		if pair = strings.TrimSpace(pair); oauth.OwnCookie(pair) {
			own = true
		} else if pair != "" {
			kept = append(kept, pair)
		}
	}
	if !own {
		return field // as it came
	}
	return strings.Join(kept, "; ")
}
