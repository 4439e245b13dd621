package egress

import (
	"context"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func addresses(texts ...string) []netip.Addr {
	list := make([]netip.Addr, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParseAddr(text)
	}
	return list
}

func TestANameThatMovesToAPrivateAddressIsCaughtWhenDialled(t *testing.T) {
	p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	var moved atomic.Bool
	c := newClient(t, p, Options{Resolver: resolverOf(func(string) []netip.Addr {
		if moved.Load() {
			return addresses("127.0.0.2", "169.254.169.254", "10.0.0.1")
		}
		return addresses("127.0.0.1") // the private target, in the place of a public address
	})})
	r := contract.HTTPRequest{Method: "GET", URL: p.urlOf("example.com", "/")}
	wantStatus(t, c.Send(context.Background(), p.named("example.com"), nil, r), 200)
	moved.Store(true)
	wantFault(t, c.Send(context.Background(), p.named("example.com"), nil, r), contract.HostDenied, true)
	if n := p.reached(); n != 1 {
		t.Errorf("%d requests reached a server, want 1", n)
	}
}

func TestOfManyAddressesOnlyTheAllowedOneIsDialled(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{Resolver: resolverOf(func(string) []netip.Addr {
		return addresses("127.0.0.2", "169.254.169.254", "127.0.0.1", "10.0.0.1")
	})})
	r := contract.HTTPRequest{Method: "GET", URL: p.urlOf("example.com", "/")}
	wantStatus(t, c.Send(context.Background(), p.named("example.com"), nil, r), 200)
}

func TestAConnectionIsNotReusedUnderAnotherPolicy(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{})
	r := contract.HTTPRequest{Method: "GET", URL: p.URL}
	wantStatus(t, c.Send(context.Background(), p.policy(), nil, r), 200) // leaves an idle connection
	without := p.policy()
	without.PrivateTargets = nil
	wantFault(t, c.Send(context.Background(), without, nil, r), contract.HostDenied, true)
	malformed := p.policy()
	malformed.PrivateTargets = []string{p.address() + " "}
	wantFault(t, c.Send(context.Background(), malformed, nil, r), contract.HostDenied, true)
}

func TestAConnectionIsReusedUnderTheSamePolicy(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{})
	r := contract.HTTPRequest{Method: "GET", URL: p.URL}
	policy := p.policy()
	policy.PrivateTargets = []string{"10.0.0.1:443", p.address()}
	wantStatus(t, c.Send(context.Background(), policy, nil, r), 200)
	first, _ := p.last(t)
	policy.PrivateTargets = []string{p.address(), "10.0.0.1:443", p.address()}
	wantStatus(t, c.Send(context.Background(), policy, nil, r), 200)
	if second, _ := p.last(t); second.RemoteAddr != first.RemoteAddr {
		t.Errorf("the second request came from %s, want the connection of the first, %s", second.RemoteAddr, first.RemoteAddr)
	}
}

func TestThePoolForgetsTheSetUsedLongestAgo(t *testing.T) {
	connections, err := newPool(Options{})
	if err != nil {
		t.Fatal(err)
	}
	first := connections.transport([]string{"10.0.0.1:1"})
	second := connections.transport([]string{"10.0.0.1:2"})
	for port := 3; len(connections.transports) < maxTransports; port++ {
		connections.transport([]string{netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(port)).String()})
	}
	if connections.transport([]string{"10.0.0.1:1"}) != first {
		t.Error("a set among the newest was forgotten")
	}
	connections.transport([]string{"10.0.0.2:1"}) // one too many
	if len(connections.transports) != maxTransports || len(connections.order) != maxTransports {
		t.Errorf("%d transports in an order of %d, want %d", len(connections.transports), len(connections.order), maxTransports)
	}
	if connections.transport([]string{"10.0.0.1:2"}) == second {
		t.Error("the set used longest ago was kept")
	}
}
