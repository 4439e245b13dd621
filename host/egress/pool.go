package egress

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// maxTransports bounds the sets of private targets that keep connections open at once.
	maxTransports    = 128
	dialTimeout      = 10 * time.Second
	idleTimeout      = 30 * time.Second
	idlePerHost      = 32
	idleInAll        = 512
	maxAnswerHeaders = 64 << 10
)

// pool holds one transport for each set of private targets. A connection that one set
// allowed is thus never reused for a policy with another.
type pool struct {
	resolver *net.Resolver
	resolve  map[string]string
	tls      *tls.Config

	mu         sync.Mutex
	transports map[string]*http.Transport // guarded by mu, as is order
	order      []string                   // keys, least recently used first
}

func newPool(o Options) (*pool, error) {
	roots, err := rootsWith(o.CACertFile)
	if err != nil {
		return nil, err
	}
	for name, address := range o.Resolve {
		if _, err := netip.ParseAddrPort(address); err != nil {
			return nil, fmt.Errorf("resolve %q to %q: that is not IP:PORT, such as 127.0.0.1:8443", name, address)
		}
	}
	return &pool{
		resolver:   o.Resolver,
		resolve:    o.Resolve,
		tls:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		transports: map[string]*http.Transport{},
	}, nil
}

// rootsWith returns the system's roots and those in a PEM file; nil, for the system's own
// verifier, if no file is named.
func rootsWith(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's CA certificates: %w", err)
	}
	extra, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA certificates: %w", err)
	}
	if !roots.AppendCertsFromPEM(extra) {
		return nil, fmt.Errorf("CA certificates %q: the file holds none; it must be PEM", file)
	}
	return roots, nil
}

// transport returns the transport for a set of private targets.
func (p *pool) transport(privateTargets []string) *http.Transport {
	set := parsePrivateTargets(privateTargets)
	key := fmt.Sprint(set)

	p.mu.Lock()
	defer p.mu.Unlock()
	p.order = append(slices.DeleteFunc(p.order, func(k string) bool { return k == key }), key)
	if p.transports[key] == nil {
		p.evict()
		p.transports[key] = p.newTransport(set)
	}
	return p.transports[key]
}

// evict makes room for one more transport. The caller holds mu. Exchanges that run on the
// evicted one go on; its idle connections close at once, later ones after idleTimeout.
func (p *pool) evict() {
	for len(p.transports) >= maxTransports {
		p.transports[p.order[0]].CloseIdleConnections()
		delete(p.transports, p.order[0])
		p.order = p.order[1:]
	}
}

// newTransport follows no proxy of the environment, inflates nothing and speaks HTTP/1.1,
// where a slow answer holds up nobody else's.
func (p *pool) newTransport(privateTargets []netip.AddrPort) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, Resolver: p.resolver, Control: newGuard(privateTargets).control}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, cmp.Or(p.resolve[address], address))
	}
	return &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        p.tls.Clone(),
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		MaxIdleConns:           idleInAll,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxAnswerHeaders,
		Protocols:              protocols,
	}
}

// close closes every connection that no exchange uses.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, transport := range p.transports {
		transport.CloseIdleConnections()
	}
}
