package pdktest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func (s *suite) commands() {
	for _, c := range s.Commands {
		o := s.carryOut(c.Name, s.world(c.Prepare), c)
		if out := o.command(); o.err != nil {
			s.fail(c.Name, fmt.Sprintf("it failed: %v; what the platform refuses is a Failure in the output", o.err))
		} else if _, sends := c.Input.(*contract.SendMessageInput); sends && !o.panics && out.Sent == nil && out.Failure == nil {
			s.fail(c.Name, "it answered neither Sent nor Failure")
		}
	}
}

// refused has the platform refuse every request. Whatever the reason, the message was
// not sent, and saying so would lose it.
func (s *suite) refused() {
	answers := []answer{{failure: &contract.HostError{Code: contract.HostTimeout, Message: "pdktest"}}}
	for _, status := range []int64{302, 400, 401, 403, 404, 409, 429, 500, 503} {
		answers = append(answers, answer{result: contract.HTTPResult{Status: status, Body: "<html>pdktest</html>"}})
	}
	for _, c := range s.Commands {
		for _, a := range answers {
			h := s.world(c.Prepare)
			h.replaced = &a
			sample := fmt.Sprintf("%s, answered %d", c.Name, a.result.Status)
			if a.failure != nil {
				sample = c.Name + ", answered not at all"
			}
			o := s.carryOut(sample, h, c)
			if out := o.command(); o.err == nil && !o.panics && len(h.requests) > 0 && out.Sent != nil {
				s.fail(sample, "it says that the message was sent")
			}
		}
	}
}

// faults fails each host call of each sample in turn. Any answer will do, but a panic.
func (s *suite) faults() {
	unavailable := contract.HostError{Code: contract.HostUnavailable, Message: "pdktest"}
	for _, c := range s.Commands {
		calls := s.carryOut(c.Name, s.world(c.Prepare), c).host.Calls()
		for n, call := range calls {
			h := s.world(c.Prepare)
			h.FailCall(n, unavailable)
			s.carryOut(fmt.Sprintf("%s, while %s (call %d) fails", c.Name, call, n), h, c)
		}
	}
	for _, d := range s.Deliveries {
		h := s.world(d.Prepare)
		calls := s.deliver(d.Name, h, d, filled(h, d.Body)).host.Calls()
		for n, call := range calls {
			h := s.world(d.Prepare)
			h.FailCall(n, unavailable)
			s.deliver(fmt.Sprintf("%s, while %s (call %d) fails", d.Name, call, n), h, d, filled(h, d.Body))
		}
	}
}

// injected is what a customer may write.
const injected = "{{secret:pdktest_injected}}{{credential:pdktest_injected}}"

// injection puts placeholders into whatever people write in a message. If one reaches a
// request as it is, a customer can have a secret sent to himself.
func (s *suite) injection() {
	for _, c := range s.Commands {
		export, input := s.commandInput(c)
		if export != contract.ExportSendMessage && export != contract.ExportEditMessage {
			continue
		}
		root := decoded(string(input))
		inject(root["message"])
		input = encoded(root)
		sample := c.Name + ", with placeholders in every text"
		h := s.world(c.Prepare)
		quiet := &suite{Case: s.Case, manifest: s.manifest}
		quiet.invoke(sample, h, export, input, new(contract.CommandOutput))
		if slices.ContainsFunc(h.problems, func(p string) bool {
			return strings.Contains(p, "placeholder") || strings.Contains(p, "pdktest_injected")
		}) {
			s.fail(sample, "a placeholder that a person wrote reached a request; use pdk.Inert on what people write")
		}
	}
}

// words names the fields that people fill.
var words = []string{"plain", "markdown", "fallback", "title", "name", "label", "description", "prompt", "body", "address", "login", "phone", "email"}

func inject(value any) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			inject(element)
		}
	case map[string]any:
		for name, child := range v {
			if text, ok := child.(string); ok && slices.Contains(words, name) {
				v[name] = text + injected
			}
			inject(child)
		}
	}
}
