package broker

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// A webhook may bring tokens: an install does. Once they are taken the delivery is kept without
// its body. Until then, or if nobody takes them, its body and what route made of it are
// encrypted as long as they are kept, and opened for a run alone.

// sealedAs is whose the ciphertexts are: a delivery may become another connection's meanwhile,
// and only its id stays.
const sealedAs contract.ConnectionID = "deliveries"

// takesTokens tells whether a plugin may hand over tokens.
func takesTokens(v *registry.Version) bool {
	return slices.Contains(v.HostFunctions, string(contract.HostCredentialsPut))
}

// tokensIn returns what a delivery seems to carry in the way of tokens.
func tokensIn(d domain.Delivery) []string {
	var values []string
	if mayNameTokens(d.Body) {
		values = namedAsTokens(d.Body)
	}
	if d.Routed != nil && mayNameTokens([]byte(d.Routed.Payload)) {
		values = append(values, namedAsTokens([]byte(d.Routed.Payload))...)
	}
	return values
}

// mayNameTokens tells quickly that a text names no token: hardly any does.
func mayNameTokens(text []byte) bool {
	for _, part := range [][]byte{[]byte("oken"), []byte("OKEN"), []byte("jwt"), []byte("JWT")} {
		if bytes.Contains(text, part) {
			return true
		}
	}
	return false
}

// bearers returns what must not be read in the Authorization header of a delivery: of a JWT the
// signature, without which the rest convinces nobody.
func bearers(headers []contract.Header) (values []string) {
	for _, h := range headers {
		if !strings.EqualFold(h.Name, "Authorization") {
			continue
		}
		value := h.Value[strings.LastIndexByte(h.Value, ' ')+1:]
		if strings.Count(value, ".") == 2 {
			value = value[strings.LastIndexByte(value, '.')+1:]
		}
		values = append(values, value)
	}
	return values
}

// withoutBearers returns header fields with the Authorization taken out.
func withoutBearers(headers []contract.Header) []contract.Header {
	kept := slices.Clone(headers)
	for i := range kept {
		if strings.EqualFold(kept[i].Name, "Authorization") {
			kept[i].Value = "removed"
		}
	}
	return kept
}

// shelved returns a delivery as it may be kept: one that seems to carry tokens, to a plugin that
// may take some, encrypted. If no version of the plugin runs, it may.
func (b *Broker) shelved(d domain.Delivery) domain.Delivery {
	if len(tokensIn(d)) == 0 {
		return d
	}
	if v, release, err := b.opts.Plugins.Acquire(d.Plugin); err == nil {
		release()
		if !takesTokens(v) {
			return d
		}
	}
	sealed, err := b.sealed(d)
	if err != nil { // it must not be lost for that
		b.opts.Log.Error("a delivery that seems to carry tokens is kept in the clear", "delivery", d.ID, "error", err)
		return d
	}
	return sealed
}

// sealed returns a delivery with what it carries encrypted.
func (b *Broker) sealed(d domain.Delivery) (domain.Delivery, error) {
	if !d.Sealed && len(d.Body) > 0 {
		body, err := b.opts.Tokens.SealJournal(sealedAs, string(d.ID), d.Body)
		if err != nil {
			return d, fmt.Errorf("encrypt delivery %s: %w", d.ID, err)
		}
		d.Body, d.Sealed = body, true
	}
	if d.Routed == nil || d.Routed.Sealed || d.Routed.Payload == "" {
		return d, nil
	}
	routed := *d.Routed
	payload, err := b.opts.Tokens.SealJournal(sealedAs, string(d.ID), []byte(routed.Payload))
	if err != nil {
		return d, fmt.Errorf("encrypt delivery %s: %w", d.ID, err)
	}
	routed.Payload, routed.Sealed = base64.StdEncoding.EncodeToString(payload), true
	d.Routed = &routed
	return d, nil
}

// opened decrypts what sealed encrypted, for one run.
func (b *Broker) opened(d domain.Delivery) (domain.Delivery, error) {
	if d.Sealed && len(d.Body) > 0 {
		body, err := b.opts.Tokens.OpenJournal(sealedAs, string(d.ID), d.Body)
		if err != nil {
			return d, fmt.Errorf("decrypt delivery %s: %w", d.ID, err)
		}
		d.Body = body
	}
	d.Sealed = false
	if d.Routed == nil || !d.Routed.Sealed {
		return d, nil
	}
	routed := *d.Routed
	payload, err := base64.StdEncoding.DecodeString(routed.Payload)
	if err == nil {
		payload, err = b.opts.Tokens.OpenJournal(sealedAs, string(d.ID), payload)
	}
	if err != nil {
		return d, fmt.Errorf("decrypt delivery %s: %w", d.ID, err)
	}
	routed.Payload, routed.Sealed = string(payload), false
	d.Routed = &routed
	return d, nil
}

// encrypted tells whether anything of a delivery is.
func encrypted(d domain.Delivery) bool { return d.Sealed || d.Routed != nil && d.Routed.Sealed }
