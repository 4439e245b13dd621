package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strconv"

	"github.com/alecthomas/kong"

	"github.com/seed75a60ee1/patchbay/host/config"
	"github.com/seed75a60ee1/patchbay/host/server"
	"github.com/seed75a60ee1/patchbay/host/telemetry"
)

type serveCommand struct {
	Config string `placeholder:"FILE" env:"PATCHBAY_CONFIG" help:"Read the configuration from a YAML file. A flag, and after it the environment, counts before the file."`
	// Fields holds one flag for each field of the configuration.
	Fields kong.Plugins `embed:""`
}

// shortFlags are the flags of serve that have a shorter name than the field's name,
// which works too.
var shortFlags = map[string]string{
	"plugins.dir": "plugins", "ingress.listen": "ingress", "management.listen": "management",
}

// configFlags makes the flags of serve: a struct with a *string for each field, so that
// what the configuration has and what the command line takes cannot differ.
func configFlags() kong.Plugins {
	var fields []reflect.StructField
	for i, f := range configFields() {
		name, alias := f.Name, ""
		if short, ok := shortFlags[f.Name]; ok {
			name, alias = short, f.Name
		}
		tag := fmt.Sprintf("name:%q aliases:%q placeholder:%q help:%q", name, alias, flagValue(f), f.Meaning)
		fields = append(fields, reflect.StructField{Name: "F" + strconv.Itoa(i), Type: reflect.TypeFor[*string](), Tag: reflect.StructTag(tag)})
	}
	return kong.Plugins{reflect.New(reflect.StructOf(fields)).Interface()}
}

// flagValue is what stands for a flag's value in the help: its default, if it has one.
func flagValue(f describedField) string {
	if f.Default != "" {
		return f.Default
	}
	return "TEXT"
}

// given returns the flags that were given, by the field's name.
func (c *serveCommand) given() map[string]any {
	set := map[string]any{}
	flags := reflect.ValueOf(c.Fields[0]).Elem()
	for i, f := range configFields() {
		if text := flags.Field(i).Interface().(*string); text != nil {
			set[f.Name] = *text
		}
	}
	return set
}

// Run runs the host until it is interrupted or told to end.
func (c *serveCommand) Run(ctx context.Context, s *session) error {
	cfg, err := config.Load(config.Options{File: c.Config, Env: os.Environ(), Flags: c.given()})
	if wrong := new(config.Problem); errors.As(err, &wrong) {
		return &usageError{why: err.Error(), hint: "every field and what is valid: patchbay config"}
	}
	if err != nil {
		return err
	}
	log, err := telemetry.NewLogger(s.stderr, cfg.Log.Format, cfg.Log.Level)
	if err != nil {
		return err
	}
	tuneMemory()
	log.Info("patchbay starts", "version", readVersion().Version, "data", cfg.Data, "mode", cfg.Mode)
	if err := server.Run(ctx, cfg, log, func(server.Addresses) {}); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	log.Info("patchbay stopped")
	return nil
}

// gcPercent is how much garbage may gather before it is collected, in percent of what is
// in use. A host has little in use, because plugins' memory is not the collector's; at Go's
// own 100 it would collect all the time.
const gcPercent = 400

// tuneMemory sets the collector up, unless whoever started the host has done so.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
