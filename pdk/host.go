package pdk

import "github.com/seed75a60ee1/patchbay/pdk/contract"

// Host is everything that a connector can do besides computing. Every error is a
// [*contract.HostError]; match on its Code with [contract.HostErrorCode].
//
// Calls are recorded and can be replayed. Writes (KVPut, RoutePut, ...) take effect
// when the invocation's output is committed; requests (HTTPSend, MediaPut, ...) at once.
type Host interface {
	// DeliveryBody returns the raw body of the delivery. It works inside Receive and
	// Route only, and each call reads it anew.
	DeliveryBody() ([]byte, error)

	// HTTPSend makes one request. An answer of any status is a result, no error.
	HTTPSend(contract.HTTPRequest) (*contract.HTTPResult, error)
	// HTTPCachedGet gets something public that never changes, such as a certificate.
	HTTPCachedGet(contract.HTTPCachedGet) (*contract.HTTPResult, error)

	// KVGet reads an entry of this connection's state; found tells an empty value from
	// no entry.
	KVGet(key string) (value string, version int64, found bool, err error)
	// KVPut writes an entry.
	KVPut(contract.KVPut) error
	// KVDelete removes an entry; one that is not there is removed already.
	KVDelete(contract.KVDelete) error
	// KVList reads entries in the order of their keys, a page at a time.
	KVList(contract.KVList) (*contract.KVListResult, error)

	// RoutePut registers a key by which Route can find this connection.
	RoutePut(key string) error
	// RouteDelete removes one.
	RouteDelete(key string) error

	// SecretEqual compares a value with a named secret in constant time. An empty value
	// is never equal.
	SecretEqual(name, value string) (bool, error)
	// HMACVerify verifies a message authentication code (RFC 2104).
	HMACVerify(contract.HMACVerify) (bool, error)
	// HMACSign makes one.
	HMACSign(contract.HMACSign) ([]byte, error)
	// JWTVerify verifies a token and returns its header and claims. A token that is not genuine
	// is an error of code [contract.HostRefused].
	JWTVerify(contract.JWTVerify) (*contract.JWTVerifyResult, error)
	// JWTSign makes a token.
	JWTSign(contract.JWTSign) (string, error)
	// SignatureVerify verifies a signature with a certificate or a public key, and tells what
	// the certificate says of itself.
	SignatureVerify(contract.SignatureVerify) (*contract.SignatureVerdict, error)

	// CredentialsPut hands a token set to the host. Keep no copy: write
	// {{credential:access_token}} where it is needed.
	CredentialsPut(contract.CredentialsPut) error

	// MediaFetch downloads an attachment into the host.
	MediaFetch(contract.MediaFetch) (*contract.Media, error)
	// MediaPut uploads one from the host.
	MediaPut(contract.MediaPut) (*contract.HTTPResult, error)
	// MediaLink makes a signed URL by which a platform can download one.
	MediaLink(contract.MediaLink) (*contract.MediaLinkResult, error)

	// Log writes a line for the operator: one sentence, and fields as name, value, name,
	// value. Lines are bounded and redacted, and never fail.
	Log(level LogLevel, message string, fields ...string)
}

// LogLevel says how much a line matters.
type LogLevel int

// The levels, as Extism names them.
const (
	// LogTrace is for whoever writes the connector.
	LogTrace LogLevel = iota
	// LogDebug is for whoever looks for a fault.
	LogDebug
	// LogInfo tells that something worth knowing happened.
	LogInfo
	// LogWarn tells that something is odd, and was dealt with.
	LogWarn
	// LogError tells that something failed.
	LogError
)

// String returns the level's name, such as "info".
func (l LogLevel) String() string {
	if l < LogTrace || l > LogError {
		return "unknown"
	}
	return [...]string{"trace", "debug", "info", "warn", "error"}[l]
}
