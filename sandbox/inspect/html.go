package inspect

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string
)

// pageTemplate escapes what a plugin says by where it stands; clean, applied to all of
// it, makes it show.
var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"clean": cleanAny}).Parse(pageText))

func cleanAny(v any) string {
	switch v := v.(type) {
	case string:
		return clean(v)
	case Severity:
		return clean(string(v))
	case ChangeKind:
		return clean(string(v))
	}
	return ""
}

// WriteHTML writes the report as one page that needs nothing else: no network, no script.
func (r *Report) WriteHTML(w io.Writer) error { return r.view().writeHTML(w) }

func (v *view) writeHTML(w io.Writer) error {
	sum := sha256.Sum256([]byte(pageStyle))
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, struct {
		*view
		Style     template.CSS
		StyleHash string
	}{v, template.CSS(pageStyle), base64.StdEncoding.EncodeToString(sum[:])})
	if err != nil {
		return err
	}
	_, err = w.Write(out.Bytes())
	return err
}
