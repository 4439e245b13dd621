package emulator

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// Portal is one customer of Uspacy: a messenger and files behind one domain. Its state is
// guarded by the platform's mu.
type Portal struct {
	p      *Platform
	domain string
	auth   *auth

	lines    []*Line
	chats    []*Chat
	messages []*Message
	files    []*File
	fileSeq  int64
}

func newPortal(p *Platform, domain string) *Portal {
	portal := &Portal{p: p, domain: domain, fileSeq: 90_000}
	portal.auth = newAuth(p, domain)
	return portal
}

// Domain is the portal's name, such as "acme.uspacy.ua".
func (o *Portal) Domain() string { return o.domain }

// maxBody bounds a JSON body, in bytes; uploads have a bound of their own.
const maxBody = 1 << 20

// ServeHTTP is the portal's API.
func (o *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/auth/"):
		o.auth.ServeHTTP(w, r)
	case strings.HasPrefix(r.URL.Path, contentPath):
		o.p.serveFile(w, r)
	default:
		o.serve(w, r)
	}
}

// request is one call of the API.
type request struct {
	o    *Portal
	r    *http.Request
	id   string // the segment of the path that names something
	body []byte
}

// operation is one thing that the API can do: it answers a status and a value to be written as
// JSON.
type operation struct {
	name string
	do   func(*request) (int, any)
}

// serve carries out one call: bearer, step, operation.
func (o *Portal) serve(w http.ResponseWriter, r *http.Request) {
	op, id := find(r)
	q := &request{o: o, r: r, id: id}
	ex := Exchange{
		Op: op.name, Host: r.Host, Method: r.Method, URI: r.URL.RequestURI(), Header: r.Header.Clone(), Began: o.p.now(),
	}
	defer func() { o.p.rec.Add(ex) }()
	step := o.p.next(op.name)
	if step.Before != nil {
		step.Before()
	}
	status, answer := o.carryOut(op, q, &step)
	if op.name != OpFileUpload {
		ex.Body = q.body
	}
	if !o.p.server.Pause(r.Context(), step.Hold) && step.Hold != nil || step.HangUp {
		ex.Err = "hung up"
		panic(http.ErrAbortHandler)
	}
	for name, values := range step.Header {
		w.Header()[name] = values
	}
	ex.Status, ex.Response = status, answer
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(answer) // an app that went away is its own problem
}

// carryOut looks at the bearer and does what was asked for, or what the step says instead.
func (o *Portal) carryOut(op operation, q *request, step *Step) (int, []byte) {
	status, answer := http.StatusOK, []byte(`{}`)
	if code, text := o.auth.bearer(bearerOf(q.r)); code != 0 {
		status, answer = code, []byte(text)
		_, _ = io.Copy(io.Discard, io.LimitReader(q.r.Body, 64<<20))
	} else if step.takes() {
		status, answer = o.perform(op, q)
		if step.After != nil {
			step.After()
		}
	} else {
		q.body, _ = io.ReadAll(io.LimitReader(q.r.Body, 64<<20))
	}
	if step.Status != 0 {
		status, answer = step.Status, encode(nestError(step.Status, "as the script says"))
	}
	if step.Body != "" {
		answer = []byte(step.Body)
	}
	return status, answer
}

// perform reads the body and does what was asked for.
func (o *Portal) perform(op operation, q *request) (int, []byte) {
	if op.do == nil {
		o.p.rec.Violation("%s %s is no call of the API", q.r.Method, q.r.URL.Path)
		return http.StatusNotFound, encode(nestError(404, "Cannot "+q.r.Method+" "+q.r.URL.Path))
	}
	if q.r.Header.Get("Accept") != "application/json" {
		o.p.rec.Violation("%s was asked for with Accept %q", op.name, q.r.Header.Get("Accept"))
	}
	if op.name != OpFileUpload {
		if why := q.read(op); why != "" {
			return http.StatusBadRequest, encode(nestError(400, why))
		}
	}
	status, value := op.do(q)
	return status, encode(value)
}

// read reads a JSON body, and says what is wrong with it.
func (q *request) read(op operation) string {
	body, err := io.ReadAll(io.LimitReader(q.r.Body, maxBody+1))
	q.body = body
	switch {
	case err != nil || len(body) > maxBody:
		return "request entity too large"
	case q.r.Method == http.MethodGet || q.r.Method == http.MethodDelete:
		return ""
	case q.r.Header.Get("Content-Type") != "application/json":
		q.o.p.rec.Violation("%s was sent with Content-Type %q", op.name, q.r.Header.Get("Content-Type"))
	case !json.Valid(body):
		return "Unexpected token in JSON"
	}
	return ""
}

// into decodes the body, with unknown keys a violation, and says what is wrong with it.
func (q *request) into(v any) string {
	d := json.NewDecoder(bytes.NewReader(q.body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		q.o.p.rec.Violation("%s %s: %v in %s", q.r.Method, q.r.URL.Path, err, q.body)
		return err.Error()
	}
	return ""
}

// routes is the API, by method and path; {id} is one segment.
var routes = map[string]operation{
	"POST /messenger/v1/external-lines":        {OpLineCreate, (*request).createLine},
	"GET /messenger/v1/external-lines":         {OpLineList, (*request).listLines},
	"GET /messenger/v1/external-lines/{id}":    {OpLineGet, (*request).getLine},
	"PATCH /messenger/v1/external-lines/{id}":  {OpLineEdit, (*request).editLine},
	"DELETE /messenger/v1/external-lines/{id}": {OpLineDelete, (*request).deleteLine},
	"POST /messenger/v1/chats":                 {OpChatCreate, (*request).createChat},
	"GET /messenger/v1/chats":                  {OpChatList, (*request).listChats},
	"POST /messenger/v1/messages":              {OpMessageCreate, (*request).createMessage},
	"GET /messenger/v1/messages":               {OpMessageList, (*request).listMessages},
	"PATCH /messenger/v1/messages":             {OpMessageEdit, (*request).editMessage},
	"GET /messenger/v1/messages/{id}":          {OpMessageGet, (*request).getMessage},
	"DELETE /messenger/v1/messages/{id}":       {OpMessageDelete, (*request).deleteMessage},
	"PATCH /messenger/v1/messages/{id}/status": {OpMessageStatus, (*request).setStatus},
	"POST /files/v1/files":                     {OpFileUpload, (*request).upload},
	"GET /files/v1/totals/size":                {OpFileSize, (*request).totals},
}

// find returns the operation of a request and the id in its path.
func find(r *http.Request) (operation, string) {
	if op, ok := routes[r.Method+" "+r.URL.Path]; ok {
		return op, ""
	}
	segments := strings.Split(r.URL.Path, "/")
	if len(segments) > 4 && segments[4] != "" {
		id := segments[4]
		segments[4] = "{id}"
		if op, ok := routes[r.Method+" "+strings.Join(segments, "/")]; ok {
			return op, id
		}
	}
	return operation{name: "unknown"}, ""
}

// bearerOf returns the token of a request; "" if it has none.
func bearerOf(r *http.Request) string {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return token
}

// nestError is an error of the messenger service.
func nestError(status int, message string) map[string]any {
	return map[string]any{"statusCode": status, "message": message, "error": http.StatusText(status)}
}

// laravelError is an error of the other services.
func laravelError(field, message string) map[string]any {
	return map[string]any{"errors": map[string][]string{field: {message}}, "status": false}
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("emulator: " + err.Error()) // only what the emulator itself made is encoded
	}
	return data
}

// millis is a time as the messenger writes it.
func millis(t time.Time) int64 { return t.UnixMilli() }
