package emulator

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// File is an attachment of an operator's message.
type File struct {
	Name    string
	Content []byte
	// ClaimedSize is what the message says of the length; 0 says the truth.
	ClaimedSize int64
	// URL replaces the link; empty links to the platform, which then serves Content.
	URL string
	// Uses is how many times the link works; 0 means as often as asked.
	Uses int
}

// servedFile is a file that the platform serves.
type servedFile struct {
	File
	sig  string
	left int
}

// share makes a link to a file.
func (p *Platform) share(f File) string {
	if f.URL != "" {
		return f.URL
	}
	id, sig := p.newID(), p.newID()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files[id] = &servedFile{File: f, sig: sig, left: f.Uses}
	return p.url + "/files/" + id + "?sig=" + sig
}

// serveFile answers a download by the messenger.
func (p *Platform) serveFile(w http.ResponseWriter, r *http.Request) {
	began := p.now()
	status, file := p.takeFile(r.PathValue("id"), r.URL.Query().Get("sig"))
	if status == http.StatusOK {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(file.Content)))
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", file.Name))
		_, _ = w.Write(file.Content) // a messenger that went away is its own problem
	} else {
		w.WriteHeader(status)
	}
	p.rec.Add(Exchange{
		Way: FileIn, URL: r.URL.String(), Header: r.Header.Clone(), Status: status,
		Began: began, Took: p.now().Sub(began),
	})
}

// takeFile uses a link once.
func (p *Platform) takeFile(id, sig string) (int, File) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.files[id]
	switch {
	case f == nil:
		return http.StatusNotFound, File{}
	case f.sig != sig:
		return http.StatusForbidden, File{}
	case f.Uses > 0 && f.left == 0:
		return http.StatusGone, File{}
	}
	f.left--
	return http.StatusOK, f.File
}

// ReceivedFile is an attachment of a customer's message, downloaded by the platform.
type ReceivedFile struct {
	Name    string
	URL     string
	Content []byte
	// Err says why it could not be downloaded.
	Err string
}

// download fetches one of the messenger's files, up to the platform's limit.
func (p *Platform) download(ctx context.Context, f *ReceivedFile) {
	began := p.now()
	status, content, err := emulate.Get(ctx, p.client, f.URL, p.opts.MaxFileBytes)
	if err != nil {
		f.Err = err.Error()
	} else {
		f.Content = content
	}
	p.rec.Add(Exchange{
		Way: FileOut, URL: f.URL, Status: status, Err: f.Err, Began: began, Took: p.now().Sub(began),
	})
}
