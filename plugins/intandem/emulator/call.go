package emulator

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// call is one call of an app under way.
type call struct {
	p    *Platform
	r    *http.Request
	op   string
	step Step
	ex   Exchange
	body map[string]any
	// who is the token that it came with; nil for calls without one.
	who *token
	// after is the callbacks that it brings about.
	after []callback
}

// routes is the platform's HTTP surface.
func (p *Platform) routes() http.Handler {
	mux := http.NewServeMux()
	api := func(pattern, op string, needsToken bool, obey func(*call) reply) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, op, needsToken, obey) })
	}
	api("GET /app/oauth/authorize", OpConsent, false, (*call).consent)
	api("POST /oauth/service/token", OpServiceToken, false, (*call).serviceToken)
	api("POST /oauth/token", OpToken, false, (*call).token)
	api("GET /oauth/userinfo", OpUserinfo, true, (*call).userinfo)
	api("POST /platform/v1/tokens/revoke", OpRevoke, true, (*call).revoke)
	const ics = "/business/communication"
	api("POST "+ics+"/channels", OpCreateChannel, true, (*call).createChannel)
	api("PUT "+ics+"/channels/{uid}", OpUpdateChannel, true, (*call).updateChannel)
	api("DELETE "+ics+"/channels/{uid}", OpDeleteChannel, true, (*call).deleteChannel)
	api("POST "+ics+"/sessions", OpCreateSession, true, (*call).createSession)
	api("GET "+ics+"/sessions", OpListSessions, true, (*call).listSessions)
	api("PUT "+ics+"/sessions/{uid}", OpUpdateSession, true, (*call).updateSession)
	api("DELETE "+ics+"/sessions/{uid}", OpDeleteSession, true, (*call).deleteSession)
	api("POST "+ics+"/messages", OpCreateMessage, true, (*call).createMessage)
	api("PUT "+ics+"/messages/{uid}", OpUpdateMessage, true, (*call).updateMessage)
	if p.opts.TypingV1 {
		api("POST "+ics+"/v1/sessions/typing", OpTyping, true, (*call).typing)
	} else {
		api("POST "+ics+"/sessions/typing", OpTyping, true, (*call).typing)
	}
	api("GET /platform/v1/clients", OpSearchClients, true, (*call).searchClients)
	api("POST /platform/v1/clients", OpCreateClient, true, (*call).createClient)
	api("GET /platform/v1/clients/{uid}", OpGetClient, true, (*call).getClient)
	mux.HandleFunc("GET /files/", p.serveFile)
	api("/", opUnknown, false, func(*call) reply { return refuse(404, "invalid", "not found") })
	return mux
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	body   any
}

// good is an answer of success in ICS's envelope.
func good(status int, data any) reply {
	return reply{status: status, body: map[string]any{"success": true, "data": data}}
}

// refuse is an error in ICS's envelope.
func refuse(status int, code, message string) reply {
	return reply{status: status, body: map[string]any{"success": false, "errors": []any{map[string]any{"code": code, "message": message}}}}
}

// serve answers one call.
func (p *Platform) serve(w http.ResponseWriter, r *http.Request, op string, needsToken bool, obey func(*call) reply) {
	c := &call{p: p, r: r, op: op, ex: Exchange{Op: op, Method: r.Method, URL: r.URL.String(), Header: r.Header.Clone(), At: p.now()}}
	c.step = p.next(op)
	answer := c.play(needsToken, obey)
	if c.step.CallbackFirst {
		p.call(c.after)
	} else if len(c.after) > 0 {
		p.owe()
	}
	if c.step.HangUp || !p.server.Pause(r.Context(), c.step.Hold) {
		c.record(0, nil, "hung up")
		c.followUp()
		panic(http.ErrAbortHandler)
	}
	body, err := json.Marshal(answer.body)
	if err != nil {
		panic("emulator: " + err.Error()) // answers are made of texts
	}
	if c.step.Body != "" {
		body = []byte(c.step.Body)
	}
	maps.Copy(w.Header(), answer.header)
	maps.Copy(w.Header(), c.step.Header)
	w.Header().Set("Content-Type", "application/json")
	c.record(answer.status, body, "")
	w.WriteHeader(answer.status)
	_, _ = w.Write(body) // an app that is gone has its own troubles
	c.followUp()
}

// followUp sends the callbacks, unless they went before the answer.
func (c *call) followUp() {
	if len(c.after) > 0 && !c.step.CallbackFirst {
		c.p.later(func() { c.p.call(c.after) })
	}
}

func (c *call) record(status int, body []byte, err string) {
	c.ex.Status, c.ex.Response, c.ex.Err = status, body, err
	c.p.rec.Add(c.ex)
}

// play reads a call, does what it asks for and returns the answer.
func (c *call) play(needsToken bool, obey func(*call) reply) reply {
	var answer reply
	if wrong := c.read(); wrong != nil {
		answer = *wrong
	} else if wrong := c.enter(needsToken); wrong != nil {
		answer = *wrong
	} else if refused := c.step.Status != 0 || c.step.HangUp; !refused || c.step.Process {
		c.p.mu.Lock()
		answer = obey(c)
		c.p.mu.Unlock()
		c.p.rec.Wake()
	}
	if c.step.Status != 0 {
		answer = refuse(c.step.Status, "unexpected", http.StatusText(c.step.Status))
	}
	if c.step.NoCallback {
		c.after = nil
	}
	once := c.after
	for range c.step.Repeats {
		c.after = slices.Concat(c.after, once)
	}
	return answer
}

// read parses the request.
func (c *call) read() *reply {
	host, _, err := net.SplitHostPort(c.r.Host)
	if err != nil {
		host = c.r.Host
	}
	if net.ParseIP(host) == nil && host != "localhost" && !slices.Contains(c.p.opts.Hosts, host) && (host == BrandHost) != (c.op == OpConsent) {
		c.p.rec.Violation("%s came to the host %s", c.op, host)
		wrong := refuse(404, "invalid", "not found")
		return &wrong
	}
	c.ex.Body, err = io.ReadAll(io.LimitReader(c.r.Body, maxBodyBytes))
	if err != nil {
		wrong := refuse(400, "invalid", "the body could not be read")
		return &wrong
	}
	if len(c.ex.Body) == 0 {
		return nil
	}
	if kind := c.r.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		c.p.rec.Violation("%s came with Content-Type %q", c.op, kind)
	}
	if json.Unmarshal(c.ex.Body, &c.body) != nil {
		c.p.rec.Violation("the body of %s is no JSON object", c.op)
		wrong := refuse(400, "invalid", "the body is no JSON object")
		return &wrong
	}
	return nil
}

// enter finds the token and counts the call.
func (c *call) enter(needsToken bool) *reply {
	if !needsToken {
		return nil
	}
	bearer, _ := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.who = c.p.tokens[bearer]
	if c.who == nil || !c.p.now().Before(c.who.expires) {
		if c.who != nil {
			c.p.rec.Violation("%s came with a token that has expired", c.op)
		}
		wrong := refuse(401, "unauthorized", "401 Unauthorized")
		return &wrong
	}
	if !c.p.within(bearer) {
		wrong := refuse(429, "unexpected", "too many requests")
		wrong.header = http.Header{"Retry-After": {"1"}}
		return &wrong
	}
	return nil
}

// within counts a call against the limit of its token. mu is held.
func (p *Platform) within(token string) bool {
	if p.opts.RequestsPerSecond == 0 {
		return true
	}
	now := p.now()
	recent := slices.DeleteFunc(p.calls[token], func(at time.Time) bool { return now.Sub(at) >= time.Second })
	if len(recent) >= p.opts.RequestsPerSecond {
		p.calls[token] = recent
		return false
	}
	p.calls[token] = append(recent, now)
	return true
}

// text reads a text of the body; one of another type is a violation.
func (c *call) text(name string) string {
	value, there := c.body[name]
	text, ok := value.(string)
	if there && !ok {
		c.p.rec.Violation("%s of %s is no text", name, c.op)
	}
	return text
}

// missing refuses a call that lacks one of some fields.
func (c *call) missing(names ...string) *reply {
	for _, name := range names {
		if c.text(name) == "" {
			wrong := refuse(422, "missing_field", name+" is missing")
			return &wrong
		}
	}
	return nil
}

// callback is one request of the platform's to an app.
type callback struct {
	op, method, url string
	body            map[string]any
}

// call sends callbacks, one after the other.
func (p *Platform) call(list []callback) {
	for _, cb := range list {
		_, _ = p.send(p.server.Context(), cb) // it is recorded; that the platform tries again is not documented
	}
}

// Answer is what an app answered to a callback.
type Answer struct {
	Status int
	Body   []byte
}

// OK tells whether an app took a callback.
func (a Answer) OK() bool { return a.Status == http.StatusNoContent }

// send sends one callback.
func (p *Platform) send(ctx context.Context, cb callback) (Answer, error) {
	body, err := json.Marshal(cb.body)
	if err != nil {
		return Answer{}, err
	}
	return p.SendRaw(ctx, cb.op, cb.method, cb.url, "application/json", body)
}

// SendRaw sends any callback at all; op is what the record calls it.
func (p *Platform) SendRaw(ctx context.Context, op, method, url, contentType string, body []byte) (Answer, error) {
	ctx, cancel, err := p.server.Bind(ctx)
	if err != nil {
		return Answer{}, err
	}
	defer cancel()
	ex := Exchange{Op: op, Method: method, URL: url, Body: body, At: p.now()}
	answer, err := p.post(ctx, &ex, contentType)
	ex.Status, ex.Response = answer.Status, answer.Body
	if err != nil {
		ex.Err = err.Error()
	}
	p.rec.Add(ex)
	return answer, err
}

// post makes the request.
func (p *Platform) post(ctx context.Context, ex *Exchange, contentType string) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, ex.Method, ex.URL, strings.NewReader(string(ex.Body)))
	if err != nil {
		return Answer{}, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	ex.Header = req.Header.Clone()
	answer, err := emulate.Do(p.client, req)
	return Answer{Status: answer.Status, Body: answer.Body}, err
}
