package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// errForbiddenAddress is matched by the error of a dial that the guard refused.
var errForbiddenAddress = errors.New("address is not public")

// guard decides about every address right before it is dialled, after DNS.
type guard struct {
	public  *ssrf.Guardian
	private []netip.AddrPort
}

// newGuard allows public addresses on any port, since a rule decided about the port, and
// the given private targets.
func newGuard(privateTargets []netip.AddrPort) guard {
	return guard{public: ssrf.New(ssrf.WithAnyPort()), private: privateTargets}
}

// parsePrivateTargets returns the well-formed targets of a list, sorted, each once.
func parsePrivateTargets(texts []string) []netip.AddrPort {
	var targets []netip.AddrPort
	for _, text := range texts {
		if target, err := domain.ParsePrivateTarget(text); err == nil {
			targets = append(targets, target)
		}
	}
	slices.SortFunc(targets, netip.AddrPort.Compare)
	return slices.Compact(targets)
}

// control is a net.Dialer's Control: it sees the very address that connect gets.
func (g guard) control(network, address string, conn syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %q is no address", errForbiddenAddress, address)
	}
	if slices.Contains(g.private, netip.AddrPortFrom(target.Addr().Unmap(), target.Port())) {
		return nil
	}
	if err := g.public.Safe(network, address, conn); err != nil {
		return fmt.Errorf("%w: %w", errForbiddenAddress, err)
	}
	return nil
}
