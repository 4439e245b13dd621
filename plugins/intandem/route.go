package main

import (
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// maxBodyBytes bounds a callback (protocol section 8).
const maxBodyBytes = 256 << 10

// parkSeconds is how long a callback with a uid that is not known yet waits for its
// connection, in seconds (section 3).
const parkSeconds = 600

// The kinds of callback.
const (
	aboutChannel = "channel"
	aboutSession = "session"
	newMessage   = "new message"
	aboutMessage = "message"
	aboutTyping  = "typing"
	landing      = "landing"
)

// callback is a request of the platform, by method and path alone.
type callback struct {
	kind string
	uid  string // of channel, session or message, as far as the path names it
}

// refusal says why a request is none of the platform's.
type refusal struct {
	status       int64
	code, reason string
	allow        string // for status 405
}

func (r *refusal) rejection() *contract.Rejection {
	return &contract.Rejection{Code: r.code, Reason: r.reason}
}

// response is what whoever sent the request is answered.
func (r *refusal) response() contract.Response {
	out := contract.Response{Status: r.status}
	if r.allow != "" {
		out.Headers = []contract.Header{{Name: "Allow", Value: r.allow}}
	}
	return out
}

// classify says what a request is about. The platform proves nothing (section 3), so the
// form of a request is all that there is to look at; whose it is, its uid decides.
func classify(d *contract.Delivery) (callback, *refusal) {
	c, methods := shape(strings.Split(strings.Trim(d.Path, "/"), "/"))
	switch {
	case c.kind == "":
		return c, &refusal{status: 404, code: "path_unknown", reason: "There is no such callback."}
	case !strings.Contains(methods, d.Method):
		return c, &refusal{status: 405, code: "method_refused", reason: "The callback has another method.", allow: methods}
	case c.kind == landing:
		return c, nil
	case d.BodyBytes > maxBodyBytes:
		return c, tooLarge()
	case !isJSON(d.Headers):
		return c, &refusal{status: 415, code: "not_json", reason: "The body is not declared as application/json."}
	case c.kind != newMessage && c.kind != aboutMessage && !isUID(c.uid), c.kind == aboutMessage && !fits(c.uid):
		return c, &refusal{status: 404, code: "path_unknown", reason: "The path names no uid."}
	}
	return c, nil
}

// shape tells the kind of callback by its path, and its methods, joined by commas.
func shape(path []string) (callback, string) {
	switch {
	case len(path) == 1 && path[0] == "":
		return callback{kind: landing}, "GET"
	case len(path) == 1 && path[0] == "messages":
		return callback{kind: newMessage}, "POST"
	case len(path) == 2 && path[0] == "channels":
		return callback{aboutChannel, path[1]}, "PUT"
	case len(path) == 2 && path[0] == "messages":
		return callback{aboutMessage, path[1]}, "PUT"
	case len(path) == 2 && path[1] == "typing": // as the guide has it
		return callback{aboutTyping, path[0]}, "POST, PUT"
	case len(path) == 3 && path[0] == "sessions" && path[2] == "typing":
		return callback{aboutTyping, path[1]}, "POST, PUT"
	case len(path) == 2 && path[0] == "sessions":
		return callback{aboutSession, path[1]}, "PUT"
	}
	return callback{}, ""
}

func tooLarge() *refusal {
	return &refusal{status: 413, code: "too_large", reason: "The body is larger than 256 KiB."}
}

// isJSON tells whether a body is declared as JSON; one of no declared type is taken for it.
func isJSON(headers []contract.Header) bool {
	kind, _, _ := strings.Cut(pdk.Header(headers, "Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "" || kind == "application/json" || strings.HasSuffix(kind, "+json")
}

// body reads a callback's document.
func body(h pdk.Host) (payload.Object, *refusal, error) {
	raw, err := h.DeliveryBody()
	if err != nil {
		return payload.Object{}, nil, err
	}
	if len(raw) > maxBodyBytes {
		return payload.Object{}, tooLarge(), nil
	}
	doc, err := payload.Parse(raw, payload.Limits{MaxBytes: maxBodyBytes})
	if err != nil {
		return doc, malformed(err.Error()), nil
	}
	return doc, nil, nil
}

func malformed(reason string) *refusal {
	return &refusal{status: 400, code: "malformed", reason: plain.Clip(reason, contract.MaxNameBytes)}
}

// Route finds the connection that a callback is for by the uid of its channel or session.
// One whose uid nobody has claimed waits: a callback may be faster than the answer to the
// call that it is about.
func (connector) Route(h pdk.Host, in *contract.RouteInput) (*contract.RouteOutput, error) {
	d := &in.Delivery
	c, refused := classify(d)
	if refused != nil {
		return unrouted(refused), nil
	}
	noteProof(h, d.Headers)
	if c.kind == landing {
		return land(d.Query), nil
	}
	doc, refused, err := body(h)
	switch {
	case err != nil:
		return nil, err
	case refused != nil:
		return unrouted(refused), nil
	}
	return routed(c, doc), nil
}

func unrouted(r *refusal) *contract.RouteOutput {
	return &contract.RouteOutput{Rejected: r.rejection(), Response: r.response()}
}

// routed is the key of a callback.
func routed(c callback, doc payload.Object) *contract.RouteOutput {
	out := &contract.RouteOutput{Response: contract.Response{Status: 204}, Park: &contract.Parking{Seconds: parkSeconds}}
	switch c.kind {
	case aboutChannel:
		out.Key = routeChannel + c.uid
	case aboutSession:
		out.Key = routeSession + c.uid
	case aboutTyping: // nobody wants to know later
		out.Key, out.Park, out.Response.Status = routeSession+c.uid, nil, 404
	default:
		uid := doc.String("channel_uid")
		if err := doc.Err(); err != nil {
			return unrouted(malformed(err.Error()))
		}
		if !isUID(uid) {
			return unrouted(malformed("The body names no channel_uid."))
		}
		out.Key = routeChannel + uid
		if message := doc.String("message_uid"); c.kind == newMessage && doc.Err() == nil {
			out.DedupeKey = messageKey(uid, message)
		}
	}
	return out
}

// messageKey is the name of a business's message among deliveries; "" if it has none.
func messageKey(channel, message string) string {
	if !fits(message) {
		return ""
	}
	return "message:" + channel + ":" + message
}

// land is for a person who opens the app's page in the platform. Anybody can write a
// business into the query, so it only begins a consent anew, and only for the connection
// that a person of that business allowed once; RATIONALE.md says what came otherwise.
func land(query string) *contract.RouteOutput {
	page := contract.Response{
		Status:  200,
		Headers: []contract.Header{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}, {Name: "Cache-Control", Value: "no-store"}},
		Body:    "This business is not connected yet. Ask whoever runs the connection for its authorisation link.\n",
	}
	uid := parameter(query, "business_uid")
	if !isUID(uid) {
		page.Body = "This page is opened by inTandem.\n"
		return &contract.RouteOutput{Answered: true, Response: page}
	}
	return &contract.RouteOutput{Key: routeBusiness + uid, Authorize: true, Response: page}
}

// parameter returns the first parameter of a name in a raw query. Escapes are not read:
// nothing that is looked for needs any.
func parameter(query, name string) string {
	for pair := range strings.SplitSeq(query, "&") {
		if key, value, ok := strings.Cut(pair, "="); ok && key == name {
			return value
		}
	}
	return ""
}

// noteProof logs the names of header fields that might prove who sent a callback, so that
// a check can be added once the vendor documents one. Their values are not looked at.
func noteProof(h pdk.Host, headers []contract.Header) {
	for _, f := range headers {
		name := strings.ToLower(f.Name)
		if name == "authorization" || strings.Contains(name, "signature") || strings.Contains(name, "hmac") {
			h.Log(pdk.LogInfo, "a callback has a header field that looks like a proof; it is not documented and not checked", "name", plain.Clip(f.Name, 64))
		}
	}
}
