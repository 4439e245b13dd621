package stage

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"time"
)

// Browser is a person's browser: it keeps cookies, follows redirects, and finds the platforms
// under their real names.
type Browser struct{ client *http.Client }

// NewBrowser opens a browser. The caller closes it.
func NewBrowser(platforms ...Platform) (*Browser, error) {
	trusted, at := x509.NewCertPool(), map[string]string{}
	for _, p := range platforms {
		trusted.AppendCertsFromPEM(p.CAPEM())
		for _, name := range p.Names() {
			at[net.JoinHostPort(name, "443")] = p.Addr()
		}
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &Browser{&http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if known, ok := at[address]; ok {
				address = known
			}
			return dialer.DialContext(ctx, network, address)
		},
	}}}, nil
}

// Close closes what is open.
func (b *Browser) Close() { b.client.CloseIdleConnections() }

// Open opens a page, and returns where that led and what it shows.
func (b *Browser) Open(ctx context.Context, url string) (status int, at, page string, err error) {
	answer, page, err := get(ctx, b.client, url)
	if err != nil {
		return 0, "", "", err
	}
	return answer.StatusCode, answer.Request.URL.String(), page, nil
}

// Hop opens a page and goes no further: it returns where the page leads, which is empty unless
// it is a redirect.
func (b *Browser) Hop(ctx context.Context, url string) (status int, to string, err error) {
	once := *b.client
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, _, err := get(ctx, &once, url)
	if err != nil {
		return 0, "", err
	}
	return answer.StatusCode, answer.Header.Get("Location"), nil
}

// get makes one request and reads the page to its end.
func get(ctx context.Context, c *http.Client, url string) (*http.Response, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	answer, err := c.Do(r)
	if err != nil {
		return nil, "", fmt.Errorf("open a page: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer, string(text), err
}
