package emulator

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
)

// maxCallbackBytes bounds a callback's body.
const maxCallbackBytes = 1 << 20

// callbackBody is what a messenger posts.
type callbackBody struct {
	Type  string          `json:"type"`
	Token string          `json:"token"`
	Data  json.RawMessage `json:"data"`
}

// messageData is the data of a message.
type messageData struct {
	ID       string           `json:"externalMessageId"`
	Chat     string           `json:"externalChatId"`
	ChatName string           `json:"externalChatName"`
	User     string           `json:"externalUserId"`
	Text     string           `json:"text"`
	Files    []map[string]any `json:"files"`
}

// link is a file's URL under either spelling of the key.
func link(file map[string]any) string {
	for _, key := range []string{"URL", "url"} {
		if s, ok := file[key].(string); ok {
			return s
		}
	}
	return ""
}

// received is the files, not downloaded yet.
func (d messageData) received() []ReceivedFile {
	out := make([]ReceivedFile, len(d.Files))
	for i, f := range d.Files {
		name, _ := f["name"].(string)
		out[i] = ReceivedFile{Name: name, URL: link(f)}
	}
	return out
}

// call is one callback under way.
type call struct {
	p    *Platform
	c    *Channel
	step Step
	ex   Exchange
	body callbackBody
	data messageData
}

// callback answers whatever comes to a callback URL.
func (p *Platform) callback(w http.ResponseWriter, r *http.Request) {
	in := &call{p: p, ex: Exchange{
		Way: FromMessenger, URL: r.URL.String(), Header: r.Header.Clone(), Began: p.now(),
		Channel: r.PathValue("channel"),
	}}
	status, body := in.play(r)
	if in.step.HangUp || !p.server.Pause(r.Context(), in.step.Hold) {
		in.record(0, nil, "hung up")
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), in.step.Header)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err := w.Write(body)
	in.record(status, body, errText(err))
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// record keeps the exchange.
func (in *call) record(status int, body []byte, err string) {
	in.ex.Status, in.ex.Response, in.ex.Err = status, body, err
	in.ex.Took = in.p.now().Sub(in.ex.Began)
	in.p.rec.Add(in.ex)
}

// play reads a callback, does what it asks for and returns the answer.
func (in *call) play(r *http.Request) (int, []byte) {
	status := in.read(r)
	in.step = in.p.next(in.body.Type)
	if status == http.StatusOK {
		status = in.enter(r.PathValue("code"))
	}
	answer := []byte("{}")
	refused := in.step.Status != 0 || in.step.HangUp
	if status == http.StatusOK && (!refused || in.step.Process) {
		status, answer = in.obey(r.Context())
	}
	if in.step.Status != 0 {
		status = in.step.Status
	}
	if in.step.Body != "" {
		answer = []byte(in.step.Body)
	}
	return status, answer
}

// read parses the request and returns the status it deserves so far.
func (in *call) read(r *http.Request) int {
	var err error
	in.ex.Body, err = io.ReadAll(io.LimitReader(r.Body, maxCallbackBytes))
	switch {
	case err != nil:
		return in.wrong("the body could not be read: %v", err)
	case r.Method != http.MethodPost:
		return in.wrong("the method is %s, not POST", r.Method)
	case json.Unmarshal(in.ex.Body, &in.body) != nil || in.body.Type == "":
		return in.wrong("the body is not a JSON object with a type")
	}
	in.ex.Type = in.body.Type
	if t, p, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" ||
		(p["charset"] != "" && p["charset"] != "utf-8") {
		in.p.rec.Violation("%s came with Content-Type %q", in.body.Type, r.Header.Get("Content-Type"))
	}
	return http.StatusOK
}

// wrong records a violation that the platform answers with 500, the protocol's status
// for everything unexpected.
func (in *call) wrong(format string, args ...any) int {
	in.p.rec.Violation(format, args...)
	return http.StatusInternalServerError
}

// enter finds the channel and compares the token.
func (in *call) enter(code string) int {
	in.p.mu.Lock()
	defer in.p.mu.Unlock()
	in.c = in.p.channels[in.ex.Channel]
	if in.c == nil || in.c.state == ChannelDisconnected || code != in.p.opts.MessengerCode {
		return http.StatusNotFound
	}
	if subtle.ConstantTimeCompare([]byte(in.body.Token), []byte(in.c.code)) != 1 {
		return http.StatusUnauthorized
	}
	return http.StatusOK
}

// obey does what a genuine callback asks for.
func (in *call) obey(ctx context.Context) (int, []byte) {
	switch in.body.Type {
	case "message":
		return in.message(ctx)
	case "disconnect":
		in.c.setState(ChannelDisconnected)
		return http.StatusOK, []byte("{}")
	case "userInfo":
		return in.userInfo()
	}
	return in.wrong("there is no callback of type %q", in.body.Type), []byte("{}")
}

// userInfo tells the messenger about a user of the platform.
func (in *call) userInfo() (int, []byte) {
	var data struct {
		UserID string `json:"userId"`
	}
	if json.Unmarshal(in.body.Data, &data) != nil || data.UserID == "" {
		return in.wrong("userInfo lacks data.userId"), []byte("{}")
	}
	user, ok := in.p.opts.Users[data.UserID]
	if in.p.opts.NoUserInfo || !ok {
		return http.StatusInternalServerError, []byte(`{}`)
	}
	body, err := json.Marshal(user)
	if err != nil {
		return http.StatusInternalServerError, []byte(`{}`)
	}
	return http.StatusOK, body
}
