package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// Options says where to read from.
type Options struct {
	// File is a YAML file; empty means none, and one that is named must exist.
	File string
	// Env is the environment as "NAME=VALUE"; pass os.Environ().
	Env []string
	// Flags holds what the command line set, by key.
	Flags map[string]any
}

// Problem is one thing wrong with a configuration. Match on Name; Why and Allowed are
// written for the operator and may be reworded.
type Problem struct {
	// Name is the field, or what was written where a field's name should be.
	Name string
	// Value is what was set; empty if nothing was.
	Value string
	// Source is where it was set: "file PATH", "the environment", "a flag" or "the default".
	Source string
	// Why says what is wrong, and Allowed what would be right.
	Why, Allowed string
}

func (p *Problem) Error() string {
	return fmt.Sprintf("config: %s is %q (from %s): %s; allowed: %s", p.Name, p.Value, p.Source, p.Why, p.Allowed)
}

// setting is a value as somebody wrote it.
type setting struct {
	value  any
	source string
}

// Load reads a configuration. The error holds every [*Problem], joined; a file that cannot
// be read or is not YAML is another error.
func Load(o Options) (Config, error) {
	l := loader{set: map[string]setting{}}
	for _, layer := range []func(Options, map[string]setting) error{fromFile, fromEnv, fromFlags} {
		if err := layer(o, l.set); err != nil {
			return Config{}, err
		}
	}
	l.fill()
	l.refuseUnknown()
	l.config.complete(func(name string) bool { _, ok := l.set[name]; return ok })
	if len(l.problems) == 0 {
		l.config.conflicts(l.report)
	}
	if len(l.problems) > 0 {
		return Config{}, errors.Join(l.problems...)
	}
	return l.config, nil
}

func fromFile(o Options, set map[string]setting) error {
	if o.File == "" {
		return nil
	}
	layer := koanf.New(".")
	if err := layer.Load(file.Provider(o.File), yaml.Parser()); err != nil {
		return fmt.Errorf("config: read file %q: %w", o.File, err)
	}
	addAll(set, layer, "file "+o.File)
	return nil
}

// foreign are the variables with our prefix that are not fields: those of the command line
// client, and those that Kubernetes sets in every pod beside a service called patchbay.
var foreign = regexp.MustCompile(`^PATCHBAY_(CONFIG|TOKEN|URL|WORKSPACE|SERVICE_.*|PORT(_.*)?)$`)

func fromEnv(o Options, set map[string]setting) error {
	names := map[string]string{}
	for _, f := range Describe() {
		names[f.Env] = f.Name
	}
	layer := koanf.New("\x00") // no name holds it: names of variables are not paths
	err := layer.Load(env.Provider("", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return o.Env },
		TransformFunc: func(name, value string) (string, any) {
			if foreign.MatchString(name) {
				return "", nil
			}
			return name, value
		},
	}), nil)
	if err != nil {
		return fmt.Errorf("config: read environment: %w", err)
	}
	for variable, value := range layer.All() {
		name, known := names[variable]
		if !known {
			name = variable // refused later
		}
		set[name] = setting{value, "the environment"}
	}
	return nil
}

func fromFlags(o Options, set map[string]setting) error {
	layer := koanf.New("\x00")
	if err := layer.Load(confmap.Provider(o.Flags, ""), nil); err != nil {
		return fmt.Errorf("config: read flags: %w", err)
	}
	addAll(set, layer, "a flag")
	return nil
}

// addAll puts the values of a layer over those of the layers before. An empty section or
// an empty value ("ingress:" in a file) says nothing.
func addAll(set map[string]setting, layer *koanf.Koanf, source string) {
	for name, value := range layer.All() {
		if section := reflect.ValueOf(value); !section.IsValid() || section.Kind() == reflect.Map && section.Len() == 0 {
			continue
		}
		set[name] = setting{value, source}
	}
}

// loader gathers a configuration and its problems.
type loader struct {
	set      map[string]setting
	config   Config
	problems []error
}

// fill sets every field from what was written, or from its default.
func (l *loader) fill() {
	for _, s := range slotsOf(&l.config) {
		if text := s.tag.Get("default"); text != "" {
			if err := s.set(text); err != nil {
				panic("BUG: default of " + s.name + ": " + err.Error())
			}
		}
		written, ok := l.set[s.name]
		if !ok {
			continue
		}
		text, err := s.textOf(written.value)
		if err == nil {
			err = s.set(text)
		}
		if err != nil {
			l.report(s.name, err.Error(), s.allowed())
		}
	}
}

// report adds a problem of a field, with what was written there.
func (l *loader) report(name, why, allowed string) {
	p := &Problem{Name: name, Source: "the default", Why: why, Allowed: allowed}
	if written, ok := l.set[name]; ok {
		p.Value, p.Source = fmt.Sprint(written.value), written.source
	}
	l.problems = append(l.problems, p)
}

// refuseUnknown reports everything that no field is called.
func (l *loader) refuseUnknown() {
	fields := Describe()
	for _, name := range slices.Sorted(maps.Keys(l.set)) {
		if !slices.ContainsFunc(fields, func(f Field) bool { return f.Name == name }) {
			l.report(name, "there is no such field", suggestion(name, fields))
		}
	}
}

// suggestion names the field that was probably meant.
func suggestion(written string, fields []Field) string {
	var best Field
	distance := len(written)/3 + 1
	for _, f := range fields {
		if d := min(editDistance(written, f.Name), editDistance(written, f.Env)); d < distance {
			best, distance = f, d
		}
	}
	if best.Name == "" {
		return "the fields that \"patchbay config\" lists"
	}
	return fmt.Sprintf("did you mean %s (%s)?", best.Name, best.Env)
}

// editDistance is how many bytes must be added, removed or replaced to turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
