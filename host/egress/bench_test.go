package egress

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// BenchmarkSend is one exchange of 1 KiB each way over a kept connection on loopback, with
// a secret filled in and looked for; BenchmarkNetHTTP is the same by net/http alone.
func BenchmarkSend(b *testing.B) {
	p := benchPlatform(b)
	c, err := New(Options{CACertFile: p.caFile(b)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	r := contract.HTTPRequest{Method: "POST", URL: p.URL + "/v1/messages", Body: `{"text": "` + strings.Repeat("x", 1000) + `"}`,
		Headers: []contract.Header{{Name: "Authorization", Value: "Bearer {{secret:token}}"}, {Name: "Content-Type", Value: "application/json"}}}
	policy, reveal := p.policy(), known(map[string]string{"token": strings.Repeat("s3cr&t+/", 8)})
	for b.Loop() {
		if got := c.Send(context.Background(), policy, reveal, r); got.Error != nil {
			b.Fatal(got.Error)
		}
	}
}

func BenchmarkNetHTTP(b *testing.B) {
	p := benchPlatform(b)
	client := p.Client()
	body := `{"text": "` + strings.Repeat("x", 1000) + `"}`
	for b.Loop() {
		response, err := client.Post(p.URL+"/v1/messages", "application/json", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			b.Fatal(err)
		}
		_ = response.Body.Close()
	}
	client.CloseIdleConnections()
}

// BenchmarkRedact looks through 1 MiB for one secret in all its forms.
func BenchmarkRedact(b *testing.B) {
	r := newRedactor(map[string]secret.Text{"{{secret:token}}": secret.New(strings.Repeat("s3cr&t+/", 8))})
	text := strings.Repeat(`{"text": "nothing to see"},`, 1<<20/27)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if r.text(text) != text {
			b.Fatal("the text was changed")
		}
	}
}

func benchPlatform(b *testing.B) *platform {
	p := &platform{}
	answer := strings.Repeat("y", 1000)
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, answer)
	}))
	b.Cleanup(p.Server.Close)
	return p
}
