package contract

import "time"

// Header is one HTTP header field. A field that came twice stands twice.
type Header struct {
	// Name is the field name in the canonical form of Go's net/http ("Content-Type").
	Name string `json:"name"`
	// Value is the field value, without surrounding white space.
	Value string `json:"value"`
}

// Delivery describes one inbound HTTP request of a platform. Its body is not here:
// the plugin reads it with the host function delivery_body.
type Delivery struct {
	// ID is the delivery, opaque.
	ID DeliveryID `json:"id"`
	// ReceivedAt is when the host had read the whole request, RFC 3339.
	ReceivedAt time.Time `json:"received_at"`
	// Method is the request method, upper case.
	Method string `json:"method"`
	// Path is what follows the endpoint in the request path: "" or "/...", decoded once.
	Path string `json:"path,omitempty"`
	// Query is the raw query, without the question mark.
	Query string `json:"query,omitempty"`
	// Headers holds the header fields in the order they came, at most 100.
	Headers []Header `json:"headers,omitempty"`
	// BodyBytes is the length of the raw body, in bytes.
	BodyBytes int64 `json:"body_bytes"`
}

// ReceiveInput is the input of the export receive.
type ReceiveInput struct {
	// Delivery is the request to verify and parse.
	Delivery Delivery `json:"delivery"`
	// Connection is the connection that the host chose for it.
	Connection Connection `json:"connection"`
	// Routed is set if it came to the app's address, and route found the connection.
	Routed *Routed `json:"routed,omitempty"`
}

// Routed is what receive is told of a delivery that route believed.
type Routed struct {
	// Key is what route returned.
	Key string `json:"key"`
	// Payload is what route returned: what it verified, for receive to go on with.
	Payload string `json:"payload,omitempty"`
	// Parked tells that the delivery waited until the connection claimed its key. The platform
	// was answered then, and the response of receive goes nowhere.
	Parked bool `json:"parked,omitempty"`
}

// ReceiveOutput is the output of the exports receive and route's default answer.
// Response, events, commands and key-value writes are committed together or not at
// all.
type ReceiveOutput struct {
	// Response is what the platform is answered.
	Response Response `json:"response"`
	// Rejected is set if the delivery is forged or malformed: it is counted and
	// audited, the response is sent, and nothing else of the output takes effect.
	Rejected *Rejection `json:"rejected,omitempty"`
	// DedupeKey is the platform's own name for this delivery. A second delivery with
	// the same key is answered as the first was and has no other effect. Empty means
	// that the platform has no such name. At most 512 bytes.
	DedupeKey string `json:"dedupe_key,omitempty"`
	// Events is what the delivery meant, in order.
	Events []Event `json:"events,omitempty"`
	// Commands is what the host shall ask this plugin to do next.
	Commands []CommandRequest `json:"commands,omitempty"`
}

// Response is the answer to a delivery.
type Response struct {
	// Status is the HTTP status code, 200 to 599.
	Status int64 `json:"status"`
	// Headers holds header fields to set. The host drops hop-by-hop fields and
	// Content-Length.
	Headers []Header `json:"headers,omitempty"`
	// Body is the answer's body. In a response with the content type application/json,
	// the placeholder {{media_base64:HANDLE}} stands for the thumbnail of an image that
	// this connection may read, in base64, or for nothing if there is none.
	Body string `json:"body,omitempty"`
}

// Rejection says why a delivery is not believed.
type Rejection struct {
	// Code is a stable word, such as "token_mismatch" or "malformed"; for programs.
	Code string `json:"code"`
	// Reason is one sentence for the operator. It must not contain a secret.
	Reason string `json:"reason,omitempty"`
	// Limit is how many deliveries in a row may be rejected with this Code and a Limit, none of
	// the connection's being accepted in between, until it gets the state TooMany; 0 means any
	// number. The host counts in memory, so a restart begins anew.
	Limit int64 `json:"limit,omitempty"`
	// TooMany is that state.
	TooMany *StateChange `json:"too_many,omitempty"`
}

// RouteInput is the input of the export route.
type RouteInput struct {
	// Delivery is the request to find a connection for.
	Delivery Delivery `json:"delivery"`
	// Settings holds the app's settings, one text each.
	Settings map[string]string `json:"settings,omitempty"`
	// App is the app, opaque.
	App ConnectionID `json:"app,omitempty"`
}

// RouteOutput is the output of the export route, in one of three forms.
//
// Rejected: the delivery is forged or malformed. Answered: it concerns no connection, and
// DedupeKey, Events, Commands and key-value writes take effect for the app. Otherwise it is
// for the connection that registered Key with route_put: receive runs for it, and nothing
// that route wrote takes effect. A key that nobody registered has the delivery parked as
// Park says, or without Park answered by Response and left at that. An empty output is a key
// that nobody can register.
type RouteOutput struct {
	// Key finds the connection. At most 512 bytes.
	Key string `json:"key,omitempty"`
	// Payload is handed to receive; any text, at most 1 MiB.
	Payload string `json:"payload,omitempty"`
	// Park has the delivery wait for a connection that claims Key; nil never waits.
	Park *Parking `json:"park,omitempty"`
	// Authorize has the host send the browser, for that is what asks, to the platform's
	// consent page for the connection of Key, as authorize_url names it.
	Authorize bool `json:"authorize,omitempty"`
	// Answered is set if the delivery concerns no connection and is answered by
	// Response alone, as a challenge is.
	Answered bool `json:"answered,omitempty"`
	// Response is what the platform is answered if Answered or Rejected is set, or if no
	// connection has claimed Key; with a status of 0 that is then 404. With Park it is needed.
	Response Response `json:"response"`
	// Rejected is set if the delivery is forged or malformed.
	Rejected *Rejection `json:"rejected,omitempty"`
	// DedupeKey is the platform's own name for a delivery that is parked or answered, as in
	// [ReceiveOutput]. At most 512 bytes.
	DedupeKey string `json:"dedupe_key,omitempty"`
	// Events is what an answered delivery meant for the app, such as its state, in order.
	Events []Event `json:"events,omitempty"`
	// Commands is what the host shall ask this plugin to do next, in app scope.
	Commands []CommandRequest `json:"commands,omitempty"`
}

// Parking says how a delivery waits for a connection.
type Parking struct {
	// Seconds is for how long, 1 second to 30 days.
	Seconds int64 `json:"seconds"`
	// Title is what an operator sees of it, such as the name of the account; may be empty.
	Title string `json:"title,omitempty"`
	// Install tells that it installs the app for an account that has no connection yet: the
	// operator sees it and says whose it is.
	Install bool `json:"install,omitempty"`
}
