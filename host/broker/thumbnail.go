package broker

import (
	"context"
	"regexp"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// thumbnailPlaceholder is {{media_base64:HANDLE}}; see contract.Response.
var thumbnailPlaceholder = regexp.MustCompile(`\{\{media_base64:([A-Za-z0-9_]{0,64})\}\}`)

// maxThumbnails bounds the pictures in one response.
const maxThumbnails = 4

// withThumbnails returns the body with the pictures that a JSON response asks for.
func (b *Broker) withThumbnails(ctx context.Context, c domain.Connection, r contract.Response) string {
	if !strings.Contains(r.Body, "{{media_base64:") || !isJSON(r.Headers) {
		return r.Body
	}
	left := maxThumbnails
	return thumbnailPlaceholder.ReplaceAllStringFunc(r.Body, func(found string) string {
		if left--; left < 0 {
			return ""
		}
		return b.thumbnail(ctx, c, contract.MediaHandle(thumbnailPlaceholder.FindStringSubmatch(found)[1]))
	})
}

// thumbnail is empty for whatever is no picture of the connection's own workspace.
func (b *Broker) thumbnail(ctx context.Context, c domain.Connection, h contract.MediaHandle) string {
	media, err := b.opts.Store.Media(ctx, h)
	if err != nil || media.Workspace != c.Workspace {
		return ""
	}
	picture, err := b.opts.Media.Thumbnail(media.SHA256)
	if err != nil {
		b.opts.Log.Warn("a picture could not be made small", "media", h, "error", err)
		return ""
	}
	return picture
}

func isJSON(headers []contract.Header) bool {
	for _, h := range headers {
		if strings.EqualFold(h.Name, "Content-Type") {
			return strings.HasPrefix(strings.ToLower(h.Value), "application/json")
		}
	}
	return false
}
