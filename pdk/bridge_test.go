package pdk_test

import (
	"errors"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// document is an argument or a result.
type document[T any] interface {
	*T
	contract.Appendable
	contract.Decodable
}

// served turns a method over documents into a host function over bytes.
func served[A, R any, PA document[A], PR document[R]](method func(A) R) func([]byte) []byte {
	return func(args []byte) []byte {
		var a A
		if err := contract.Unmarshal(args, PA(&a)); err != nil {
			panic("the guest's argument is no document: " + err.Error())
		}
		result := method(a)
		return contract.Marshal(PR(&result))
	}
}

// refusal is the field of a result that tells an error.
func refusal(err error) *contract.HostError {
	refused := (*contract.HostError)(nil)
	errors.As(err, &refused)
	return refused
}

func sent(result *contract.HTTPResult, err error) contract.HTTPResult {
	if err != nil {
		return contract.HTTPResult{Error: refusal(err)}
	}
	return *result
}

// hostFunctions offers a Host to a guest, as the broker does.
func hostFunctions(h pdk.Host) map[contract.HostFunction]func([]byte) []byte {
	done := func(err error) contract.Done { return contract.Done{Error: refusal(err)} }
	verdict := func(ok bool, err error) contract.Verdict { return contract.Verdict{OK: ok, Error: refusal(err)} }
	return map[contract.HostFunction]func([]byte) []byte{
		contract.HostDeliveryBody: func([]byte) []byte {
			body, err := h.DeliveryBody()
			if err != nil {
				panic(err)
			}
			return body
		},
		contract.HostHTTPSend: served(func(q contract.HTTPRequest) contract.HTTPResult { return sent(h.HTTPSend(q)) }),
		contract.HostHTTPCachedGet: served(func(q contract.HTTPCachedGet) contract.HTTPResult {
			return sent(h.HTTPCachedGet(q))
		}),
		contract.HostMediaPut: served(func(q contract.MediaPut) contract.HTTPResult { return sent(h.MediaPut(q)) }),
		contract.HostKVGet: served(func(q contract.KVGet) contract.KVGetResult {
			value, version, found, err := h.KVGet(q.Key)
			return contract.KVGetResult{Value: value, Version: version, Found: found, Error: refusal(err)}
		}),
		contract.HostKVPut:    served(func(q contract.KVPut) contract.Done { return done(h.KVPut(q)) }),
		contract.HostKVDelete: served(func(q contract.KVDelete) contract.Done { return done(h.KVDelete(q)) }),
		contract.HostKVList: served(func(q contract.KVList) contract.KVListResult {
			result, err := h.KVList(q)
			if err != nil {
				return contract.KVListResult{Error: refusal(err)}
			}
			return *result
		}),
		contract.HostRoutePut:       served(func(q contract.RouteKey) contract.Done { return done(h.RoutePut(q.Key)) }),
		contract.HostRouteDelete:    served(func(q contract.RouteKey) contract.Done { return done(h.RouteDelete(q.Key)) }),
		contract.HostCredentialsPut: served(func(q contract.CredentialsPut) contract.Done { return done(h.CredentialsPut(q)) }),
		contract.HostSecretEqual: served(func(q contract.SecretEqual) contract.Verdict {
			return verdict(h.SecretEqual(q.Name, q.Value))
		}),
		contract.HostHMACVerify: served(func(q contract.HMACVerify) contract.Verdict { return verdict(h.HMACVerify(q)) }),
		contract.HostSignatureVerify: served(func(q contract.SignatureVerify) contract.SignatureVerdict {
			result, err := h.SignatureVerify(q)
			if err != nil {
				return contract.SignatureVerdict{Error: refusal(err)}
			}
			return *result
		}),
		contract.HostHMACSign: served(func(q contract.HMACSign) contract.HMACSignResult {
			mac, err := h.HMACSign(q)
			return contract.HMACSignResult{MAC: mac, Error: refusal(err)}
		}),
		contract.HostJWTVerify: served(func(q contract.JWTVerify) contract.JWTVerifyResult {
			result, err := h.JWTVerify(q)
			if err != nil {
				return contract.JWTVerifyResult{Error: refusal(err)}
			}
			return *result
		}),
		contract.HostJWTSign: served(func(q contract.JWTSign) contract.JWTSignResult {
			token, err := h.JWTSign(q)
			return contract.JWTSignResult{Token: token, Error: refusal(err)}
		}),
		contract.HostMediaFetch: served(func(q contract.MediaFetch) contract.MediaFetchResult {
			media, err := h.MediaFetch(q)
			return contract.MediaFetchResult{Media: media, Error: refusal(err)}
		}),
		contract.HostMediaLink: served(func(q contract.MediaLink) contract.MediaLinkResult {
			result, err := h.MediaLink(q)
			if err != nil {
				return contract.MediaLinkResult{Error: refusal(err)}
			}
			return *result
		}),
	}
}
