package pdktest

import (
	"fmt"
	"slices"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func (s *suite) abilities() {
	has := pdk.Abilities(s.Connector)
	for _, export := range has {
		if !slices.Contains(s.manifest.Abilities, export) {
			s.fail(string(export), "the connector has a method for it, and the manifest does not list it")
		}
	}
	for _, export := range s.manifest.Abilities {
		if !slices.Contains(has, export) {
			s.fail(string(export), "the manifest lists it, and the connector has no method for it")
		}
	}
}

func (s *suite) samples() {
	sampled := make(map[contract.Export]bool)
	for _, d := range s.Deliveries {
		if d.Routed {
			sampled[contract.ExportRoute] = true
		} else {
			sampled[contract.ExportReceive] = true
		}
	}
	for _, c := range s.Commands {
		export, _, _ := command(c.Input)
		if export == "" {
			s.fail(c.Name, fmt.Sprintf("%T is the input of no command", c.Input))
		}
		sampled[export] = true
	}
	for _, export := range pdk.Abilities(s.Connector) {
		if !sampled[export] {
			s.fail(string(export), "the case has no sample for it; add one to Deliveries or Commands")
		}
	}
}

func (s *suite) genuine() {
	for _, d := range s.Deliveries {
		if d.Forged {
			continue
		}
		h := s.world(d.Prepare)
		o := s.deliver(d.Name, h, d, filled(h, d.Body))
		switch out := o.receive(); {
		case o.panics:
		case o.err != nil:
			s.fail(d.Name, fmt.Sprintf("it failed: %v", o.err))
		case out != nil && out.Rejected != nil:
			s.fail(d.Name, "it was rejected as "+out.Rejected.Code+": "+out.Rejected.Reason)
		case out != nil && out.Response.Status >= 400:
			s.fail(d.Name, fmt.Sprintf("the platform was answered %d", out.Response.Status))
		default:
			s.mustRoute(d.Name, o)
		}
		if h.Commit(); o.err == nil && !o.panics { // platforms redeliver
			s.deliver(d.Name+", delivered again", h, d, filled(h, d.Body))
		}
	}
}

func (s *suite) forged() {
	for _, d := range s.Deliveries {
		if d.Forged {
			h := s.world(d.Prepare)
			s.mustReject(d.Name, s.deliver(d.Name, h, d, filled(h, d.Body)))
		}
	}
}

// mustRoute notes if route did not believe a genuine delivery.
func (s *suite) mustRoute(sample string, o *outcome) {
	out, ok := o.output.(*contract.RouteOutput)
	switch {
	case !ok:
	case out.Rejected != nil:
		s.fail(sample, "it was rejected as "+out.Rejected.Code+": "+out.Rejected.Reason)
	case out.Key == "" && !out.Answered:
		s.fail(sample, "route found no connection for it, and did not answer it")
	}
}

// mustReject notes if a delivery was not rejected.
func (s *suite) mustReject(sample string, o *outcome) {
	if out, ok := o.output.(*contract.RouteOutput); ok && o.err == nil {
		switch {
		case out.Rejected == nil && out.Key != "":
			s.fail(sample, "route found a connection for it")
		case out.Rejected == nil && out.Answered && out.Response.Status < 400:
			s.fail(sample, fmt.Sprintf("route answered it %d", out.Response.Status))
		case out.Rejected != nil && (out.Response.Status < 400 || out.Response.Status > 499):
			s.fail(sample, fmt.Sprintf("it was rejected with status %d; a rejection has 400 to 499", out.Response.Status))
		}
		return
	}
	out := o.receive()
	switch {
	case o.panics || out == nil:
	case o.err != nil:
		s.fail(sample, fmt.Sprintf("it failed, so the host would keep the delivery and try again: %v; set Rejected instead", o.err))
	case out.Rejected == nil:
		s.fail(sample, fmt.Sprintf("it was answered %d and not rejected", out.Response.Status))
	default:
		s.rejectedWell(sample, out)
	}
}

func (s *suite) rejectedWell(sample string, out *contract.ReceiveOutput) {
	if out.Response.Status < 400 || out.Response.Status > 499 {
		s.fail(sample, fmt.Sprintf("it was rejected with status %d; a rejection has 400 to 499", out.Response.Status))
	}
}

// unverified gives the connection other secrets than the platform has. A delivery that is
// verified against one is then a forged one; and one that cannot be verified must not
// pass either.
func (s *suite) unverified() {
	for _, d := range s.Deliveries {
		if d.Forged {
			continue
		}
		genuine := s.world(d.Prepare)
		signed := s.signed(genuine, d, filled(genuine, d.Body))
		o := s.deliverInput(d.Name, genuine, signed, s.deliveryInput(genuine, signed))
		for n, call := range o.host.Calls() {
			if !verifies(call) {
				continue
			}
			other := s.world(d.Prepare)
			for name := range other.secrets {
				other.SetSecret(name, madeUp("another "+name))
			}
			if call != contract.HostSignatureVerify { // whose key is no secret
				s.mustReject(d.Name+", with another secret", s.deliverInput(d.Name, other, signed, s.deliveryInput(other, signed)))
			}
			broken := s.world(d.Prepare)
			broken.FailCall(n, contract.HostError{Code: contract.HostUnavailable, Message: "pdktest", Certain: true})
			sample := fmt.Sprintf("%s, while %s fails", d.Name, call)
			if o := s.deliverInput(sample, broken, signed, s.deliveryInput(broken, signed)); o.err == nil && o.effects() != "" {
				s.fail(sample, "it was not verified, and had effects: "+o.effects())
			}
		}
	}
}

func verifies(f contract.HostFunction) bool {
	switch f {
	case contract.HostSecretEqual, contract.HostHMACVerify, contract.HostJWTVerify, contract.HostSignatureVerify:
		return true
	}
	return false
}
