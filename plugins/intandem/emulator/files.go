package emulator

import "net/http"

// file is what staff attached to a message.
type file struct {
	kind    string
	content []byte
}

// AddFile keeps a file and returns its link, as it may stand in Say.Attachments. Where the
// platform keeps files is not documented; here it is the API's host.
func (p *Platform) AddFile(name, contentType string, content []byte) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	path := "/files/" + p.random(8) + "/" + name
	p.files[path] = file{contentType, content}
	return "https://" + APIHost + path
}

// serveFile answers a download.
func (p *Platform) serveFile(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	f, ok := p.files[r.URL.Path]
	p.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	_, _ = w.Write(f.content) // an app that is gone has its own troubles
}
