package domain

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong with a request. Field is a JSON path ("settings.company_url").
type Problem struct {
	Field string `json:"field"`
	Value string `json:"value,omitempty"`
	Why   string `json:"why"`
	Fix   string `json:"fix,omitempty"`
}

// Invalid is a request that was understood and refused, with every problem found.
type Invalid struct{ Problems []Problem }

func (e *Invalid) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = fmt.Sprintf("%s is %q: %s", p.Field, p.Value, p.Why)
		if p.Fix != "" {
			lines[i] += "; " + p.Fix
		}
	}
	return strings.Join(lines, "\n")
}

// Actor is who does something, for the audit log.
type Actor struct {
	// Subject is a token's subject.
	Subject string
	// Role is the role it acted in.
	Role string
}
