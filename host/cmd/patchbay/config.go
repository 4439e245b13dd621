package main

import (
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/config"
)

type configCommand struct{}

// describedField is a field of the configuration, for programs.
type describedField struct {
	Name    string `json:"name"`
	Env     string `json:"env"`
	Default string `json:"default,omitempty"`
	Allowed string `json:"allowed,omitempty"`
	Meaning string `json:"meaning"`
}

// configFields lists every field of the configuration.
func configFields() []describedField {
	var fields []describedField
	for _, f := range config.Describe() {
		fields = append(fields, describedField{Name: f.Name, Env: f.Env, Default: f.Default, Allowed: f.Allowed, Meaning: f.Desc})
	}
	return fields
}

func (c *configCommand) Run(s *session) error {
	fields := configFields()
	return s.show(map[string]any{"fields": fields}, func() {
		printTable(s.stdout, fields,
			column[describedField]{"field", func(f describedField) string { return f.Name }},
			column[describedField]{"default", func(f describedField) string { return f.Default }},
			column[describedField]{"valid", func(f describedField) string { return f.Allowed }},
			column[describedField]{"meaning", func(f describedField) string { return f.Meaning }},
		)
		fmt.Fprintln(s.stderr, "The field ingress.listen is listen below ingress in the file, PATCHBAY_INGRESS_LISTEN in the environment, and --ingress.listen with serve.")
	})
}
