package contract

import "time"

// HostError is the answer of a host function that could not do what it was asked.
// It is a value: the plugin decides what to make of it.
type HostError struct {
	// Code is a stable word; see the Host... constants.
	Code string `json:"code"`
	// Message is one sentence for the vendor.
	Message string `json:"message,omitempty"`
	// Certain tells that nothing happened. If false, the effect may have taken place.
	Certain bool `json:"certain,omitempty"`
	// RetryAfterMillis is set if it is known how long it will stay so, in milliseconds: a
	// destination that failed again and again is left alone for a while. The host counts no
	// attempt for a command that fails with class retry because of that.
	RetryAfterMillis int64 `json:"retry_after_millis,omitempty"`
}

// The codes of a [HostError].
const (
	// HostInvalid means that the argument is malformed or out of bounds.
	HostInvalid = "invalid"
	// HostDenied means that no grant allows it.
	HostDenied = "denied"
	// HostNotFound means that there is no such thing.
	HostNotFound = "not_found"
	// HostConflict means that a key-value entry has another version than expected.
	HostConflict = "conflict"
	// HostQuota means that a limit of size, count or rate was reached.
	HostQuota = "quota"
	// HostUnreachable means that no connection to the destination could be made.
	HostUnreachable = "unreachable"
	// HostTimeout means that the destination did not answer in time.
	HostTimeout = "timeout"
	// HostUnavailable means that the host itself could not do it now.
	HostUnavailable = "unavailable"
	// HostUnauthorised means that the request needs a token that the connection does not
	// have, or that the platform refused for good: a person must renew it. A media_fetch that
	// the platform answers 401 has this code, too, without Certain.
	HostUnauthorised = "unauthorised"
	// HostRefused means that a token or a certificate was looked at and is not genuine.
	HostRefused = "refused"
)

// HTTPRequest is the argument of http_send. {{secret:NAME}} and {{credential:NAME}}
// in a header value, the query or a JSON body stand for values that the host puts in
// and the plugin never sees. A credential is one that the manifest declares; its name is one
// of the Credential... constants. A request whose access token has expired, or is just being
// renewed, does not go out: the error is [HostUnavailable], with the time to wait.
type HTTPRequest struct {
	// Method is the request method, upper case.
	Method string `json:"method"`
	// URL is absolute, with scheme https (or http, if granted).
	URL string `json:"url"`
	// Headers holds header fields to set.
	Headers []Header `json:"headers,omitempty"`
	// Body is the request body, UTF-8.
	Body string `json:"body,omitempty"`
	// TimeoutMillis limits the whole exchange, in milliseconds; 0 means the host's
	// default, and more than the host's limit means the host's limit.
	TimeoutMillis int64 `json:"timeout_millis,omitempty"`
	// Idempotent tells that the platform takes a repeat of this very request as one.
	Idempotent bool `json:"idempotent,omitempty"`
}

// HTTPResult is the result of http_send and http_cached_get.
type HTTPResult struct {
	// Error is set if there is no answer; the other fields are then empty.
	Error *HostError `json:"error,omitempty"`
	// Status is the HTTP status code. Redirects are not followed.
	Status int64 `json:"status,omitempty"`
	// Headers holds the header fields of the answer, at most 100.
	Headers []Header `json:"headers,omitempty"`
	// Body is the answer's body as UTF-8 text, invalid bytes replaced, secrets redacted.
	Body string `json:"body,omitempty"`
	// Truncated tells that the body was longer than the host's limit.
	Truncated bool `json:"truncated,omitempty"`
}

// The names of credentials.
const (
	// CredentialAccessToken and CredentialRefreshToken are of the token set of the connection,
	// or of the app in app scope.
	CredentialAccessToken  = "access_token"
	CredentialRefreshToken = "refresh_token"
	// CredentialAppAccessToken is of the token set of the connection's app.
	CredentialAppAccessToken = "app_access_token"
	// CredentialReceiveURL is the URL at which the connection, or the app in app scope, gets
	// its deliveries.
	CredentialReceiveURL = "receive_url"
)

// HTTPCachedGet is the argument of http_cached_get. An answer of status 200 is kept for up to
// a day, and any other for a minute, for every tenant.
type HTTPCachedGet struct {
	// URL is absolute, with scheme https.
	URL string `json:"url"`
}

// KVGet is the argument of kv_get.
type KVGet struct {
	// Key is the entry, 1 to 256 bytes.
	Key string `json:"key"`
}

// KVGetResult is the result of kv_get.
type KVGetResult struct {
	// Error is set if the entry could not be read.
	Error *HostError `json:"error,omitempty"`
	// Found tells whether there is such an entry; an empty value is a value.
	Found bool `json:"found,omitempty"`
	// Value is the entry's value.
	Value string `json:"value,omitempty"`
	// Version grows with every commit of the entry, from 1; 0 if there is none. A key that was
	// deleted and written again never has a version it had before. An entry written by
	// this invocation keeps the version that it had before.
	Version int64 `json:"version,omitempty"`
}

// KVPut is the argument of kv_put. The write is visible to this invocation at once
// and to others once it is committed.
type KVPut struct {
	// Key is the entry, 1 to 256 bytes.
	Key string `json:"key"`
	// Value is the new value, at most 64 KiB, UTF-8.
	Value string `json:"value"`
	// CheckVersion refuses the commit unless the entry has version ExpectedVersion.
	CheckVersion bool `json:"check_version,omitempty"`
	// ExpectedVersion is the version that must be found; 0 means no entry.
	ExpectedVersion int64 `json:"expected_version,omitempty"`
	// TTLSeconds removes the entry that many seconds after the commit; 0 keeps it.
	TTLSeconds int64 `json:"ttl_seconds,omitempty"`
}

// KVDelete is the argument of kv_delete.
type KVDelete struct {
	// Key is the entry, 1 to 256 bytes.
	Key string `json:"key"`
	// CheckVersion refuses the commit unless the entry has version ExpectedVersion.
	CheckVersion bool `json:"check_version,omitempty"`
	// ExpectedVersion is the version that must be found.
	ExpectedVersion int64 `json:"expected_version,omitempty"`
}

// KVList is the argument of kv_list.
type KVList struct {
	// Prefix selects the entries whose key begins so; empty means all.
	Prefix string `json:"prefix,omitempty"`
	// After is the last key of the page before; empty means the first page.
	After string `json:"after,omitempty"`
	// Limit is how many entries to return, 1 to 1000; 0 means 100.
	Limit int64 `json:"limit,omitempty"`
}

// KVListResult is the result of kv_list.
type KVListResult struct {
	// Error is set if the entries could not be read.
	Error *HostError `json:"error,omitempty"`
	// Entries holds the entries in the order of their keys.
	Entries []KVEntry `json:"entries,omitempty"`
	// More tells that there are entries after the last one.
	More bool `json:"more,omitempty"`
}

// KVEntry is one key-value entry.
type KVEntry struct {
	// Key is the entry.
	Key string `json:"key"`
	// Value is the entry's value.
	Value string `json:"value"`
	// Version grows with every commit of the entry, from 1.
	Version int64 `json:"version"`
}

// Done is the result of a host function that returns nothing but success.
type Done struct {
	// Error is set if it was not done.
	Error *HostError `json:"error,omitempty"`
}

// RouteKey is the argument of route_put and route_delete.
type RouteKey struct {
	// Key is what route will return for this connection, 1 to 512 bytes.
	Key string `json:"key"`
}

// SecretEqual is the argument of secret_equal.
type SecretEqual struct {
	// Name is the secret, as the manifest declares it.
	Name string `json:"name"`
	// Value is what to compare with it, in constant time. Empty is never equal.
	Value string `json:"value"`
}

// HMACVerify is the argument of hmac_verify.
type HMACVerify struct {
	// Name is the secret that is the key.
	Name string `json:"name"`
	// Algorithm is "sha256", "sha1" or "sha512".
	Algorithm string `json:"algorithm"`
	// Message is what was signed; ignored if OverBody is set.
	Message []byte `json:"message,omitempty"`
	// OverBody takes the raw body of the delivery as the message.
	OverBody bool `json:"over_body,omitempty"`
	// MAC is the code to verify.
	MAC []byte `json:"mac"`
}

// Verdict is the result of secret_equal and hmac_verify.
type Verdict struct {
	// Error is set if there was nothing to compare with.
	Error *HostError `json:"error,omitempty"`
	// OK tells whether it was equal, or the signature genuine.
	OK bool `json:"ok,omitempty"`
}

// HMACSign is the argument of hmac_sign.
type HMACSign struct {
	// Name is the secret that is the key.
	Name string `json:"name"`
	// Algorithm is "sha256", "sha1" or "sha512".
	Algorithm string `json:"algorithm"`
	// Message is what to sign.
	Message []byte `json:"message"`
}

// HMACSignResult is the result of hmac_sign.
type HMACSignResult struct {
	// Error is set if there was no key.
	Error *HostError `json:"error,omitempty"`
	// MAC is the code.
	MAC []byte `json:"mac,omitempty"`
}

// JWTVerify is the argument of jwt_verify (RFC 7519).
type JWTVerify struct {
	// Name is the secret that is the key.
	Name string `json:"name"`
	// Algorithm is the only one accepted, such as "HS256".
	Algorithm string `json:"algorithm"`
	// Token is the compact serialisation.
	Token string `json:"token"`
	// LeewaySeconds is by how much clocks may differ, 0 to 300 seconds.
	LeewaySeconds int64 `json:"leeway_seconds,omitempty"`
}

// JWTVerifyResult is the result of jwt_verify. The signature is genuine, and the times exp,
// nbf and iat, as far as they are there, fit the time of the invocation, or for a delivery the
// time at which it was received, however late it is replayed; which of them must be there, and
// every other claim, is the plugin's to judge.
type JWTVerifyResult struct {
	// Error is set if the token is not genuine (code [HostRefused]) or there was no key.
	Error *HostError `json:"error,omitempty"`
	// Header is the JOSE header; a JSON object. It was signed as the claims were.
	Header RawJSON `json:"header,omitempty"`
	// Claims is the claims set; a JSON object.
	Claims RawJSON `json:"claims,omitempty"`
}

// JWTSign is the argument of jwt_sign (RFC 7519).
type JWTSign struct {
	// Name is the secret that is the key.
	Name string `json:"name"`
	// Algorithm is the signature algorithm, such as "HS256".
	Algorithm string `json:"algorithm"`
	// Claims is the claims set; a JSON object.
	Claims RawJSON `json:"claims"`
}

// JWTSignResult is the result of jwt_sign.
type JWTSignResult struct {
	// Error is set if there was no key.
	Error *HostError `json:"error,omitempty"`
	// Token is the compact serialisation.
	Token string `json:"token,omitempty"`
}

// SignatureVerify is the argument of signature_verify.
type SignatureVerify struct {
	// PEM is one certificate or one public key (RFC 7468), and nothing else but white space.
	PEM string `json:"pem"`
	// Algorithm is "rsa-sha1", "rsa-sha256", "ecdsa-sha256" or "ed25519".
	Algorithm string `json:"algorithm"`
	// Message is what was signed.
	Message []byte `json:"message"`
	// Signature is the signature to verify.
	Signature []byte `json:"signature"`
}

// SignatureVerdict is the result of signature_verify. Whether a certificate may be trusted is
// the plugin's to judge: the host verifies no chain and no date.
type SignatureVerdict struct {
	// Error is set if the PEM or the algorithm could not be used.
	Error *HostError `json:"error,omitempty"`
	// OK tells whether the signature is genuine.
	OK bool `json:"ok,omitempty"`
	// Certificate says what the PEM says of itself; nil if it is a bare key.
	Certificate *Certificate `json:"certificate,omitempty"`
}

// Certificate is what an X.509 certificate (RFC 5280) says of itself.
type Certificate struct {
	// DNSNames are its DNS names (subjectAltName), lower case.
	DNSNames []string `json:"dns_names,omitempty"`
	// NotBefore and NotAfter bound its validity, both inclusive, RFC 3339.
	NotBefore time.Time `json:"not_before"`
	// NotAfter is the end of its validity.
	NotAfter time.Time `json:"not_after"`
	// KeyAlgorithm is "rsa", "ecdsa" or "ed25519".
	KeyAlgorithm string `json:"key_algorithm"`
	// KeyBits is the size of the key, in bits.
	KeyBits int64 `json:"key_bits"`
}

// CredentialsPut is the argument of credentials_put: a token set for the host to keep, for
// the connection or the app that the invocation is for. In a command it is durable when the
// function returns; in receive and route it is committed with the invocation.
type CredentialsPut struct {
	// AccessToken is the new access token.
	AccessToken string `json:"access_token"`
	// RefreshToken is the new refresh token; empty keeps the old one.
	RefreshToken string `json:"refresh_token,omitempty"`
	// ExpiresAt is when the access token expires, RFC 3339; zero if unknown.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// RefreshExpiresAt is when the refresh token expires, RFC 3339; zero if unknown.
	RefreshExpiresAt time.Time `json:"refresh_expires_at,omitzero"`
	// Scope is the scope that was granted; may be empty.
	Scope string `json:"scope,omitempty"`
}

// MediaLink is the argument of media_link: it asks for a signed URL by which a platform
// can download an attachment from the host.
type MediaLink struct {
	// Handle is the attachment.
	Handle MediaHandle `json:"handle"`
	// TTLSeconds is how long the link works, in seconds; 0 means 24 hours, which is also
	// the default limit.
	TTLSeconds int64 `json:"ttl_seconds,omitempty"`
}

// MediaLinkResult is the result of media_link.
type MediaLinkResult struct {
	// Error is set if there is no such attachment.
	Error *HostError `json:"error,omitempty"`
	// URL is the link.
	URL string `json:"url,omitempty"`
	// ExpiresAt is when it stops working, RFC 3339.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// MediaFetch is the argument of media_fetch: the host downloads bytes and keeps them.
type MediaFetch struct {
	// URL is absolute; checked against the grant.
	URL string `json:"url"`
	// Headers holds header fields to set; placeholders as in [HTTPRequest].
	Headers []Header `json:"headers,omitempty"`
	// Name is a file name without a path; empty takes the platform's.
	Name string `json:"name,omitempty"`
	// MaxBytes refuses more than that, in bytes; 0 means the host's limit, which also bounds it.
	MaxBytes int64 `json:"max_bytes,omitempty"`
}

// MediaFetchResult is the result of media_fetch.
type MediaFetchResult struct {
	// Error is set if the bytes could not be had.
	Error *HostError `json:"error,omitempty"`
	// Media describes what is kept.
	Media *Media `json:"media,omitempty"`
}

// MediaPut is the argument of media_put: the host uploads an attachment to a platform,
// as the body or as a field of multipart/form-data (RFC 7578).
type MediaPut struct {
	// Request is the request; its Body is ignored.
	Request HTTPRequest `json:"request"`
	// Handle is the attachment.
	Handle MediaHandle `json:"handle"`
	// Field is the name of the form field; empty sends the bytes as the body.
	Field string `json:"field,omitempty"`
	// Form holds further form fields, one text each.
	Form map[string]string `json:"form,omitempty"`
}

// LogLine is the text that a Patchbay PDK hands to Extism's log functions. A line that is
// no such document is taken as a message without fields.
type LogLine struct {
	// Message is one sentence. It must not contain a secret.
	Message string `json:"message"`
	// Fields holds what the message is about, one text each.
	Fields map[string]string `json:"fields,omitempty"`
}
