package egress

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// suspect finds whatever resembles a placeholder, so that a misspelt one is refused
// instead of being sent; placeholder finds the real ones among them.
var (
	suspect     = regexp.MustCompile(`\{\{\s*(?:secret|credential)\s*:`)
	placeholder = regexp.MustCompile(`\{\{(secret|credential):([A-Za-z0-9_.-]{1,64})\}\}`)
)

// filler puts values into one request, and remembers them for its redactor.
type filler struct {
	ctx    context.Context
	reveal secret.Reveal
	// allowed names what the rules that match the request let be filled.
	allowed []string
	filled  map[string]secret.Text
}

func newFiller(ctx context.Context, reveal secret.Reveal, rules []domain.EgressRule) *filler {
	f := &filler{ctx: ctx, reveal: reveal, filled: map[string]secret.Text{}}
	for _, r := range rules {
		f.allowed = append(f.allowed, r.Secrets...)
	}
	return f
}

// value returns what a placeholder stands for. Each may stand in a request once: data
// that a plugin passes on might spell one, too, and the two cannot be told apart.
func (f *filler) value(kind, name string) (string, error) {
	mark := "{{" + kind + ":" + name + "}}"
	if kind == "credential" {
		name = "credential:" + name
	}
	if _, again := f.filled[mark]; again {
		return "", denied("%s stands twice in the request; text from outside may not spell it", mark)
	}
	if f.reveal == nil || !slices.Contains(f.allowed, name) {
		return "", denied("%s may not be sent to this destination", mark)
	}
	text, err := f.reveal(f.ctx, name)
	refusal := (*contract.HostError)(nil)
	switch {
	case errors.As(err, &refusal): // its owner says why it is not to be had
		own := *refusal
		return "", &Fault{HostError: &own}
	case errors.Is(err, domain.ErrNotFound), err == nil && text.IsZero():
		return "", denied("%s stands for a value that this connection does not have", mark)
	case err != nil:
		return "", failed(contract.HostUnavailable, fmt.Errorf("reveal %s: %w", mark, err), "%s cannot be read now", mark)
	}
	f.filled[mark] = text
	return text.Reveal(), nil
}

// text fills every placeholder of a text, each value written by escape.
func (f *filler) text(text string, escape func(string) string) (string, error) {
	var out strings.Builder
	for {
		at := suspect.FindStringIndex(text)
		if at == nil {
			return out.String() + text, nil
		}
		match := placeholder.FindStringSubmatchIndex(text)
		if match == nil || match[0] != at[0] {
			return "", denied("there is a malformed placeholder; write {{secret:NAME}} or {{credential:NAME}}")
		}
		value, err := f.value(text[match[2]:match[3]], text[match[4]:match[5]])
		if err != nil {
			return "", err
		}
		out.WriteString(text[:match[0]] + escape(value))
		text = text[match[1]:]
	}
}

// headers fills the values of header fields.
func (f *filler) headers(fields []contract.Header) ([]contract.Header, error) {
	filled := slices.Clone(fields)
	for i, field := range fields {
		if suspect.MatchString(field.Name) {
			return nil, denied("a placeholder may not stand in the name of a header field")
		}
		value, err := f.text(field.Value, func(v string) string { return v })
		if err != nil {
			return nil, err
		}
		filled[i].Value = value
	}
	return filled, nil
}

// query fills the parameters of a raw query whose value is a placeholder, literally and
// from end to end. The rest of the query stays as it is written.
func (f *filler) query(raw string) (string, error) {
	parameters := strings.Split(raw, "&")
	for i, parameter := range parameters {
		if !resemblesPlaceholder(parameter) {
			continue
		}
		name, value, _ := strings.Cut(parameter, "=")
		if resemblesPlaceholder(name) {
			return "", denied("a placeholder may not stand in the name of a query parameter")
		}
		filled, err := f.whole(value, url.QueryEscape)
		if err != nil {
			return "", err
		}
		parameters[i] = name + "=" + filled
	}
	return strings.Join(parameters, "&"), nil
}

// whole fills a text that is one placeholder from end to end, and refuses any other.
func (f *filler) whole(text string, escape func(string) string) (string, error) {
	if at := placeholder.FindStringIndex(text); at == nil || at[0] != 0 || at[1] != len(text) {
		return "", denied("a placeholder in a query or a body must be the whole value and stand there literally; " +
			"text from outside may not spell one")
	}
	return f.text(text, escape)
}

// body fills a JSON body. Without a placeholder the body may be anything.
func (f *filler) body(body string) (string, error) {
	if !suspect.MatchString(body) {
		return body, nil
	}
	if !jsontext.Value(body).IsValid() {
		return "", denied("there is a placeholder in a body that is not JSON; it is filled in JSON alone")
	}
	return f.jsonStrings(body)
}

// jsonStrings fills each string of a valid JSON text that is a placeholder, literally and
// from end to end: one that is spelt with escapes ("\u007b{secret:...") is data.
// Everything between the strings stays as it is written.
func (f *filler) jsonStrings(body string) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(body, `"`)
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		end := closingQuote(rest)
		content := rest[:end]
		if suspect.MatchString(content) {
			var err error
			if content, err = f.whole(content, jsonEscape); err != nil {
				return "", err
			}
		}
		out.WriteString(`"` + content + `"`)
		body = rest[end+1:]
	}
}

// closingQuote returns where the JSON string ends that text begins inside of. There is an
// end, since the text is valid.
func closingQuote(text string) int {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	panic("BUG: unterminated string in valid JSON")
}

// jsonEscape writes a text as it stands between the quotes of a JSON string.
func jsonEscape(text string) string {
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil { // invalid UTF-8 comes back replaced
		quoted, _ = jsontext.AppendQuote(nil, strings.ToValidUTF8(text, "\uFFFD"))
	}
	return string(quoted[1 : len(quoted)-1])
}

// resemblesPlaceholder finds a placeholder in a part of a URL, decoded or not, wherever
// it begins.
func resemblesPlaceholder(part string) bool {
	return suspect.MatchString(part) || suspect.MatchString(decodeAgain(part))
}
