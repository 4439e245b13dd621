package main

import (
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/origin"
)

// settings holds the connection's settings as the host hands them over: one text each,
// checked against plugin.yaml, defaults filled in.
type settings map[string]string

// The values of partner_api_style; whatever is none of the last two is the partner API.
const (
	styleReseller = "nicochat"
	styleManual   = "manual"
)

func (s settings) style() string { return s["partner_api_style"] }

func (s settings) manual() bool { return s.style() == styleManual }

func (s settings) workspace() string { return s["workspace_id"] }

func (s settings) replaceWebhook() bool { return s["replace_webhook"] == "true" }

func (s settings) mediaAsLink() bool { return s["media_style"] == "text_link" }

func (s settings) retryAmbiguous() bool { return s["ambiguous_retry"] != "never" }

// numbersPress and labelsPress tell which texts of customers press a button.
func (s settings) numbersPress() bool { return s["choice_replies"] != "off" }

func (s settings) labelsPress() bool { return s["choice_replies"] == "labels" }

// The values of signature_mode; whatever is none of the first two is "learn".
const (
	modeEnforce = "enforce"
	modeOpen    = "secret_path_only"
)

func (s settings) signatureMode() string { return s["signature_mode"] }

// learns tells whether the way of signing is to be learned.
func (s settings) learns() bool {
	return s.signatureMode() != modeEnforce && s.signatureMode() != modeOpen
}

// enforced is the scheme that the settings say.
func (s settings) enforced() scheme {
	return scheme{
		header: s["signature_header"], algorithm: s["signature_algorithm"], key: s["signature_key"],
		signed: s["signature_signed"], encoding: s["signature_encoding"],
	}
}

// maxText is the longest text of one post, in Unicode code points.
func (s settings) maxText() int {
	n, err := strconv.Atoi(s["max_text"])
	if err != nil || n <= 0 {
		return 4000
	}
	return n
}

// botHost tells whether messages may be posted to a host.
func (s settings) botHost(host string) bool { return listed(s["bot_hosts"], host) }

// mediaHost tells whether attachments may be downloaded from a host.
func (s settings) mediaHost(host string) bool { return listed(s["media_hosts"], host) }

func listed(list, host string) bool {
	for name := range strings.SplitSeq(list, ",") {
		if name != "" && strings.EqualFold(name, host) {
			return true
		}
	}
	return false
}

// problem says what is wrong with the settings beyond what their types tell; empty if
// nothing is.
func (s settings) problem() string {
	if s.learns() || s.signatureMode() == modeOpen {
		return s.styleProblem()
	}
	if name := s["signature_header"]; name == "" || strings.ContainsAny(name, " :\t\r\n") {
		return "signature_header is no name of a header field; enter one such as X-Hub-Signature-256"
	}
	return s.styleProblem()
}

func (s settings) styleProblem() string {
	switch {
	case s.manual():
		if host, ok := origin.Host(s["bot_url"]); !ok || !s.botHost(host) {
			return "bot_url is missing, no plain https URL, or its host is not in bot_hosts; paste the one that UChat showed and add its host"
		}
		return ""
	case !isWorkspace(s.workspace()):
		return "workspace_id is missing or has other characters than letters, digits, hyphen and underscore; UChat shows it in the workspace's address"
	case s.style() == styleReseller:
		if _, ok := origin.Host(s["reseller_url"]); !ok || strings.ContainsAny(s["reseller_url"], "?#") {
			return "reseller_url is missing or no plain https URL without a query; enter the reseller's endpoint"
		}
		return ""
	}
	url := strings.TrimSuffix(s["partner_url"], "/")
	if _, ok := origin.Host(url); !ok || strings.Contains(strings.TrimPrefix(url, "https://"), "/") || strings.ContainsAny(url, "?#") {
		return "partner_url is more or less than scheme and host; enter it such as https://www.uchat.com.au"
	}
	return ""
}

// isWorkspace tells whether an id can stand in a path.
func isWorkspace(id string) bool {
	odd := func(r rune) bool { return r != '-' && r != '_' && !isAlphanumeric(r) }
	return id != "" && strings.IndexFunc(id, odd) < 0
}

func isAlphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
