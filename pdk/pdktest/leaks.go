package pdktest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func asInvalid(err error, invalid **contract.InvalidError) bool { return errors.As(err, invalid) }

// leaks notes where the value of a secret got out. The values are made up, so that they
// stand nowhere by accident; a secret the case set to a short text is not looked for.
func (s *suite) leaks(sample string, o *outcome) {
	const shortest = 8
	places := map[string]string{"its output": string(contract.Marshal(o.output))}
	if o.err != nil {
		places["its error"] = o.err.Error()
	}
	for _, line := range o.host.lines {
		places["a log line"] += line.Message + fmt.Sprint(line.Fields)
	}
	for key, w := range o.host.pending.writes {
		places["a key-value entry"] += key + w.Value
	}
	for key := range o.host.pending.routes {
		places["a route"] += key
	}
	for _, r := range o.host.requests {
		places["a request, where a placeholder belongs"] += string(contract.Marshal(&r))
	}
	for name, value := range o.host.secrets {
		for place, text := range places {
			if len(value) >= shortest && strings.Contains(text, value) {
				s.fail(sample, fmt.Sprintf("the value of the secret %s stands in %s", name, place))
			}
		}
	}
}
