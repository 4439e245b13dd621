package egress

import (
	"context"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"sync"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// file is an attachment's body that tells when it was closed.
type file struct {
	io.Reader
	once   sync.Once
	closed chan struct{}
}

func newFile(content string) *file {
	return &file{Reader: strings.NewReader(content), closed: make(chan struct{})}
}

func (f *file) Close() error { f.once.Do(func() { close(f.closed) }); return nil }

func TestUploadSendsTheBytesAsTheBody(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{MaxRequestBytes: 1}) // does not bound attachments
	body := newFile("bytes")
	m := contract.MediaPut{Request: contract.HTTPRequest{Method: "POST", URL: p.URL, Body: "ignored"}}
	got := c.Upload(context.Background(), p.policy(), nil, m, domain.Attachment{Name: "a.png", MIME: "image/png", SizeBytes: 5, Body: body})
	wantStatus(t, got, 200)
	if r, sent := p.last(t); sent != "bytes" || r.Header.Get("Content-Type") != "image/png" || r.ContentLength != 5 {
		t.Errorf("the platform saw %q, %v, length %d", sent, r.Header, r.ContentLength)
	}
	<-body.closed
}

func TestUploadSendsAForm(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{})
	m := contract.MediaPut{Field: "file", Form: map[string]string{"chat": "7", "caption": "{{secret:token}}"},
		Request: contract.HTTPRequest{Method: "POST", URL: p.URL, Headers: []contract.Header{{Name: "content-type", Value: "text/plain"}}}}
	a := domain.Attachment{Name: "é\"\r\n.png", MIME: "image/png", SizeBytes: 5, Body: newFile("bytes")}
	wantStatus(t, c.Upload(context.Background(), p.policy(), vault, m, a), 200)
	r, sent := p.last(t)
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		t.Fatalf("Content-Type is %q, %v", r.Header.Get("Content-Type"), err)
	}
	form, err := multipart.NewReader(strings.NewReader(sent), parameters["boundary"]).ReadForm(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if form.Value["chat"][0] != "7" || form.Value["caption"][0] != "{{secret:token}}" || len(form.File["file"]) != 1 || form.File["file"][0].Size != 5 {
		t.Errorf("the form is %+v", form)
	}
}

func TestUploadClosesTheBodyWhenNothingIsSent(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{})
	body := newFile("bytes")
	m := contract.MediaPut{Request: contract.HTTPRequest{Method: "DELETE", URL: p.URL}}
	got := c.Upload(context.Background(), p.policy(), nil, m, domain.Attachment{MIME: "image/png", SizeBytes: 5, Body: body})
	wantFault(t, got, contract.HostDenied, true)
	<-body.closed
}

func TestUploadFailsIfTheBytesAreFewerThanSaid(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{})
	p.Config.Handler = nil // the platform reads an unfinished request and hangs up
	m := contract.MediaPut{Request: contract.HTTPRequest{Method: "POST", URL: p.URL}}
	got := c.Upload(context.Background(), p.policy(), nil, m, domain.Attachment{MIME: "image/png", SizeBytes: 9, Body: newFile("bytes")})
	if got.Error == nil || got.Error.Certain {
		t.Errorf("result is %+v, want an error that is not certain", got)
	}
}
