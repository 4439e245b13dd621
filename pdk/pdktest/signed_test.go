package pdktest_test

import (
	"encoding/hex"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

// signed is acme on a platform that signs bodies instead of sending a token.
type signed struct {
	acme
	flaw string
}

func (c signed) Receive(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	var mac []byte
	for _, header := range in.Delivery.Headers {
		if header.Name == "X-Signature" {
			mac, _ = hex.DecodeString(header.Value)
		}
	}
	genuine, err := h.HMACVerify(contract.HMACVerify{Name: "token", Algorithm: "sha256", OverBody: true, MAC: mac})
	if err != nil {
		return nil, err
	}
	if !genuine && c.flaw != "verifies nothing" {
		return reject(401, "signature_mismatch")
	}
	body, err := h.DeliveryBody()
	if err != nil {
		return nil, err
	}
	doc, err := payload.Parse(body, payload.Limits{})
	chat, text := doc.String("chat"), doc.Object("data").String("text")
	if err == nil && c.flaw != "forgets to ask Err" {
		err = doc.Err()
	}
	if err != nil || chat == "" {
		return reject(400, "malformed")
	}
	return c.received(h, in, chat, text+"!", "")
}

func signedCase(flaw string) pdktest.Case {
	c := acmeCase(signed{flaw: flaw})
	c.Deliveries[0].Body = `{"chat":"c1","data":{"text":"hello"}}`
	c.Deliveries = append(c.Deliveries[:1], c.Deliveries[2])
	c.Sign = func(h *pdktest.Host, d *pdktest.Delivery) {
		mac, err := h.HMACSign(contract.HMACSign{Name: "token", Algorithm: "sha256", Message: []byte(d.Body)})
		if err != nil {
			panic(err) // the manifest declares the token
		}
		d.Headers = append(d.Headers, contract.Header{Name: "X-Signature", Value: hex.EncodeToString(mac)})
	}
	return c
}

// The mutants must reach the parser behind the signature.
func TestDeliveriesAreSignedAnew(t *testing.T) {
	pdktest.Run(t, signedCase(""))
	mustFind(t, signedCase("verifies nothing"), "a failed verification accepts nothing", "not rejected")
	mustFind(t, signedCase("forgets to ask Err"), "malformed bodies have no effect", "it was accepted, and had effects")
}
