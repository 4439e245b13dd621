package oauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// style is the whole of the pages' design.
const style = `body{font:16px/1.5 system-ui,sans-serif;margin:4rem auto;max-width:34rem;padding:0 1rem;color:#1a1a1a;background:#fff}h1{font-size:1.4rem}p{color:#444}`

// policy lets a page show its own style and do nothing else: no script, no picture, no form, in
// no frame.
var policy = framedPolicy + "; frame-ancestors 'none'"

// framedPolicy is that of the one page that may stand within another.
var framedPolicy = "default-src 'none'; style-src 'sha256-" + hashOf(style) + "'; base-uri 'none'; form-action 'none'"

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

var pages = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{.Title}}</title>
<style>` + style + `</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{with .Detail}}<p>{{.}}</p>
{{end}}{{with .Link}}<p><a href="{{.}}" target="_blank" rel="noopener noreferrer">Go on in a window of its own</a></p>
{{end}}</body>
</html>
`))

// breakOut is a page with a link that leaves the page it stands in.
func breakOut(link string) []byte {
	return render(http.StatusOK, "Authorise the connection", "The platform asks for your consent on a page of its own.", link)
}

// document is a whole page. Title and detail are text; they are escaped.
func document(status int, title, detail string) []byte { return render(status, title, detail, "") }

func render(status int, title, detail, link string) []byte {
	var out bytes.Buffer
	if err := pages.Execute(&out, struct{ Title, Detail, Link string }{title, detail, link}); err != nil {
		return []byte(http.StatusText(status)) // writing to memory does not fail
	}
	return out.Bytes()
}
