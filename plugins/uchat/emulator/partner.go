package emulator

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// The operations, by which a [Step] and an [Exchange] name what happened.
const (
	OpGet       = "get"
	OpSet       = "set"
	OpRemove    = "remove"
	OpMessage   = "message"   // a customer's message to the bot URL
	OpHandshake = "handshake" // to the channel
	OpSay       = "say"       // a bot's or agent's message to the channel
	OpFile      = "file"

	opSetV1    = "set v1"
	opRemoveV1 = "remove v1"
)

// maxBodyBytes bounds a body of the channel's.
const maxBodyBytes = 1 << 20

// exchange is one request of the channel's under way.
type exchange struct {
	p    *Platform
	r    *http.Request
	step Step
	Exchange
}

// enter reads a request and takes its step.
func (p *Platform) enter(r *http.Request, op string) *exchange {
	x := &exchange{p: p, r: r, step: p.next(op), Exchange: Exchange{
		Way: FromChannel, Type: op, URL: r.Host + r.URL.String(), Header: r.Header.Clone(), Began: p.now(),
	}}
	x.Body, _ = io.ReadAll(io.LimitReader(r.Body, maxBodyBytes)) // a broken one is no JSON
	return x
}

// answer answers a request, or hangs up, and records it.
func (x *exchange) answer(w http.ResponseWriter, status int, body any) {
	text, ok := body.(string)
	if !ok {
		text = string(encode(body))
	}
	if x.step.Status != 0 {
		status = x.step.Status
	}
	if x.step.Body != "" {
		text = x.step.Body
	}
	if x.step.HangUp || !x.p.server.Pause(x.r.Context(), x.step.Hold) {
		x.Err = "hung up"
		x.p.rec.Add(x.Exchange)
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), x.step.Header)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := io.WriteString(w, text); err != nil {
		x.Err = err.Error()
	}
	x.Status, x.Response, x.Took = status, []byte(text), x.p.now().Sub(x.Began)
	x.p.rec.Add(x.Exchange)
}

// refused tells whether the step has the request fail without effect.
func (x *exchange) refused() bool { return (x.step.Status != 0 || x.step.HangUp) && !x.step.Process }

// bearer compares the request's key.
func (x *exchange) bearer(key string) bool {
	got, ok := strings.CutPrefix(x.r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		x.p.rec.Violation("%s came without a bearer key", x.Type)
	}
	return subtle.ConstantTimeCompare([]byte(got), []byte(key)) == 1
}

// partner answers the partner API.
func (p *Platform) partner(w http.ResponseWriter, r *http.Request, op string) {
	older := op == opSetV1 || op == opRemoveV1
	x := p.enter(r, strings.TrimSuffix(op, " v1"))
	workspace := p.Workspace(r.PathValue("workspace"))
	switch {
	case older && p.opts.Paths == "current", !older && op != OpGet && p.opts.Paths == "v1":
		x.answer(w, http.StatusMethodNotAllowed, `{"message":"The method is not supported for this route."}`)
	case !x.bearer(p.opts.PartnerKey):
		x.answer(w, http.StatusUnauthorized, `{"message":"Unauthenticated."}`)
	case workspace == nil:
		x.answer(w, http.StatusNotFound, `{"message":"No query results for model [Workspace]."}`)
	case x.refused():
		x.answer(w, x.step.Status, `{"message":"Server Error"}`)
	default:
		status, body := x.carryOut(workspace)
		x.answer(w, status, body)
	}
}

// reseller answers a reseller's endpoint.
func (p *Platform) reseller(w http.ResponseWriter, r *http.Request) {
	op, known := map[string]string{"get-webhook": OpGet, "set-webhook": OpSet, "delete-webhook": OpRemove}[r.URL.Query().Get("action")]
	x := p.enter(r, op)
	var body struct {
		Workspace, Email, ChaveApi string
	}
	err := json.Unmarshal(x.Body, &body)
	workspace := p.Workspace(body.Workspace)
	switch {
	case !known || err != nil || body.Email == "":
		p.rec.Violation("the reseller's endpoint was sent %s %s", r.URL.RawQuery, x.Body)
		x.answer(w, http.StatusBadRequest, `{"status":"error","message":"bad request"}`)
	case !x.bearer(p.opts.PartnerKey) || body.ChaveApi != p.opts.ResellerKey:
		x.answer(w, http.StatusForbidden, `{"status":"error","message":"chave inválida"}`)
	case workspace == nil:
		x.answer(w, http.StatusNotFound, `{"status":"error","message":"workspace"}`)
	case x.refused():
		x.answer(w, x.step.Status, `{"message":"Server Error"}`)
	default:
		status, answer := x.carryOut(workspace)
		x.answer(w, status, answer)
	}
}

// carryOut does what a genuine request asks for.
func (x *exchange) carryOut(w *Workspace) (status int, body any) {
	switch x.Type {
	case OpSet:
		var set struct {
			URL string `json:"webhook_url"`
			Key string `json:"webhook_verification_key"`
		}
		if err := json.Unmarshal(x.Body, &set); err != nil || set.URL == "" || set.Key == "" {
			return http.StatusUnprocessableEntity, `{"message":"The given data was invalid.","errors":{"webhook_url":["The webhook url field is required."]}}`
		}
		w.verify(x.r.Context(), set.URL, set.Key)
	case OpRemove:
		w.Put(Webhook{})
		return http.StatusOK, `{"status":"ok"}`
	}
	return http.StatusOK, map[string]any{"status": "ok", "data": w.told()}
}

// told is what the API says of the webhook, key and all.
func (w *Workspace) told() map[string]any {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if w.hook.URL == "" {
		return map[string]any{"webhook_url": nil, "webhook_verification_key": nil, "webhook_status": nil, "bot_url": w.botURL()}
	}
	return map[string]any{
		"webhook_url": w.hook.URL, "webhook_verification_key": w.hook.Key, "webhook_status": w.hook.Status, "bot_url": w.botURL(),
	}
}

// verify sets the webhook and asks for its challenge.
func (w *Workspace) verify(ctx context.Context, to, key string) Webhook {
	hook := Webhook{URL: to, Key: key, Status: "unverified"}
	if !w.p.opts.NoHandshake && w.p.handshake(ctx, to, key) == nil {
		hook.Status = "verified"
	}
	w.Put(hook)
	w.p.rec.Wake()
	return hook
}

// handshake asks whether a URL is the channel's (protocol section 3.1).
func (p *Platform) handshake(ctx context.Context, to, key string) error {
	p.mu.Lock()
	challenge := p.newCode()
	p.mu.Unlock()
	method, contentType, body := http.MethodPost, "application/x-www-form-urlencoded", ""
	fields := map[string]string{"mode": "subscribe", "verify_token": key, "challenge": challenge}
	form := func(separator string) string {
		values := url.Values{}
		for name, value := range fields {
			values.Set("hub"+separator+name, value)
		}
		return values.Encode()
	}
	switch p.opts.Handshake {
	case "dots":
		body = form(".")
	case "json":
		contentType = "application/json"
		body = string(encode(map[string]string{"hub_mode": "subscribe", "hub_verify_token": key, "hub_challenge": challenge}))
	case "query", "get":
		to += "?" + form("_")
		contentType = ""
		if p.opts.Handshake == "get" {
			method = http.MethodGet
		}
	default:
		body = form("_")
	}
	answer, err := p.call(ctx, OpHandshake, method, to, []byte(body), http.Header{"Content-Type": {contentType}})
	switch {
	case err != nil:
		return err
	case answer.Status != http.StatusOK || string(answer.Body) != challenge:
		return fmt.Errorf("emulator: the challenge was answered %d %q", answer.Status, answer.Body)
	}
	return nil
}

// Answer is what the channel answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// OK tells whether the channel took what it was sent.
func (a Answer) OK() bool { return a.Status == http.StatusOK }

// call makes one request to the channel and records it.
func (p *Platform) call(ctx context.Context, op, method, to string, body []byte, header http.Header) (Answer, error) {
	e := Exchange{Way: ToChannel, Type: op, URL: to, Header: header, Body: body, Began: p.now()}
	answer, err := p.exchange(ctx, method, to, body, header)
	e.Status, e.Response, e.Took = answer.Status, answer.Body, p.now().Sub(e.Began)
	if err != nil {
		e.Err = err.Error()
	}
	p.rec.Add(e)
	return answer, err
}

func (p *Platform) exchange(ctx context.Context, method, to string, body []byte, header http.Header) (Answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("emulator: call the channel: %w", err)
	}
	r.Header = header.Clone()
	answer, err := emulate.Do(p.client, r)
	if err != nil {
		err = fmt.Errorf("emulator: call the channel: %w", err)
	}
	return Answer(answer), err
}

// encode writes JSON as it is, without HTML escapes.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("emulator: %v", errors.Unwrap(err))) // only what this package made is encoded
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
