// Command everything is a connector that uses all of the pdk, for the tests of the guest
// side: receive and reconcile call every host function and tell what came back.
package main

import (
	"errors"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type connector struct{}

func init() { pdk.Register(connector{}) }

func main() {}

// Receive answers with the body turned around, or fails in the way that the query names.
func (connector) Receive(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	switch in.Delivery.Query {
	case "panic":
		var none []int
		none[in.Delivery.BodyBytes]++
	case "panic with data":
		panic("a person's data")
	case "error":
		return nil, errors.New("no luck")
	}
	body, err := h.DeliveryBody()
	if err != nil {
		return nil, err
	}
	for i, j := 0, len(body)-1; i < j; i, j = i+1, j-1 {
		body[i], body[j] = body[j], body[i]
	}
	h.Log(pdk.LogWarn, "turned around", "bytes", in.Delivery.Method)
	return &contract.ReceiveOutput{Response: contract.Response{Status: 200, Body: string(body)}}, nil
}

// report collects what the host functions answered.
type report struct{ lines []string }

func (r *report) note(name, result string, err error) {
	if err != nil {
		result = "!" + contract.HostErrorCode(err)
	}
	r.lines = append(r.lines, name+"="+result)
}

func yes(ok bool) string {
	if ok {
		return "yes"
	}
	return "no"
}

// Reconcile calls every host function once.
func (connector) Reconcile(h pdk.Host, in *contract.ReconcileInput) (*contract.CommandOutput, error) {
	var r report
	_, err := h.DeliveryBody()
	r.note("delivery_body", "", err)
	r.state(h)
	r.secrets(h)
	r.requests(h)
	for level := pdk.LogTrace; level <= pdk.LogError; level++ {
		h.Log(level, "level", "name", level.String())
	}
	return &contract.CommandOutput{Health: &contract.Health{Detail: strings.Join(r.lines, " ")}}, nil
}

func (r *report) state(h pdk.Host) {
	r.note("kv_put", "done", h.KVPut(contract.KVPut{Key: "k", Value: "v"}))
	value, _, found, err := h.KVGet("k")
	r.note("kv_get", value+yes(found), err)
	list, err := h.KVList(contract.KVList{Prefix: "k"})
	if err == nil {
		r.note("kv_list", list.Entries[0].Key, nil)
	}
	r.note("kv_delete", "done", h.KVDelete(contract.KVDelete{Key: "k"}))
	r.note("route_put", "done", h.RoutePut("r"))
	r.note("route_delete", "done", h.RouteDelete("r"))
	r.note("credentials_put", "done", h.CredentialsPut(contract.CredentialsPut{AccessToken: "a"}))
}

func (r *report) secrets(h pdk.Host) {
	equal, err := h.SecretEqual("s", "secret")
	r.note("secret_equal", yes(equal), err)
	mac, err := h.HMACSign(contract.HMACSign{Name: "s", Algorithm: "sha256", Message: []byte("m")})
	r.note("hmac_sign", yes(len(mac) == 32), err)
	genuine, err := h.HMACVerify(contract.HMACVerify{Name: "s", Algorithm: "sha256", Message: []byte("m"), MAC: mac})
	r.note("hmac_verify", yes(genuine), err)
	token, err := h.JWTSign(contract.JWTSign{Name: "s", Algorithm: "HS256", Claims: contract.RawJSON(`{"a":1}`)})
	r.note("jwt_sign", yes(token != ""), err)
	claims := ""
	verified, err := h.JWTVerify(contract.JWTVerify{Name: "s", Algorithm: "HS256", Token: token})
	if err == nil {
		claims = string(verified.Claims)
	}
	r.note("jwt_verify", claims, err)
	_, err = h.SignatureVerify(contract.SignatureVerify{PEM: "none"})
	r.note("signature_verify", "", err)
}

func (r *report) requests(h pdk.Host) {
	answer, err := h.HTTPSend(contract.HTTPRequest{Method: "GET", URL: "https://a.test/x"})
	if err == nil {
		r.note("http_send", answer.Body, nil)
	}
	_, err = h.HTTPSend(contract.HTTPRequest{Method: "GET", URL: "https://a.test/nowhere"})
	r.note("http_send", "", err)
	answer, err = h.HTTPCachedGet(contract.HTTPCachedGet{URL: "https://a.test/x"})
	if err == nil {
		r.note("http_cached_get", answer.Body, nil)
	}
	media, err := h.MediaFetch(contract.MediaFetch{URL: "https://a.test/x"})
	if err != nil {
		r.note("media_fetch", "", err)
		return
	}
	r.note("media_fetch", media.Name, nil)
	answer, err = h.MediaPut(contract.MediaPut{Handle: media.Handle, Request: contract.HTTPRequest{Method: "GET", URL: "https://a.test/x"}})
	if err == nil {
		r.note("media_put", answer.Body, nil)
	}
	link, err := h.MediaLink(contract.MediaLink{Handle: media.Handle})
	if err == nil {
		r.note("media_link", yes(link.URL != ""), nil)
	}
}
