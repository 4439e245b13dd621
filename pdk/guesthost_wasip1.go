//go:build wasip1

package pdk

import "github.com/seed75a60ee1/patchbay/pdk/contract"

//go:wasmimport extism:host/user http_send
func hostHTTPSend(args uint64) uint64

//go:wasmimport extism:host/user http_cached_get
func hostHTTPCachedGet(args uint64) uint64

//go:wasmimport extism:host/user kv_get
func hostKVGet(args uint64) uint64

//go:wasmimport extism:host/user kv_put
func hostKVPut(args uint64) uint64

//go:wasmimport extism:host/user kv_delete
func hostKVDelete(args uint64) uint64

//go:wasmimport extism:host/user kv_list
func hostKVList(args uint64) uint64

//go:wasmimport extism:host/user route_put
func hostRoutePut(args uint64) uint64

//go:wasmimport extism:host/user route_delete
func hostRouteDelete(args uint64) uint64

//go:wasmimport extism:host/user secret_equal
func hostSecretEqual(args uint64) uint64

//go:wasmimport extism:host/user hmac_verify
func hostHMACVerify(args uint64) uint64

//go:wasmimport extism:host/user hmac_sign
func hostHMACSign(args uint64) uint64

//go:wasmimport extism:host/user jwt_verify
func hostJWTVerify(args uint64) uint64

//go:wasmimport extism:host/user jwt_sign
func hostJWTSign(args uint64) uint64

//go:wasmimport extism:host/user signature_verify
func hostSignatureVerify(args uint64) uint64

//go:wasmimport extism:host/user credentials_put
func hostCredentialsPut(args uint64) uint64

//go:wasmimport extism:host/user media_fetch
func hostMediaFetch(args uint64) uint64

//go:wasmimport extism:host/user media_put
func hostMediaPut(args uint64) uint64

//go:wasmimport extism:host/user media_link
func hostMediaLink(args uint64) uint64

//go:wasmimport extism:host/user delivery_body
func hostDeliveryBody(args uint64) uint64

// guestHost is the [Host] inside a plugin, during one call of an export. The linker
// drops the methods that nothing calls, and with each its import.
type guestHost struct{ export contract.Export }

// writeDocument makes a block of a document.
func writeDocument(v contract.Appendable) uint64 {
	document := encode(v)
	handle := writeBlock(document)
	recycle(document)
	return handle
}

// exchange hands over a block, frees it, and returns the bytes of the answer.
func exchange(function func(uint64) uint64, request uint64) []byte {
	answer := function(request)
	extismFree(request)
	if answer == 0 {
		return nil
	}
	data := readBlock(answer, extismLength(answer))
	extismFree(answer)
	return data
}

// ask exchanges documents. refused is the field of result that tells a refusal. The host
// is trusted, but it may be newer or broken: an answer that cannot be read is an error
// like any other.
func ask(function func(uint64) uint64, args contract.Appendable, result contract.Decodable, refused **contract.HostError) error {
	if err := decode(exchange(function, writeDocument(args)), result); err != nil {
		return &contract.HostError{Code: contract.HostUnavailable, Message: "the host's answer is no document: " + err.Error()}
	}
	if *refused != nil {
		return *refused
	}
	return nil
}

// do asks for something that has no result but success.
func do(function func(uint64) uint64, args contract.Appendable) error {
	var result contract.Done
	return ask(function, args, &result, &result.Error)
}

// verdict asks whether something is so.
func verdict(function func(uint64) uint64, args contract.Appendable) (bool, error) {
	var result contract.Verdict
	err := ask(function, args, &result, &result.Error)
	return err == nil && result.OK, err
}

// send asks for a request to be made.
func send(function func(uint64) uint64, args contract.Appendable) (*contract.HTTPResult, error) {
	var result contract.HTTPResult
	if err := ask(function, args, &result, &result.Error); err != nil {
		return nil, err
	}
	return &result, nil
}

func (h guestHost) DeliveryBody() ([]byte, error) {
	if h.export != contract.ExportReceive && h.export != contract.ExportRoute {
		return nil, &contract.HostError{Code: contract.HostInvalid, Message: "only receive and route have a delivery", Certain: true}
	}
	return exchange(hostDeliveryBody, writeBlock([]byte("{}"))), nil
}

func (guestHost) HTTPSend(r contract.HTTPRequest) (*contract.HTTPResult, error) {
	return send(hostHTTPSend, &r)
}

func (guestHost) HTTPCachedGet(r contract.HTTPCachedGet) (*contract.HTTPResult, error) {
	return send(hostHTTPCachedGet, &r)
}

func (guestHost) KVGet(key string) (value string, version int64, found bool, err error) {
	var call struct { // one thing to allocate instead of two
		args   contract.KVGet
		result contract.KVGetResult
	}
	call.args.Key = key
	err = ask(hostKVGet, &call.args, &call.result, &call.result.Error)
	return call.result.Value, call.result.Version, call.result.Found, err
}

func (guestHost) KVPut(w contract.KVPut) error { return do(hostKVPut, &w) }

func (guestHost) KVDelete(w contract.KVDelete) error { return do(hostKVDelete, &w) }

func (guestHost) KVList(q contract.KVList) (*contract.KVListResult, error) {
	var result contract.KVListResult
	if err := ask(hostKVList, &q, &result, &result.Error); err != nil {
		return nil, err
	}
	return &result, nil
}

func (guestHost) RoutePut(key string) error {
	return do(hostRoutePut, &contract.RouteKey{Key: key})
}

func (guestHost) RouteDelete(key string) error {
	return do(hostRouteDelete, &contract.RouteKey{Key: key})
}

func (guestHost) SecretEqual(name, value string) (bool, error) {
	return verdict(hostSecretEqual, &contract.SecretEqual{Name: name, Value: value})
}

func (guestHost) HMACVerify(q contract.HMACVerify) (bool, error) {
	return verdict(hostHMACVerify, &q)
}

func (guestHost) HMACSign(q contract.HMACSign) ([]byte, error) {
	var result contract.HMACSignResult
	err := ask(hostHMACSign, &q, &result, &result.Error)
	return result.MAC, err
}

func (guestHost) JWTVerify(q contract.JWTVerify) (*contract.JWTVerifyResult, error) {
	var result contract.JWTVerifyResult
	if err := ask(hostJWTVerify, &q, &result, &result.Error); err != nil {
		return nil, err
	}
	return &result, nil
}

func (guestHost) JWTSign(q contract.JWTSign) (string, error) {
	var result contract.JWTSignResult
	err := ask(hostJWTSign, &q, &result, &result.Error)
	return result.Token, err
}

func (guestHost) SignatureVerify(q contract.SignatureVerify) (*contract.SignatureVerdict, error) {
	var result contract.SignatureVerdict
	if err := ask(hostSignatureVerify, &q, &result, &result.Error); err != nil {
		return nil, err
	}
	return &result, nil
}

func (guestHost) CredentialsPut(w contract.CredentialsPut) error {
	return do(hostCredentialsPut, &w)
}

func (guestHost) MediaFetch(q contract.MediaFetch) (*contract.Media, error) {
	var result contract.MediaFetchResult
	if err := ask(hostMediaFetch, &q, &result, &result.Error); err != nil {
		return nil, err
	}
	if result.Media == nil {
		return nil, &contract.HostError{Code: contract.HostUnavailable, Message: "the host answered without media"}
	}
	return result.Media, nil
}

func (guestHost) MediaPut(q contract.MediaPut) (*contract.HTTPResult, error) {
	return send(hostMediaPut, &q)
}

func (guestHost) MediaLink(q contract.MediaLink) (*contract.MediaLinkResult, error) {
	var result contract.MediaLinkResult
	if err := ask(hostMediaLink, &q, &result, &result.Error); err != nil {
		return nil, err
	}
	return &result, nil
}

func (guestHost) Log(level LogLevel, message string, fields ...string) {
	line := writeDocument(logLine(message, fields))
	switch level {
	case LogTrace:
		extismLogTrace(line)
	case LogDebug:
		extismLogDebug(line)
	case LogWarn:
		extismLogWarn(line)
	case LogError:
		extismLogError(line)
	default:
		extismLogInfo(line)
	}
	extismFree(line)
}
