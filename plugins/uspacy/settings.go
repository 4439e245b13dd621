package main

import (
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/origin"
)

// settings holds settings as the host hands them over: one text each, checked against
// plugin.yaml, defaults filled in. Those of the app and those of a connection have different
// names; see plugin.yaml for which is whose. Each method reads one when it is needed, because
// most invocations need few.
type settings map[string]string

func (s settings) clientID() string { return s["client_id"] }

func (s settings) allowSignIn() bool { return s["allow_app_sign_in"] == "true" }

// domainSuffixes are the domains that portals may be under.
func (s settings) domainSuffixes() []string {
	list := s.list("portal_domain_suffixes")
	if s["allow_staging"] == "true" {
		list = append(list, "staging.uspacy.tech")
	}
	return list
}

// provesByCall tells that installs are believed by a call to the portal, not by who signed.
func (s settings) provesByCall() bool { return s["install_auth_mode"] == "proof_call" }

// skewSeconds is by how much Uspacy's clock may differ from ours, in seconds.
func (s settings) skewSeconds() int64 {
	n, err := strconv.ParseInt(s["jwt_clock_skew_seconds"], 10, 64)
	if err != nil || n < 0 {
		return 60
	}
	return n
}

func (s settings) uninstallPaths() []string { return s.list("uninstall_paths") }

func (s settings) uninstallMethods() []string { return s.list("uninstall_methods") }

func (s settings) topicARNs() []string { return s.list("sns_topic_arns") }

func (s settings) keepsUnknownTopics() bool { return s["sns_pending_approval"] == "true" }

func (s settings) resubscribes() bool { return s["sns_auto_resubscribe"] == "true" }

// minSignatureVersion is "1" or "2".
func (s settings) minSignatureVersion() string { return s["sns_min_signature_version"] }

// maxAgeSeconds is how old a notification may be, in seconds.
func (s settings) maxAgeSeconds() int64 { return s.integer("sns_max_age_seconds", 4500) }

// maxBodyBytes bounds an SNS request.
func (s settings) maxBodyBytes() int { return int(s.integer("sns_max_body_bytes", 1<<20)) }

func (s settings) eventPaths() []string { return s.list("event_paths") }

// portalHost is the host of portal_url in lower case; empty if the setting is more than a
// scheme and a host.
func (s settings) portalHost() string {
	host, ok := strings.CutPrefix(s["portal_url"], "https://")
	if host = strings.TrimSuffix(host, "/"); !ok || !origin.IsName(host) {
		return ""
	}
	return strings.ToLower(host)
}

// list reads a setting of type list, white space around its elements left out.
func (s settings) list(name string) []string {
	var list []string
	for element := range strings.SplitSeq(s[name], ",") {
		if element = strings.TrimSpace(element); element != "" {
			list = append(list, element)
		}
	}
	return list
}

// integer reads a setting of type integer; the fallback is for tests and hosts that fill
// no defaults in.
func (s settings) integer(name string, fallback int64) int64 {
	n, err := strconv.ParseInt(s[name], 10, 64)
	if err != nil || n <= 0 {
		return fallback
	}
	return n
}
