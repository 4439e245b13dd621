package egress

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net/textproto"
	"slices"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Upload makes the request of a media_put: the attachment is the body, or with m.Field
// one part of multipart/form-data after those of m.Form, in which no placeholder is
// filled. Otherwise it does as [Client.Send] does; without a time limit of its own the
// request has MaxTimeout.
func (c *Client) Upload(ctx context.Context, p domain.EgressPolicy, reveal secret.Reveal, m contract.MediaPut, a domain.Attachment) *contract.HTTPResult {
	r := m.Request
	d := draft{method: r.Method, url: r.URL, headers: r.Headers, content: &content{a.Body, a.SizeBytes, a.MIME}}
	if m.Field != "" {
		d.content = multipartContent(m, a)
		d.headers = slices.DeleteFunc(slices.Clone(r.Headers), func(h contract.Header) bool {
			return textproto.CanonicalMIMEHeaderKey(h.Name) == "Content-Type" // it must name the boundary
		})
	}
	if r.TimeoutMillis == 0 {
		r.TimeoutMillis = c.options.MaxTimeout.Milliseconds()
	}
	result := c.exchange(ctx, p, reveal, d, r.TimeoutMillis)
	if result.Error != nil && result.Error.Certain { // nobody took the body over
		_ = a.Body.Close()
	}
	return result
}

// multipartContent puts an attachment between the head and the tail of a form.
func multipartContent(m contract.MediaPut, a domain.Attachment) *content {
	var form bytes.Buffer
	writer := multipart.NewWriter(&form)
	names := make([]string, 0, len(m.Form))
	for name := range m.Form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		_ = writer.WriteField(name, m.Form[name]) // a bytes.Buffer never fails
	}
	head := textproto.MIMEHeader{}
	head.Set("Content-Disposition", multipart.FileContentDisposition(m.Field, a.Name))
	head.Set("Content-Type", a.MIME)
	_, _ = writer.CreatePart(head)
	before := bytes.Clone(form.Bytes())
	form.Reset()
	_ = writer.Close()

	whole := io.MultiReader(bytes.NewReader(before), a.Body, &form)
	return &content{
		ReadCloser: readCloser{whole, a.Body},
		size:       int64(len(before)) + a.SizeBytes + int64(form.Len()),
		mime:       writer.FormDataContentType(),
	}
}

type readCloser struct {
	io.Reader
	io.Closer
}
