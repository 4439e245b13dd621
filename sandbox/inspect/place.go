package inspect

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

const (
	maxPlaces   = 200     // different ones in a report
	maxMatches  = 100_000 // that are looked at, the same ones counted again
	maxMarks    = 500_000 // that are tried
	maxURLBytes = 200
)

// match is something that looks like a place.
type match struct {
	kind            PlaceKind
	text            string
	segment, offset int
	address         uint32
	placed          bool // address is known
}

// findPlaces looks for URLs, hosts and addresses in data. crowded tells that there are
// more of them than it looks at.
func findPlaces(m *binary.Module) (found []match, crowded bool) {
	f := &finder{marks: maxMarks}
	for i, s := range m.Data {
		f.segment, f.base, f.placed = i, uint32(s.Offset.Bits), s.Active && s.Offset.Op == binary.OpI32Const
		f.urls(s.Data)
		f.hidden(s.Data)
		f.dotted(s.Data)
		f.literals(s.Data)
	}
	return f.found, f.marks == 0 || len(f.found) == maxMatches
}

type finder struct {
	found   []match
	marks   int // how many more may be tried
	segment int
	base    uint32
	placed  bool
}

func (f *finder) add(kind PlaceKind, offset int, text string) {
	if len(f.found) < maxMatches {
		f.found = append(f.found, match{kind, text, f.segment, offset, f.base + uint32(offset), f.placed})
	}
}

// schemes are those that name a host, the longer before its own beginning.
var schemes = []string{
	"https", "http", "wss", "ws", "ftps", "ftp", "sftp", "ssh", "smtp", "tcp", "udp", "tls", "grpc", "ldaps", "ldap",
	"redis", "postgresql", "postgres", "mysql", "mongodb", "amqps", "amqp", "nats", "kafka", "mqtt", "socks5", "git",
}

func (f *finder) urls(data []byte) {
	sep := []byte("://")
	for at := 0; f.marks > 0; f.marks-- {
		i := bytes.Index(data[at:], sep)
		if i < 0 {
			return
		}
		i += at
		at = i + len(sep)
		before := data[max(0, i-10):i]
		for _, scheme := range schemes {
			if !hasSuffixFold(before, scheme) {
				continue
			}
			end := at
			for end < len(data) && end-at < maxURLBytes && inURL(data[end]) {
				end++
			}
			if end > at {
				f.add(PlaceURL, i-len(scheme), string(data[i-len(scheme):end]))
			}
			break
		}
	}
}

func hasSuffixFold(b []byte, suffix string) bool {
	return len(b) >= len(suffix) && strings.EqualFold(string(b[len(b)-len(suffix):]), suffix)
}

func inURL(b byte) bool {
	return b > ' ' && b < 0x7f && b != '"' && b != '<' && b != '>' && b != '\\' && b != '`' && b != '{' && b != '}' &&
		b != '\'' && b != '|' && b != '^'
}

// disguises are how URLs look that somebody did not want to be found: in base64, at
// each of its three alignments where that shows, and backwards.
var disguises = []struct {
	mark   string
	decode func(data []byte, at int) string
}{
	{"aHR0cHM6Ly", unbase64}, {"aHR0cDovL", unbase64}, {"//:sptth", backwards}, {"//:ptth", backwards},
}

func (f *finder) hidden(data []byte) {
	for _, d := range disguises {
		for at := 0; f.marks > 0; f.marks-- {
			i := bytes.Index(data[at:], []byte(d.mark))
			if i < 0 {
				break
			}
			i += at
			at = i + len(d.mark)
			if text := d.decode(data, i); hostOf(text) != "" {
				f.add(PlaceHidden, i, text)
			}
		}
	}
}

func unbase64(data []byte, at int) string {
	end := at
	for end < len(data) && end-at < maxURLBytes && (isAlnum(data[end]) || data[end] == '+' || data[end] == '/') {
		end++
	}
	if (end-at)%4 == 1 {
		end-- // which no encoding has
	}
	text, err := base64.RawStdEncoding.DecodeString(string(data[at:end]))
	if err != nil {
		return ""
	}
	n := 0
	for n < len(text) && inURL(text[n]) {
		n++
	}
	return string(text[:n])
}

func backwards(data []byte, at int) string {
	mark := bytes.IndexByte(data[at+3:], 'h') + at + 4 // behind the scheme
	begin := at
	for begin > 0 && at-begin < maxURLBytes && inURL(data[begin-1]) {
		begin--
	}
	text := slices.Clone(data[begin:mark])
	slices.Reverse(text)
	return string(text)
}

// dotted finds IPv4 addresses.
func (f *finder) dotted(data []byte) {
	for at := 0; at < len(data); {
		i := bytes.IndexByte(data[at:], '.')
		if i < 0 {
			return
		}
		i += at
		at = i + 1
		begin := i
		for begin > 0 && i-begin < 4 && isDigit(data[begin-1]) {
			begin--
		}
		if begin == i || i-begin > 3 || begin > 0 && (isAlnum(data[begin-1]) || data[begin-1] == '.') {
			continue
		}
		end, dots := i, 0
		for end < len(data) && end-begin < 16 && (isDigit(data[end]) || data[end] == '.') {
			if data[end] == '.' {
				dots++
			}
			end++
		}
		if a, err := netip.ParseAddr(string(data[begin:end])); err == nil && dots == 3 && !looksLikeVersion(a) && !bytes.HasSuffix(data[:begin], []byte("://")) {
			f.add(PlaceAddress, begin, string(data[begin:end]))
			at = end
		}
	}
}

// looksLikeVersion tells numbers such as 0.11.4.0, which no machine has as its address.
func looksLikeVersion(a netip.Addr) bool {
	b := a.As4()
	return (b[0] == 0 || b[3] == 0) && !a.IsUnspecified()
}

// literals finds names that have no scheme and are told by themselves.
func (f *finder) literals(data []byte) {
	for name := range metadataHosts {
		if _, err := netip.ParseAddr(name); err == nil && strings.Contains(name, ".") {
			continue // dotted found it
		}
		if i := bytes.Index(data, []byte(name)); i >= 0 && !bytes.HasSuffix(data[:i], []byte("://")) {
			f.add(PlaceName, i, name)
		}
	}
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func isAlnum(b byte) bool { return isDigit(b) || 'a' <= b|0x20 && b|0x20 <= 'z' }

// hostOf is the host that a URL names in lower case, or "" if it names none.
func hostOf(url string) string {
	_, rest, found := strings.Cut(url, "://")
	if !found {
		return ""
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if strings.HasPrefix(rest, "[") {
		inner, _, _ := strings.Cut(rest[1:], "]")
		if _, err := netip.ParseAddr(inner); err == nil {
			return inner
		}
		return ""
	}
	n := 0
	for n < len(rest) && (isAlnum(rest[n]) || rest[n] == '.' || rest[n] == '-' || rest[n] == '_') {
		n++
	}
	host := strings.ToLower(strings.Trim(rest[:n], ".-_"))
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" {
		return host
	}
	dot := strings.LastIndexByte(host, '.')
	if dot <= 0 || len(host) > 253 || len(host)-dot < 3 || !isAlnum(host[len(host)-1]) || isDigit(host[dot+1]) {
		return ""
	}
	return host
}

// places makes of matches what a report holds: each once, judged, and cut where a text
// is known to end. It also returns how many were left out.
func places(found []match, l *lengths, m *manifest.Manifest) (all []Place, leftOut int) {
	known := map[string]int{}
	for _, f := range found {
		text := f.text
		if f.placed && f.kind == PlaceURL {
			text = l.cut(f.address, text)
		}
		host := text
		switch f.kind {
		case PlaceURL, PlaceHidden:
			if host = hostOf(text); host == "" {
				continue
			}
		}
		key := string(f.kind) + " " + text
		if i, again := known[key]; again {
			all[i].Count++
			continue
		}
		if len(all) == maxPlaces {
			leftOut++
			continue
		}
		known[key] = len(all)
		p := Place{Kind: f.kind, Text: clip(redacted(text), maxURLBytes), Host: host, Segment: f.segment, Offset: f.offset, Count: 1}
		p.Standing, p.Rules = standing(host, text, m)
		all = append(all, p)
	}
	slices.SortStableFunc(all, func(a, b Place) int {
		return cmp.Or(cmp.Compare(grade(a.Standing), grade(b.Standing)), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Kind, b.Kind))
	})
	return all, leftOut
}

// grade orders standings, what a reviewer wants to see first.
func grade(s Standing) int {
	return slices.Index([]Standing{Metadata, Private, NotCovered, Local, Covered, Reference}, s)
}
