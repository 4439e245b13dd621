package egress

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// readAnswer reads an answer as a plugin may see it: secrets redacted, at most limit
// bytes of body. A body in an encoding that nobody asked for and that cannot be undone is
// left out, and counts as truncated.
func readAnswer(response *http.Response, r *redactor, limit int64) (*contract.HTTPResult, error) {
	result := &contract.HTTPResult{Status: int64(response.StatusCode), Headers: responseHeaders(response.Header, r)}
	body, readable, err := plainBody(response)
	if err != nil {
		return nil, err
	}
	if !readable {
		result.Truncated = true
		return result, nil
	}
	window := limit + r.overhang()
	raw, err := io.ReadAll(io.LimitReader(body, window+1))
	if err != nil {
		return nil, err
	}
	text := r.text(string(raw))
	if int64(len(raw)) > window { // the end of what was read may be the beginning of a value
		text = text[:max(0, int64(len(text))-r.overhang())]
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	result.Body = cut(text, limit)
	result.Truncated = int64(len(raw)) > limit || len(result.Body) < len(text)
	return result, nil
}

// cut shortens a valid text to at most limit bytes without splitting a character.
func cut(text string, limit int64) string {
	if int64(len(text)) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// plainBody returns an answer's body without its content encoding. The request asked for
// none, but some servers inflate on.
func plainBody(response *http.Response) (body io.Reader, readable bool, err error) {
	switch strings.ToLower(strings.TrimSpace(strings.Join(response.Header.Values("Content-Encoding"), ","))) {
	case "", "identity":
		return response.Body, true, nil
	case "gzip", "x-gzip":
		if response.ContentLength == 0 || response.Body == http.NoBody {
			return response.Body, true, nil
		}
		body, err := gzip.NewReader(response.Body)
		return body, true, err
	}
	return nil, false, nil
}
