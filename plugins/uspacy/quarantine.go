package main

import (
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

const (
	// quarantined is how many outlines are kept; a later one takes the place of the oldest.
	quarantined = 16
	// quarantineSeconds is how long one is kept.
	quarantineSeconds = 30 * 24 * 3600
	// maxOutlineBytes bounds an outline.
	maxOutlineBytes = 4 << 10
	// maxNameBytes bounds a name in an outline.
	maxNameBytes = 64
)

// quarantine keeps the outline of an event that no path matched, and counts it: it is what an
// operator needs to set event_paths, and holds nothing that anybody wrote.
func quarantine(h pdk.Host, m *snsMessage) (*contract.RouteOutput, error) {
	value, _, _, err := h.KVGet(keyQuarantineCount)
	if err != nil {
		return nil, err
	}
	count, _ := strconv.ParseInt(value, 10, 64) // an entry that is not there counts as 0
	slot := strconv.FormatInt(count%quarantined, 10)
	kept := payload.New().Text("topic", m.topic.text).Text("message_id", m.id).Text("outline", outline(m.message)).End()
	if err := h.KVPut(contract.KVPut{Key: prefixQuarantine + slot, Value: kept, TTLSeconds: quarantineSeconds}); err != nil {
		return nil, err
	}
	if err := h.KVPut(contract.KVPut{Key: keyQuarantineCount, Value: strconv.FormatInt(count+1, 10)}); err != nil {
		return nil, err
	}
	h.Log(pdk.LogWarn, "an event that no path of event_paths matches was put aside", "entry", prefixQuarantine+slot)
	out := answeredOK()
	out.DedupeKey = m.dedupe()
	return out, nil
}

// outline is a JSON text without what it says: names stay, a text becomes its length, and a
// number 0. It takes any text, and ends where it would be too long.
func outline(text string) string {
	var b strings.Builder
	for i := 0; i < len(text) && b.Len() < maxOutlineBytes; {
		switch c := text[i]; {
		case c == '"':
			end, content := quoted(text, i)
			if isName(text[end:]) && len(content) <= maxNameBytes && only(content, isPlain) {
				b.WriteString(`"` + content + `"`)
			} else {
				b.WriteString(`"(` + strconv.Itoa(len(content)) + `)"`)
			}
			i = end
		case strings.IndexByte("{}[]:, \n", c) >= 0:
			b.WriteByte(c)
			i++
		case isDigit(c) || c == '-':
			for i < len(text) && strings.IndexByte("0123456789+-.eE", text[i]) >= 0 {
				i++
			}
			b.WriteByte('0')
		default: // true, false, null, or no JSON
			for i++; i < len(text) && isLowerLetter(text[i]); i++ {
			}
			b.WriteByte('?')
		}
	}
	return b.String()
}

// quoted returns where the text that begins at a quotation mark ends, and what is in between.
func quoted(text string, at int) (end int, content string) {
	for i := at + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1, text[at+1 : i]
		}
	}
	return len(text), text[min(at+1, len(text)):]
}

// isName tells whether a colon follows, and so what stood before is a name.
func isName(rest string) bool { return strings.HasPrefix(strings.TrimLeft(rest, " \t\r\n"), ":") }

// isPlain tells whether a byte may stand in a name that is kept as it is.
func isPlain(c byte) bool { return isNameByte(c) || c == '.' }
