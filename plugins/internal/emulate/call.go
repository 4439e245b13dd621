package emulate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"
)

// Client makes the client that a platform calls others with: it trusts the system's
// authorities, follows no redirects and gives up after timeout.
func Client(timeout time.Duration) *http.Client {
	return &http.Client{
		Transport:     http.DefaultTransport.(*http.Transport).Clone(),
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Answer is what was answered to a request of the platform's. The zero Answer is none.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// maxAnswerBytes bounds what is read of an answer.
const maxAnswerBytes = 4 << 20

// Do makes a request and reads its answer, up to 4 MiB. With an error, the answer is what
// had come of it.
func Do(client *http.Client, r *http.Request) (Answer, error) {
	resp, err := client.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}, err
}

// getTimeout bounds one download.
const getTimeout = 30 * time.Second

// Get downloads a file of at most limit bytes, within 30 seconds. The status is 0 if
// there was no answer; any but 200 is an error.
func Get(ctx context.Context, client *http.Client, url string, limit int64) (status int, content []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, nil, fmt.Errorf("answered %s", resp.Status)
	}
	content, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if int64(len(content)) > limit {
		err = fmt.Errorf("larger than %d bytes", limit)
	}
	return resp.StatusCode, content, err
}

// Trusting makes the client of somebody who calls a platform, with ca as its only
// authority: what it calls by one of names is at addr, as by a DNS of its own. It follows
// no redirects. Whoever made it closes its idle connections.
func Trusting(ca []byte, addr string, names ...string) *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(address); err == nil && slices.Contains(names, host) {
			address = addr
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DialContext: dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
