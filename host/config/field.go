package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Field describes one field of [Config].
type Field struct {
	// Name is what the field is called in the file and, after "--", on the command line.
	Name string
	// Env is the environment variable.
	Env string
	// Default is what counts if nobody says otherwise; may be empty.
	Default string
	// Allowed says in words what is valid.
	Allowed string
	// Desc says what the field is for.
	Desc string
}

// Describe lists every field, in the order of [Config].
func Describe() []Field {
	slots := slotsOf(new(Config))
	fields := make([]Field, len(slots))
	for i, s := range slots {
		fields[i] = Field{Name: s.name, Env: envName(s.name), Default: s.tag.Get("default"),
			Allowed: s.allowed(), Desc: s.tag.Get("desc")}
	}
	return fields
}

const envPrefix = "PATCHBAY_"

// envName is what a field is called in the environment.
func envName(name string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
}

// slot is one field of a Config in memory.
type slot struct {
	name  string
	value reflect.Value
	tag   reflect.StructTag
}

// slotsOf lists the fields of c, those of its sections included.
func slotsOf(c *Config) []slot { return appendSlots(nil, "", reflect.ValueOf(c).Elem()) }

func appendSlots(slots []slot, prefix string, section reflect.Value) []slot {
	for i := range section.NumField() {
		tag := section.Type().Field(i).Tag
		name := prefix + tag.Get("koanf")
		if field := section.Field(i); field.Kind() == reflect.Struct {
			slots = appendSlots(slots, name+".", field)
		} else {
			slots = append(slots, slot{name, field, tag})
		}
	}
	return slots
}

var durationType = reflect.TypeFor[time.Duration]()

// kind is how a field is written.
type kind int

const (
	isText kind = iota
	isChoice
	isBool
	isNumber
	isSize
	isDuration
)

func (s slot) kind() kind {
	switch {
	case s.value.Type() == durationType:
		return isDuration
	case s.tag.Get("unit") == "bytes":
		return isSize
	case s.value.CanInt():
		return isNumber
	case s.value.Kind() == reflect.Bool:
		return isBool
	case s.tag.Get("oneof") != "":
		return isChoice
	}
	return isText
}

// allowed says in words what is valid.
func (s slot) allowed() string {
	switch s.kind() {
	case isChoice:
		return strings.Join(strings.Fields(s.tag.Get("oneof")), " or ")
	case isBool:
		return "true or false"
	case isNumber, isDuration:
		return s.tag.Get("min") + " to " + s.tag.Get("max")
	case isSize:
		low, high := s.bounds()
		return fmt.Sprintf("%d to %d, in bytes, or with KiB, MiB or GiB", low, high)
	}
	switch s.tag.Get("check") {
	case "address":
		return "HOST:PORT"
	case "url":
		return "http://HOST or https://HOST, with a port if need be"
	case "targets":
		return "HOST:PORT=IP:PORT, and more after commas"
	}
	return "any text"
}

// set parses text into the field. The error says what is wrong and not where.
func (s slot) set(text string) error {
	switch s.kind() {
	case isText, isChoice:
		if err := s.checkText(text); err != nil {
			return err
		}
		s.value.SetString(text)
		return nil
	case isBool:
		yes, err := strconv.ParseBool(text)
		if err != nil || text != "true" && text != "false" {
			return errors.New("it is neither true nor false")
		}
		s.value.SetBool(yes)
		return nil
	}
	return s.setNumber(text)
}

func (s slot) setNumber(text string) error {
	n, err := s.number(text)
	if err != nil {
		return err
	}
	low, high := s.bounds()
	if n < low || n > high {
		return errors.New("it is out of range")
	}
	s.value.SetInt(n)
	return nil
}

// bounds are those of the tags, which every number has.
func (s slot) bounds() (low, high int64) {
	low, lowErr := s.number(s.tag.Get("min"))
	high, highErr := s.number(s.tag.Get("max"))
	if err := errors.Join(lowErr, highErr); err != nil {
		panic("BUG: bounds of " + s.name + ": " + err.Error())
	}
	return low, high
}

// number parses what the field counts: nanoseconds, bytes or things.
func (s slot) number(text string) (int64, error) {
	switch s.kind() {
	case isDuration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, errors.New("it is not a duration, such as 2.5s or 24h")
		}
		return int64(d), nil
	case isSize:
		return parseSize(text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, errors.New("it is not a whole number")
	}
	return n, nil
}

func parseSize(text string) (int64, error) {
	digits, unit := text, int64(1)
	for suffix, bytes := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if d, ok := strings.CutSuffix(text, suffix); ok {
			digits, unit = d, bytes
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, errors.New("it is not a size, such as 65536, 64KiB or 10MiB")
	}
	return n * unit, nil
}

func (s slot) checkText(text string) error {
	if choices := strings.Fields(s.tag.Get("oneof")); len(choices) > 0 && !slices.Contains(choices, text) {
		return errors.New("it is not one of the values")
	}
	if text == "" {
		return nil
	}
	switch s.tag.Get("check") {
	case "address":
		return checkAddress(text)
	case "url":
		return checkURL(text)
	case "targets":
		_, err := ParseTargets(text)
		return err
	}
	return nil
}

// ParseTargets reads "HOST:PORT=IP:PORT" pairs, joined by commas.
func ParseTargets(text string) (map[string]string, error) {
	targets := map[string]string{}
	for _, pair := range strings.Split(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, address, found := strings.Cut(pair, "=")
		if host, port, err := net.SplitHostPort(name); !found || err != nil || host == "" || port == "" || port == "0" || strings.ToLower(name) != name {
			return nil, fmt.Errorf("%q does not begin with a host name in lower case and a port", pair)
		}
		if _, err := netip.ParseAddrPort(address); err != nil {
			return nil, fmt.Errorf("%q does not end in an IP address and a port", pair)
		}
		if _, twice := targets[name]; twice {
			return nil, fmt.Errorf("%s stands twice", name)
		}
		targets[name] = address
	}
	return targets, nil
}

func checkAddress(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return errors.New("it is not an address with a port, such as 127.0.0.1:8080")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || strings.ContainsAny(host, "/ ") {
		return errors.New("it is not an address with a port from 0 to 65535")
	}
	return nil
}

// checkURL accepts an origin: what is appended to it begins with a slash.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New("it is not an http or https URL")
	}
	if (&url.URL{Scheme: u.Scheme, Host: u.Host}).String() != text {
		return errors.New("it has more than a scheme, a host and a port")
	}
	return nil
}

func portOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return port
}

// textOf writes a value of a file or a flag as the text that set parses.
func (s slot) textOf(value any) (string, error) {
	switch v := value.(type) {
	case []any:
		if separator := s.tag.Get("list"); separator != "" {
			return joined(v, separator)
		}
	case string:
		return v, nil
	case bool, int, int64, uint64, time.Duration:
		return fmt.Sprint(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	return "", errors.New("it is a list or a table, and should be one value")
}

// joined writes a list of texts as one.
func joined(list []any, separator string) (string, error) {
	texts := make([]string, len(list))
	for i, v := range list {
		text, ok := v.(string)
		if !ok {
			return "", errors.New("it holds what is no text")
		}
		texts[i] = text
	}
	return strings.Join(texts, separator), nil
}
