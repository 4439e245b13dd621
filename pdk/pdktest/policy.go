package pdktest

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// anyRule stands for the rule that covers everything, where there is no manifest.
const anyRule = "*"

// covering names the egress rules of the manifest that cover a request, sorted: those for
// http_cached_get, or those for everything else.
func (h *Host) covering(method string, u *url.URL, cached bool) []string {
	if h.manifest == nil {
		return []string{anyRule}
	}
	var names []string
	for name, rule := range h.manifest.Egress {
		if rule.Cached == cached && slices.Contains(rule.Methods, method) && h.coversHost(rule, u) && coversPath(rule.Paths, u) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (h *Host) coversHost(rule manifest.EgressRule, u *url.URL) bool {
	want := "https://" + rule.Host
	if rule.Port != 0 {
		want += ":" + strconv.FormatInt(rule.Port, 10)
	}
	if rule.Setting != "" {
		want = h.settings[rule.Setting]
		if h.manifest.Settings[rule.Setting].Type == manifest.TypeList {
			return u.Scheme == "https" && portOf(u) == "443" && slices.Contains(strings.Split(want, ","), u.Hostname())
		}
	}
	base, err := url.Parse(want)
	return err == nil && base.Hostname() != "" && u.Scheme == "https" && base.Scheme == "https" &&
		strings.EqualFold(u.Hostname(), base.Hostname()) && portOf(u) == portOf(base)
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return "443"
}

// coversPath tells whether a prefix covers a path by whole segments, where the path means
// the same to everybody.
func coversPath(prefixes []string, u *url.URL) bool {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	for _, segment := range strings.Split(strings.ToLower(path), "/") {
		if segment == "." || segment == ".." || strings.Contains(segment, "%2f") || strings.Contains(segment, "%2e") || strings.Contains(segment, "%5c") {
			return false
		}
	}
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		return path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
	})
}

var (
	placeholder = regexp.MustCompile(`\{\{(secret|credential):([A-Za-z0-9_.-]{1,64})\}\}`)
	suspect     = regexp.MustCompile(`\{\{\s*(?:secret|credential)\s*:`)
)

// checkPlaceholders checks what a request wants filled in.
func (h *Host) checkPlaceholders(r contract.HTTPRequest, u *url.URL, rules []string) error {
	query, err := url.QueryUnescape(u.RawQuery)
	if err != nil {
		query = u.RawQuery
	}
	texts := []string{query, r.Body}
	elsewhere := []string{u.Host, u.Path}
	for _, header := range r.Headers {
		texts, elsewhere = append(texts, header.Value), append(elsewhere, header.Name)
	}
	where := r.Method + " " + u.Host + u.EscapedPath() + ": "
	if slices.ContainsFunc(elsewhere, suspect.MatchString) {
		return h.refuse(contract.HostDenied, where+"a placeholder stands in the path, the host or the name of a header field")
	}
	if suspect.MatchString(r.Body) && !json.Valid([]byte(r.Body)) {
		return h.refuse(contract.HostDenied, where+"a placeholder stands in a body that is no JSON")
	}
	all := strings.Join(texts, "\n")
	found := placeholder.FindAllStringSubmatch(all, -1)
	if len(found) != len(suspect.FindAllString(all, -1)) {
		return h.refuse(contract.HostDenied, where+"a placeholder is malformed; write {{secret:NAME}} or {{credential:NAME}}")
	}
	return h.checkFilled(where, found, rules)
}

func (h *Host) checkFilled(where string, found [][]string, rules []string) error {
	seen := make(map[string]bool)
	for _, match := range found {
		mark, kind, name := match[0], match[1], match[2]
		if seen[mark] {
			return h.refuse(contract.HostDenied, where+mark+" stands twice; text from outside may not spell it, see pdk.Inert")
		}
		seen[mark] = true
		if h.manifest == nil {
			continue
		}
		sendTo, known, there := h.declared(kind, name)
		if !known {
			return h.refuse(contract.HostDenied, where+mark+" names no "+kind+" of the manifest")
		}
		if !slices.ContainsFunc(rules, func(rule string) bool { return slices.Contains(sendTo, rule) }) {
			return h.refuse(contract.HostDenied, where+mark+" may not be sent there: its send_to names none of "+strings.Join(rules, ", "))
		}
		if !there {
			code := contract.HostDenied
			if kind == "credential" {
				code = contract.HostUnauthorised
			}
			return failure(code, mark+" stands for a value that this connection does not have")
		}
	}
	return nil
}

// declared says where a value may be sent, whether the manifest knows it, and whether the
// connection has it.
func (h *Host) declared(kind, name string) (sendTo []string, known, there bool) {
	if kind == "secret" {
		s, ok := h.manifest.Secrets[name]
		return s.SendTo, ok, h.Secret(name) != ""
	}
	c, ok := h.manifest.Credentials[name]
	return c.SendTo, ok, !h.without[name]
}
