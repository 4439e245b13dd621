//go:build !failpoints

package failpoint

// Enabled tells whether this build can be killed at a failpoint.
const Enabled = false

// Hit does nothing in this build.
func Hit(Name) {}
