package main

import (
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// settings reads the settings of a connection and, behind them, of its app: one text
// each, checked against plugin.yaml, defaults filled in.
type settings struct{ own, app map[string]string }

func settingsOf(c *contract.Connection) settings {
	s := settings{own: c.Settings}
	if c.App != nil {
		s.app = c.App.Settings
	}
	return s
}

// get returns a connection's setting, or the app's by that name.
func (s settings) get(name string) string {
	if value, ok := s.app[name]; ok {
		return value
	}
	return s.own[name]
}

func (s settings) clientID() string    { return s.get("client_id") }
func (s settings) businessUID() string { return s.get("business_uid") }
func (s settings) displayName() string { return s.get("display_name") }
func (s settings) channelType() string { return s.get("channel_type") }
func (s settings) openChannel() bool   { return s.get("open_channel") == "true" }
func (s settings) createAgain() bool   { return s.get("create_again") == "true" }
func (s settings) moveToApp() string   { return s.get("move_to_app") }
func (s settings) createClients() bool { return s.get("create_clients") != "false" }
func (s settings) contactData() bool   { return s.get("contact_data") != "false" }
func (s settings) objectMode() bool    { return s.get("attachment_mode") == "object" }
func (s settings) htmlToText() bool    { return s.get("html") != "off" }
func (s settings) scopes() string      { return s.get("scopes") }

// url is one of the platform's three URLs, without a slash at its end.
func (s settings) url(name string) string { return strings.TrimRight(s.get(name), "/") }

// fileHosts are the hosts that attachments may be downloaded from.
func (s settings) fileHosts() []string {
	if s.get("file_hosts") == "" {
		return nil
	}
	return strings.Split(s.get("file_hosts"), ",")
}

// token is the credential that channels, sessions and messages are used with.
func (s settings) token() string {
	if s.get("token_source") == "business" {
		return contract.CredentialAccessToken
	}
	return contract.CredentialAppAccessToken
}

// holdMillis is how long a customer's message waits for channel and session, in
// milliseconds.
func (s settings) holdMillis() int64 { return s.integer("hold_seconds", 600) * 1000 }

// maxText is the longest text of one message, in Unicode code points.
func (s settings) maxText() int { return int(s.integer("max_text", 4000)) }

// integer reads a setting of type integer; the fallback is for hosts that fill no
// defaults in.
func (s settings) integer(name string, fallback int64) int64 {
	n, err := strconv.ParseInt(s.get(name), 10, 64)
	if err != nil || n <= 0 {
		return fallback
	}
	return n
}

// problem says what is wrong with a connection's settings beyond what their types tell;
// empty if nothing is.
func (s settings) problem() string {
	if !isUID(s.businessUID()) {
		return "business_uid is no uid; enter it as inTandem shows it, such as k3v9d0w5n1x8q2rt"
	}
	return s.urlProblem()
}

// urlProblem says what is wrong with the app's URLs.
func (s settings) urlProblem() string {
	for _, name := range []string{"api_url", "token_url", "brand_url"} {
		rest, ok := strings.CutPrefix(s.url(name), "https://")
		if !ok || rest == "" || strings.ContainsAny(rest, "/?#@{} ") {
			return name + " must be the scheme https and a host alone, without a path"
		}
	}
	return ""
}
