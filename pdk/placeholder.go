package pdk

import "strings"

// Secret returns the placeholder of a secret that the manifest declares. The host puts
// the value in on its way to a destination that the secret may be sent to: into the
// value of a header field, the query, or a text of a JSON body; once per request.
func Secret(name string) string { return "{{secret:" + name + "}}" }

// Credential returns the placeholder of a value of the connection's token set, such as
// "access_token"; see [Secret].
func Credential(name string) string { return "{{credential:" + name + "}}" }

// placeholderWords is what placeholders begin with, after the braces.
var placeholderWords = []string{"secret", "credential", "media_base64", "receive_url"}

// Inert returns text that somebody else wrote so that the host finds no placeholder in
// it: an invisible word joiner (U+2060) goes between the braces of each. Use it on
// everything that is put into a request or a response and that people can choose, or a
// customer who writes "{{secret:token}}" is sent the token.
func Inert(text string) string {
	var b strings.Builder
	from := 0
	for at := 0; at+2 <= len(text); at++ {
		if text[at:at+2] == "{{" && beginsPlaceholder(text[at+2:]) {
			b.WriteString(text[from:at+1] + "\u2060")
			from = at + 1
		}
	}
	if from == 0 {
		return text
	}
	return b.String() + text[from:]
}

func beginsPlaceholder(text string) bool {
	text = strings.TrimLeft(text, " \t\n\f\r\v")
	for _, word := range placeholderWords {
		if strings.HasPrefix(text, word) {
			return true
		}
	}
	return false
}
