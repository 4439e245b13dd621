//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
)

// Enabled tells whether this build can be killed at a failpoint.
const Enabled = true

// armed is the failpoint that kills this process, and left how many hits remain until it
// does. armed does not change once the process has started.
var (
	armed Name
	left  atomic.Int64
)

func init() {
	setting, ok := os.LookupEnv(Variable)
	_ = os.Unsetenv(Variable) // the host refuses variables that name no field of its configuration
	if !ok {
		return
	}
	name, count, err := parse(setting)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2) // a test that names the wrong moment must not pass for one that found nothing
	}
	armed = name
	left.Store(count)
}

// Hit kills the process with SIGKILL if this is the hit that [Variable] named.
func Hit(name Name) {
	if name != armed || left.Add(-1) != 0 {
		return
	}
	fmt.Fprintf(os.Stderr, "failpoint %s: killed\n", name)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way, and nothing more may happen here
}
