package emulator

import (
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
)

// File is a file that the portal keeps, as the file service writes it.
type File struct {
	ID               int64  `json:"id"`
	EntityType       string `json:"entityType"`
	EntityID         string `json:"entityId"`
	UploadID         string `json:"uploadId"`
	CreatorID        int64  `json:"creatorId"`
	OriginalFilename string `json:"originalFilename"`
	LastModified     int64  `json:"lastModified"`
	Size             int64  `json:"size"`
	URL              string `json:"url"`

	// Content is the bytes.
	Content []byte `json:"-"`
	// MIME is what the upload said of them.
	MIME string `json:"-"`
}

// contentPath stands before the id of a file that is downloaded.
const contentPath = "/storage/"

// keepFile keeps bytes. The caller holds mu.
func (o *Portal) keepFile(name string, content []byte, entityType, entityID string) *File {
	o.fileSeq++
	host := o.domain
	if o.p.opts.Chat.FileHost != "" {
		host = o.p.opts.Chat.FileHost
	}
	f := &File{
		ID: o.fileSeq, EntityType: entityType, EntityID: entityID, UploadID: o.p.newUUID(), CreatorID: 1,
		OriginalFilename: name, LastModified: o.p.now().Unix(), Size: int64(len(content)), Content: content,
	}
	f.URL = "https://" + host + contentPath + o.domain + "/" + strconv.FormatInt(f.ID, 10)
	o.files = append(o.files, f)
	return f
}

// Files returns what the portal keeps, oldest first.
func (o *Portal) Files() []File {
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	list := make([]File, 0, len(o.files))
	for _, f := range o.files {
		list = append(list, *f)
	}
	return list
}

// upload takes files of a form.
func (q *request) upload() (int, any) {
	limit := q.o.p.opts.Chat.MaxFileBytes
	reader, err := q.r.MultipartReader()
	if err != nil {
		q.o.p.rec.Violation("an upload is no form: %v", err)
		return http.StatusUnprocessableEntity, laravelError("files", "The files field is required.")
	}
	form, status := q.readForm(reader, limit)
	if status != 0 {
		_, _ = io.Copy(io.Discard, io.LimitReader(q.r.Body, 4*limit))
		return status, laravelError("files", "The upload was refused.")
	}
	return q.keepForm(form)
}

// keepForm keeps the files of a form.
func (q *request) keepForm(form uploaded) (int, any) {
	if want := q.o.p.opts.Chat.EntityType; want != "" && form.fields["entityType"] != want {
		return http.StatusUnprocessableEntity, laravelError("entityType", "The selected entity type is invalid.")
	}
	if len(form.files) == 0 || form.fields["entityType"] == "" || form.fields["entityId"] == "" {
		q.o.p.rec.Violation("an upload lacks files, entityType or entityId: %v", form.fields)
		return http.StatusUnprocessableEntity, laravelError("files", "The files field is required.")
	}
	q.o.p.mu.Lock()
	defer q.o.p.mu.Unlock()
	data := []File{}
	for _, f := range form.files {
		kept := q.o.keepFile(f.OriginalFilename, f.Content, form.fields["entityType"], form.fields["entityId"])
		kept.MIME = f.MIME
		data = append(data, *kept)
	}
	return http.StatusCreated, map[string]any{"data": data}
}

// uploaded is a form that was read.
type uploaded struct {
	fields map[string]string
	files  []File
}

// readForm reads a form; a status other than 0 refuses it.
func (q *request) readForm(reader *multipart.Reader, limit int64) (uploaded, int) {
	form := uploaded{fields: map[string]string{}}
	for {
		part, err := reader.NextPart()
		if err == io.EOF {
			return form, 0
		}
		if err != nil {
			return form, http.StatusBadRequest
		}
		content, err := io.ReadAll(io.LimitReader(part, limit+1))
		switch {
		case err != nil:
			return form, http.StatusBadRequest
		case int64(len(content)) > limit:
			return form, http.StatusRequestEntityTooLarge
		case part.FileName() == "":
			form.fields[part.FormName()] = string(content)
		case !q.takesField(part.FormName()):
			q.o.p.rec.Violation("a file came as the form field %q", part.FormName())
			return form, http.StatusUnprocessableEntity
		default:
			form.files = append(form.files, File{OriginalFilename: part.FileName(), Content: content, MIME: part.Header.Get("Content-Type")})
		}
	}
}

func (q *request) takesField(name string) bool {
	if want := q.o.p.opts.Chat.FileField; want != "" {
		return name == want
	}
	return name == "files[]" || name == "files[0]"
}

func (q *request) totals() (int, any) {
	q.o.p.mu.Lock()
	defer q.o.p.mu.Unlock()
	var size int64
	for _, f := range q.o.files {
		size += f.Size
	}
	return http.StatusOK, map[string]any{"data": map[string]int64{"size": size, "limit": 5 << 30}}
}

// serveFile answers a download.
func (p *Platform) serveFile(w http.ResponseWriter, r *http.Request) {
	ex := Exchange{Op: OpFileGet, Host: r.Host, Method: r.Method, URI: r.URL.RequestURI(), Header: r.Header.Clone(), Began: p.now()}
	step := p.next(OpFileGet)
	status, f := p.findFile(r)
	if step.Status != 0 {
		status = step.Status
	}
	ex.Status = status
	defer func() { p.rec.Add(ex) }()
	if status != http.StatusOK {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(f.Content)))
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", f.OriginalFilename))
	_, _ = w.Write(f.Content) // an app that went away is its own problem
}

// findFile finds what a link means: /storage/{domain}/{id}. A bearer that comes to a host other
// than its portal's is a leak.
func (p *Platform) findFile(r *http.Request) (int, File) {
	domain, id, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, contentPath), "/")
	portal := p.portals[domain]
	if !ok || portal == nil || r.Method != http.MethodGet {
		return http.StatusNotFound, File{}
	}
	token := bearerOf(r)
	if token != "" && r.Host != domain {
		p.rec.Violation("a bearer was sent to %s", r.Host)
	}
	if p.opts.Chat.FilesNeedToken {
		if status, _ := portal.auth.bearer(token); status != 0 {
			return status, File{}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range portal.files {
		if strconv.FormatInt(f.ID, 10) == id {
			return http.StatusOK, *f
		}
	}
	return http.StatusNotFound, File{}
}
