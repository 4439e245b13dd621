package manifest

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// methods lists what a rule may allow. CONNECT and TRACE are for proxies and for debugging.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

func (m *Manifest) checkEgress(f *findings, field string, r EgressRule) {
	f.prose(field+".purpose", r.Purpose, maxSentence, true)
	switch {
	case r.Host == "" && r.Setting == "":
		f.add(field, "", "it names neither host nor setting", `add "host", such as "api.acme.test", or "setting", where the tenant says which`)
	case r.Host != "" && r.Setting != "":
		f.add(field, "", "it names both host and setting", "remove one")
	case r.Host != "":
		if why := hostProblem(r.Host); why != "" {
			f.add(field+".host", r.Host, why, `write one exact host name in lower case, such as "api.acme.test"; where the tenant decides, use a setting of type url`)
		}
	default:
		m.checkHostSetting(f, field, r.Setting)
	}
	if r.Port < 0 || r.Port > 65535 {
		f.add(field+".port", strconv.FormatInt(r.Port, 10), "there is no such port", "use 1 to 65535, or leave it out for 443")
	}
	if r.Port != 0 && r.Setting != "" {
		f.add(field+".port", strconv.FormatInt(r.Port, 10), "the port is the tenant's, as part of the setting", "remove it")
	}
	checkList(f, field+".methods", r.Methods, methodProblem)
	checkList(f, field+".paths", r.Paths, pathProblem)
	if r.Cached && !slices.Equal(r.Methods, []string{"GET"}) {
		f.add(field+".methods", strings.Join(r.Methods, ", "), "http_cached_get only gets", "write [GET], or leave cached out")
	}
	if len(r.Redact) > 0 {
		checkList(f, field+".redact", r.Redact, redactProblem)
	}
	for i, rate := range r.Rates {
		rate.check(f, fmt.Sprintf("%s.rates[%d]", field, i))
	}
}

// check notes what is wrong with a rate.
func (r Rate) check(f *findings, field string) {
	if r.Per != ScopeConnection && r.Per != ScopeApp {
		f.add(field+".per", string(r.Per), "it says not whose requests count together", `write "connection" or "app"`)
	}
	if r.RequestsPerSecond < 0 || r.RequestsPerSecond > maxRate || r.Concurrent < 0 || r.Concurrent > maxRate {
		f.add(field, "", "a bound is out of bounds", fmt.Sprintf("use 0 to %d", maxRate))
	}
	if r.RequestsPerSecond == 0 && r.Concurrent == 0 {
		f.add(field, "", "it bounds nothing", "give requests_per_second or concurrent")
	}
}

// maxRate bounds what a rate may allow.
const maxRate = 10_000

func (m *Manifest) checkHostSetting(f *findings, field, name string) {
	s, ok := m.Settings[name]
	switch {
	case !ok:
		f.add(field+".setting", name, "there is no such setting", suggestion(name, slices.Sorted(maps.Keys(m.Settings))))
	case s.Type != TypeURL && s.Type != TypeList:
		f.add(field+".setting", name, fmt.Sprintf("that setting is of type %q", s.Type), "name a setting of type url, or a list of host names")
	}
}

// checkList checks a list that must not be empty and holds nothing twice.
func checkList(f *findings, field string, list []string, problem func(string) (why, fix string)) {
	if len(list) == 0 {
		f.add(field, "", "it is empty, so the rule allows nothing", "list what is needed")
	}
	if len(list) > maxEntries {
		f.add(field, "", fmt.Sprintf("it has %d entries", len(list)), fmt.Sprintf("use at most %d", maxEntries))
	}
	for i, element := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		if why, fix := problem(element); why != "" {
			f.add(at, element, why, fix)
		} else if slices.Contains(list[:i], element) {
			f.add(at, element, "it stands twice", "remove one")
		}
	}
}

func methodProblem(method string) (why, fix string) {
	if slices.Contains(methods, method) {
		return "", ""
	}
	if upper := strings.ToUpper(method); slices.Contains(methods, upper) {
		return "methods are upper case", "write " + upper
	}
	return "there is no such method, or a plugin may not use it", "use one of " + strings.Join(methods, ", ")
}

// plainPath matches a path prefix that means the same to everybody: no encoding, no
// parameters.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9._~!$&'()*+,=:@/-]*$`)

func pathProblem(path string) (why, fix string) {
	switch {
	case !strings.HasPrefix(path, "/"):
		return "a path prefix begins with /", "write /" + shortened(path)
	case len(path) > 512 || !plainPath.MatchString(path):
		return "it is no plain path prefix", "leave out query, encoding and whatever the connector fills in"
	case slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." }):
		return "it has a dot segment", "write the path that is meant"
	}
	return "", ""
}

var hostLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// hostProblem says why a text is no exact DNS name, or "".
func hostProblem(host string) string {
	if strings.Contains(host, "*") {
		return "it grants more than one host"
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return "it is an address, which says nothing about whose it is"
	}
	labels := strings.Split(host, ".")
	bad := func(label string) bool { return !hostLabel.MatchString(label) }
	switch {
	case len(labels) < 2:
		return "it is no name of the public DNS"
	case len(host) > 253 || slices.ContainsFunc(labels, bad):
		return "it is no host name"
	case strings.Trim(labels[len(labels)-1], "0123456789") == "":
		return "it is an address, which says nothing about whose it is"
	}
	return ""
}
