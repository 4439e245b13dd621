package inspect

import (
	"bytes"
	"regexp"
	"strings"
)

const (
	maxCredentials = 50
	shownOfSecret  = 8
)

// credentialKinds are how secrets look that are handed out with a mark of their own.
// The mark is searched for first, the pattern then has to match from there, and for
// one with lead also the characters before it.
var credentialKinds = []struct {
	kind, mark string
	pattern    *regexp.Regexp
	lead       int
}{
	{kind: "private key (PEM)", mark: "-----BEGIN ", pattern: regexp.MustCompile(`^-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----[\r\n\\nA-Za-z0-9+/=:, -]{64}`)},
	{kind: "AWS access key", mark: "AKIA", pattern: regexp.MustCompile(`^AKIA[A-Z2-7]{16}`)},
	{kind: "AWS access key", mark: "ASIA", pattern: regexp.MustCompile(`^ASIA[A-Z2-7]{16}`)},
	{kind: "JSON web token", mark: "eyJ", pattern: regexp.MustCompile(`^eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,}`)},
	{kind: "GitHub token", mark: "ghp_", pattern: regexp.MustCompile(`^ghp_[A-Za-z0-9]{36}`)},
	{kind: "GitHub token", mark: "gho_", pattern: regexp.MustCompile(`^gho_[A-Za-z0-9]{36}`)},
	{kind: "GitHub token", mark: "ghs_", pattern: regexp.MustCompile(`^ghs_[A-Za-z0-9]{36}`)},
	{kind: "GitHub token", mark: "github_pat_", pattern: regexp.MustCompile(`^github_pat_[A-Za-z0-9_]{22,}`)},
	{kind: "GitLab token", mark: "glpat-", pattern: regexp.MustCompile(`^glpat-[A-Za-z0-9_-]{20}`)},
	{kind: "Slack token", mark: "xox", pattern: regexp.MustCompile(`^xox[abeoprs]-[0-9A-Za-z-]{16,}`)},
	{kind: "Slack webhook", mark: "hooks.slack.com/services/", pattern: regexp.MustCompile(`^hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{16,}`)},
	{kind: "Google API key", mark: "AIza", pattern: regexp.MustCompile(`^AIza[A-Za-z0-9_-]{35}`)},
	{kind: "Stripe key", mark: "sk_live_", pattern: regexp.MustCompile(`^sk_live_[A-Za-z0-9]{16,}`)},
	{kind: "Stripe key", mark: "rk_live_", pattern: regexp.MustCompile(`^rk_live_[A-Za-z0-9]{16,}`)},
	{kind: "SendGrid key", mark: "SG.", pattern: regexp.MustCompile(`^SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}`)},
	{kind: "OpenAI key", mark: "sk-proj-", pattern: regexp.MustCompile(`^sk-proj-[A-Za-z0-9_-]{20,}`)},
	{kind: "Anthropic key", mark: "sk-ant-", pattern: regexp.MustCompile(`^sk-ant-[A-Za-z0-9_-]{20,}`)},
	{kind: "npm token", mark: "npm_", pattern: regexp.MustCompile(`^npm_[A-Za-z0-9]{36}`)},
	{kind: "DigitalOcean token", mark: "dop_v1_", pattern: regexp.MustCompile(`^dop_v1_[a-f0-9]{64}`)},
	{kind: "Shopify token", mark: "shpat_", pattern: regexp.MustCompile(`^shpat_[a-f0-9]{32}`)},
	{kind: "Telegram bot token", mark: ":AA", pattern: regexp.MustCompile(`^[0-9]{8,10}:AA[A-Za-z0-9_-]{33}`), lead: 10},
	{kind: "password in a URL", mark: "://", pattern: regexp.MustCompile(`^://[A-Za-z0-9._~%-]{1,64}:[^\s@/%<>"'{}]{4,64}@[A-Za-z0-9]`)},
}

const (
	// maxCredentialBytes is how far a pattern may look.
	maxCredentialBytes = 512
	// maxTries is how often patterns are tried on a file, which no honest file comes near.
	maxTries = 20_000
)

// findCredentials looks for texts that look like secrets. What they hold is not kept.
// It tries patterns as often as tries allows, and counts down.
func findCredentials(data []byte, where string, tries *int) []Credential {
	var all []Credential
	seen := map[string]bool{}
	for _, k := range credentialKinds {
		for at := 0; len(all) < maxCredentials && *tries > 0; {
			i := bytes.Index(data[at:], []byte(k.mark))
			if i < 0 {
				break
			}
			i += at
			at = i + len(k.mark)
			begin := i
			for i-begin < k.lead && begin > 0 && isDigit(data[begin-1]) {
				begin--
			}
			if begin > 0 && k.lead == 0 && isAlnum(k.mark[0]) && isAlnum(data[begin-1]) && len(k.mark) < 4 {
				continue // in the middle of a word
			}
			*tries--
			text := k.pattern.Find(data[begin:min(len(data), begin+maxCredentialBytes)])
			if text == nil || allSame(text[len(k.mark):]) || seen[string(text)] {
				continue
			}
			seen[string(text)] = true
			all = append(all, Credential{Kind: k.kind, Masked: masked(string(text), k.mark), Length: len(text), Where: where})
			at = begin + len(text)
		}
	}
	return all
}

// masked is the mark, and a little of what comes after it, at most shownOfSecret bytes
// unless the mark itself is longer.
func masked(text, mark string) string {
	if strings.HasPrefix(text, mark) {
		n := max(len(mark), min(shownOfSecret, len(text)/4))
		if mark == "://" {
			n = len(mark)
		}
		return text[:n] + "…"
	}
	return text[:min(4, len(text))] + "…"
}

// redacted is a URL without what it may hold of secrets: who signs in, marked secrets,
// and long values in its query.
func redacted(url string) string {
	if scheme, rest, found := strings.Cut(url, "://"); found {
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
			url = scheme + "://…" + rest[at:]
		}
	}
	for _, c := range findCredentials([]byte(url), "", new(100)) {
		if i := strings.Index(url, strings.TrimSuffix(c.Masked, "…")); i >= 0 {
			url = url[:i] + c.Masked + url[min(len(url), i+c.Length):]
		}
	}
	return queryValue.ReplaceAllString(url, "$1…")
}

// queryValue is a value of more than 16 characters and its first four.
var queryValue = regexp.MustCompile(`([?&;][^=&;]*=[^&;]{4})[^&;]{13,}`)

// allSame tells a placeholder such as xxxx.
func allSame(text []byte) bool {
	return len(text) > 0 && bytes.Count(text, text[:1]) == len(text)
}
