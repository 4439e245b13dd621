package manifest

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// defaultMaxLength bounds a text where the manifest does not, in bytes; see
// [Setting.MaxLength].
const defaultMaxLength = 4096

// settingTypes lists the types of setting.
var settingTypes = []string{
	string(TypeString), string(TypeBoolean), string(TypeInteger), string(TypeURL), string(TypeEnum), string(TypeMap), string(TypeList),
}

// check notes what is wrong with the declaration of a setting.
func (s Setting) check(f *findings, field string) {
	if !slices.Contains(settingTypes, string(s.Type)) {
		f.add(field+".type", string(s.Type), "there is no such type", suggestion(string(s.Type), settingTypes))
		return
	}
	s.Scope.check(f, field+".scope")
	f.prose(field+".title", s.Title, maxTitle, true)
	f.prose(field+".help", s.Help, maxProse, false)
	s.checkValues(f, field)
	s.checkBounds(f, field)
	if s.Default == "" {
		return
	}
	if why, fix := s.problem(s.Default); why != "" {
		f.add(field+".default", s.Default, why, fix)
	}
}

func (s Setting) checkValues(f *findings, field string) {
	switch {
	case s.Type == TypeEnum && len(s.Values) == 0:
		f.add(field+".values", "", "it is empty, so nothing can be chosen", "list what the setting accepts")
	case s.Type != TypeEnum && len(s.Values) > 0:
		f.add(field+".values", "", "only an enum has values", "remove it, or make the type enum")
	}
	for i, value := range s.Values {
		at := fmt.Sprintf("%s.values[%d]", field, i)
		switch {
		case value == "" || len(value) > defaultMaxLength:
			f.add(at, value, "it is empty or too long", "remove it; leaving an enum unset needs no value")
		case slices.Contains(s.Values[:i], value):
			f.add(at, value, "it stands twice", "remove one")
		}
	}
}

func (s Setting) checkBounds(f *findings, field string) {
	bounded := s.Min != 0 || s.Max != 0
	switch {
	case bounded && s.Type != TypeInteger:
		f.add(field+".min", "", "only an integer has min and max", "remove them")
	case s.Min > s.Max && bounded:
		f.add(field+".min", strconv.FormatInt(s.Min, 10), fmt.Sprintf("it is more than max, which is %d", s.Max), "swap them, or give both")
	}
	if s.MaxLength < 0 || s.MaxLength > 64<<10 {
		f.add(field+".max_length", strconv.FormatInt(s.MaxLength, 10), "it is out of bounds", "use 1 to 65536")
	}
}

// CheckSettings says what is wrong with a connection's settings: every problem, in the
// order of their names.
func (m *Manifest) CheckSettings(values map[string]string) []Problem {
	var found findings
	known := slices.Sorted(maps.Keys(m.Settings))
	for name, value := range values {
		s, ok := m.Settings[name]
		if !ok {
			found.add("settings."+name, value, "there is no such setting", suggestion(name, known))
		} else if why, fix := s.problem(value); s.isSet(value) && why != "" {
			found.add("settings."+name, value, why, fix)
		}
	}
	for _, name := range known {
		if s := m.Settings[name]; s.Required && values[name] == "" && s.Default == "" {
			found.add("settings."+name, "", "it is missing", strings.TrimSpace("set it: "+s.Title))
		}
	}
	slices.SortFunc(found.list, func(a, b *Problem) int { return strings.Compare(a.Field, b.Field) })
	problems := make([]Problem, len(found.list))
	for i, p := range found.list {
		problems[i] = *p
	}
	return problems
}

// WithDefaults returns one text for each setting that the manifest declares: the value
// that was set, else the default, else "". Settings that it does not declare are left out.
func (m *Manifest) WithDefaults(values map[string]string) map[string]string {
	full := make(map[string]string, len(m.Settings))
	for name, s := range m.Settings {
		full[name] = s.Default
		if value, ok := values[name]; ok && s.isSet(value) {
			full[name] = value
		}
	}
	return full
}

// WithDefaultsIn is WithDefaults for the settings of one scope: m.In(scope).WithDefaults(values)
// without the copy, for whoever needs it with every delivery.
func (m *Manifest) WithDefaultsIn(scope Scope, values map[string]string) map[string]string {
	full := make(map[string]string, len(m.Settings))
	for name, s := range m.Settings {
		if !s.Scope.is(scope) {
			continue
		}
		full[name] = s.Default
		if value, ok := values[name]; ok && s.isSet(value) {
			full[name] = value
		}
	}
	return full
}

// isSet tells whether a value that a tenant gave sets anything. An empty text is a text;
// an empty number is none.
func (s Setting) isSet(value string) bool {
	return value != "" || !s.Required && (s.Type == TypeString || s.Type == TypeMap || s.Type == TypeList)
}

// problem says why a value does not fit, and what does; or "".
func (s Setting) problem(value string) (why, fix string) {
	limit := int(s.MaxLength)
	if limit == 0 {
		limit = defaultMaxLength
	}
	switch {
	case len(value) > limit:
		return fmt.Sprintf("it has %d bytes", len(value)), fmt.Sprintf("use at most %d", limit)
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return "it is no text", "use UTF-8 without zero bytes"
	}
	switch s.Type {
	case TypeBoolean:
		if value != "true" && value != "false" {
			return "it is no boolean", "use true or false"
		}
	case TypeInteger:
		return s.integerProblem(value)
	case TypeURL:
		return urlProblem(value)
	case TypeEnum:
		if !slices.Contains(s.Values, value) {
			return "there is no such choice", suggestion(value, s.Values)
		}
	case TypeMap:
		return mapProblem(value)
	case TypeList:
		if value != "" && slices.Contains(strings.Split(value, ","), "") {
			return "an element is empty", "write texts joined by single commas"
		}
	}
	return "", ""
}

func (s Setting) integerProblem(value string) (why, fix string) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != value {
		return "it is no decimal integer", `write digits only, such as "60"`
	}
	if (s.Min != 0 || s.Max != 0) && (n < s.Min || n > s.Max) {
		return "it is out of bounds", fmt.Sprintf("use %d to %d", s.Min, s.Max)
	}
	return "", ""
}

func urlProblem(value string) (why, fix string) {
	const example = `write an absolute one, such as "https://acme.test"`
	u, err := url.Parse(value)
	switch {
	case err != nil:
		return "it is no URL", example
	case u.Scheme != "https":
		return "its scheme is not https", example
	case u.Opaque != "" || u.Hostname() == "":
		return "it names no host", example
	case u.User != nil:
		return "it holds user information", "remove what stands before the @; credentials are secrets, not settings"
	case strings.Contains(value, "#"):
		return "it has a fragment", "remove the # and what follows"
	}
	if port := u.Port(); strings.HasSuffix(u.Host, ":") || port != "" && !validPort(port) {
		return "there is no such port", "use 1 to 65535, or leave it out for 443"
	}
	return "", ""
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

func mapProblem(value string) (why, fix string) {
	const form = `write "key=value" pairs joined by commas, each key once`
	if value == "" {
		return "", ""
	}
	seen := make(map[string]bool)
	for _, pair := range strings.Split(value, ",") {
		key, _, ok := strings.Cut(pair, "=")
		if !ok || key == "" || seen[key] {
			return "a pair is malformed", form
		}
		seen[key] = true
	}
	return "", ""
}
